"""The table of verdicts: what is found in each situation, how sure it is, and whether the flag may go."""

from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.lifecycle.debt import debt_of, points_of
from flags.lifecycle.facts import Figures, FlagFacts, PlaceFacts, References, ServiceUse, Use
from flags.lifecycle.readiness import Readiness, removal_of
from flags.lifecycle.staleness import judge
from flags.lifecycle.thresholds import NEVER, Thresholds, thresholds_for

from .situations import (
    BACK,
    FULL,
    NOW,
    OVER,
    PARTLY,
    SILENT,
    ago,
    aimed,
    codes,
    ending,
    flag,
    off,
    place,
    plain,
    share,
    staging,
    use,
)

NO_CODE = References(True, 0, ago(40), ago(150))
NEVER_IN_CODE = References(True, 0, None, ago(150))
UNSCANNED = References()
ARCHIVED = ending(off(), is_archived=True)
EXPERIMENT = thresholds_for("experiment")
ROLLED_OUT = ((190, share(10)), (100, share(100)))


class Case(NamedTuple):
    """A situation, and what is to be said: reasons, guards, confidence, readiness."""

    name: str
    flag: FlagFacts
    reasons: set[str]
    guards: set[str]
    confidence: str | None
    readiness: str


def case(
    name: str, facts: FlagFacts, reasons: str, guards: str, confidence: str | None, readiness: str = "caution"
) -> Case:
    return Case(name, facts, set(reasons.split()), set(guards.split()), confidence, readiness)


