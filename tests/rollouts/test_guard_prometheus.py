"""Guards that take their counts from Prometheus: a real server, and one that answers badly or not at all."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.client import HTTPConnection
from typing import Any

import pytest

from rollouts.guarding.judging import GuardOutcome
from rollouts.models import GuardVerdict, GuardWatch, RolloutPlan, StageCheck
from rollouts.plans.definition import GUARD_QUERIES, Check, CheckKind, GuardSource, GuardSpec
from rollouts.selectors.guard_replay import differences_of, replayed
from rollouts.selectors.guards import GuardReading
from rollouts.services import probes
from rollouts.services.guarding import refresh_guards
from rollouts.services.outside import Outside
from rollouts.services.stage_checks import refresh_checks
from tests.factories import NOW
from tests.rollouts.guard_support import guard
from tests.rollouts.plans.support import PlanBench, definition_of, stages_of

pytestmark = pytest.mark.django_db

PEOPLE, FAILED = "checkout_people_total", "checkout_failed_total"
QUERIES = {
    "n_control": f'sum(increase({PEOPLE}{{variant="off"}}[1m]))',
    "x_control": f'sum(increase({FAILED}{{variant="off"}}[1m]))',
    "n_treatment": f'sum(increase({PEOPLE}{{variant="on"}}[1m]))',
    "x_treatment": f'sum(increase({FAILED}{{variant="on"}}[1m]))',
}
# By counter and variant: what it counts every fifteen seconds.
PACES = {(PEOPLE, "on"): 120, (PEOPLE, "off"): 120, (FAILED, "on"): 8, (FAILED, "off"): 1}
SCRAPE = timedelta(seconds=15)


@pytest.fixture
def bench(world: Any) -> PlanBench:
    return PlanBench(world, world.first_flag)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus of our own that holds twenty minutes from NOW on; where it listens."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "samples").write_text(open_metrics())
    data, config = folder / "data", folder / "prometheus.yml"
    command = [tool("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(folder / "samples"), str(data)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    config.write_text("global: {scrape_interval: 15s}\n")
    address = f"127.0.0.1:{free_port()}"
    server = subprocess.Popen(
        [
            tool("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address={address}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(address, server)
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def tool(name: str) -> str:
    path = shutil.which(name)
    assert path, name
    return path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert server.poll() is None
        connection = HTTPConnection(address, timeout=1)
        try:
            connection.request("GET", "/-/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    raise AssertionError(f"{address} did not answer")


def open_metrics() -> str:
    lines = []
    for name in (PEOPLE, FAILED):
        lines.append(f"# TYPE {name.removesuffix('_total')} counter")
        for variant in ("on", "off"):
            for number in range(-4, 20 * 4 + 1):
                at = (NOW + number * SCRAPE).timestamp()
                value = PACES[name, variant] * (number + 4)
                lines.append(f'{name}{{variant="{variant}"}} {value} {at:.0f}')
    return "\n".join([*lines, "# EOF", ""])


def spec(**fields: Any) -> GuardSpec:
    return guard(source=GuardSource.PROMETHEUS, **{"queries": QUERIES, **fields})


def started(bench: PlanBench, *guards: GuardSpec) -> RolloutPlan:
    stages = stages_of(shares=((50_000, 30), (100_000, 30)))
    return bench.started(definition_of(stages=stages, guards=guards or (spec(),)))


def after(count: float) -> datetime:
    return NOW + timedelta(minutes=count, seconds=20)


def read(plan: RolloutPlan, now: datetime) -> GuardReading:
    return refresh_guards([plan.pk], now=now)[plan.pk][0]


@pytest.mark.prometheus
def test_real_prometheus__treatment_fails_eight_times_as_often__breach(
    prometheus: str, bench: PlanBench, settings: Any
) -> None:
    settings.PROMETHEUS_URL = prometheus
    plan = started(bench)

    outcomes = [read(plan, after(count)).judgement.outcome for count in range(1, 6)]

    assert outcomes[-1] is GuardOutcome.BREACH
    verdict = GuardVerdict.objects.get(outcome="breach")
    assert verdict.intervals[0][1:5] == [480, 4, 480, 32]
    assert differences_of(verdict, replayed(verdict)) == []


@pytest.mark.prometheus
def test_real_prometheus__watch_thrown_away__same_counts(prometheus: str, bench: PlanBench, settings: Any) -> None:
    settings.PROMETHEUS_URL = prometheus
    plan = started(bench)
    for count in range(1, 11):
        read(plan, after(count))
    before = GuardWatch.objects.get().accumulated

    GuardWatch.objects.all().delete()
    read(plan, after(10))

    assert GuardWatch.objects.get().accumulated == before


@pytest.mark.prometheus
@pytest.mark.parametrize(
    ("query", "operator", "outcome", "sentence"),
    [
        (QUERIES["x_treatment"], "<", "failed", "32, and < 10 is asked for"),
        (QUERIES["x_control"], "<", "passed", "4, and < 10 is asked for"),
        ("sum(nothing_of_this_name)", "<", "error", "no data"),
        (PEOPLE, "<", "error", "2 series"),
        ("sum(", "<", "error", "does not accept the query"),
    ],
)
def test_real_prometheus__check__passed_failed_or_error(
    query: str, operator: str, outcome: str, sentence: str, prometheus: str, bench: PlanBench, settings: Any
) -> None:
    settings.PROMETHEUS_URL = prometheus
    check = Check("Failures", CheckKind.PROMETHEUS, query=query, operator=operator, threshold=10)

    plan = bench.started(gates={1: {"checks": (check,)}})

    refresh_checks([plan], Outside(), now=NOW + timedelta(minutes=5))

    found = StageCheck.objects.get()
    assert (found.outcome, bool(re.search(re.escape(sentence), found.sentence))) == (outcome, True)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[datetime]]:
    """Stands in for Prometheus: by query a number, None or an error. Gives the instants that were asked about."""

    def use(**values: Any) -> list[datetime]:
        asked: list[datetime] = []

        def query(text: str, *, at: datetime) -> float | None:
            asked.append(at)
            value = values[next(name for name in GUARD_QUERIES if QUERIES[name] == text)]
            if isinstance(value, Exception):
                raise value
            return float(value) if value is not None else None

        monkeypatch.setattr(probes, "query", query)
        return asked

    return use


AWAY = dict.fromkeys(GUARD_QUERIES, probes.Unreachable("Prometheus could not be reached."))


def test_prometheus__counter_that_never_counted__is_none_bad(bench: PlanBench, answers: Any) -> None:
    asked = answers(n_control=100.9, x_control=None, n_treatment=100.2, x_treatment=3.7)
    plan = started(bench)

    reading = read(plan, after(2))

    assert reading.judgement.statistics["control"] == {"units": 202, "bad": 0}
    assert reading.judgement.statistics["treatment"] == {"units": 200, "bad": 8}
    assert sorted(set(asked)) == [NOW + timedelta(minutes=1), NOW + timedelta(minutes=2)]


def test_prometheus__more_bad_than_people__no_more_than_all(bench: PlanBench, answers: Any) -> None:
    answers(n_control=10, x_control=-3, n_treatment=10, x_treatment=12)

    reading = read(started(bench), after(1))

    assert reading.judgement.statistics["control"] == {"units": 10, "bad": 0}
    assert reading.judgement.statistics["treatment"] == {"units": 10, "bad": 10}


def test_prometheus__away__error_after_five_questions_and_all_is_made_up_for(bench: PlanBench, answers: Any) -> None:
    asked = answers(**AWAY)
    plan = started(bench)

    readings = [read(plan, after(3) + number * timedelta(seconds=5)) for number in range(26)]

    assert len(asked) == 5
    assert [reading.judgement.outcome for reading in readings[22:]] == [
        GuardOutcome.COLLECTING,
        GuardOutcome.COLLECTING,
        GuardOutcome.PROBE_ERROR,
        GuardOutcome.PROBE_ERROR,
    ]
    assert readings[-1].watch.problem == "Prometheus could not be reached."
    answers(n_control=100, x_control=1, n_treatment=100, x_treatment=1)
    reading = read(plan, after(6))
    assert reading.judgement.outcome is GuardOutcome.RECOVERED
    assert reading.judgement.samples == (600, 600)
    assert reading.watch.errors_in_a_row == 0


def test_prometheus__away__is_waited_for_once_by_all_guards(bench: PlanBench, answers: Any) -> None:
    asked = answers(**AWAY)
    plan = started(bench, *(spec(metric=f"errors-{number}") for number in range(5)))

    refresh_guards([plan.pk], now=after(3))

    assert len(asked) == 1
    assert set(GuardWatch.objects.values_list("errors_in_a_row", flat=True)) == {1}


def test_prometheus__long_outage__is_caught_up_in_parts(bench: PlanBench, answers: Any) -> None:
    asked = answers(n_control=10, x_control=0, n_treatment=10, x_treatment=0)
    plan = started(bench)

    seen = [read(plan, after(40)).judgement.samples.control for _ in range(4)]

    assert seen == [150, 300, 400, 400]
    assert len(asked) == 40 * 4


def test_prometheus__two_processes_at_once__one_of_them_counts(
    bench: PlanBench, answers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower one asked at the same moment and heard something else: it takes what was kept."""
    answers(n_control=10, x_control=0, n_treatment=10, x_treatment=0)
    plan = started(bench)
    read(plan, after(1))
    inner = probes.query

    def slower(text: str, *, at: datetime) -> float | None:
        monkeypatch.setattr(probes, "query", inner)
        read(plan, after(2))
        return 99.0

    monkeypatch.setattr(probes, "query", slower)
    reading = read(plan, after(2))

    assert reading.judgement.samples == (20, 20)
    assert reading.watch.pending[-1][1:5] == [10, 0, 10, 0]
