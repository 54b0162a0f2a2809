"""Freezes on every path of a write: what is held back, what passes, who gives leave, and what clocks may do."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from audits.models import AuditEvent
from flags.authority import BreakGlass, Narrowing
from flags.changes import ChangeSet, ConfigEdit
from flags.errors import NotFound, PermissionMissing
from flags.models import FlagConfig
from flags.permissions import Role
from flags.services.configs import apply_change_set, edit_config, edit_segment
from flags.services.flags import update_flag
from rollouts.errors import DigestMismatch, ExceptionRefused, Frozen
from rollouts.models import CalendarWindow, ChangeRequest, FreezeException
from rollouts.services.freezes import ask_for_exception, decide_exception
from rollouts.tasks import apply_due_changes, expire_old_requests
from rollouts.transitions import RequestState
from tests.factories import NOW, actor_of, percent_document
from tests.rollouts.calendars import HOUR, document, freeze, weekly
from tests.rollouts.support import Bench, state_of
from tests.rollouts.test_calendar import second_administrator

DAY = timedelta(days=1)


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """Production serves the flag to half of everybody."""
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 50))
    return bench


def sweep(at: datetime) -> int:
    """What beat makes workers do, at an instant of the clock."""
    with time_machine.travel(at, tick=False):
        expire_old_requests()
        return int(apply_due_changes())


def served(bench: Bench) -> int:
    return int(FlagConfig.objects.get(flag=bench.flag, environment=bench.production).version)


def narrower(bench: Bench) -> ChangeSet:
    return bench.content(10)


def wider(bench: Bench) -> ChangeSet:
    return bench.content(90)


def test_approved_request__during_a_freeze__waits_and_goes_live_when_it_ends(bench: Bench) -> None:
    freeze(bench.world)
    before = served(bench)

    request = bench.approved(change_set=wider(bench))

    row = ChangeRequest.objects.get(pk=request.pk)
    assert (row.state, row.blocked_code, served(bench)) == ("approved", "frozen", before)
    assert (
        "“Black Friday freeze” holds changes that widen exposure in Production back until 03 March 2026 at 09:00 UTC"
        in (row.blocked_detail["message"])
    )
    assert sweep(NOW + 23 * HOUR) == 0
    assert sweep(NOW + 24 * HOUR) == 1
    row.refresh_from_db()
    assert (row.state, row.blocked_code, served(bench)) == ("applied", "", before + 1)


def test_approved_request__many_sweeps_in_a_freeze__are_one_event(bench: Bench) -> None:
    freeze(bench.world)
    request = bench.approved(change_set=wider(bench))

    for minutes in range(5):
        sweep(NOW + timedelta(minutes=minutes))

    assert AuditEvent.objects.filter(action="change_request.apply_refused", target_id=request.pk).count() == 1
    assert ChangeRequest.objects.get(pk=request.pk).lock_version == request.lock_version


def test_approved_request__approval_lost_during_the_freeze__is_not_applied_afterwards(bench: Bench) -> None:
    freeze(bench.world)
    request = bench.approved(change_set=wider(bench))
    bench.world.grant(bench.world.abel, bench.production)

    assert sweep(NOW + 25 * HOUR) == 0

    assert ChangeRequest.objects.get(pk=request.pk).blocked_code == "approval_missing"


def test_approved_request__life_over_before_the_freeze__expires(bench: Bench) -> None:
    bench.require(1, hours=12)
    freeze(bench.world)
    request = bench.approved(change_set=wider(bench))

    sweep(NOW + 25 * HOUR)

    assert state_of(request) is RequestState.EXPIRED


def test_approved_request__freeze_removed_early__goes_live(bench: Bench) -> None:
    from rollouts.services.settings import confirm
    from tests.rollouts.calendars import set_window_as

    anna, window = second_administrator(bench.world), freeze(bench.world)
    request = bench.approved(change_set=wider(bench))
    proposal = set_window_as(bench.world, bench.world.ada, None, window=window)
    assert proposal is not None
    assert sweep(NOW + HOUR) == 0

    confirm(proposal.pk, actor=actor_of(anna), digest=proposal.digest, now=NOW + HOUR)

    assert sweep(NOW + HOUR) == 1
    assert state_of(request) is RequestState.APPLIED


def test_narrowing_request__during_a_freeze__goes_live_at_once(bench: Bench) -> None:
    freeze(bench.world)

    request = bench.approved(change_set=narrower(bench))

    assert state_of(request) is RequestState.APPLIED


def test_apply_by_hand__during_a_freeze__says_why(bench: Bench) -> None:
    freeze(bench.world)
    request = bench.approved(change_set=wider(bench))

    with pytest.raises(Frozen) as refused:
        bench.apply(request)

    assert refused.value.facts["until"] == (NOW + 24 * HOUR).isoformat()
    assert refused.value.facts["flag_keys"] == [bench.flag.key]


def test_direct_edit__during_a_freeze__is_held_back_unless_it_narrows(bench: Bench) -> None:
    world = bench.world
    world.serve(bench.flag, world.development, percent_document(bench.flag.key, 50))
    freeze(world)

    def edit(share: int) -> None:
        config = FlagConfig.objects.get(flag=bench.flag, environment=world.development)
        edit_config(
            bench.flag.pk,
            world.development.pk,
            actor=actor_of(world.rita),
            document=percent_document(bench.flag.key, share),
            base_version=config.version,
            reason="",
            now=NOW,
        )

    with pytest.raises(Frozen):
        edit(60)
    edit(40)


def test_segment_edit__that_widens_a_flag_during_a_freeze__is_held_back(bench: Bench) -> None:
    world = bench.world
    condition = {"attribute": "plan", "operator": "equals", "value": "beta"}

    def edit(value: str, base: int) -> None:
        edit_segment(
            world.development.pk,
            actor=actor_of(world.rita),
            key="beta",
            name="Beta",
            document={"schema": 1, "condition": {**condition, "value": value}},
            base_version=base,
            reason="",
            now=NOW,
        )

    edit("beta", 0)
    freeze(world)
    edit("gamma", 1)
    rule = {"id": "beta", "description": "", "condition": {"segment": "beta"}, "serve": {"variant": "on"}}
    served_now = {**percent_document(bench.flag.key, 0), "rules": [rule]}
    with time_machine.travel(NOW + 2 * DAY, tick=False):
        config = FlagConfig.objects.filter(flag=bench.flag, environment=world.development).first()
        edit_config(
            bench.flag.pk,
            world.development.pk,
            actor=actor_of(world.rita),
            document=served_now,
            base_version=config.version if config else 0,
            reason="",
            now=NOW + 2 * DAY,
        )
    with pytest.raises(Frozen):
        edit("delta", 2)


def apply_as(bench: Bench, share: int, authority: Any, person: Any) -> None:
    edit = ConfigEdit(bench.flag.key, served(bench), percent_document(bench.flag.key, share))
    change_set = ChangeSet(str(bench.production.pk), (edit,))
    apply_change_set(change_set, actor=actor_of(person), authority=authority, now=NOW, reason="Test")


def test_emergency_and_narrowing__during_a_freeze__pass(bench: Bench) -> None:
    freeze(bench.world)
    bench.world.grant(bench.world.anna, bench.production, Role.BREAK_GLASS)

    apply_as(bench, 90, BreakGlass(str(uuid.uuid4())), bench.world.anna)
    apply_as(bench, 20, Narrowing("test"), bench.world.rolf)

    assert served(bench) == 4


@pytest.mark.parametrize(
    ("tags", "environment", "held"),
    [
        ((), "", True),
        (("checkout",), "", True),
        (("web",), "", False),
        ((), "staging", False),
        ((), "production", True),
    ],
)
def test_freeze__of_tags_and_environments__holds_what_it_is_about(
    bench: Bench, tags: tuple[str, ...], environment: str, held: bool
) -> None:
    update_flag(bench.flag.pk, actor=actor_of(bench.world.rita), now=NOW, tags=["checkout", "mobile"])
    places = [getattr(bench.world, environment)] if environment else []
    freeze(bench.world, tags=tags, environments=places)

    request = bench.approved(change_set=wider(bench))

    assert (ChangeRequest.objects.get(pk=request.pk).blocked_code == "frozen") is held


def test_allow_window__closed__holds_back_until_it_opens(bench: Bench) -> None:
    from rollouts.services.settings import confirm
    from tests.rollouts.calendars import set_window_as

    anna = second_administrator(bench.world)
    # Mondays from 09:00 in Berlin, which is 08:00 UTC; now is Monday 09:00 UTC, and Tuesday is closed.
    wanted = document(kind="allow", title="Release hours", timing=weekly("2026-03-02T09:00", 480))
    proposal = set_window_as(bench.world, bench.world.ada, wanted)
    assert proposal is not None
    confirm(proposal.pk, actor=actor_of(anna), digest=proposal.digest, now=NOW)

    open_now = bench.approved(change_set=wider(bench))
    later = bench.approved(change_set=bench.content(95), now=NOW + DAY)

    assert state_of(open_now) is RequestState.APPLIED
    row = ChangeRequest.objects.get(pk=later.pk)
    assert "“Release hours”, opens on 09 March 2026 at 08:00 UTC" in row.blocked_detail["message"]
    assert sweep(NOW + timedelta(days=6, hours=22, minutes=59)) == 0
    assert sweep(NOW + timedelta(days=6, hours=23)) == 1


@pytest.mark.parametrize("jump", [timedelta(hours=-2), timedelta(days=365)])
def test_clock__jumps__applies_nothing_early_and_nothing_twice(bench: Bench, jump: timedelta) -> None:
    freeze(bench.world, NOW + 2 * HOUR, NOW + 4 * HOUR)
    due = bench.approved(change_set=wider(bench), apply_at=NOW + 3 * HOUR)
    before = served(bench)

    for hours in (1, 2, 3):
        sweep(NOW + timedelta(hours=hours))
    assert served(bench) == before
    sweep(NOW + 3 * HOUR + jump)
    assert served(bench) == before, "A clock that is wrong is no reason to apply."

    if jump > timedelta():
        # A year later the request is too old for anybody to have meant this.
        assert state_of(due) is RequestState.EXPIRED
        return
    for hours in (4, 2, 5, 6):
        sweep(NOW + timedelta(hours=hours))
    assert (state_of(due), served(bench)) == (RequestState.APPLIED, before + 1)
    assert AuditEvent.objects.filter(action="change_request.applied", target_id=due.pk).count() == 1


@pytest.mark.parametrize(
    ("zone", "ends_at"),
    [
        ("Europe/Berlin", "2026-03-29T04:00"),
        ("Europe/Berlin", "2026-10-25T05:00"),
        ("Europe/London", "2026-03-29T05:00"),
        ("Europe/London", "2026-10-25T06:00"),
        ("America/New_York", "2026-03-08T10:00"),
        ("America/New_York", "2026-11-01T11:00"),
        ("America/Sao_Paulo", "2018-11-04T08:00"),
        ("America/Sao_Paulo", "2018-02-18T09:00"),
        ("Australia/Lord_Howe", "2026-10-03T19:00"),
        ("Australia/Lord_Howe", "2026-04-04T19:30"),
        ("Pacific/Auckland", "2026-09-26T17:00"),
        ("Pacific/Auckland", "2026-04-04T18:00"),
        # Their clocks never change now.
        ("Asia/Kolkata", "2026-03-29T00:30"),
        ("Asia/Tokyo", "2026-10-24T21:00"),
    ],
)
def test_nightly_freeze__night_in_which_clocks_change__ends_at_six_by_the_clock(
    bench: Bench, zone: str, ends_at: str
) -> None:
    end = datetime.fromisoformat(ends_at).replace(tzinfo=UTC)
    freeze(bench.world, timing=weekly("2018-01-01T22:00", 480, "FREQ=DAILY", zone), now=end - 12 * HOUR)

    request = bench.approved(change_set=wider(bench), now=end - 2 * HOUR)

    row = ChangeRequest.objects.get(pk=request.pk)
    assert (row.state, row.blocked_code) == ("approved", "frozen")
    assert f"{end:%d %B %Y at %H:%M} UTC" in row.blocked_detail["message"]
    assert [sweep(end - timedelta(seconds=1)), sweep(end)] == [0, 1]
    assert state_of(request) is RequestState.APPLIED


class Asking:
    """A request that a freeze holds back, and who asks for leave."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.window = bench, freeze(bench.world)
        self.request = bench.approved(change_set=wider(bench))

    def ask(self, *, by: Any = None, window: CalendarWindow | None = None, now: datetime = NOW) -> FreezeException:
        return ask_for_exception(
            self.request.pk,
            window_id=(window or self.window).pk,
            digest=ChangeRequest.objects.get(pk=self.request.pk).digest,
            actor=actor_of(by or self.bench.world.rita),
            reason="The old checkout loses orders",
            now=now,
        )

    def decide(self, asked: FreezeException, by: Any, *, grant: bool = True, now: datetime = NOW) -> FreezeException:
        return decide_exception(asked.pk, is_granted=grant, actor=actor_of(by), reason="No" * (not grant), now=now)