USED = use(0.1, recent=500)
MIXED = use(0.1, recent=500, on=0.1, off=0.1)
CASES = [
    # Use and figures.
    case(
        "nobody ever asked",
        flag(place((150, share(50)))),
        "never_evaluated forgotten_partial expired_by_kind",
        "",
        "high",
    ),
    case(
        "nobody ever asked, and figures began lately",
        flag(place((150, aimed()), figures=PARTLY)),
        "expired_by_kind",
        "",
        "medium",
    ),
    case(
        "nobody ever asked, and there are no figures: missing is not zero",
        flag(place((150, aimed()), figures=SILENT)),
        "expired_by_kind",
        "",
        "low",
    ),
    case(
        "figures ended weeks ago: missing is not zero",
        flag(place((150, aimed()), figures=OVER, use=use(21))),
        "expired_by_kind",
        "",
        "low",
    ),
    case(
        "figures came back an hour ago after half a year: nobody knows who asked meanwhile",
        flag(place((250, share(50)), figures=BACK, use=use(190)), references=NO_CODE, age=250),
        "no_evaluations forgotten_partial expired_by_kind only_in_config",
        "",
        "medium",
    ),
    case(
        "figures came back an hour ago, settled and in no code",
        flag(place(*ROLLED_OUT, figures=BACK, use=use(195)), references=NO_CODE),
        "no_evaluations fully_rolled_out expired_by_kind only_in_config",
        "",
        "medium",
    ),
    case(
        "figures began half an hour ago, and nobody asked yet",
        flag(place(*ROLLED_OUT, figures=Figures(ago(0.02), ago(0.001), (True,))), references=NO_CODE),
        "fully_rolled_out expired_by_kind only_in_config",
        "",
        "medium",
    ),
    case(
        "asked for until 45 days ago",
        flag(place((150, aimed()), use=use(45))),
        "no_evaluations expired_by_kind",
        "",
        "high",
    ),
    case(
        "asked for until 29 days ago",
        flag(place((150, aimed()), use=use(29, on=29, off=29))),
        "expired_by_kind",
        "",
        "medium",
    ),
    case(
        "in full use",
        flag(place((150, aimed()), use=MIXED)),
        "expired_by_kind",
        "",
        "medium",
        "blocked",
    ),
    case(
        "asked for in staging alone",
        flag(place((150, aimed()), use=use(45)), staging((150, aimed()), use=USED)),
        "no_evaluations expired_by_kind",
        "",
        "medium",
    ),
    case(
        "never asked for in production, asked for in staging",
        flag(place((150, aimed())), staging((150, aimed()), use=USED)),
        "never_evaluated expired_by_kind",
        "",
        "medium",
    ),
    case(
        "asked for in one of two productions",
        flag(
            place((150, aimed()), use=MIXED),
            place((150, aimed()), key="asia", use=use(45)),
        ),
        "expired_by_kind",
        "",
        "medium",
        "blocked",
    ),
    case(
        "asked for in none of two productions, one without figures",
        flag(
            place((150, share(50)), use=use(45)),
            place((150, share(50)), key="asia", figures=SILENT),
        ),
        "forgotten_partial expired_by_kind",
        "",
        "low",
    ),
    # One variant.
    case(
        "rules for some, and all who asked got one variant",
        flag(place((150, aimed()), use=use(0.1, recent=9, on=50, off=0.1))),
        "one_variant expired_by_kind",
        "",
        "high",
        "blocked",
    ),
    case(
        "one variant for 20 days only",
        flag(place((150, aimed()), use=use(0.1, recent=9, on=20, off=0.1))),
        "expired_by_kind",
        "",
        "medium",
        "blocked",
    ),
    case(
        "one variant, as far as a week of figures goes",
        flag(place((150, aimed()), figures=PARTLY, use=use(0.1, first=8, recent=9, off=0.1))),
        "expired_by_kind",
        "",
        "medium",
        "blocked",
    ),
    case(
        "switched off again long ago",
        flag(place((190, share(50)), (100, {**share(50), "enabled": False}), use=use(0.1, recent=5))),
        "one_variant expired_by_kind",
        "",
        "high",
        "blocked",
    ),
    # Rolled out.
    case(
        "everybody gets it for 100 days",
        flag(place(*ROLLED_OUT, use=USED)),
        "fully_rolled_out expired_by_kind",
        "",
        "high",
        "blocked",
    ),
    case(
        "everybody gets it for 29 days",
        flag(place((190, share(10)), (29, share(100)), use=USED)),
        "expired_by_kind",
        "",
        "medium",
        "blocked",
    ),
    case(
        "rolled out, no figures",
        flag(place(*ROLLED_OUT, figures=SILENT)),
        "fully_rolled_out expired_by_kind",
        "",
        "low",
    ),
    case(
        "rolled out in one of two productions",
        flag(place(*ROLLED_OUT, use=USED), place((190, aimed()), key="asia", use=MIXED)),
        "expired_by_kind",
        "",
        "medium",
        "blocked",
    ),
    case(
        "rolled out in both productions, staging still tries",
        flag(place(*ROLLED_OUT), place(*ROLLED_OUT, key="asia"), staging((190, aimed()), use=MIXED)),
        "never_evaluated fully_rolled_out expired_by_kind",
        "",
        "high",
    ),
    case(
        "rolled out, gone from use and code: ready",
        flag(place(*ROLLED_OUT, use=use(60)), references=NO_CODE),
        "no_evaluations fully_rolled_out expired_by_kind only_in_config",
        "",
        "high",
        "safe",
    ),
    case(
        "rolled out, gone from use, code never scanned",
        flag(place(*ROLLED_OUT, use=use(60)), references=UNSCANNED),
        "no_evaluations fully_rolled_out expired_by_kind",
        "",
        "high",
        "caution",
    ),
    # No rules.
    case(
        "the default variant for everybody, never a rule",
        flag(place((150, plain()), use=USED)),
        "no_rules expired_by_kind",
        "",
        "high",
        "blocked",
    ),
    case(
        "never switched on",
        flag(place((150, off()), use=USED)),
        "no_rules expired_by_kind",
        "",
        "high",
        "blocked",
    ),
    case("never set up", flag(staging()), "only_in_code expired_by_kind", "", "high", "caution"),
    case(
        "never set up nor named in code",
        flag(staging(), references=NEVER_IN_CODE),
        "expired_by_kind",
        "",
        "low",
        "safe",
    ),
    # Shares that stand still.
    case(
        "30 % for 60 days",
        flag(place((60, share(30)), use=MIXED)),
        "forgotten_partial expired_by_kind",
        "",
        "high",
        "blocked",
    ),
    case(
        "30 % for 20 days",
        flag(place((190, share(10)), (20, share(30)), use=MIXED)),
        "expired_by_kind",
        "",
        "medium",
        "blocked",
    ),
    case(
        "30 % in production forgotten, 100 % in staging",
        flag(place((60, share(30)), use=MIXED), staging(*ROLLED_OUT, use=USED)),
        "forgotten_partial expired_by_kind",
        "",
        "high",
        "blocked",
    ),
    case(
        "30 % in staging forgotten, production is settled",
        flag(place(*ROLLED_OUT, use=USED), staging((60, share(30)), use=MIXED)),
        "fully_rolled_out expired_by_kind",
        "",
        "high",
        "blocked",
    ),
    case(
        "30 % of an operational flag for 60 days",
        flag(place((60, share(30)), use=MIXED), kind="operational"),
        "",
        "",
        None,
        "blocked",
    ),
    # Kinds and tags.
    case(
        "an operational flag as old as the hills, at work",
        flag(place((190, plain()), use=USED), kind="operational", age=2000, thresholds=Thresholds(unused=60)),
        "",
        "",
        None,
        "blocked",
    ),
    case(
        "an operational flag that nobody asks for",
        flag(place((190, aimed()), use=use(70)), kind="operational"),
        "no_evaluations",
        "",
        "high",
    ),
    case("a kill switch at rest", flag(place((190, plain())), kind="kill_switch"), "", "permanent", None),
    case("a permission", flag(place((190, aimed())), kind="permission"), "", "permanent", None),
    case(
        "a release flag that is meant to stay",
        flag(place(*ROLLED_OUT, use=use(60)), tags=("permanent",)),
        "",
        "permanent",
        None,
    ),
    case(
        "an experiment at half and half",
        flag(place((20, share(50)), use=MIXED), kind="experiment", age=35),
        "",
        "experiment",
        None,
        "blocked",
    ),
    case(
        "an experiment at half and half, older than its kind should get",
        flag(place((50, share(50)), use=MIXED), kind="experiment", age=55),
        "expired_by_kind",
        "experiment",
        "medium",
        "blocked",
    ),
    case(
        "an experiment of a project where nothing is ever too old",
        flag(place((50, share(50)), use=MIXED), kind="experiment", thresholds=replace(EXPERIMENT, lifetime=None)),
        "",
        "experiment",
        None,
        "blocked",
    ),
    case(
        "an experiment that stands still, where nothing is ever too old",
        flag(place((61, share(50)), use=MIXED), kind="experiment", thresholds=replace(EXPERIMENT, lifetime=None)),
        "forgotten_partial",
        "",
        "high",
        "blocked",
    ),
    case(
        "an experiment of a project where shares may stand still",
        flag(place((190, share(50)), use=MIXED), kind="experiment", thresholds=replace(EXPERIMENT, partial=None)),
        "expired_by_kind",
        "experiment",
        "medium",
        "blocked",
    ),
    case(
        "an experiment nobody ended",
        flag(place((80, share(50)), use=MIXED), kind="experiment"),
        "forgotten_partial expired_by_kind",
        "",
        "high",
        "blocked",
    ),
    case(
        "a release flag that is meant to stay, in capitals",
        flag(place(*ROLLED_OUT, use=use(60)), tags=(" Permanent",)),
        "",
        "permanent",
        None,
    ),
    # Former lives.
    case(
        "revived 31 days ago: what was before says nothing",
        flag(
            place((500, aimed()), (400, ARCHIVED), (31, off()), use=use(400, first=500)),
            kind="operational",
            age=31,
            references=References(True, 0, ago(390), ago(450)),
        ),
        "only_in_config",
        "",
        "high",
        "safe",
    ),
    case(
        "revived and settled 31 days ago, and never aimed at anybody since",
        flag(place((500, aimed()), (400, ARCHIVED), (31, plain()), use=USED), age=31),
        "no_rules",
        "",
        "high",
        "blocked",
    ),
    case(
        "revived in staging, archived in production still",
        flag(place((500, aimed()), (400, ARCHIVED)), staging((500, aimed()), (400, ARCHIVED), (35, aimed())), age=35),
        "",
        "",
        None,
        "caution",
    ),
    case(
        "a new flag of an old key: its services asked for the former one",
        flag(place((31, aimed()), use=use(60, on=60, off=90)), age=31),
        "never_evaluated",
        "",
        "high",
    ),
    # Reported late.
    case(
        "asked for hours ago, and the counts are not added up yet",
        flag(place(*ROLLED_OUT, use=use(0.3)), references=NEVER_IN_CODE),
        "fully_rolled_out expired_by_kind",
        "",
        "high",
        "blocked",
    ),
    # Guards.
    case("a young flag", flag(place((28, plain())), age=29), "", "young", None),
    case(
        "changed last week",
        flag(place((190, share(10)), (60, share(100)), (5, plain()), use=use(60))),
        "no_evaluations fully_rolled_out expired_by_kind",
        "changed_lately",
        "high",
    ),
    case(
        "changed in staging last week",
        flag(place(*ROLLED_OUT), staging((5, plain()))),
        "never_evaluated fully_rolled_out expired_by_kind",
        "changed_lately",
        "high",
    ),
    case(
        "snoozed",
        flag(place(*ROLLED_OUT), snoozed_until=ago(-20), snooze_reason="Wanted for the winter sale"),
        "never_evaluated fully_rolled_out expired_by_kind",
        "snoozed",
        "high",
    ),
    case(
        "in a rollout plan",
        flag(place((60, share(30)), use=MIXED, plans=("Plan 3",), plan_since=ago(20))),
        "forgotten_partial expired_by_kind",
        "live_plan",
        "high",
        "blocked",
    ),
    case(
        "a change is asked for",
        flag(place(*ROLLED_OUT, requests=("#7",), fresh_requests=("#7",))),
        "never_evaluated fully_rolled_out expired_by_kind",
        "open_request",
        "high",
        "blocked",
    ),
    case(
        "a change was asked for and forgotten",
        flag(place(*ROLLED_OUT, requests=("#7",))),
        "never_evaluated fully_rolled_out expired_by_kind",
        "",
        "high",
        "blocked",
    ),
    case(
        "its end is under way",
        flag(place((190, share(10)), (50, ending(share(100))), use=USED, timelines=("Timeline 1",))),
        "expired_by_kind",
        "ending",
        "medium",
        "blocked",
    ),
    case(
        "sunset, its timeline waits for the archive",
        flag(
            place(
                (190, share(10)),
                (50, ending(share(100), withdrawal={"weight": 100_000, "serves": None})),
                use=USED,
                timelines=("Timeline 1",),
            )
        ),
        "expired_by_kind",
        "ending",
        "medium",
        "caution",
    ),
    case(
        "sunset to a variant, still asked for",
        flag(
            place((190, share(10)), (50, ending(share(100), withdrawal={"weight": 100_000, "serves": "on"})), use=USED)
        ),
        "expired_by_kind",
        "",
        "medium",
        "blocked",
    ),
    # Dependents, code and unknown keys.
    case(
        "another flag needs it",
        flag(place(*ROLLED_OUT, use=use(60), dependents=("child",)), references=NO_CODE),
        "no_evaluations fully_rolled_out expired_by_kind only_in_config",
        "",
        "high",
        "blocked",
    ),
    case(
        "gone from code last week",
        flag(place(*ROLLED_OUT, use=use(60)), references=References(True, 0, ago(5), ago(150))),
        "no_evaluations fully_rolled_out expired_by_kind",
        "",
        "high",
        "safe",
    ),
    case(
        "in no line of code, and asked for all the same: the key is put together at run time",
        flag(place(*ROLLED_OUT, use=USED), references=NEVER_IN_CODE),
        "fully_rolled_out expired_by_kind",
        "",
        "high",
        "blocked",
    ),
    case(
        "archived, and code names it",
        flag(place(*ROLLED_OUT, (60, ending(share(100), is_archived=True))), archived_at=ago(60)),
        "only_in_code",
        "",
        "high",
        "caution",
    ),
    case(
        "archived, and asked for",
        flag(
            place(
                (60, ending(share(100), is_archived=True)),
                use=Use(unknown=(ServiceUse("billing", ago(2), 40),)),
            ),
            archived_at=ago(60),
            references=NO_CODE,
        ),
        "unknown_key_asked",
        "",
        "high",
        "caution",
    ),
    case(
        "asked for where it is not set up",
        flag(place(use=Use(unknown=(ServiceUse("billing", ago(2), 40),))), staging((20, aimed()), use=MIXED), age=35),
        "unknown_key_asked",
        "",
        "high",
        "blocked",
    ),
    case(
        "served in production, and asked for where it is not set up and nothing rests on it",
        flag(
            place((150, off()), (20, aimed()), use=MIXED),
            staging(use=Use(unknown=(ServiceUse("billing", ago(2), 40, ago(90)),))),
            age=35,
        ),
        "",
        "",
        None,
        "blocked",
    ),
]


