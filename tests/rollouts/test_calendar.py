"""Changing the calendar: who may make it stricter alone, what takes two, and what the trail keeps."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audits.models import AuditEvent
from flags.errors import InvalidInput, NotFound, PermissionMissing
from flags.permissions import Role
from flags.settings_authority import SecondPersonNeeded, SoleAct
from rollouts.models import CalendarWindow
from rollouts.selectors.calendar import calendar_entries, freezes_at, windows_of
from rollouts.services.calendar import CalendarWindowKind, write_window
from rollouts.services.settings import confirm
from rollouts.settings_kinds import Scope
from tests.factories import NOW, World, actor_of
from tests.rollouts.calendars import HOUR, document, freeze, set_window_as, weekly
from tests.rollouts.support import Bench

ALLOW = document(kind="allow", title="Release hours", timing=weekly("2026-03-02T09:00", 480))


def second_administrator(world: World) -> Any:
    world.grant(world.anna, world.production, Role.ADMINISTRATOR)
    return world.anna


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("ada", True), ("rolf", True), ("rita", False), ("abel", False), ("vera", False), ("otto", False)],
)
def test_add__freeze__takes_release_manager_or_administrator(world: World, name: str, allowed: bool) -> None:
    person = getattr(world, name)
    if allowed:
        assert set_window_as(world, person, document()) is None
    else:
        with pytest.raises(PermissionMissing):
            set_window_as(world, person, document())

    assert CalendarWindow.objects.count() == allowed


def test_add__freeze_where_one_has_no_role__is_refused(world: World) -> None:
    world.grant(world.rolf, world.staging)

    with pytest.raises(PermissionMissing, match="Staging"):
        set_window_as(world, world.rolf, document())
    assert set_window_as(world, world.rolf, document(environments=[world.production])) is None


def test_add__freeze__is_recorded_with_all_of_it(world: World) -> None:
    window = freeze(world, environments=[world.production], tags=["checkout"])

    event = AuditEvent.objects.get(action="calendar_window.added")
    assert event.target_id == str(window.pk)
    assert event.details["from"] is None
    assert event.details["to"]["environments"] == [str(world.production.pk)]
    assert event.details["authority"] == "sole_act"
    assert event.reason == "Agreed in the release round"


@pytest.mark.parametrize(
    ("change", "looser"),
    [
        ({"ends_at": NOW + 48 * HOUR}, False),
        ({"starts_at": NOW - 2 * HOUR}, False),
        ({"title": "Cyber week"}, False),
        ({"ends_at": NOW + 23 * HOUR}, True),
        ({"starts_at": NOW}, True),
        ({"tags": ["checkout"]}, True),
        ({"kind": "allow"}, True),
        (None, True),
    ],
)
def test_change__freeze__stricter_by_one_looser_by_two(world: World, change: Any, looser: bool) -> None:
    anna, window = second_administrator(world), freeze(world)
    wanted = None if change is None else document(**change)

    proposal = set_window_as(world, world.ada, wanted, window=window)

    assert (proposal is not None) is looser
    before = windows_of(world.project.pk)
    if proposal is None:
        return
    assert before == [window.as_window()]
    confirm(proposal.pk, actor=actor_of(anna), digest=proposal.digest, now=NOW)
    assert windows_of(world.project.pk) != before


def test_remove__confirmed__lets_changes_through_and_stays_in_the_trail(world: World) -> None:
    anna, window = second_administrator(world), freeze(world)
    proposal = set_window_as(world, world.ada, None, window=window)
    assert proposal is not None
    assert freezes_at(world.production, flag_tags=[], now=NOW)

    confirm(proposal.pk, actor=actor_of(anna), digest=proposal.digest, now=NOW)

    assert freezes_at(world.production, flag_tags=[], now=NOW) == []
    event = AuditEvent.objects.get(action="calendar_window.removed")
    assert event.details["to"] is None
    assert event.details["proposed_by"] == str(world.ada.pk)
    assert event.details["confirmed_by"] == str(anna.pk)


def test_add__allow_window__takes_two_where_something_is_protected(world: World) -> None:
    second_administrator(world)

    assert set_window_as(world, world.ada, ALLOW) is not None
    assert CalendarWindow.objects.count() == 0


def test_loosen__release_manager__may_not_even_propose(world: World) -> None:
    second_administrator(world)
    window = freeze(world, by=world.rolf)

    with pytest.raises(PermissionMissing):
        set_window_as(world, world.rolf, None, window=window)


def test_loosen__past_the_proposal__is_refused_by_the_writer(world: World) -> None:
    window = freeze(world)
    scope = Scope(world.project, None, str(window.pk))

    with pytest.raises(SecondPersonNeeded):
        write_window(scope, None, actor=actor_of(world.ada), authority=SoleAct(), now=NOW, reason="Alone")
    assert CalendarWindow.objects.get().removed_at is None


@pytest.mark.parametrize(
    "fields",
    [
        {"title": ""},
        {"title": "x" * 121},
        {"title": "two\nlines"},
        {"reason": ""},
        {"kind": "pause"},
        {"timing": {}},
        {"timing": {"starts_at": NOW.isoformat(), "ends_at": NOW.isoformat()}},
        {"timing": {"starts_at": "2026-03-02T09:00", "ends_at": "2026-03-02T10:00"}},
        {"timing": {"starts_at": "soon", "ends_at": "later"}},
        {"timing": weekly("2026-03-02T09:00", 0)},
        {"timing": weekly("2026-03-02T09:00", 10**9)},
        {"timing": weekly("2026-03-02T09:00+01:00", 60)},
        {"timing": weekly("2026-03-02T09:00", 60, "FREQ=SECONDLY")},
        {"timing": weekly("2026-03-02T09:00", 60, zone="Mars/Olympus")},
        {"tags": [""]},
        {"tags": ["x" * 61]},
        {"tags": [str(number) for number in range(21)]},
    ],
)
def test_add__unusable_window__is_refused(world: World, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        set_window_as(world, world.ada, document(**fields))

    assert not CalendarWindow.objects.exists()


def test_add__environment_of_another_project__is_refused(world: World) -> None:
    wanted = {**document(), "environments": [str(uuid.uuid4())]}

    with pytest.raises(InvalidInput, match="Choose environments"):
        set_window_as(world, world.ada, wanted)


def test_change__window_that_is_gone__is_not_found(world: World) -> None:
    ghost = CalendarWindow(pk=uuid.uuid4())

    with pytest.raises(NotFound):
        set_window_as(world, world.ada, document(), window=ghost)


def test_window__written_past_the_services__is_refused_by_the_database(world: World) -> None:
    window = freeze(world)
    for act in (
        lambda: CalendarWindow.objects.filter(pk=window.pk).update(ends_at=NOW),
        lambda: CalendarWindow.objects.filter(pk=window.pk).delete(),
        lambda: CalendarWindow.objects.bulk_update([window], ["title"]),
    ):
        with pytest.raises(IntegrityError, match="flagsite"), transaction.atomic():
            act()


def test_describe__says_when_and_where_in_words(world: World) -> None:
    kind, scope = CalendarWindowKind(), Scope(world.project, None, str(uuid.uuid4()))
    after = kind.clean(
        scope, document(environments=[world.production], tags=["web"], timing=weekly("2026-03-06T18:00", 3720))
    )

    (sentence,) = kind.describe(scope, None, after)

    assert sentence == (
        "Then: every week from 18:00 for 62 hours, by the clocks of Europe/Berlin, in Production for flags tagged web."
    )
    assert kind.title(scope, None, after) == f"Add the freeze “Black Friday freeze” of {world.project.name}"


def test_freezes__flag_by_flag__name_the_windows_that_apply(world: World) -> None:
    freeze(world, title="Checkout only", tags=["checkout"])
    freeze(world, NOW - HOUR, NOW + 2 * HOUR, title="Production", environments=[world.production])
    freeze(world, NOW + HOUR, NOW + 2 * HOUR, title="Later")

    def titles(environment: Any, *tags: str) -> list[str]:
        return [found.title for found in freezes_at(environment, flag_tags=tags, now=NOW)]

    assert titles(world.production, "checkout") == ["Checkout only", "Production"]
    assert titles(world.production) == ["Production"]
    assert titles(world.staging, "checkout", "web") == ["Checkout only"]
    assert titles(world.staging) == []


def test_entries__windows_and_scheduled_requests__in_order(bench: Bench) -> None:
    world = bench.world
    freeze(world, timing=weekly("2026-03-02T09:00", 60, zone="UTC"))
    freeze(world, title="Staging only", environments=[world.staging])
    request = bench.submitted(apply_at=NOW + HOUR)
    bench.draft(apply_at=NOW + 2 * HOUR)

    found = calendar_entries([world.production], NOW, NOW + timedelta(days=14))

    assert [(entry.kind, entry.title) for entry in found] == [
        ("freeze", "Black Friday freeze"),
        ("request", request.label),
        ("freeze", "Black Friday freeze"),
    ]


def test_entries__more_windows__same_number_of_queries(world: World, django_assert_num_queries: Any) -> None:
    freeze(world)
    with django_assert_num_queries(6):
        calendar_entries(world.environments, NOW, NOW + timedelta(days=31))
    for number in range(5):
        freeze(world, title=f"Window {number}")
    with django_assert_num_queries(6):
        assert len(calendar_entries(world.environments, NOW, NOW + timedelta(days=31))) == 6
