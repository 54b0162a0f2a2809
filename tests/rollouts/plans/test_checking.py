"""What is wrong with a plan, said where it is wrong."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from rollouts.plans.checking import checked_documents, narrowings, problems_of
from rollouts.plans.codec import InvalidPlan
from rollouts.plans.definition import Check, CheckKind, GuardAction, GuardSource, MetricKind, Patch, PlanDefinition
from rollouts.plans.patches import documents_of
from tests.rollouts.plans.shapes import KEY, flag_document, guard, plan, rule, share, split, stage

FINE = plan(stage("5 %", share(5_000), soak_minutes=30), stage("all", share(100_000)), guards=(guard(),))
BASE = {KEY: flag_document(), "search": flag_document("search")}
HTTP = Check("Smoke test", CheckKind.HTTP, url="https://example.org/health")
ASK = Check("Errors", CheckKind.PROMETHEUS, query="up")


def with_gates(**gates: Any) -> PlanDefinition:
    return replace(FINE, stages=(stage("5 %", share(5_000), **gates), stage("all", share(100_000))))


def with_guard(**fields: Any) -> PlanDefinition:
    return replace(FINE, guards=(replace(guard(), **fields),))


def with_options(**options: Any) -> PlanDefinition:
    return replace(FINE, options=replace(FINE.options, **options))


def many(amount: int) -> PlanDefinition:
    return replace(FINE, stages=tuple(stage(str(number), share(number + 1)) for number in range(amount)))


SLOW = replace(guard(), kind=MetricKind.LATENCY, limit=800.0)
WRONG: list[tuple[PlanDefinition, str, str]] = [
    (replace(FINE, flags=()), "flags", "Choose at least one flag"),
    (replace(FINE, flags=tuple(map(str, range(21)))), "flags", "at most 20 flags"),
    (replace(FINE, flags=(KEY, KEY)), "flags", "listed 2 times"),
    (replace(FINE, flags=(KEY, "nothing")), "flags", "There is no flag “nothing”"),
    (replace(FINE, flags=(KEY, "search")), "flags", "No stage changes “search”"),
    (replace(FINE, stages=()), "stages", "at least one stage"),
    (many(31), "stages", "at most 30 stages"),
    (plan(stage("a", share(1)), stage("a", share(2))), "stages.1.name", "2 stages are called “a”"),
    (plan(stage("", share(1))), "stages.0.name", "the name of the stage"),
    (plan(stage("a")), "stages.0.patches", "changes nothing"),
    (plan(stage("a", share(1)), stage("b", share(1))), "stages.1.patches", "not so already"),
    (plan(stage("a", share(-1))), "stages.0.patches.0.weight", "from 0 % to 100 %"),
    (with_gates(soak_minutes=-1), "stages.0.gates.soak_minutes", "from 0 to"),
    (with_gates(soak_minutes=1 + 90 * 1_440), "stages.0.gates.soak_minutes", "from 0 to"),
    (with_gates(not_before=datetime(2026, 1, 1)), "stages.0.gates.not_before", "time zone"),  # noqa: DTZ001
    (with_gates(approvals=11), "stages.0.gates.approvals", "0 to 10"),
    (with_gates(minimum_sample=-1), "stages.0.gates.minimum_sample", "number of people"),
    (replace(with_gates(minimum_sample=1), guards=()), "stages.0.gates.minimum_sample", "Nobody counts"),
    (replace(with_gates(is_monitored=True, soak_minutes=1), guards=()), "stages.0.gates.is_monitored", "needs a guard"),
    (with_gates(is_monitored=True), "stages.0.gates.soak_minutes", "needs some time"),
    (with_gates(checks=(HTTP, HTTP)), "stages.0.gates.checks.1.name", "2 checks"),
    (with_gates(checks=(replace(HTTP, url="ftp://x"),)), "stages.0.gates.checks.0.url", "https://"),
    (with_gates(checks=(replace(ASK, query=" "),)), "stages.0.gates.checks.0.query", "Give the query"),
    (with_gates(checks=(replace(ASK, operator="=~"),)), "stages.0.gates.checks.0.operator", "Compare by"),
    (with_gates(checks=tuple(replace(HTTP, name=str(n)) for n in range(6))), "stages.0.gates.checks", "at most 5"),
    (with_options(rollback_to="middle"), "options.rollback_to", "last_good"),
    (with_options(alpha=0), "options.alpha", "above 0"),
    (with_options(hold_back=50_001), "options.hold_back", "0 % to 50 %"),
    (with_options(hold_back=5_000), "stages.1.patches.0.weight", "5 % that the plan holds back"),
    (replace(FINE, guards=tuple(guard(f"m{n}") for n in range(11))), "guards", "at most 10 guards"),
    (replace(FINE, guards=(guard(), guard())), "guards.0.metric", "watched 2 times"),
    (with_guard(metric=""), "guards.0.metric", "metric of the guard"),
    (with_guard(flag_key="search2"), "guards.0.flag_key", "none of this plan's"),
    (with_guard(treatment="onn"), "guards.0.treatment", "Choose one of"),
    (with_guard(control="on"), "guards.0.control", "compared with itself"),
    (with_guard(margin=-0.1), "guards.0.margin", "beyond 1"),
    (with_guard(margin=1.0), "guards.0.tolerable", "above x2"),
    (with_guard(minimum_sample=0), "guards.0.minimum_sample", "at least one person"),
    (with_guard(weight=0), "guards.0.weight", "above 0"),
    (with_guard(design_effect=0.5), "guards.0.design_effect", "1 or more"),
    (with_guard(stale_after_minutes=0), "guards.0.stale_after_minutes", "one minute"),
    (with_guard(missing_after_minutes=15), "guards.0.missing_after_minutes", "after it was stale"),
    (with_guard(source=GuardSource.PROMETHEUS), "guards.0.queries", "all 4 queries"),
    (with_guard(limit=800.0), "guards.0.limit", "Only a guard on slow answers"),
    (replace(FINE, guards=(replace(SLOW, limit=0.0),)), "guards.0.limit", "above 0"),
    (replace(FINE, guards=(replace(SLOW, limit=3_600_001.0),)), "guards.0.limit", "at most 3,600,000"),
    (with_guard(queries={"n": "up"}), "guards.0.queries", "no query “n”"),
    (with_guard(on_missing=GuardAction.ROLL_BACK), "guards.0.on_missing", "critical"),
    (with_guard(on_stale=GuardAction.ROLL_BACK), "guards.0.on_stale", "no reason to roll back"),
    (with_guard(on_probe_error=GuardAction.ROLL_BACK), "guards.0.on_probe_error", "no reason to roll back"),
]  # fmt: skip


@pytest.mark.parametrize(("definition", "path", "words"), WRONG)
def test_checked_documents__something_wrong__says_where_and_why(definition, path, words):
    with pytest.raises(InvalidPlan) as caught:
        checked_documents(definition, BASE)

    assert [item for item in caught.value.facts["problems"] if item["path"] == path and words in item["message"]]


@pytest.mark.parametrize("definition", [FINE, with_gates(checks=(HTTP, ASK)), many(30), replace(FINE, guards=(SLOW,))])
def test_checked_documents__nothing_wrong__are_the_documents(definition):
    documents = checked_documents(definition, BASE)

    assert documents == documents_of(definition, BASE)
    assert problems_of(definition, BASE, documents) == []


EVERYBODY = rule("r1", split(on=1_000, off=99_000))
SHADOWED = [
    ([EVERYBODY], False),
    ([rule("r1", {"variant": "on"})], False),
    ([EVERYBODY, {**EVERYBODY, "id": "r2"}], True),
    ([EVERYBODY, {**EVERYBODY, "id": "r2", "condition": {"segment": "staff"}}], True),
    ([EVERYBODY, rule("rollout", split(on=1, off=99_999))], True),
    ([rule("rollout", split(on=1, off=99_999)), EVERYBODY], False),
    ([{**EVERYBODY, "condition": {"segment": "staff"}}], False),
    ([{**EVERYBODY, "ends_at": "2026-01-01T00:00:00Z"}], False),
]


@pytest.mark.parametrize(("rules", "is_shadowed"), SHADOWED)
def test_problems_of__rule_for_everyone_first__nobody_comes_to_the_plans_rule(rules, is_shadowed):
    base = {KEY: flag_document(rules=rules)}
    definition = plan(stage("a", share(5_000)))

    problems = problems_of(definition, base, documents_of(definition, base))

    assert any("Nobody comes to the plan's rule" in message for _, message in problems) is is_shadowed


def test_problems_of__segment_behind_a_rule_for_everyone__is_found_once():
    base = {KEY: flag_document(rules=[EVERYBODY, {**EVERYBODY, "id": "r2"}])}
    definition = plan(
        stage("a", Patch(KEY, variant="on", segment="staff")), stage("b", Patch(KEY, variant="on", segment="beta"))
    )

    problems = problems_of(definition, base, documents_of(definition, base))

    assert [path for path, _ in problems] == ["stages.0.patches"]


def test_problems_of__monitored_without_anybody_to_compare_with__is_refused():
    definition = plan(stage("all", share(100_000), is_monitored=True, soak_minutes=5), guards=(guard(),))

    problems = problems_of(definition, BASE, documents_of(definition, BASE))

    assert [path for path, _ in problems] == ["stages.0.gates.is_monitored"]


def test_problems_of__flag_off_all_the_way__is_refused():
    base = {KEY: flag_document(enabled=False)}

    def found(*patches: Patch) -> list[str]:
        definition = plan(*(stage(str(number), patch) for number, patch in enumerate(patches)))
        return [message for _, message in problems_of(definition, base, documents_of(definition, base))]

    assert "switched off in every stage" in found(share(5_000))[0]
    assert found(share(5_000, enabled=True)) == []
    assert found(share(5_000), Patch(KEY, enabled=True)) == []


BLUE = [{"name": name, "value": name, "description": ""} for name in ("blue", "green", "off")]
COLOURS = flag_document(variants=BLUE, default_variant="blue")
BLUE_FOR_SOME = {"deprecated_at": "2026-01-01T00:00:00Z", "withdrawal": {"weight": 20_000, "serves": "blue"}}
ON_20 = flag_document(rules=[rule("rollout", split(on=20_000, off=80_000))])

NARROWED = [
    ("growing share", flag_document(), [share(5_000), share(50_000), share(100_000)], []),
    ("switched on while it grows", flag_document(enabled=False), [share(5_000, enabled=True), share(100_000)], []),
    ("smaller first share", ON_20, [share(5_000), share(50_000)], [1]),
    ("share falls on the way", flag_document(), [share(50_000), share(10_000), share(100_000)], [2]),
    ("switched off", flag_document(), [share(50_000), Patch(KEY, enabled=False)], [2]),
    ("off before, share falls", flag_document(enabled=False), [share(5_000), share(1_000), share(9_000, enabled=True)],
     []),
    ("everybody had it", flag_document(default_variant="on"), [share(5_000)], [1]),
    ("one for another", COLOURS, [Patch(KEY, variant="green", against="blue", weight=50_000)], []),
    ("others lose theirs", COLOURS, [Patch(KEY, variant="green", against="off", weight=50_000)], [1]),
    ("beside a withdrawal", {**COLOURS, "deprecation": BLUE_FOR_SOME},
     [Patch(KEY, variant="green", against="blue", weight=50_000)], []),
    ("new value", COLOURS, [Patch(KEY, values={"blue": "navy"})], []),
    ("value of off", COLOURS, [Patch(KEY, values={"blue": "off"})], [1]),
    ("segments, then all", flag_document(), [Patch(KEY, variant="on", segment="staff"), share(100_000)], []),
    ("segment put back", flag_document(),
     [Patch(KEY, variant="on", segment="staff"), Patch(KEY, variant="off", segment="staff"), share(9_000)], [2]),
]  # fmt: skip


@pytest.mark.parametrize(("base", "patches", "expected"), [c[1:] for c in NARROWED], ids=[c[0] for c in NARROWED])
def test_narrowings__stages__are_those_that_take_something_away(base, patches, expected):
    definition = plan(*(stage(str(number), patch) for number, patch in enumerate(patches)))
    segments = {"staff": {"schema": 1, "condition": {"attribute": "plan", "operator": "equals", "value": "staff"}}}

    found = narrowings(definition, {KEY: base}, documents_of(definition, {KEY: base}), segments)

    assert [item.stage for item in found] == expected
    assert all(item.flag_key == KEY and item.sentence.endswith(".") for item in found)


def test_narrowings__falling_share__says_from_where_to_where():
    definition = plan(stage("a", share(50_000)), stage("b", share(10_000)))

    (found,) = narrowings(definition, BASE, documents_of(definition, BASE), {})

    assert found.sentence == "The share of “on” falls from 50 % to 10 %."


def test_narrowings__flag_that_requires_another_of_the_plan__is_told_apart():
    child = flag_document("search", prerequisites=[{"flag": KEY, "variants": ["on"]}])
    base = {KEY: flag_document(), "search": child}
    definition = plan(
        stage("a", share(50_000), share(50_000, key="search")),
        stage("b", share(10_000)),
        flags=(KEY, "search"),
    )

    found = narrowings(definition, base, documents_of(definition, base), {})

    assert [(item.stage, item.flag_key) for item in found] == [(2, KEY), (2, "search")]
