"""What the process counts: every resolution once, under names of flags that exist, through changes of snapshots."""

import threading
from typing import Any

import pytest

from flags.api import metrics
from flags.api.metrics import BOUNDS, OTHER_FLAGS, Counted, Meters, Series
from flags.evaluation import CompiledSnapshot, FlagSource, Generation, Snapshot, compile_snapshot
from tests.factories import NOW
from tests.flags.api.plane import HALVES, IN_BETA, document, rule

FLAGS = {
    "static": document("static"),
    "code-default": document("code-default", default_variant=None),
    "disabled": document("disabled", enabled=False),
    "split": document("split", rules=[rule(HALVES)]),
    "targeted": document("targeted", default_variant="off", rules=[rule({"variant": "on"}, IN_BETA)]),
    "unreadable": {"variants": 5},
}


def compiled(revision: int = 1, environment: str = "production", flags: dict[str, Any] = FLAGS) -> CompiledSnapshot:
    sources = {key: FlagSource("boolean", each, 1) for key, each in flags.items()}
    snapshot = Snapshot("shop", environment + "-id", environment, revision, Generation.FLAGD_V2, sources, {})
    return compile_snapshot(snapshot)


def series(flag: str, variant: str, reason: str, environment: str = "production") -> Series:
    return Series("shop", environment, flag, variant, reason)


def ask(meters: Meters, snapshot: CompiledSnapshot, context: dict[str, Any], *, times: int = 1, **more: Any) -> None:
    for _ in range(times):
        meters.answered(snapshot, snapshot.evaluate_all(context, NOW).values(), **more)


def test_answered__bulk__counts_every_flag_by_variant_and_reason():
    meters, snapshot = Meters(), compiled()

    ask(meters, snapshot, {"targetingKey": "user-1", "plan": "beta"}, times=3)
    ask(meters, snapshot, {})

    split = snapshot.evaluate("split", {"targetingKey": "user-1"}, NOW)
    assert meters.evaluations() == {
        series("static", "on", "STATIC"): 4,
        series("code-default", "", "DEFAULT"): 4,
        series("disabled", "off", "DISABLED"): 4,
        series("split", str(split.variant), "SPLIT"): 3,
        series("split", "on", "DEFAULT"): 1,
        series("targeted", "on", "TARGETING_MATCH"): 3,
        series("targeted", "off", "DEFAULT"): 1,
        series("unreadable", "", "ERROR"): 4,
    }


@pytest.mark.parametrize("stale", [False, True])
def test_answered__plan__counts_what_the_plan_fixes_too(stale: bool):
    with_plan, by_flag, snapshot = Meters(), Meters(), compiled()
    plan = snapshot.plan(client_only=False)

    for context in ({"targetingKey": "user-1", "plan": "beta"}, {}, {"plan": "beta"}):
        with_plan.answered(snapshot, snapshot.decide(plan, context, NOW), stale=stale, plan=plan)
        ask(by_flag, snapshot, context, stale=stale)

    assert with_plan.evaluations() == by_flag.evaluations() != {}


def test_counted__plans__are_apart_and_evaluations_are_all_of_them():
    meters, snapshot = Meters(), compiled()
    plan = snapshot.plan(client_only=False)

    meters.answered(snapshot, (snapshot.evaluate("static", {}, NOW),))
    for stale in (False, True, True):
        meters.answered(snapshot, snapshot.decide(plan, {}, NOW), stale=stale, plan=plan)
    # A change files away what was counted before.
    for revision in range(2, 5):
        ask(meters, compiled(revision), {})

    counted, static = meters.counted(), series("static", "on", "STATIC")
    in_bulk = {one.flag: count for (one, is_bulk), count in counted.items() if is_bulk and one.reason != "STALE"}
    assert (counted[Counted(static, False)], counted[Counted(static, True)]) == (4, 1)
    assert in_bulk == {**dict.fromkeys(FLAGS, 1), "unreadable": 3}
    assert counted[Counted(series("static", "on", "STALE"), True)] == 2
    assert meters.evaluations()[static] == 5
    assert sum(meters.evaluations().values()) == sum(counted.values())


def test_answered__unknown_flags__share_one_series_without_a_name():
    meters, snapshot = Meters(), compiled()

    for number in range(50):
        meters.answered(snapshot, (snapshot.evaluate(f"made-up-{number}", {}, NOW),))

    assert meters.evaluations() == {series("", "", "ERROR"): 50}