def test_table__is_long_enough() -> None:
    assert len(CASES) >= 40
    assert len({each.name for each in CASES}) == len(CASES)


@pytest.mark.parametrize("each", CASES, ids=[each.name for each in CASES])
def test_judge__situation__is_told_as_expected(each: Case) -> None:
    found, removal = judge(each.flag, NOW), removal_of(each.flag, NOW)

    assert {one.reason.value for one in found.findings} == each.reasons
    assert codes(found.guards) == each.guards
    assert found.confidence == each.confidence
    assert found.is_stale is (bool(each.reasons) and not each.guards)
    assert removal.readiness == each.readiness, [*removal.blockers, *removal.cautions]


@pytest.mark.parametrize("each", CASES, ids=[each.name for each in CASES])
def test_judge__situation__says_so_in_sentences(each: Case) -> None:
    found, removal = judge(each.flag, NOW), removal_of(each.flag, NOW)

    told = [one.sentence for one in found.findings] + [one.sentence for one in found.guards]
    told += [one.sentence for one in (*removal.blockers, *removal.cautions)]

    assert [text for text in told if not text.endswith((".", each.flag.snooze_reason or "."))] == []
    assert all("None" not in text and "frozenset" not in text and "  " not in text for text in told)
    assert all(one.since <= NOW for one in found.findings)


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        (SILENT, "No figures of evaluations come from there, so look for yourself."),
        (BACK, "Figures of some of these days are missing."),
        (FULL, "for 100 days, and 30 days are usual."),
    ],
)
def test_judge__missing_figures__are_said(figures: Figures, words: str) -> None:
    found = judge(flag(place(*ROLLED_OUT, figures=figures, use=use(2))), NOW)

    assert found.findings[0].sentence.endswith(words)


