"""When the kill list is handed over to be written down."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import pytest

from flags.services.kills import settle_this_host
from flags.snapshots import Kill, PassedKill, settling
from flags.snapshots.kill_list import parse_kill_list
from flags.snapshots.settling import Settler, on_settled
from tests.factories import NOW
from tests.flags.api.plane import fake_store


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was handed over, list by list."""
    lists: list[list[str]] = []

    def take(kills: Sequence[Kill], passed: Sequence[PassedKill], sources: Collection[str], now: datetime) -> None:
        lists.append([str(kill) for kill in kills] + [f"({one.kill})" for one in passed])

    monkeypatch.setattr(settling, "_settlers", [])
    on_settled(take)
    on_settled(take)
    return lists


@pytest.fixture
def handed_at(monkeypatch: pytest.MonkeyPatch) -> dict[int, list[str]]:
    """What was handed over after so many seconds, but what was only said again."""
    lists: dict[int, list[str]] = {}

    def take(kills: Sequence[Kill], passed: Sequence[PassedKill], sources: Collection[str], now: datetime) -> None:
        lists[int((now - NOW).total_seconds())] = [str(kill) for kill in kills] + [f"({one.kill})" for one in passed]

    monkeypatch.setattr(settling, "_settlers", [take])
    return lists


def test_app__ready__registered_the_service():
    assert settle_this_host in settling._settlers


def test_settler__list_changes__is_handed_over_once_it_stands_still(handed: list[list[str]]):
    store, _ = fake_store()
    store.refresh()
    settler = Settler(store)
    changes = {
        0: "",
        10: "shop/production/split=off",
        # Written in three steps within a moment: one list.
        20: "shop/production/split=on",
        21: "shop/production/split=on\nshop/production/a-boolean=off",
        22: "shop/production/a-boolean=off\nshop/production/unknown=off",
        30: "",
    }

    for second in range(40):
        if second in changes:
            store.force(parse_kill_list(changes[second], since=NOW))
        settler.settle_if_due(now=NOW + timedelta(seconds=second))

    assert handed == [
        [],
        ["shop/production/split=off"],
        ["shop/production/a-boolean=off", "(shop/production/split=on)"],
        [],
    ]


SPLIT = "shop/production/split=off"
OTHER = "shop/production/a-boolean=off"


@pytest.mark.parametrize(
    ("changes", "until", "expected"),
    [
        ({0: "", 10: SPLIT, 12: ""}, 30, {3: [], 15: [f"({SPLIT})"]}),
        # Came and went three times, and then came to stay: it is forced, and that is all.
        ({0: "", 10: SPLIT, 12: "", 14: SPLIT, 16: "", 18: SPLIT}, 30, {3: [], 21: [SPLIT]}),
        ({0: "", 10: SPLIT, 12: "", 14: SPLIT, 16: ""}, 30, {3: [], 19: [f"({SPLIT})"]}),
        ({0: "", 10: SPLIT, 12: OTHER, 14: ""}, 30, {3: [], 17: [f"({SPLIT})", f"({OTHER})"]}),
        # What was written down as forced is lifted by the list that lacks it.
        ({0: SPLIT, 10: "", 12: SPLIT, 14: ""}, 30, {3: [SPLIT], 17: []}),
        ({0: SPLIT, 10: "shop/production/split=on", 12: ""}, 30, {3: [SPLIT], 15: ["(shop/production/split=on)"]}),
        # Edited every two seconds for three minutes: once a minute.
        (
            {second: SPLIT if second % 4 else "" for second in range(0, 180, 2)},
            180,
            {60: [f"({SPLIT})"], 122: [SPLIT]},
        ),
    ],
    ids=["moment", "comes to stay", "twice", "two", "written before", "other variant for a moment", "never still"],
)
def test_settler__forced_for_a_moment__is_handed_over_once(
    changes: dict[int, str], until: int, expected: dict[int, list[str]], handed_at: dict[int, list[str]]
):
    store, _ = fake_store()
    store.refresh()
    settler = Settler(store)

    for second in range(until):
        if second in changes:
            store.force(parse_kill_list(changes[second], since=NOW + timedelta(seconds=second)))
        settler.settle_if_due(now=NOW + timedelta(seconds=second))

    assert handed_at == expected


def test_settler__nobody_could_write__hands_over_what_was_noted_meanwhile(handed: list[list[str]]):
    store, _ = fake_store()
    store.refresh()
    settler = Settler(store)

    # The thread that reads the list goes on noting; the one that writes comes back when the outage is over.
    for second, text in enumerate(["", SPLIT, OTHER, ""]):
        store.force(parse_kill_list(text, since=NOW))
        settler.note(now=NOW + timedelta(seconds=second))
    settler.settle_if_due(now=NOW + timedelta(hours=1))
    settler.settle_if_due(now=NOW + timedelta(hours=2))

    assert handed == [[f"({SPLIT})", f"({OTHER})"], []]


def test_settler__forced_for_a_moment_and_a_database_that_refuses__is_handed_over_again(
    monkeypatch: pytest.MonkeyPatch,
):
    attempts: list[list[PassedKill]] = []

    def refuse(kills: Sequence[Kill], passed: Sequence[PassedKill], sources: Collection[str], now: datetime) -> None:
        attempts.append(list(passed))
        if len(attempts) == 1:
            raise ConnectionError("gone")

    monkeypatch.setattr(settling, "_settlers", [refuse])
    store, _ = fake_store()
    store.refresh()
    settler = Settler(store)
    for second, text in {0: SPLIT, 1: "", 4: "", 5: SPLIT, 6: "", 9: "", 80: ""}.items():
        store.force(parse_kill_list(text, since=NOW))
        try:
            settler.settle_if_due(now=NOW + timedelta(seconds=second))
        except ConnectionError:
            continue

    found = [[(one.began_at, one.ended_at) for one in passed] for passed in attempts]
    moments = [NOW + timedelta(seconds=second) for second in (0, 1, 6)]
    assert found == [[(moments[0], moments[1])], [(moments[0], moments[2])], []]


def test_settler__database_that_refuses__is_asked_again(handed: list[list[str]]):
    store, _ = fake_store()
    store.refresh()
    settler = Settler(store)
    attempts: list[datetime] = []

    def refuse(kills: Sequence[Kill], passed: Sequence[PassedKill], sources: Collection[str], now: datetime) -> None:
        attempts.append(now)
        if len(attempts) < 3:
            raise ConnectionError("gone")

    settling._settlers.insert(0, refuse)
    for second in range(10):
        try:
            settler.settle_if_due(now=NOW + timedelta(seconds=second))
        except ConnectionError:
            continue

    assert [(moment - NOW).total_seconds() for moment in attempts] == [3, 6, 9]
    assert handed == [[]]


def test_settler__nothing_changes__is_said_again_every_minute_with_its_sources(monkeypatch: pytest.MonkeyPatch):
    said: list[tuple[float, Collection[str]]] = []

    def take(kills: Sequence[Kill], passed: Sequence[PassedKill], sources: Collection[str], now: datetime) -> None:
        said.append(((now - NOW).total_seconds(), sources))

    monkeypatch.setattr(settling, "_settlers", [take])
    store, _ = fake_store()
    store.refresh()
    store.force(parse_kill_list("", since=NOW, source="file /kill-list"))
    settler = Settler(store)

    for second in range(150):
        settler.settle_if_due(now=NOW + timedelta(seconds=second))

    assert said == [(seconds, ("file /kill-list",)) for seconds in (3, 63, 123)]
