"""The documents that stages mean: nobody moves out while a share grows, and every way gives the same documents."""

import copy
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from flags.documents import normalise_config, validate_config
from flags.evaluation import FlagSource, Generation, Snapshot, compile_snapshot
from rollouts.plans.codec import InvalidPlan
from rollouts.plans.definition import Patch
from rollouts.plans.patches import documents_at, documents_of, patch_problems, share_of
from tests.flags.strategies import SEGMENT_KEYS, config_documents, segment_documents
from tests.rollouts.plans.shapes import KEY, flag_document, plan, rule, share, split, stage

NOW = datetime(2026, 5, 1, tzinfo=UTC)
ALICE = [f"user-{number}" for number in range(60)]
DIRECT = {"variant": "on"}


def rules_after(document: dict[str, Any], *patches: Patch) -> list[dict[str, Any]]:
    stages = [stage(str(number), patch) for number, patch in enumerate(patches)]
    documents = documents_of(plan(*stages), {KEY: document})
    rules: list[dict[str, Any]] = documents_at(len(stages), base={KEY: document}, documents=documents)[KEY]["rules"]
    return rules


STAFF = {"segment": "staff"}
PLACED = [
    ("no rule yet", [], [share(5_000)], [("rollout", split(on=5_000, off=95_000))]),
    ("behind others", [rule("r1", DIRECT, condition=STAFF)], [share(5_000)],
     [("r1", DIRECT), ("rollout", split(on=5_000, off=95_000))]),
    ("everybody", [], [share(5_000), share(100_000)], [("rollout", DIRECT)]),
    ("nobody", [], [share(0)], [("rollout", split(on=0, off=100_000))]),
    ("keeps its place", [rule("rollout", split(on=1, off=99_999), condition=STAFF), rule("r2", DIRECT)],
     [share(2_000)], [("rollout", split(on=2_000, off=98_000)), ("r2", DIRECT)]),
    ("grows from its own end", [rule("rollout", split(off=75_000, on=25_000))], [share(50_000)],
     [("rollout", split(off=50_000, on=50_000))]),
    ("its own end, after everybody", [rule("rollout", split(off=75_000, on=25_000))], [share(100_000), share(50_000)],
     [("rollout", split(off=50_000, on=50_000))]),
    ("the other one grows", [rule("rollout", split(on=25_000, off=75_000))],
     [Patch(KEY, variant="off", against="on", weight=80_000)], [("rollout", split(on=20_000, off=80_000))]),
    ("the rest gets the default", [], [Patch(KEY, variant="on", weight=1_000)],
     [("rollout", split(on=1_000, off=99_000))]),
    ("what is not said stays", [], [share(1_000), Patch(KEY, weight=2_000)],
     [("rollout", split(on=2_000, off=98_000))]),
    ("a segment", [], [Patch(KEY, variant="on", segment="staff")], [("rollout-staff", DIRECT)]),
    ("a segment before the share", [], [share(1_000), Patch(KEY, segment="staff")],
     [("rollout-staff", DIRECT), ("rollout", split(on=1_000, off=99_000))]),
    ("segments in order", [], [Patch(KEY, variant="on", segment="staff"), Patch(KEY, segment="beta"), share(100_000)],
     [("rollout-staff", DIRECT), ("rollout-beta", DIRECT), ("rollout", DIRECT)]),
    ("takes over the last rule, which is for everyone", [rule("r1", split(on=5_000, off=95_000))], [share(20_000)],
     [("r1", split(on=20_000, off=80_000))]),
    ("a segment before the rule it takes over", [rule("r1", split(on=5_000, off=95_000))],
     [Patch(KEY, variant="on", segment="staff"), share(50_000)],
     [("rollout-staff", DIRECT), ("r1", split(on=50_000, off=50_000))]),
    ("the last rule is for some only", [rule("r1", DIRECT, condition=STAFF)], [share(20_000), share(30_000)],
     [("r1", DIRECT), ("rollout", split(on=30_000, off=70_000))]),
    ("a segment twice", [], [Patch(KEY, variant="on", segment="staff"), Patch(KEY, variant="off", segment="staff")],
     [("rollout-staff", {"variant": "off"})]),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "patches", "expected"), [case[1:] for case in PLACED], ids=[c[0] for c in PLACED])
def test_documents_of__patches__manage_one_rule(rules, patches, expected):
    found = rules_after(flag_document(rules=rules), *patches)

    assert [(item["id"], item["serve"]) for item in found] == expected