@given(st.sets(st.integers(0, 40)), st.integers(1, 40))
def test_cover__days_without_figures__never_make_it_surer(missing: set[int], days: int) -> None:
    figures = replace(FULL, days=tuple(back not in missing for back in range(41)))

    assert figures.cover(days, NOW) is not any(
        set(range(start, start + 5)) <= missing for start in range(max(days - 4, 0))
    )
    assert figures.cover(days, NOW) or not figures.cover(days + 1, NOW)


def test_cover__days_that_were_not_read__are_no_figures() -> None:
    assert not replace(FULL, days=(True,) * 29).cover(30, NOW)
    assert replace(FULL, days=(True,) * 30).cover(30, NOW)


documents = st.sampled_from([off(), plain(), share(30), share(100), aimed(), ending(share(100))])
uses = st.one_of(
    st.just(Use()),
    st.builds(lambda last, recent: use(last, recent=recent), st.floats(0, 170), st.integers(0, 1000)),
)
places = st.builds(
    lambda day, document, asked, figures: place((day, document), use=asked, figures=figures),
    st.floats(0, 190),
    documents,
    uses,
    st.sampled_from([FULL, PARTLY, SILENT, OVER, BACK]),
)


@given(places, st.floats(0, 29.9), st.sampled_from(["release", "experiment", "operational"]))
def test_judge__young_flag__is_never_stale(where: PlaceFacts, age: float, kind: str) -> None:
    assert not judge(flag(where, kind=kind, age=age), NOW).is_stale


