"""The nightly look, snoozes, thresholds and mails to owners."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command

from audits.actions import Action
from audits.models import AuditEvent
from flags.errors import InvalidInput, NotFound, PermissionMissing
from flags.models import Flag, Project
from flags.permissions import Role
from flags.services.tickets import governed_write
from rollouts.models import DebtScore, OwnerNudge, Snooze, StaleThresholds, StaleVerdict
from rollouts.selectors.staleness.facts import life_of_flag
from rollouts.selectors.staleness.verdicts import StaleQuery, debt_trend, stale_part
from rollouts.services.stale_nudges import nudge_owners
from rollouts.services.staleness import end_snooze, scan_stale, set_thresholds, snooze, unscanned_projects
from rollouts.tasks import scan_stale_flags
from tests.factories import NOW, World, actor_of, make_served_world, percent_document

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=100)


@pytest.fixture
def world() -> World:
    return make_served_world(100)


def events(world: World, action: Action) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(project_key=world.project.key, action=action.value))


def verdict(world: World) -> StaleVerdict:
    return StaleVerdict.objects.get(flag=world.first_flag)


def change(world: World, **facts: Any) -> None:
    """Change the row of the first flag as a service would."""
    with governed_write(world.project.pk):
        Flag.objects.filter(pk=world.first_flag.pk).update(**facts)


def test_scan_stale__first_of_the_day__is_kept_with_one_event(world: World) -> None:
    assert scan_stale(world.project.pk, now=LATER) is True
    assert scan_stale(world.project.pk, now=LATER + timedelta(hours=2)) is False

    row, score = verdict(world), DebtScore.objects.get(project=world.project)
    assert (row.is_stale, row.stage, row.confidence, row.readiness) == (True, "settled", "low", "caution")
    assert row.judged_at == LATER + timedelta(hours=2)
    assert row.stages["production"]["stage"] == "settled"
    assert {each["code"] for each in row.reasons} == {"fully_rolled_out", "expired_by_kind"}
    assert (score.day, score.flags, score.stale) == (LATER.date(), 1, 1)
    assert score.score == sum(score.parts.values()) > 0
    assert len(events(world, Action.STALE_FLAGS_FOUND)) == 1


def test_scan_stale__next_days__make_a_trend(world: World) -> None:
    for day in range(3):
        scan_stale(world.project.pk, now=LATER + timedelta(days=7 * day))

    last = (LATER + timedelta(days=14)).date()
    assert [each.score for each in debt_trend(world.project, until=last, days=30)] == sorted(
        DebtScore.objects.values_list("score", flat=True)
    )
    assert len(debt_trend(world.project, until=last, days=8)) == 2


def test_scan_stale__flag_that_gave_its_key_away__is_forgotten(world: World) -> None:
    scan_stale(world.project.pk, now=LATER)
    change(world, archived_at=LATER, replaced_at=LATER)

    scan_stale(world.project.pk, now=LATER)

    assert not StaleVerdict.objects.exists()


def test_unscanned_projects__each_day__is_due_once(world: World) -> None:
    assert world.project in unscanned_projects(LATER)
    scan_stale(world.project.pk, now=LATER)

    assert world.project not in unscanned_projects(LATER)
    assert world.project in unscanned_projects(LATER + timedelta(days=1))


def test_scan_stale_flags__task__judges_every_project(world: World) -> None:
    assert scan_stale_flags() == Project.objects.count()
    assert scan_stale_flags() == 0


def test_tick__judges_flags(world: World) -> None:
    call_command("tick", verbosity=0)

    assert StaleVerdict.objects.filter(flag=world.first_flag).exists()


def test_snooze__stale_flag__is_not_stale_until_then(world: World) -> None:
    scan_stale(world.project.pk, now=LATER)

    row = snooze(
        world.first_flag.pk,
        until=LATER + timedelta(days=30),
        actor=actor_of(world.rita),
        reason="Wanted for the sale",
        now=LATER,
    )

    assert not verdict(world).is_stale
    assert verdict(world).reasons != []
    event = events(world, Action.FLAG_SNOOZED)[0]
    assert (event.flag_key, event.reason) == (world.first_flag.key, "Wanted for the sale")
    scan_stale(world.project.pk, now=LATER + timedelta(days=30))
    assert verdict(world).is_stale
    assert row.created_by == world.rita


def test_snooze__end_at_local_midnight__is_said_as_that_day(world: World, settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    until = datetime(2026, 7, 4, 22, tzinfo=UTC)
    snooze(world.first_flag.pk, until=until, actor=actor_of(world.rita), reason="Why", now=LATER)

    guards = life_of_flag(world.first_flag, now=LATER).staleness.guards

    assert [each.sentence for each in guards if each.code == "snoozed"] == ["It is snoozed until 2026-07-05: Why"]


def test_snooze__another_one__ends_the_first(world: World) -> None:
    def again(days: int) -> Snooze:
        until = LATER + timedelta(days=days)
        return snooze(world.first_flag.pk, until=until, actor=actor_of(world.rita), reason="Why", now=LATER)

    first, second = again(90), again(10)

    first.refresh_from_db()
    assert first.ended_at == LATER
    assert life_of_flag(world.first_flag, now=LATER).facts.snoozed_until == second.until


def test_end_snooze__early__makes_it_stale_again(world: World) -> None:
    until = LATER + timedelta(days=90)
    row = snooze(world.first_flag.pk, until=until, actor=actor_of(world.rita), reason="Why", now=LATER)

    for _ in range(2):
        end_snooze(row.pk, actor=actor_of(world.rita), reason="Not needed", now=LATER + timedelta(days=1))

    assert verdict(world).is_stale
    assert len(events(world, Action.FLAG_SNOOZE_ENDED)) == 1


@pytest.mark.parametrize(
    ("days", "reason", "path"), [(0.1, "Why", "until"), (181, "Why", "until"), (30, "  ", "reason"), (30, "", "reason")]
)
def test_snooze__bad_end_or_reason__is_refused(world: World, days: float, reason: str, path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        snooze(
            world.first_flag.pk,
            until=LATER + timedelta(days=days),
            actor=actor_of(world.rita),
            reason=reason,
            now=LATER,
        )

    assert refused.value.facts["problems"][0]["path"] == path
    assert not Snooze.objects.exists()


@pytest.mark.parametrize("who", ["abel", "rolf", "vera", "otto", "ada"])
def test_snooze__nobody_but_editors__may(world: World, who: str) -> None:
    actor = actor_of(getattr(world, who))
    row = snooze(
        world.first_flag.pk, until=LATER + timedelta(days=9), actor=actor_of(world.rita), reason="Why", now=LATER
    )

    with pytest.raises(PermissionMissing):
        snooze(world.first_flag.pk, until=LATER + timedelta(days=9), actor=actor, reason="Why", now=LATER)
    with pytest.raises(PermissionMissing):
        end_snooze(row.pk, actor=actor, reason="Why", now=LATER)


def test_snooze__no_such_flag__is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        snooze(world.project.pk, until=LATER, actor=actor_of(world.rita), reason="Why", now=LATER)


def test_set_thresholds__administrator__is_followed_by_the_next_look(world: World) -> None:
    values: dict[str, Any] = {"settled": 120, "lifetime": None, "unused": 30}

    row = set_thresholds(
        world.project.pk, "release", values, actor=actor_of(world.ada), reason="Long releases", now=LATER
    )

    scan_stale(world.project.pk, now=LATER)
    assert row.values == {"settled": 120, "lifetime": None}
    assert not verdict(world).is_stale
    event = events(world, Action.STALE_THRESHOLDS_CHANGED)[0]
    assert '"after":{"lifetime":null,"settled":120}' in event.data


def test_set_thresholds__same_again__records_nothing(world: World) -> None:
    for _ in range(2):
        set_thresholds(world.project.pk, "release", {"unused": 60}, actor=actor_of(world.ada), reason="Why", now=LATER)

    assert len(events(world, Action.STALE_THRESHOLDS_CHANGED)) == 1
    assert StaleThresholds.objects.get().values == {"unused": 60}


def test_set_thresholds__editor__may_not(world: World) -> None:
    with pytest.raises(PermissionMissing):
        set_thresholds(world.project.pk, "release", {"unused": 60}, actor=actor_of(world.rita), reason="Why", now=LATER)


@pytest.mark.parametrize("places", [["development"], ["development", "staging"], []])
def test_set_thresholds__administrator_of_some_environments__may_not(world: World, places: list[str]) -> None:
    for name in places:
        world.grant(world.otto, getattr(world, name), Role.ADMINISTRATOR)

    with pytest.raises(PermissionMissing):
        set_thresholds(world.project.pk, "release", {"unused": 60}, actor=actor_of(world.otto), reason="Why", now=LATER)

    world.grant(world.otto, world.production, Role.ADMINISTRATOR)
    set_thresholds(world.project.pk, "release", {"unused": 60}, actor=actor_of(world.otto), reason="Why", now=LATER)


@pytest.mark.parametrize(("kind", "values"), [("release", {"unused": 3}), ("permission", {"unused": 30})])
def test_set_thresholds__bad_values__are_refused(world: World, kind: str, values: dict[str, int | None]) -> None:
    with pytest.raises(InvalidInput):
        set_thresholds(world.project.pk, kind, values, actor=actor_of(world.ada), reason="Why", now=LATER)


def test_stale_part__filters_and_pages__are_by_key(world: World) -> None:
    for key in ("a-flag", "z-flag"):
        world.serve(world.flag(key), world.production, percent_document(key, 30))
    scan_stale(world.project.pk, now=LATER)

    first = stale_part(world.project, StaleQuery(), size=2)
    rest = stale_part(world.project, StaleQuery(), after=first.next_key or "", size=2)
    partial = stale_part(world.project, StaleQuery(reason="forgotten_partial"), size=9)
    none = stale_part(world.project, StaleQuery(kind="experiment"), size=9)

    assert [each.flag.key for each in (*first.verdicts, *rest.verdicts)] == ["a-flag", "checkout-redesign", "z-flag"]
    assert (first.next_key, rest.next_key) == ("checkout-redesign", None)
    assert [each.flag.key for each in partial.verdicts] == ["a-flag", "z-flag"]
    assert none.verdicts == []


def test_nudge_owners__once_a_month__is_told(world: World, django_capture_on_commit_callbacks: Any) -> None:
    change(world, owner=world.rita)
    scan_stale(world.project.pk, now=LATER)

    with django_capture_on_commit_callbacks(execute=True):
        told = [nudge_owners(now=LATER), nudge_owners(now=LATER + timedelta(days=1))]
        later = nudge_owners(now=LATER + timedelta(days=31))

    assert (told, later) == ([1, 0], 1)
    assert [message.to for message in mail.outbox] == [[world.rita.email]] * 2
    assert "1 flag of yours is past its life" in mail.outbox[0].subject
    assert world.first_flag.key in mail.outbox[0].body
    assert OwnerNudge.objects.count() == 2


@pytest.mark.parametrize(("days", "told"), [(1, 0), (27, 0), (28, 1)])
def test_nudge_owners__next_month__is_told_28_days_later(
    world: World, django_capture_on_commit_callbacks: Any, days: int, told: int
) -> None:
    change(world, owner=world.rita)
    scan_stale(world.project.pk, now=LATER)
    last = datetime(2026, 3, 31, 9, tzinfo=UTC)

    with django_capture_on_commit_callbacks(execute=True):
        assert nudge_owners(now=last) == 1
        assert nudge_owners(now=last + timedelta(days=days)) == told


def test_nudge_owners__without_a_role__is_told_nothing(world: World, django_capture_on_commit_callbacks: Any) -> None:
    change(world, owner=world.otto)
    scan_stale(world.project.pk, now=LATER)

    with django_capture_on_commit_callbacks(execute=True):
        assert nudge_owners(now=LATER) == 0

    assert mail.outbox == []
    assert not OwnerNudge.objects.exists()