@pytest.fixture
def asking(bench: Bench) -> Asking:
    return Asking(bench)


def test_exception__granted_by_a_second_person__lets_exactly_this_through(asking: Asking) -> None:
    asked = asking.ask()
    assert sweep(NOW) == 0

    asking.decide(asked, asking.bench.world.rolf)

    assert sweep(NOW) == 1
    assert state_of(asking.request) is RequestState.APPLIED
    events = AuditEvent.objects.filter(action__startswith="freeze_exception").order_by("sequence")
    assert list(events.values_list("action", flat=True)) == ["freeze_exception.asked", "freeze_exception.granted"]


@pytest.mark.parametrize("name", ["rita", "vera", "abel", "otto"])
def test_exception__decided_by_the_wrong_person__is_refused(asking: Asking, name: str) -> None:
    asked = asking.ask(by=asking.bench.world.rolf)

    with pytest.raises(PermissionMissing):
        asking.decide(asked, getattr(asking.bench.world, name))
    assert sweep(NOW) == 0


def test_exception__decided_by_whoever_asked__is_refused(asking: Asking) -> None:
    asked = asking.ask(by=asking.bench.world.rolf)

    with pytest.raises(ExceptionRefused, match="You asked for this exception"):
        asking.decide(asked, asking.bench.world.rolf)