def test_documents_of__a_segment__is_the_condition_of_its_rule():
    (found,) = rules_after(flag_document(), Patch(KEY, variant="on", segment="staff"))

    assert found["condition"] == STAFF


def test_documents_of__salt_of_the_rule__is_there_again_after_everybody():
    own = rule("rollout", split(on=10_000, off=90_000), salt="s1", bucket_by="tenant", condition=STAFF)

    everybody = rules_after(flag_document(rules=[own]), share(100_000))
    half = rules_after(flag_document(rules=[own]), share(100_000), share(50_000))

    assert everybody == [rule("rollout", DIRECT, condition=STAFF)]
    assert half == [{**own, "serve": split(on=50_000, off=50_000)}]


def test_documents_of__other_fields__are_set():
    base = flag_document(enabled=False, value_type="boolean")
    patch = Patch(KEY, enabled=True, default_variant="on", values={"on": False})

    (found,) = documents_of(plan(stage("all", patch)), {KEY: base})

    assert found[KEY]["enabled"] is True
    assert found[KEY]["default_variant"] == "on"
    assert [variant["value"] for variant in found[KEY]["variants"]] == [False, False]


def test_documents_of__whole_number_behind_a_float__stays_a_float():
    variants = [{"name": "on", "value": 1.5, "description": ""}, {"name": "off", "value": 0.5, "description": ""}]

    (found,) = documents_of(plan(stage("a", Patch(KEY, values={"on": 2}))), {KEY: flag_document(variants=variants)})

    assert type(found[KEY]["variants"][0]["value"]) is float


def test_documents_of__stage_that_leaves_a_flag__does_not_name_it():
    base = {KEY: flag_document(), "search": flag_document("search")}
    stages = [stage("a", share(1_000), share(1_000, key="search")), stage("b", share(2_000))]

    documents = documents_of(plan(*stages, flags=("search", KEY)), base)

    assert [list(changed) for changed in documents] == [["search", KEY], [KEY]]
    assert documents_at(0, base=base, documents=documents) == base
    assert documents_at(2, base=base, documents=documents) == {KEY: documents[1][KEY], "search": documents[0]["search"]}


def test_documents_of__base__is_left_as_it_was():
    base = {KEY: flag_document(rules=[rule("rollout", split(on=1_000, off=99_000))])}
    before = copy.deepcopy(base)

    documents_of(plan(stage("a", share(2_000, values={"on": False}))), base)

    assert base == before


WRONG = [
    (Patch("search", weight=1), "flag_key", "none of the flags"),
    (Patch(KEY, variant="onn", weight=1), "variant", "Choose one of “on”, “off”"),
    (Patch(KEY, variant="on", against="of", weight=1), "against", "Choose one of"),
    (Patch(KEY, default_variant="x"), "default_variant", "Choose one of"),
    (Patch(KEY, values={"x": 1}), "values", "to give a value"),
    (Patch(KEY, variant="on", weight=100_001), "weight", "0 % to 100 %"),
    (Patch(KEY, variant="on", weight=-1), "weight", "0 % to 100 %"),
    (Patch(KEY, weight=1), "variant", "which variant grows"),
    (Patch(KEY, variant="on", against="on", weight=1), "against", "against itself"),
    (Patch(KEY, variant="off", weight=1), "against", "against itself"),
    (Patch(KEY, segment="staff"), "variant", "which variant the members"),
    (Patch(KEY, segment="", variant="on"), "segment", "1 to 92"),
    (Patch(KEY, segment="s" * 93, variant="on"), "segment", "1 to 92"),
]


@pytest.mark.parametrize(("patch", "field", "words"), WRONG)
def test_documents_of__patch_that_cannot_be_made__says_where_and_why(patch, field, words):
    with pytest.raises(InvalidPlan) as caught:
        documents_of(plan(stage("a", patch)), {KEY: flag_document()})

    (problem,) = caught.value.facts["problems"]
    assert problem["path"] == f"stages.0.patches.0.{field}"
    assert words in problem["message"]


def test_documents_of__third_variant_in_the_split__is_refused():
    variants = [{"name": name, "value": True, "description": ""} for name in ("on", "off", "blue")]
    base = flag_document(variants=variants, rules=[rule("rollout", split(blue=1_000, on=1_000, off=98_000))])

    with pytest.raises(InvalidPlan, match="gives 1 % to “blue”"):
        documents_of(plan(stage("a", share(2_000))), {KEY: base})