@given(
    places,
    st.floats(30, 3000),
    st.sampled_from(
        [("kill_switch", ()), ("permission", ()), ("release", ("permanent",)), ("experiment", ("x", "PERMANENT "))]
    ),
)
def test_judge__permanent_flag__is_never_stale(
    where: PlaceFacts, age: float, what: tuple[str, tuple[str, ...]]
) -> None:
    kind, tags = what

    found = judge(flag(where, kind=kind, age=age, tags=tags), NOW)

    assert not found.is_stale
    assert found.findings == ()


@given(st.lists(st.tuples(st.floats(31, 190), documents), max_size=3), places)
def test_judge__former_life__says_nothing(before: list[tuple[float, dict[str, Any]]], where: PlaceFacts) -> None:
    """A flag that was archived and revived is judged as one that was made then."""
    born = 30.5
    former = place(*sorted(before, key=lambda each: -each[0]), (30.6, ARCHIVED))
    begun = place((born, where.document or {}), figures=where.figures, use=where.use)
    revived = replace(begun, versions=(*former.versions, *begun.versions))
    fresh = replace(begun, use=begun.use.since(ago(born)))

    assert judge(flag(revived, age=born), NOW) == judge(flag(fresh, age=born), NOW)


@given(places, st.integers(1, 1000), st.floats(0, 100))
def test_removal__more_use__is_never_safer(where: PlaceFacts, more: int, days: float) -> None:
    known = {each.service: each for each in where.use.services}
    known["another"] = ServiceUse("another", ago(days), more if days < 7 else 0)
    last = max(filter(None, [where.use.last_at, ago(days)]))
    asked = replace(where, use=replace(where.use, last_at=last, services=tuple(known.values())))

    before, after = removal_of(flag(where), NOW).readiness, removal_of(flag(asked), NOW).readiness

    assert after.rank >= before.rank
    assert after is not Readiness.SAFE or days > 30