def test_exception__decided_by_the_requester_with_every_role__is_refused(asking: Asking) -> None:
    world = asking.bench.world
    asked = asking.ask(by=world.rolf)
    world.grant(world.rita, world.production, Role.EDITOR, Role.RELEASE_MANAGER, Role.ADMINISTRATOR)

    with pytest.raises(ExceptionRefused, match="You asked for this change"):
        asking.decide(asked, world.rita)


def test_exception__declined__leaves_the_freeze_and_may_be_asked_again(asking: Asking) -> None:
    asked = asking.ask()
    asking.decide(asked, asking.bench.world.rolf, grant=False)
    assert sweep(NOW) == 0

    again = asking.ask()
    asking.decide(again, asking.bench.world.ada)

    assert sweep(NOW) == 1


def test_exception__content_edited_afterwards__is_void(asking: Asking) -> None:
    asked = asking.ask()
    asking.decide(asked, asking.bench.world.rolf)
    request = asking.bench.edit(asking.request, change_set=asking.bench.content(95))

    asking.bench.approve(request)

    assert ChangeRequest.objects.get(pk=request.pk).blocked_code == "frozen"


def test_exception__content_edited_before_the_decision__cannot_be_granted(asking: Asking) -> None:
    asked = asking.ask()
    asking.bench.edit(asking.request, change_set=asking.bench.content(95))

    with pytest.raises(DigestMismatch):
        asking.decide(asked, asking.bench.world.rolf)