SHARES = [
    (flag_document(), "on", 0),
    (flag_document(), "off", 100_000),
    (flag_document(default_variant=None), "off", 0),
    (flag_document(enabled=False, rules=[rule("rollout", DIRECT)]), "on", 0),
    (flag_document(enabled=False), "off", 100_000),
    (flag_document(rules=[rule("rollout", DIRECT)]), "on", 100_000),
    (flag_document(rules=[rule("rollout", DIRECT)]), "off", 0),
    (flag_document(rules=[rule("rollout", split(on=5_000, off=95_000))]), "off", 95_000),
    (flag_document(rules=[rule("r1", DIRECT, condition=STAFF)]), "on", 0),
    (flag_document(rules=[rule("r1", DIRECT)]), "on", 100_000),
]


@pytest.mark.parametrize(("document", "variant", "weight"), SHARES)
def test_share_of__documents__is_what_the_managed_rule_serves(document, variant, weight):
    assert share_of(document, variant) == weight


def served(document: dict[str, Any], segments: dict[str, Any], generation: Generation, variant: str) -> set[str]:
    flags = {KEY: FlagSource("boolean", document, 1)}
    compiled = compile_snapshot(Snapshot("shop", "id", "production", 7, generation, flags, segments, False))
    contexts = [{"targetingKey": key} for key in ALICE] + [{"country": "NO", "plan": "a"}]
    return {
        str(context.get("targetingKey"))
        for context in contexts
        if compiled.evaluate(KEY, context, NOW).variant == variant
    }


@st.composite
def growing(draw: st.DrawFn) -> tuple[dict[str, Any], str, str, list[int]]:
    """A random document, perhaps with a managed rule already, two variants of it, and weights that rise from there."""
    document = draw(config_documents("boolean").filter(lambda item: len(item["variants"]) > 1))
    names = [variant["name"] for variant in document["variants"]]
    variant, against = draw(st.permutations(names))[:2]
    document = {**document, "enabled": True, "prerequisites": [], "rules": document["rules"][:1]}
    weights = sorted(draw(st.lists(st.integers(0, 10).map(lambda tenths: tenths * 10_000), min_size=2, max_size=5)))
    if draw(st.booleans()):
        first = weights[0]
        shares = {variant: first, against: 100_000 - first}
        ordered = dict(draw(st.permutations(list(shares.items()))))
        own = draw(st.fixed_dictionaries({}, optional={"salt": st.sampled_from(["s1", "s2"])}))
        place = draw(st.integers(0, len(document["rules"])))
        document["rules"].insert(place, rule("rollout", split(**ordered), **own))
    # A plan that would have to tell three variants apart is refused, which another test shows.
    assume(
        not patch_problems(plan(stage("a", Patch(KEY, variant=variant, against=against, weight=1))), {KEY: document})
    )
    return normalise_config(document), variant, against, weights


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    growing(), st.fixed_dictionaries({key: segment_documents() for key in SEGMENT_KEYS}), st.sampled_from(Generation)
)
def test_documents_of__growing_weight__takes_the_variant_from_nobody(changing, segments, generation):
    document, variant, against, weights = changing
    stages = [
        stage(str(number), Patch(KEY, variant=variant, against=against, weight=weight))
        for number, weight in enumerate(weights)
    ]
    definition = plan(*stages)

    documents = documents_of(definition, {KEY: document})

    ways = [documents_at(number, base={KEY: document}, documents=documents)[KEY] for number in range(len(stages) + 1)]
    if not any(item["id"] == "rollout" for item in document["rules"]):
        ways = ways[1:]
    people = [served(way, segments, generation, variant) for way in ways]
    assert all(before <= after for before, after in pairwise(people))
    assert {way["salt"] for way in ways} == {document["salt"]}
    assert documents_of(definition, {KEY: document}) == documents
    assert not any(validate_config(way, value_type="boolean", segment_keys=SEGMENT_KEYS) for way in ways)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(growing(), st.lists(st.integers(0, 100_000), min_size=1, max_size=5))
def test_documents_of__back_and_forth__gives_the_same_documents(changing, weights):
    document, variant, against, _ = changing
    there_and_back = [*weights, *weights[::-1], *weights]
    stages = [
        stage(str(number), Patch(KEY, variant=variant, against=against, weight=weight))
        for number, weight in enumerate(there_and_back)
    ]

    documents = documents_of(plan(*stages), {KEY: document})

    found: dict[int, dict[str, Any]] = {}
    for number, weight in enumerate(there_and_back, start=1):
        served_then = documents_at(number, base={KEY: document}, documents=documents)[KEY]
        assert found.setdefault(weight, served_then) == served_then
