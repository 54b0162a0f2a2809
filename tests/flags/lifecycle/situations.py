"""Flags in situations of their lives: a release flag that is 200 days old, served in production, with figures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from flags.documents import initial_document
from flags.lifecycle.facts import Figures, FlagFacts, PlaceFacts, References, ServiceUse, Use
from flags.lifecycle.histories import add_version
from flags.lifecycle.stages import Version
from flags.lifecycle.thresholds import RECENT_DAYS, thresholds_for
from flags.telemetry.labels import ALL_AT_ONCE

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
Document = dict[str, Any]
# Figures since long ago and until this morning; figures that began a week ago; none; figures that ended; figures that
# came back an hour ago after half a year without any.
FULL = Figures(NOW - timedelta(days=300), NOW - timedelta(hours=3), (True,) * 300)
PARTLY = Figures(NOW - timedelta(days=9), NOW - timedelta(hours=3), (True,) * 9 + (False,) * 291)
SILENT = Figures()
OVER = Figures(NOW - timedelta(days=300), NOW - timedelta(days=20), (False,) * 20 + (True,) * 280)
BACK = Figures(NOW - timedelta(days=300), NOW - timedelta(hours=1), (True,) + (False,) * 189 + (True,) * 110)


def ago(days: float) -> datetime:
    """An instant that many days before NOW."""
    return NOW - timedelta(days=days)


def plain() -> Document:
    """Switched on, “on” for everybody; off means the code default."""
    return {**initial_document("f", "boolean"), "enabled": True, "default_variant": "on", "off_variant": None}


def off() -> Document:
    return {**plain(), "enabled": False}


def share(percent: int) -> Document:
    split = [{"variant": "on", "weight": percent * 1000}, {"variant": "off", "weight": 100_000 - percent * 1000}]
    return {**plain(), "rules": [{"id": "all", "description": "", "condition": None, "serve": {"split": split}}]}


def aimed() -> Document:
    condition = {"attribute": "plan", "operator": "equals", "value": "beta"}
    rule = {"id": "beta", "description": "", "condition": condition, "serve": {"variant": "on"}}
    return {**plain(), "default_variant": "off", "rules": [rule]}


def ending(document: Document, **deprecation: Any) -> Document:
    return {**document, "deprecation": {"deprecated_at": "2026-10-01T08:00:00Z", **deprecation}}


def use(last: float | None = None, *, first: float = 180, recent: int = 0, **variants: float) -> Use:
    """Asked for `last` days ago; `variants` say how many days ago each was served at last."""
    if last is None:
        return Use()
    seen = {name: ago(days) for name, days in variants.items()} or {"on": ago(last)}
    return Use(ago(first), ago(last), seen, (ServiceUse("checkout", ago(last), recent),))


def in_bulk(asked: Use | None = None, *, last: float = 0.1, first: float = 180) -> Use:
    """The same, and in answers to clients that asked for all flags at once until `last` days ago."""
    asked, at = asked or Use(), ago(last)
    return replace(
        asked,
        first_at=min(filter(None, [asked.first_at, ago(first)])),
        last_at=max(filter(None, [asked.last_at, at])),
        variants={"on": at, **asked.variants},
        services=(*asked.services, ServiceUse(ALL_AT_ONCE, at, 900 if last < RECENT_DAYS else 0)),
    )


def place(
    *history: tuple[float, Mapping[str, Any]],
    key: str = "production",
    weighs: bool = True,
    figures: Figures = FULL,
    **facts: Any,
) -> PlaceFacts:
    """An environment; `history` are versions as (days ago, document), oldest first."""
    versions: list[Version] = []
    for days, document in history:
        add_version(versions, ago(days), document, NOW)
    return PlaceFacts(
        key, key.capitalize(), weighs, history[-1][1] if history else None, tuple(versions), figures, **facts
    )


def staging(*history: tuple[float, Mapping[str, Any]], **facts: Any) -> PlaceFacts:
    return place(*history, key="staging", weighs=False, **facts)


def flag(*places: PlaceFacts, kind: str = "release", age: float = 200, **facts: Any) -> FlagFacts:
    """A flag; its code was scanned and names it three times unless said otherwise."""
    facts.setdefault("references", References(True, 3, None, ago(150)))
    thresholds = facts.pop("thresholds", thresholds_for(kind))
    return FlagFacts("f", kind, ago(age), tuple(places), thresholds, **facts)


def codes(matters: Sequence[Any]) -> set[str]:
    return {matter.code for matter in matters}


documents = st.sampled_from([off(), plain(), share(30), share(100), aimed(), ending(share(100))])
uses = st.one_of(
    st.just(Use()),
    st.builds(lambda last, recent: use(last, recent=recent), st.floats(0, 170), st.integers(0, 1000)),
    st.builds(
        lambda last, bulk: in_bulk(use(last), last=bulk), st.one_of(st.none(), st.floats(0, 170)), st.floats(0, 170)
    ),
)
places = st.builds(
    lambda day, document, asked, figures: place((day, document), use=asked, figures=figures),
    st.floats(0, 190),
    documents,
    uses,
    st.sampled_from([FULL, PARTLY, SILENT, OVER, BACK]),
)
