"""When the kill list is handed over to be written down."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import pytest

from flags.services.kills import settle_this_host
from flags.snapshots import Kill, settling
from flags.snapshots.kill_list import parse_kill_list
from flags.snapshots.settling import Settler, on_settled
from tests.factories import NOW
from tests.flags.api.plane import fake_store


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was handed over, list by list."""
    lists: list[list[str]] = []

    def take(kills: Sequence[Kill], sources: Collection[str], now: datetime) -> None:
        lists.append([str(kill) for kill in kills])

    monkeypatch.setattr(settling, "_settlers", [])
    on_settled(take)
    on_settled(take)
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

    assert handed == [[], ["shop/production/split=off"], ["shop/production/a-boolean=off"], []]


def test_settler__database_that_refuses__is_asked_again(handed: list[list[str]]):
    store, _ = fake_store()
    store.refresh()
    settler = Settler(store)
    attempts: list[datetime] = []

    def refuse(kills: Sequence[Kill], sources: Collection[str], now: datetime) -> None:
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

    def take(kills: Sequence[Kill], sources: Collection[str], now: datetime) -> None:
        said.append(((now - NOW).total_seconds(), sources))

    monkeypatch.setattr(settling, "_settlers", [take])
    store, _ = fake_store()
    store.refresh()
    store.force(parse_kill_list("", since=NOW, source="file /kill-list"))
    settler = Settler(store)

    for second in range(150):
        settler.settle_if_due(now=NOW + timedelta(seconds=second))

    assert said == [(seconds, ("file /kill-list",)) for seconds in (3, 63, 123)]