@given(places)
def test_removal__gap_in_figures__is_never_safe(where: PlaceFacts) -> None:
    holed = replace(where, figures=replace(where.figures, days=(True,) * 20 + (False,) * 5 + (True,) * 275))

    assert removal_of(flag(holed, references=NO_CODE), NOW).readiness is not Readiness.SAFE


@pytest.mark.parametrize(
    ("where", "is_known", "variant", "value"),
    [
        ([place(*ROLLED_OUT)], True, "on", True),
        ([place((190, share(50)))], False, None, None),
        ([place(*ROLLED_OUT), place((190, off()), key="asia")], False, None, None),
        ([place(*ROLLED_OUT), staging((190, share(50)))], True, "on", True),
        ([staging()], True, None, None),
        ([place((50, ending(share(9), withdrawal={"weight": 100_000, "serves": None})))], True, None, None),
        ([place((50, ending(share(9), withdrawal={"weight": 100_000, "serves": "off"})))], True, "off", False),
        ([place((50, ending(share(9), withdrawal={"weight": 5_000, "serves": "off"})))], False, None, None),
    ],
)
def test_forward_value__is_what_everybody_gets(
    where: list[PlaceFacts], is_known: bool, variant: str | None, value: object
) -> None:
    found = removal_of(flag(*where), NOW).forward

    assert (found.is_known, found.variant, found.value) == (is_known, variant, value)


