"""Sweepers find what is due by asking rows, do it once, and let one failure stop nobody."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import call_command

from flags.services.configs import apply_change_set
from rollouts import tasks
from rollouts.models import ChangeRequest
from rollouts.services import applying
from rollouts.transitions import RequestState
from tests.factories import NOW, SOON
from tests.rollouts.support import Bench, state_of


def _at(moment: datetime) -> Any:
    return time_machine.travel(moment, tick=False)


def _scheduled(bench: Bench, number: int) -> list[ChangeRequest]:
    flags = [bench.world.flag(f"flag-{index}") for index in range(number)]
    return [bench.approved(change_set=bench.content(20, flag=flag), apply_at=SOON) for flag in flags]


def test_apply_due_changes__before_and_after__applies_each_once(bench: Bench) -> None:
    requests = _scheduled(bench, 3)
    later = bench.approved(apply_at=SOON + timedelta(hours=1))

    with _at(SOON - timedelta(seconds=1)):
        assert tasks.apply_due_changes() == 0
    with _at(SOON):
        assert [tasks.apply_due_changes() for _ in range(3)] == [3, 0, 0]

    assert {state_of(request) for request in requests} == {RequestState.APPLIED}
    assert state_of(later) is RequestState.APPROVED


@pytest.mark.parametrize("outage", [timedelta(hours=1), timedelta(days=1), timedelta(days=13)])
def test_apply_due_changes__after_an_outage__catches_up(bench: Bench, outage: timedelta) -> None:
    (request,) = _scheduled(bench, 1)

    with _at(SOON + outage):
        assert tasks.apply_due_changes() == 1

    assert state_of(request) is RequestState.APPLIED


def test_apply_due_changes__more_than_a_batch__does_them_all(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "BATCH", 2)
    _scheduled(bench, 5)

    with _at(SOON):
        assert tasks.apply_due_changes() == 5


def test_apply_due_changes__one_breaks__the_others_are_applied(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tasks, "BATCH", 1)
    requests = _scheduled(bench, 4)
    poison = sorted(requests, key=lambda request: request.pk)[0]

    def explode(content: Any, **fields: Any) -> Any:
        if content == poison.content:
            raise RuntimeError("the database is on fire")
        return apply_change_set(content, **fields)

    monkeypatch.setattr(applying, "apply_change_set", explode)
    with _at(SOON):
        assert tasks.apply_due_changes() == 3

    assert state_of(poison) is RequestState.APPROVED
    assert "the next sweep tries again" in caplog.text
    monkeypatch.setattr(applying, "apply_change_set", apply_change_set)
    with _at(SOON):
        assert tasks.apply_due_changes() == 1


def test_approve__apply_breaks_afterwards__approval_stands_and_the_sweep_repairs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*args: Any, **fields: Any) -> Any:
        raise RuntimeError("the database is on fire")

    monkeypatch.setattr(applying, "apply_change_set", explode)
    request = bench.approved()
    assert (request.current_state, request.is_blocked) == (RequestState.APPROVED, False)

    monkeypatch.setattr(applying, "apply_change_set", apply_change_set)
    with _at(NOW + timedelta(seconds=5)):
        assert tasks.apply_due_changes() == 1


def test_expire_old_requests__in_review_and_approved__end(bench: Bench) -> None:
    bench.require(1, hours=2)
    review, approved, draft = bench.submitted(), bench.approved(apply_at=SOON), bench.draft()

    with _at(NOW + timedelta(hours=2)):
        assert tasks.expire_old_requests() == 1
    with _at(SOON + timedelta(hours=2)):
        assert [tasks.expire_old_requests() for _ in range(2)] == [1, 0]

    assert (state_of(review), state_of(approved)) == (RequestState.EXPIRED, RequestState.EXPIRED)
    assert state_of(draft) is RequestState.DRAFT


def test_apply_due_changes__policy_eased__concludes_and_applies_in_one_tick(bench: Bench) -> None:
    request = bench.submitted()
    bench.require(2)
    bench.approve(request)
    bench.require(1)

    with _at(NOW):
        assert tasks.apply_due_changes() == 1

    assert state_of(request) is RequestState.APPLIED


def test_tick__does_what_beat_does__and_says_so(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    _scheduled(bench, 1)
    bench.require(1, hours=1)
    bench.submitted()

    with _at(SOON):
        call_command("tick")

    assert (
        capsys.readouterr().out
        == "Applied 1 due change, ended 1 expired, moved 0 plans, reached 0 milestones of timelines.\n"
    )


def test_tasks__signature__carries_nothing() -> None:
    assert tasks.apply_due_changes.name == "rollouts.tasks.apply_due_changes"
    assert tasks.expire_old_requests.name == "rollouts.tasks.expire_old_requests"
    for task in (tasks.apply_due_changes, tasks.expire_old_requests):
        assert task.acks_late
        with pytest.raises(TypeError):
            task.run("11111111-1111-1111-1111-111111111111")
