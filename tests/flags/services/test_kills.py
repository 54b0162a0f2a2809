"""Writing down what the kill list of a host forces."""

import json
import threading
from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.db import connections

from audits.integrity import canonical_json
from audits.models import AuditEvent
from flags.models import LocalKill
from flags.selectors.kills import open_kills
from flags.services.kills import settle_local_kills, settle_this_host
from flags.snapshots import Kill, PassedKill
from tests.factories import NOW, SOON, World, make_world

LIST = "file /srv/kill-list"
VARIABLE = "KILL_LIST 0123456789ab"
SINCE = NOW - timedelta(minutes=10)


@pytest.fixture
def world(db: None) -> World:
    return make_world()


def kill(
    world: World,
    flag_key: str = "checkout",
    variant: str = "off",
    *,
    environment: str = "production",
    source: str = LIST,
) -> Kill:
    return Kill(world.project.key, environment, flag_key, variant, SINCE, source)


def events(world: World) -> list[tuple[str, str, str]]:
    """Action, flag and variant of everything recorded about local kills, in order."""
    rows = AuditEvent.objects.filter(chain=str(world.project.pk), action__startswith="local_kill.").order_by("sequence")
    return [(row.action, row.flag_key, json.loads(row.data)["variant"]) for row in rows]


def test_settle__forced_flag__is_an_open_row_and_an_event(world: World):
    assert settle_local_kills([kill(world)], host="web-1", sources=[LIST], now=NOW) == 1

    (row,) = open_kills([world.production.pk])
    assert (row.flag_key, row.variant, row.host) == ("checkout", "off", "web-1")
    assert (row.since, row.noticed_at) == (SINCE, NOW)
    event = AuditEvent.objects.get(action="local_kill.noticed")
    assert (event.actor_kind, event.actor_id, event.environment_key) == ("system", "flags.kill_list", "production")
    expected = {"host": "web-1", "source": LIST, "variant": "off", "since": SINCE.isoformat()}
    assert event.data == canonical_json(expected).decode()


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ([["off"], ["off"], ["off"]], [("noticed", "off")]),
        ([["off"], []], [("noticed", "off"), ("lifted", "off")]),
        ([["off"], ["on"]], [("noticed", "off"), ("lifted", "off"), ("noticed", "on")]),
        ([["off"], [], ["off"]], [("noticed", "off"), ("lifted", "off"), ("noticed", "off")]),
        ([[], []], []),
    ],
    ids=["again", "gone", "other variant", "back", "never"],
)
def test_settle__list_after_list__records_each_change_once(
    lists: list[list[str]], expected: list[tuple[str, str]], world: World
):
    for number, variants in enumerate(lists):
        moment = NOW + timedelta(minutes=number)
        settle_local_kills(
            [kill(world, variant=variant) for variant in variants], host="web-1", sources=[LIST], now=moment
        )

    assert events(world) == [(f"local_kill.{action}", "checkout", variant) for action, variant in expected]
    assert [row.variant for row in open_kills([world.production.pk])] == lists[-1]


def test_settle__two_hosts__each_has_its_own_rows(world: World):
    settle_local_kills([kill(world)], host="web-1", sources=[LIST], now=NOW)
    settle_local_kills([kill(world)], host="web-2", sources=[LIST], now=NOW)
    settle_local_kills([], host="web-1", sources=[LIST], now=SOON)

    assert [row.host for row in open_kills([world.production.pk])] == ["web-2"]
    assert len(events(world)) == 3


def test_settle__environment_that_does_not_exist__is_left_out(world: World):
    wanted = [kill(world, environment="nowhere"), Kill("nowhere", "production", "checkout", "off", SINCE), kill(world)]

    assert settle_local_kills(wanted, host="web-1", sources=[LIST], now=NOW) == 1
    assert LocalKill.objects.count() == 1


def passed_kill(world: World, variant: str = "off", *, seconds: tuple[int, int] = (0, 2)) -> PassedKill:
    """One that was in force between two moments after NOW."""
    began_at, ended_at = (NOW + timedelta(seconds=second) for second in seconds)
    return PassedKill(kill(world, variant=variant), began_at, ended_at)


def test_settle__forced_for_a_moment__is_noticed_and_lifted_with_its_end(world: World):
    settle_local_kills([], passed=[passed_kill(world)], host="web-1", sources=[LIST], now=SOON)

    assert events(world) == [("local_kill.noticed", "checkout", "off"), ("local_kill.lifted", "checkout", "off")]
    assert [row.lifted_at for row in LocalKill.objects.all()] == [SOON]
    lifted = json.loads(AuditEvent.objects.get(action="local_kill.lifted").data)
    assert lifted["until"] == (NOW + timedelta(seconds=2)).isoformat()


@pytest.mark.parametrize(
    ("open_before", "seconds", "pairs"),
    [
        # Each process of the host saw it, and hands it over.
        ([], [(0, 2), (1, 3)], 1),
        # Noticed by one that believed it would stay.
        (["off"], [(0, 2)], 1),
        # Another time, another pair; another variant as well.
        ([], [(0, 2), (600, 602)], 2),
        (["on"], [(0, 2)], 2),
    ],
    ids=["other process", "noticed already", "later", "other variant"],
)
def test_settle__forced_for_a_moment__is_written_once(
    open_before: list[str], seconds: list[tuple[int, int]], pairs: int, world: World
):
    before = [kill(world, variant=variant) for variant in open_before]
    settle_local_kills(before, host="web-1", sources=[LIST], now=NOW)
    for began, ended in seconds:
        passed = [passed_kill(world, seconds=(began, ended))]
        moment = NOW + timedelta(seconds=ended + 3)
        settle_local_kills([], passed=passed, host="web-1", sources=[LIST], now=moment)

    actions = [action for action, _, _ in events(world)]
    assert sorted(actions) == ["local_kill.lifted"] * pairs + ["local_kill.noticed"] * pairs
    assert not LocalKill.objects.filter(lifted_at=None).exists()


