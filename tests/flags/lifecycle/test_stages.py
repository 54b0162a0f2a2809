"""Stages of a life: from what is served, in one environment and overall."""

import pytest

from flags.lifecycle.facts import PlaceFacts, stages_of
from flags.lifecycle.shapes import shape_of
from flags.lifecycle.stages import LifecycleStage, place_stage, stage_of

from .situations import NOW, Document, ago, aimed, ending, flag, off, place, plain, share, staging

BROWNOUT = {"weight": 100_000, "serves": None, "until": "2026-11-21T13:00:00Z"}
SHARE = {"weight": 20_000, "serves": None}
GONE = {"weight": 100_000, "serves": None}


@pytest.mark.parametrize(
    ("name", "history", "stage", "since"),
    [
        ("not set up", [], "draft", None),
        ("never switched on", [(50, off()), (20, off())], "draft", 50),
        ("a share", [(50, off()), (20, share(10)), (10, share(30))], "rolling_out", 20),
        ("by rules", [(50, share(30)), (20, aimed())], "live", 20),
        ("everybody", [(50, share(30)), (20, share(100)), (10, plain())], "settled", 20),
        ("default for everybody", [(50, plain())], "settled", 50),
        ("switched off again", [(50, share(30)), (20, {**share(30), "enabled": False})], "settled", 20),
        ("rolled back", [(50, share(100)), (20, share(30))], "rolling_out", 20),
        (
            "deprecated",
            [(90, plain()), (40, ending(plain())), (10, ending(plain(), link="https://x.test"))],
            "deprecated",
            40,
        ),
        ("deprecated from a later day on", [(90, ending(plain()))], "deprecated", 51.1666),
        (
            "to be deprecated",
            [(9, {**plain(), "deprecation": {"deprecated_at": "2027-01-01T00:00:00Z"}})],
            "settled",
            9,
        ),
        ("brownout", [(40, ending(plain(), withdrawal=BROWNOUT))], "deprecated", 40),
        ("ramp-down", [(40, ending(plain(), withdrawal=SHARE))], "deprecated", 40),
        ("sunset", [(40, ending(plain(), withdrawal=SHARE)), (7, ending(plain(), withdrawal=GONE))], "sunset", 7),
        ("archived", [(7, ending(plain(), withdrawal=GONE)), (2, ending(plain(), is_archived=True))], "archived", 2),
        ("undone", [(40, ending(plain())), (7, plain())], "settled", 7),
        ("revived", [(40, plain()), (9, ending(plain(), is_archived=True)), (3, off())], "draft", 3),
        ("revived and on again", [(40, plain()), (9, ending(off(), is_archived=True)), (3, plain())], "settled", 3),
    ],
)
def test_place_stage__history__is_the_stage_since(
    name: str, history: list[tuple[float, Document]], stage: str, since: float | None
) -> None:
    found = place_stage(place(*history).versions, kind="release", now=NOW)

    assert found.stage == stage
    expected = None if since is None else ago(since)
    if expected is None or found.since is None:
        assert (expected, found.since) == (None, None)
    else:
        assert abs((found.since - expected).total_seconds()) < 60
    assert found.sentence.endswith(".")


@pytest.mark.parametrize(
    ("kind", "stage"), [("release", "rolling_out"), ("experiment", "live"), ("permission", "live")]
)
def test_stage_of__share__depends_on_what_shares_are_for(kind: str, stage: str) -> None:
    assert stage_of(shape_of(share(50), NOW), was_on=True, kind=kind, now=NOW) == stage


def test_place_stage__plan_that_began__is_rolling_out_since_its_start() -> None:
    found = place_stage(place((50, plain())).versions, kind="release", now=NOW, plan_since=ago(3))

    assert (found.stage, found.since) == ("rolling_out", ago(3))


@pytest.mark.parametrize(
    ("places", "stage", "since", "word"),
    [
        ([place(), staging((50, share(30)))], "draft", None, "not yet in Production"),
        ([place(), staging()], "draft", None, "not switched on anywhere"),
        ([place((50, aimed())), staging((9, ending(plain(), is_archived=True)))], "live", 50, "Production"),
        ([place((50, plain())), place((20, plain()), key="asia")], "settled", 20, "Production and Asia"),
        ([place((50, plain())), place((20, share(9)), key="asia")], "rolling_out", 20, "Asia"),
        ([place((50, plain())), place(key="asia")], "settled", 50, "Production"),
        ([staging((50, share(30)))], "rolling_out", 50, "Staging"),
    ],
)
def test_stages_of__environments_that_weigh__decide(
    places: list[PlaceFacts], stage: str, since: float | None, word: str
) -> None:
    overall, each = stages_of(flag(*places), NOW)

    assert overall.stage == stage
    assert overall.since == (None if since is None else ago(since))
    assert word in overall.sentence
    assert len(each) == len(places)


def test_stages_of__archived_flag__is_archived() -> None:
    overall, _ = stages_of(flag(place((50, plain())), archived_at=ago(3)), NOW)

    assert (overall.stage, overall.since) == (LifecycleStage.ARCHIVED, ago(3))


@pytest.mark.parametrize(
    ("document", "outcomes"),
    [
        (plain(), {"on"}),
        (off(), {None}),
        (share(30), {"on", "off"}),
        (share(100), {"on"}),
        (aimed(), {"on", "off"}),
        ({**share(100), "targets": [{"variant": "off", "keys": ["a"]}]}, {"on", "off"}),
        ({**plain(), "prerequisites": [{"flag": "p", "variants": ["on"]}]}, {"on", None}),
        ({**share(30), "rules": [{**share(30)["rules"][0], "ends_at": "2026-01-01T00:00:00Z"}]}, {"on"}),
        (ending(share(100), withdrawal=SHARE), {"on", None}),
        (ending(share(30), withdrawal=GONE), {None}),
    ],
)
def test_shape_of__document__knows_what_it_can_serve(document: Document, outcomes: set[str | None]) -> None:
    shape = shape_of(document, NOW)

    assert shape is not None
    assert shape.outcomes == outcomes


@pytest.mark.parametrize("document", [None, {}, {"payload": "archived"}])
def test_shape_of__nothing_left__is_none(document: Document | None) -> None:
    assert shape_of(document, NOW) is None