def test_debt__counts_weeks_and_how_sure_one_is() -> None:
    sure = judge(flag(place(*ROLLED_OUT, use=use(60)), thresholds=Thresholds(settled=30)), NOW)
    unsure = judge(flag(place(*ROLLED_OUT, figures=SILENT), thresholds=Thresholds(settled=30)), NOW)
    young = judge(flag(place(*ROLLED_OUT), age=3), NOW)

    debt = debt_of([sure, unsure, young], NOW)

    assert (points_of(sure, NOW), points_of(unsure, NOW), points_of(young, NOW)) == (20, 8, 0)
    assert (debt.score, debt.flags, debt.stale) == (28, 3, 2)
    assert debt.parts == {"fully_rolled_out": 28}


SETTLED = Thresholds(settled=30)


@pytest.mark.parametrize(
    ("facts", "days", "points"),
    [
        # The first reason that holds for longer than is usual.
        (flag(place(*ROLLED_OUT, use=use(60)), thresholds=Thresholds(settled=30, unused=30)), 70, 20),
        (flag(place(*ROLLED_OUT, use=use(99)), thresholds=Thresholds(settled=80, unused=30)), 69, 19),
        (flag(place((190, share(10)), (30, share(100)), use=USED), thresholds=SETTLED), 0, 10),
        (flag(place((190, share(10)), (37, share(100)), use=USED), thresholds=SETTLED), 7, 11),
        (flag(place(*ROLLED_OUT, use=USED), thresholds=replace(SETTLED, settled=None, lifetime=190)), 10, 7),
        # Not before the last guard ended.
        (flag(place((29, plain()), use=USED), age=29, thresholds=Thresholds(no_rules=7)), None, 0),
        (flag(place((30, plain()), use=USED), age=30, thresholds=Thresholds(no_rules=7)), 0, 10),
        (flag(place((33, plain()), use=USED), age=33, thresholds=Thresholds(no_rules=7)), 3, 10),
        (flag(place(*ROLLED_OUT, use=USED), staging((15, aimed())), thresholds=SETTLED), 1, 10),
        (flag(place(*ROLLED_OUT, use=USED), snooze_ended_at=ago(8), thresholds=SETTLED), 8, 11),
        (flag(place(*ROLLED_OUT, use=USED), snooze_ended_at=ago(90), thresholds=SETTLED), 70, 20),
        (flag(place(*ROLLED_OUT, use=USED), snoozed_until=ago(-1), thresholds=SETTLED), None, 0),
        (flag(staging(), thresholds=NEVER, age=60), 30, 14),
    ],
)
def test_since__reason_is_due_and_no_guard_holds__points_grow_from_then(
    facts: FlagFacts, days: float | None, points: int
) -> None:
    found = judge(facts, NOW)

    assert found.since == (None if days is None else ago(days))
    assert points_of(found, NOW) == points


@given(places, st.floats(30, 400), st.sampled_from(["release", "experiment", "operational"]))
def test_since__whatever_was_found__is_no_guarded_day(where: PlaceFacts, age: float, kind: str) -> None:
    found = judge(flag(where, kind=kind, age=age), NOW)

    if found.since is not None:
        assert ago(age - 30) <= found.since <= NOW
        assert found.since >= min(each.since for each in found.findings)