def test_answered__stale__says_so_except_for_errors():
    meters, snapshot = Meters(), compiled(flags={key: FLAGS[key] for key in ("static", "unreadable")})

    ask(meters, snapshot, {}, stale=True)
    ask(meters, snapshot, {})

    assert meters.evaluations() == {
        series("static", "on", "STALE"): 1,
        series("static", "on", "STATIC"): 1,
        series("unreadable", "", "ERROR"): 2,
    }


def test_answered__many_snapshots__adds_up_and_keeps_only_two_of_an_environment():
    meters = Meters()

    snapshots = [compiled(revision) for revision in range(20)]
    for snapshot in snapshots:
        ask(meters, snapshot, {})
    ask(meters, compiled(1, "staging"), {})
    # A straggler that still evaluates with a snapshot filed long ago.
    ask(meters, snapshots[0], {})

    counted = meters.evaluations()
    assert counted[series("static", "on", "STATIC")] == 21
    assert counted[series("static", "on", "STATIC", "staging")] == 1
    assert len(meters._tallies) == 3


def test_evaluations__asked_again__never_go_down():
    meters, seen = Meters(), 0

    for revision in range(5):
        ask(meters, compiled(revision), {})
        total = sum(meters.evaluations().values())
        assert total > seen
        seen = total


def test_evaluations__more_series_than_allowed__are_counted_together(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metrics, "MAX_SERIES", 3)
    meters = Meters()

    for revision in range(4):
        flags = {f"flag-{revision}-{number}": document(f"flag-{revision}-{number}") for number in range(2)}
        ask(meters, compiled(revision, flags=flags), {}, times=2)
    first, second = meters.evaluations(), meters.evaluations()

    assert len(first) == 4
    assert first == second
    assert sum(first.values()) == 16
    assert first[series(OTHER_FLAGS, "", "STATIC")] == 10


def test_answered__many_threads__loses_nothing():
    meters = Meters()
    snapshots = [compiled(revision) for revision in range(2)]

    def work() -> None:
        for number in range(300):
            ask(meters, snapshots[number % 2], {})
            meters.finished("bulk", 200, 0.0001)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert meters.evaluations()[series("static", "on", "STATIC")] == 8 * 300
    assert meters.requests() == {("bulk", 200): 8 * 300}
    assert meters.durations()["bulk"].cumulative[-1] == 8 * 300


@pytest.mark.parametrize(
    ("seconds", "place"),
    [(0.0, 0), (BOUNDS[0], 0), (BOUNDS[0] * 1.01, 1), (BOUNDS[-1], len(BOUNDS) - 1), (99.0, len(BOUNDS))],
)
def test_finished__duration__falls_into_the_bucket_whose_bound_it_does_not_pass(seconds: float, place: int):
    meters = Meters()

    meters.finished("single", 200, seconds)

    durations = meters.durations()["single"]
    assert durations.cumulative == (0,) * place + (1,) * (len(BOUNDS) + 1 - place)
    assert durations.total_seconds == seconds


def test_finished__statuses__are_counted_by_kind():
    meters = Meters()

    for kind, status in [("single", 200), ("single", 200), ("single", 404), ("bulk", 304), ("other", 405)]:
        meters.finished(kind, status, 0.001)
    meters.rendered()

    assert meters.requests() == {("single", 200): 2, ("single", 404): 1, ("bulk", 304): 1, ("other", 405): 1}
    assert meters.rendered_answers == 1


def test_reset__anything_counted__is_gone():
    meters = Meters()
    ask(meters, compiled(), {})
    meters.finished("bulk", 200, 0.1)
    meters.rendered()

    meters.reset()

    assert (meters.evaluations(), meters.requests(), meters.durations(), meters.rendered_answers) == ({}, {}, {}, 0)


def test_finished__while_another_thread_counts__does_not_wait_and_nothing_is_lost():
    meters, snapshot = Meters(), compiled()

    with meters._counting:
        for _ in range(200):
            ask(meters, snapshot, {})
            meters.finished("bulk", 200, 0.1)

    assert meters.requests() == {("bulk", 200): 200}
    assert meters.evaluations()[series("static", "on", "STATIC")] == 200


def test_finished__nobody_asks__notes_are_counted_all_the_same():
    meters, snapshot = Meters(), compiled()

    for _ in range(1_000):
        ask(meters, snapshot, {})
        meters.finished("bulk", 200, 0.1)

    assert len(meters._answered) == len(meters._finished) < 100


def test_answered__answers_that_are_equal__are_counted_apart():
    meters = Meters()
    snapshot = compiled(flags={key: document("same") for key in ("first", "second")})

    ask(meters, snapshot, {})

    assert meters.evaluations() == {series("first", "on", "STATIC"): 1, series("second", "on", "STATIC"): 1}