def test_settle__forced_for_a_moment_where_nothing_is__is_left_out(world: World):
    nowhere = PassedKill(kill(world, environment="nowhere"), NOW, NOW)

    assert settle_local_kills([], passed=[nowhere], host="web-1", sources=[LIST], now=SOON) == 0


def test_settle__clock_of_the_file_ahead__is_not_later_than_now(world: World):
    settle_local_kills([kill(world)], host="web-1", sources=[LIST], now=SINCE - timedelta(hours=1))

    (row,) = open_kills([world.production.pk])
    assert row.since == row.noticed_at == SINCE - timedelta(hours=1)


def test_settle__event_cannot_be_written__leaves_no_row(world: World, monkeypatch: pytest.MonkeyPatch):
    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no evidence")

    settle_local_kills([kill(world, "old")], host="web-1", sources=[LIST], now=NOW)
    monkeypatch.setattr("flags.services.kills.trail.record", refuse)

    with pytest.raises(RuntimeError):
        settle_local_kills([kill(world)], host="web-1", sources=[LIST], now=SOON)

    assert [row.flag_key for row in open_kills([world.production.pk])] == ["old"]


def test_settle_this_host__name_of_the_machine__is_the_host(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("flags.services.kills.socket.gethostname", lambda: "web-" + "x" * 300)

    settle_this_host([kill(world)], [], [LIST], NOW)

    assert LocalKill.objects.get().host == ("web-" + "x" * 300)[:255]


@pytest.mark.django_db(transaction=True)
def test_settle__processes_of_a_host_at_once__one_row_and_one_event():
    world = make_world()
    wanted = [kill(world, key) for key in ("checkout", "search")]
    together, failures = threading.Barrier(4), []

    moment = PassedKill(kill(world, "moment"), NOW, NOW)

    def settle(kills: Sequence[Kill]) -> None:
        try:
            together.wait(20)
            settle_local_kills(kills, passed=[moment], host="web-1", sources=[LIST], now=NOW)
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    for kills in (wanted, []):
        threads = [threading.Thread(target=settle, args=(kills,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    assert failures == []
    assert sorted(events(world)) == [
        ("local_kill.lifted", "checkout", "off"),
        ("local_kill.lifted", "moment", "off"),
        ("local_kill.lifted", "search", "off"),
        ("local_kill.noticed", "checkout", "off"),
        ("local_kill.noticed", "moment", "off"),
        ("local_kill.noticed", "search", "off"),
    ]


def test_open_kills__asked_for_many_environments__is_one_query(world: World, django_assert_num_queries: object):
    settle_local_kills([kill(world, key) for key in ("a", "b", "c")], host="web-1", sources=[LIST], now=NOW)

    with django_assert_num_queries(1):  # type: ignore[operator]
        names = [
            f"{row.environment.project.key}/{row.environment.key}/{row.flag_key}"
            for row in open_kills([environment.pk for environment in world.environments])
        ]

    assert names == [f"{world.project.key}/production/{key}" for key in ("a", "b", "c")]
    assert list(open_kills([world.staging.pk])) == []


def settle(kills: Sequence[Kill], *sources: str, host: str = "web-1", minutes: float = 0) -> int:
    return settle_local_kills(kills, host=host, sources=sources, now=NOW + timedelta(minutes=minutes))


def open_sources(world: World) -> list[str]:
    return sorted(row.source for row in open_kills([world.production.pk]))


def test_settle__processes_of_a_host_with_different_lists__none_lifts_what_another_one_forces(world: World):
    forced = [kill(world, source=VARIABLE)]
    for minute in range(40):
        # One process has the variable, another one only the file, which forces nothing.
        settle(forced, VARIABLE, LIST, minutes=minute)
        settle([], LIST, minutes=minute + 0.5)

    assert [(row.source, row.lifted_at) for row in LocalKill.objects.all()] == [(VARIABLE, None)]
    assert events(world) == [("local_kill.noticed", "checkout", "off")]


def test_settle__two_lists_force_the_same_flag__each_has_its_own_row(world: World):
    settle([kill(world, source=VARIABLE)], VARIABLE)
    settle([kill(world, variant="on")], LIST)
    assert open_sources(world) == [VARIABLE, LIST]

    settle([], LIST, minutes=1)
    assert open_sources(world) == [VARIABLE]


@pytest.mark.parametrize(
    ("host", "minutes", "is_lifted"),
    [("web-1", 14, False), ("web-1", 16, True), ("web-2", 16, False), ("web-2", 1439, False), ("web-2", 1441, True)],
)
def test_settle__list_that_nobody_speaks_for_any_more__is_lifted_with_that_reason(
    host: str, minutes: int, is_lifted: bool, world: World
):
    settle([kill(world, source=VARIABLE)], VARIABLE)

    settle([], LIST, host=host, minutes=minutes)

    assert open_sources(world) == ([] if is_lifted else [VARIABLE])
    lifted = [json.loads(event.data) for event in AuditEvent.objects.filter(action="local_kill.lifted")]
    assert [data["reason"] for data in lifted] == ["not confirmed any longer"] * is_lifted


def test_settle__said_again__is_confirmed_and_recorded_once(world: World):
    for minute in range(0, 3000, 10):
        settle([kill(world)], LIST, minutes=minute)
        settle([], host="web-2", minutes=minute + 5)

    (row,) = open_kills([world.production.pk])
    assert (row.noticed_at, row.confirmed_at) == (NOW, NOW + timedelta(minutes=2990))
    assert len(events(world)) == 1