def test_exception__window_made_longer_or_joined__covers_no_more_than_was_asked(asking: Asking) -> None:
    asked = asking.ask()
    asking.decide(asked, asking.bench.world.rolf)
    freeze(asking.bench.world, title="Another freeze")

    assert sweep(NOW) == 0


def test_exception__window_over__expires(asking: Asking) -> None:
    asked = asking.ask()

    with pytest.raises(ExceptionRefused, match="window that this exception was asked for is over"):
        asking.decide(asked, asking.bench.world.rolf, now=NOW + 25 * HOUR)


def test_exception__of_one_week__does_not_cover_the_next(bench: Bench) -> None:
    window = freeze(bench.world, timing=weekly("2026-03-02T10:00", 60))
    request = bench.approved(change_set=wider(bench), apply_at=NOW + timedelta(minutes=30))
    asked = ask_for_exception(
        request.pk,
        window_id=window.pk,
        digest=request.digest,
        actor=actor_of(bench.world.rita),
        reason="Once",
        now=NOW - 2 * HOUR,
    )
    assert (asked.covers_from, asked.covers_until) == (NOW, NOW + HOUR)
    decide_exception(asked.pk, is_granted=True, actor=actor_of(bench.world.rolf), reason="", now=NOW - 2 * HOUR)

    assert sweep(NOW + timedelta(days=7, minutes=45)) == 0
    assert sweep(NOW + timedelta(minutes=45)) == 1


def test_exception__asked_twice_or_where_nothing_holds__is_refused(asking: Asking) -> None:
    elsewhere = freeze(asking.bench.world, environments=[asking.bench.world.staging])
    asking.ask()

    with pytest.raises(ExceptionRefused, match="already"):
        asking.ask()
    with pytest.raises(NotFound, match="does not hold"):
        asking.ask(window=elsewhere)


@pytest.mark.parametrize("name", ["vera", "abel", "otto"])
def test_exception__asked_by_somebody_without_a_part_in_it__is_refused(asking: Asking, name: str) -> None:
    with pytest.raises(PermissionMissing):
        asking.ask(by=getattr(asking.bench.world, name))
