"""Facts of flags: what is read, and in how many queries."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flags.documents.deprecation import Deprecation, with_deprecation
from flags.lifecycle.facts import Use
from flags.lifecycle.reasons import Confidence, Reason
from flags.models import CodeReference, CodeRepository, CodeScan, EvaluationCount, FlagConfig, FlagUse
from flags.services.tickets import governed_write
from flags.telemetry.labels import ALL_AT_ONCE, TEST_TRAFFIC
from rollouts.models import Snooze
from rollouts.selectors.staleness.facts import life_of_flag, lives_of
from rollouts.selectors.staleness.uses import figures_of, uses_of
from tests.factories import NOW, World, make_served_world, make_world, percent_document

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=100)


@pytest.fixture
def world() -> World:
    return make_served_world(100)


def count(
    world: World, days_ago: float, number: int, *, variant: str = "on", service: str = "shop", **facts: Any
) -> None:
    """Evaluations of the first flag in production, so many days before LATER."""
    at = (LATER - timedelta(days=days_ago)).replace(minute=0, second=0, microsecond=0)
    EvaluationCount.objects.create(
        environment=world.production,
        span=facts.get("span", "hour"),
        at=at,
        flag_key=world.first_flag.key,
        variant=variant,
        reason="SPLIT",
        service=service,
        version="1",
        count=number,
    )


def used(
    world: World, first: float, last: float, *, key: str = "", service: str = "shop", is_unknown: bool = False
) -> None:
    """What is kept of a use, in days before LATER."""
    FlagUse.objects.create(
        environment=world.production,
        flag_key=key or world.first_flag.key,
        service=service,
        version="1",
        first_at=LATER - timedelta(days=first),
        last_at=LATER - timedelta(days=last),
        is_unknown=is_unknown,
    )


def use_of(world: World) -> Use:
    key = world.first_flag.key
    return uses_of([world.production.pk], [key], days=60, now=LATER).get((world.production.pk, key), Use())


def test_uses_of__hours_and_kept_uses__are_one_picture(world: World) -> None:
    used(world, 95, 2)
    used(world, 90, 50, service="billing")
    count(world, 40, 7, variant="off")
    count(world, 2, 30)
    count(world, 2, 5, service="billing")

    found = use_of(world)

    assert (found.first_at, found.last_at) == (LATER - timedelta(days=95), LATER - timedelta(days=2))
    assert [(each.service, each.recent) for each in found.services] == [("shop", 30), ("billing", 5)]
    assert {name: (LATER - at).days for name, at in found.variants.items()} == {"on": 2, "off": 40}


def test_uses_of__minutes_whose_hour_is_written__count_once(world: World) -> None:
    count(world, 1, 30)
    count(world, 1, 30, span="minute")
    count(world, 0, 4, span="minute")

    assert use_of(world).recent == 34


def test_uses_of__test_traffic__is_nobodys_use(world: World) -> None:
    count(world, 1, 30, service=TEST_TRAFFIC)
    used(world, 9, 1, service=TEST_TRAFFIC)

    assert use_of(world) == Use()
    assert figures_of([world.production.pk], days=5, now=LATER) == {}


def test_life_of_flag__in_bulk_alone__is_found_and_may_go_with_care(world: World) -> None:
    for days in range(60):
        count(world, days + 0.1, 4, service=ALL_AT_ONCE)
    used(world, 95, 0, service=ALL_AT_ONCE)

    life = life_of_flag(world.first_flag, now=LATER)

    found = {each.reason: each.confidence for each in life.staleness.findings}
    assert found[Reason.NEVER_EVALUATED] is Confidence.LOW
    assert life.removal.blockers == ()
    assert {each.code for each in life.removal.cautions} == {"use_in_bulk", "not_scanned"}


def test_figures_of__days__are_those_on_which_anybody_reported(world: World) -> None:
    used(world, 60, 0.2, key="another")
    count(world, 0.5, 1)
    count(world, 3.5, 1)
    count(world, 2.5, 1, service=TEST_TRAFFIC)

    found = figures_of([world.production.pk], days=5, now=LATER)[world.production.pk]

    assert (found.first_at, found.last_at) == (LATER - timedelta(days=60), LATER - timedelta(days=0.2))
    assert found.days == [True, False, False, True, False]


def test_life_of_flag__telemetry_of_this_morning__says_nothing_of_last_month(world: World) -> None:
    used(world, 95, 0.1, key="another")
    count(world, 0.1, 1)

    life = life_of_flag(world.first_flag, now=LATER)

    assert {each.code for each in life.removal.cautions} == {"gaps_in_figures", "not_scanned"}
    assert "never_evaluated" not in {each.reason for each in life.staleness.findings}


@pytest.mark.parametrize(("until", "ended", "since"), [(5, None, 5), (-9, 5, 5), (9, 20, 20), (75, 60, 70)])
def test_life_of_flag__snooze_that_ended__counts_from_its_end(
    world: World, until: float, ended: float | None, since: float
) -> None:
    """Everybody gets the flag for 100 days, so it is stale for 70 unless it was snoozed."""
    with governed_write(world.project.pk):
        for days, ended_at in ((until, ended), (80, None)):
            Snooze.objects.create(
                project=world.project,
                flag=world.first_flag,
                until=LATER - timedelta(days=days),
                reason="Wanted",
                created_by=world.rita,
                created_at=NOW,
                ended_at=None if ended_at is None else LATER - timedelta(days=ended_at),
            )

    life = life_of_flag(world.first_flag, now=LATER)

    assert life.staleness.since == LATER - timedelta(days=since)


def test_uses_of__asked_for_where_it_is_not__is_unknown_for_a_month(world: World) -> None:
    used(world, 9, 1, is_unknown=True)
    used(world, 90, 31, service="old", is_unknown=True)

    found = use_of(world)

    assert found.last_at is None
    assert [each.service for each in found.unknown] == ["shop"]


def test_lives_of__whole_history__is_read(world: World) -> None:
    used(world, 95, 60)
    used(world, 95, 1, key="another")

    life = life_of_flag(world.first_flag, now=LATER)

    assert (life.stage.stage, life.stage.since) == ("settled", NOW)
    assert {each.reason.value for each in life.staleness.findings} == {
        "no_evaluations",
        "fully_rolled_out",
        "expired_by_kind",
    }
    assert life.staleness.is_stale
    assert (life.removal.forward.variant, life.removal.forward.value) == ("on", True)
    assert [place.key for place in life.facts.places] == ["development", "staging", "production"]
    assert [place.weighs for place in life.facts.places] == [False, False, True]


def test_lives_of__child_that_needs_it__is_a_dependent_until_it_is_archived(world: World) -> None:
    child = world.flag("child")
    document = {
        **percent_document("child", 100),
        "prerequisites": [{"flag": world.first_flag.key, "variants": ["on"]}],
    }
    world.serve(child, world.production, document)
    before = life_of_flag(world.first_flag, now=LATER)
    world.serve(child, world.production, with_deprecation(document, Deprecation(NOW, is_archived=True)))

    after = life_of_flag(world.first_flag, now=LATER)

    assert [each.code for each in before.removal.blockers] == ["dependents"]
    assert "child" in before.removal.blockers[0].sentence
    assert after.removal.blockers == ()


def test_lives_of__code_references__are_known(world: World) -> None:
    repository = CodeRepository.objects.create(
        project=world.project, name="shop", default_branch="main", created_at=NOW
    )
    CodeScan.objects.create(
        repository=repository,
        branch="main",
        scanned_at=NOW,
        received_at=NOW,
        files_read=1,
        references=1,
        added=1,
        vanished=0,
        left_out=0,
        reported_by="ci",
    )
    CodeReference.objects.create(
        repository=repository,
        branch="main",
        flag_key=world.first_flag.key,
        path="a.py",
        ordinal=1,
        line=3,
        column=1,
        first_seen_at=NOW,
    )

    found = life_of_flag(world.first_flag, now=NOW + timedelta(days=30)).facts.references
    later = life_of_flag(world.first_flag, now=LATER).facts.references

    assert (found.is_scanned, found.live, found.extinct_at, found.scanned_since) == (True, 1, None, NOW)
    assert (later.is_scanned, later.live, later.scanned_since) == (False, 1, NOW)
    assert later.doubts == ("The newest scan is more than 30 days old: shop (02 March 2026).",)


def test_lives_of__any_number_of_flags__takes_as_many_queries() -> None:
    world = make_world()
    world.flag("one")
    with CaptureQueriesContext(
        connection,
    ) as few:
        lives_of(world.project, now=LATER)
    for number in range(12):
        flag = world.flag(f"flag-{number}")
        world.serve(flag, world.production, percent_document(flag.key, 10))
    with CaptureQueriesContext(connection) as many:
        lives = lives_of(world.project, now=LATER)

    assert len(lives) == 13
    assert len(many) == len(few) <= 16


def test_lives_of__config_that_is_gone__is_not_set_up(world: World) -> None:
    life = life_of_flag(world.flag("bare"), now=LATER)

    assert FlagConfig.objects.filter(flag__key="bare", environment=world.production).count() == 0
    assert life.stage.stage == "draft"
