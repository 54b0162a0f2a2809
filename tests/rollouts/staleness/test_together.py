"""What is done with many stale flags at once: clean-ups, drafts of their ends, snoozes."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flags.documents import initial_document
from flags.errors import InvalidInput, PermissionMissing
from flags.models import Flag, FlagConfig
from flags.permissions import Role
from flags.services.tickets import governed_write
from rollouts.deprecations.codec import InvalidTimeline, invalid
from rollouts.models import ChangeRequest, DeprecationTimeline, Snooze, StaleVerdict
from rollouts.services.cleaning import Cleaning, CleanUp, LeftOut, propose_clean_up, words_of
from rollouts.services.drafted_endings import Announcement, DraftedEndings, draft_endings
from rollouts.services.staleness import snooze_flags
from rollouts.services.timelines.drafting import create_timelines
from tests.factories import NOW, World, actor_of, make_world, percent_document
from tests.rollouts.test_races import Crowd

WHY = "Everybody has it"
DAY = timedelta(days=1)
STARTS = Announcement(date(2026, 4, 1), "Europe/Berlin", WHY)


@pytest.fixture
def world() -> World:
    return make_world()


def stale(world: World, key: str, *, is_stale: bool = True, **more: Any) -> Flag:
    """A flag that everybody gets in staging and production, and what the nightly look kept of it."""
    flag = world.flag(key, **more)
    for place in (world.staging, world.production):
        world.serve(flag, place)
    StaleVerdict.objects.create(
        flag=flag, project=world.project, stage="settled", is_stale=is_stale, readiness="safe", judged_at=NOW
    )
    return flag


def clean(world: World, *flags: Flag, how: Cleaning = Cleaning.SWITCH_OFF, by: Any = None) -> CleanUp:
    ids = [flag.pk for flag in flags]
    return propose_clean_up(world.project, ids, how, actor=actor_of(by or world.rita), reason=WHY, now=NOW)


def draft(world: World, *flags: Flag, by: Any = None, announced: Announcement = STARTS) -> DraftedEndings:
    return draft_endings(world.project, flags, announced, actor=actor_of(by or world.rita), now=NOW)


def drafted() -> set[tuple[str, str]]:
    rows = DeprecationTimeline.objects.select_related("flag", "environment")
    return {(row.flag.key, row.environment.key) for row in rows}


@pytest.mark.django_db
def test_clean_up__archived_and_young_flags__are_named_and_not_counted(world):
    wanted = [stale(world, "a-gone"), stale(world, "b-old"), stale(world, "c-young", is_stale=False)]
    with governed_write(world.project.pk):
        Flag.objects.filter(pk=wanted[0].pk).update(archived_at=NOW)

    done = clean(world, *wanted)

    assert {request.title for request in done.requests} == {"Switch off B old"}
    assert {edit["flag_key"] for request in done.requests for edit in request.change_set["edits"]} == {"b-old"}
    assert {(one.flag_key, one.why) for one in done.left_out} >= {
        ("a-gone", "it is archived."),
        ("c-young", "it does not count as stale."),
    }


@pytest.mark.django_db
def test_clean_up__environment_without_the_role__is_named(world):
    flag = stale(world, "old")
    only = stale(world, "only-there")
    world.grant(world.vera, world.staging, Role.EDITOR)
    world.grant(world.vera, world.production, Role.VIEWER)

    done = clean(world, flag, only, by=world.vera)

    assert [request.environment for request in done.requests] == [world.staging]
    places = {(one.flag_key, one.environment) for one in done.left_out}
    assert {("old", "Production"), ("only-there", "Production")} <= places
    assert any(
        words.startswith("old, only-there in Production: you may not propose") for words in words_of(done.left_out)
    )


@pytest.mark.django_db
def test_clean_up__flag_that_others_need__is_left_out_of_a_switch_off_but_tidied(world):
    parent, child = stale(world, "parent"), world.flag("child")
    needs = {"prerequisites": [{"flag": "parent", "variants": ["on"]}], "enabled": True}
    world.serve(child, world.production, {**initial_document("child", "boolean"), **needs})
    world.serve(parent, world.production, percent_document("parent", 100))

    with pytest.raises(InvalidInput, match="Other flags need it in Production: child"):
        clean(world, parent)
    assert not ChangeRequest.objects.exists()

    done = clean(world, parent, how=Cleaning.TIDY)

    assert world.production in [request.environment for request in done.requests]


@pytest.mark.django_db
@pytest.mark.parametrize("how", list(Cleaning))
def test_clean_up__pressed_twice__asks_once(how, world):
    flag = stale(world, "old")
    for place in (world.staging, world.production):
        world.serve(flag, place, percent_document("old", 100))
    clean(world, flag, how=how)
    before = ChangeRequest.objects.count()

    with pytest.raises(InvalidInput, match=r"Nothing would change\..*#"):
        clean(world, flag, how=how)

    assert ChangeRequest.objects.count() == before


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_clean_up__twice_at_once__asks_once(world):
    flag = stale(world, "old")
    crowd = Crowd(2)

    crowd.run([lambda: clean(world, flag)] * 2)
    crowd.leave()

    places = list(ChangeRequest.objects.values_list("environment", flat=True))
    assert len(places) == len(set(places)) > 0


@pytest.mark.django_db
def test_clean_up__permanent_flag__is_left_out(world):
    kill = stale(world, "the-kill", kind="kill_switch", is_stale=False)
    flag = stale(world, "old")

    done = clean(world, flag, kill)

    assert ("the-kill", "", "it does not count as stale.") in {
        (one.flag_key, one.environment, one.why) for one in done.left_out
    }


def test_words_of__same_reason__is_said_once():
    left = [LeftOut(f"f-{number}", "", "it is archived.") for number in range(7)]

    assert words_of(left) == ["f-0, f-1, f-2, f-3, f-4 and 2 more: it is archived."]


@pytest.mark.django_db
def test_draft_endings__archived_in_one_environment__drafts_the_others_and_a_retry_adds_nothing(world):
    flag = stale(world, "old")
    served = FlagConfig.objects.get(flag=flag, environment=world.production).document
    gone = {"deprecated_at": "2026-01-01T00:00:00Z", "is_archived": True}
    world.serve(flag, world.production, {**served, "deprecation": gone})

    done = draft(world, flag)
    first = drafted()
    with pytest.raises(InvalidInput, match="is there already"):
        draft(world, flag)

    assert ("old", "staging") in first
    assert ("old", "production") not in first
    assert drafted() == first
    assert DeprecationTimeline.objects.count() == len(first)
    assert ("old", "Production", "it is not served.") in {
        (one.flag_key, one.environment, one.why) for one in done.left_out
    }


@pytest.mark.django_db
def test_draft_endings__refused_in_one_environment__leaves_no_draft_of_that_flag(world, monkeypatch):
    flag, other = stale(world, "a-one"), stale(world, "b-two")
    world.serve(flag, world.production, percent_document("a-one", 100))

    def create(flag_id: Any, environment_ids: Any, *args: Any, **more: Any) -> list[DeprecationTimeline]:
        made = create_timelines(flag_id, environment_ids, *args, **more)
        if flag_id == flag.pk and world.production.pk in environment_ids:
            raise invalid([("milestones", "Not like this.")])
        return made

    monkeypatch.setattr("rollouts.services.drafted_endings.create_timelines", create)

    done = draft(world, flag, other)

    assert {key for key, _ in drafted()} == {"b-two"}
    assert [one.flag_key for one in done.left_out] == ["a-one"]
    with pytest.raises(InvalidTimeline):
        draft(world, flag)
    assert {key for key, _ in drafted()} == {"b-two"}


@pytest.mark.django_db
def test_draft_endings__people_get_different_things__is_left_out_with_words(world):
    flag = stale(world, "half")
    world.serve(flag, world.staging, percent_document("half", 50))

    done = draft(world, flag)

    assert ("half", "staging") not in drafted()
    assert any("in Staging: people still get different things" in words for words in words_of(done.left_out))
    assert all(
        row.definition["final_variant"] is not None for row in done.timelines if row.environment == world.production
    )


@pytest.mark.django_db
def test_draft_endings__viewer__is_refused(world):
    with pytest.raises(PermissionMissing):
        draft(world, stale(world, "old"), by=world.vera)


@pytest.mark.django_db
def test_snooze_flags__several__read_their_ground_once(world):
    flags = [stale(world, f"f-{number}") for number in range(4)]
    told: dict[str, Any] = {"until": NOW + 30 * DAY, "actor": actor_of(world.rita), "reason": WHY, "now": NOW}

    with CaptureQueriesContext(connection) as asked:
        snooze_flags(world.project, flags, **told)

    assert Snooze.objects.count() == 4
    assert len(asked) <= 50
