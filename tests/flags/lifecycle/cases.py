"""The table of verdicts: situations, and what is to be said of each."""

from dataclasses import replace
from typing import NamedTuple

from flags.lifecycle.facts import Figures, FlagFacts, References, ServiceUse, Use
from flags.lifecycle.thresholds import Thresholds, thresholds_for

from .situations import (
    BACK,
    OVER,
    PARTLY,
    SILENT,
    ago,
    aimed,
    ending,
    flag,
    in_bulk,
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
    # Answers to clients that ask for all flags at once.
    case(
        "in bulk alone: nobody is known to ask, and nobody knows that nobody does",
        flag(place(*ROLLED_OUT, use=in_bulk()), thresholds=Thresholds(unused=30), references=NO_CODE),
        "never_evaluated only_in_config",
        "",
        "medium",
    ),
    case(
        "in bulk alone, and no code was scanned",
        flag(place((150, aimed()), use=in_bulk()), thresholds=Thresholds(unused=30), references=UNSCANNED),
        "never_evaluated",
        "",
        "low",
    ),
    case(
        "in bulk for some days only: figures are missing before",
        flag(place((150, aimed()), figures=PARTLY, use=in_bulk(first=9)), thresholds=Thresholds(unused=30)),
        "",
        "",
        None,
    ),
    case(
        "asked for until 45 days ago, in bulk until now",
        flag(place((150, aimed()), use=in_bulk(use(45))), thresholds=Thresholds(unused=30)),
        "no_evaluations",
        "",
        "low",
    ),
    case(
        "asked for until 20 days ago, in bulk until now",
        flag(place((150, aimed()), use=in_bulk(use(20))), thresholds=Thresholds(unused=30)),
        "",
        "",
        None,
    ),
    case(
        "in bulk until 45 days ago: it is not given any more",
        flag(place((150, aimed()), use=in_bulk(last=45)), thresholds=Thresholds(unused=30)),
        "no_evaluations",
        "",
        "high",
    ),
    case(
        "in bulk and asked for by a service",
        flag(place(*ROLLED_OUT, use=in_bulk(USED)), thresholds=Thresholds(unused=30), references=NEVER_IN_CODE),
        "",
        "",
        None,
        "blocked",
    ),
    case(
        "in bulk in staging alone: that is no proof that it is asked for there",
        flag(place((150, aimed())), staging((150, aimed()), use=in_bulk()), thresholds=Thresholds(unused=30)),
        "never_evaluated",
        "",
        "high",
    ),
    case(
        "in bulk in one of two productions, asked for in neither",
        flag(
            place((150, aimed()), use=in_bulk()),
            place((150, aimed()), key="asia"),
            thresholds=Thresholds(unused=30),
        ),
        "never_evaluated",
        "",
        "low",
    ),
    case(
        "in bulk alone, one variant for everybody who got it: as ever",
        flag(place((150, aimed()), use=in_bulk()), thresholds=Thresholds(one_variant=30)),
        "one_variant",
        "",
        "high",
    ),
    case(
        "in bulk alone, of a new flag with an old key",
        flag(place((31, aimed()), use=in_bulk(use(60, on=60))), age=31, thresholds=Thresholds(unused=30)),
        "never_evaluated",
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
