"""Text into manifests: what comes back is what was written, and every problem has its line."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings

from rollouts.manifest.checking import Known, normal_form, problems_of
from rollouts.manifest.errors import InvalidManifest
from rollouts.manifest.nodes import MAX_BYTES, MAX_DEPTH, compose
from rollouts.manifest.reading import read_manifest
from rollouts.manifest.writing import in_order, write_manifest
from tests.rollouts.manifest.shapes import VALUES, manifests

EMPTY = Known()
HEAD = "version: 1\nproject: {key: shop}\n"


def judged(text: str | bytes, known: Known | None) -> None:
    """Read and check a text."""
    reading = read_manifest(text)
    reading.refuse(problems_of(reading.manifest, known))


def problems(text: str | bytes, known: Known | None = EMPTY) -> list[tuple[str, int, str]]:
    """Path, line and message of everything that is wrong with a text, in an empty project unless it is not known."""
    with pytest.raises(InvalidManifest) as caught:
        judged(text, known)
    return [(item["path"], item["line"], item["message"]) for item in caught.value.facts["problems"]]


@settings(max_examples=60)
@given(manifest=manifests())
def test_manifest__written_and_read__is_the_same(manifest: dict[str, Any]) -> None:
    text = write_manifest(manifest)
    read = read_manifest(text).manifest

    assert read == manifest
    assert normal_form(read, Known()) == manifest
    assert write_manifest(read) == text


@settings(max_examples=150)
@given(value=VALUES)
def test_value__written_and_read__is_the_same(value: Any) -> None:
    assert repr(compose(write_manifest({"value": value})).plain()) == repr(in_order({"value": value}))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("NO", "NO"),
        ("yes", "yes"),
        ("True", "True"),
        ("true", True),
        ("null", None),
        ("", None),
        ("007", "007"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-11-21", "2026-11-21"),
        (".inf", ".inf"),
        ("-12", -12),
        ("1e3", 1000.0),
        ("1.50", 1.5),
        ('"1"', "1"),
        ("'true'", "true"),
    ],
)
def test_word_without_quotes__read__is_what_yaml_1_2_says(text: str, value: Any) -> None:
    assert repr(compose(f"a: {text}").plain()) == repr({"a": value})


HOSTILE: dict[str, tuple[str | bytes, int, str]] = {
    "a bomb of aliases": ("a: &a [x]\nb: [*a, *a]\n", 1, "Anchors"),
    "an alias of nothing": ("a: *nobody\n", 1, "Anchors"),
    "a tag that would make objects": ("a: !!python/object/apply:os.system [ls]\n", 1, "Tags"),
    "a tag of a time": ("a: !!timestamp 2026-01-01\n", 1, "Tags"),
    "a merge": ("a: {}\nb:\n  <<: {c: 1}\n", 3, "Merges"),
    "a key twice": ("a: 1\nb: 2\na: 3\n", 3, "there already, on line 1"),
    "a key that is a list": ("? [a]\n: 1\n", 1, "A key must be text"),
    "a second document": ("a: 1\n---\nb: 2\n", 2, "A second document"),
    "no document": ("# nothing\n", 1, "empty"),
    "no YAML": ("a: [1\nb: 2\n", 2, "no YAML"),
    "deep lists": ("a: " + "[" * (MAX_DEPTH + 5) + "]" * (MAX_DEPTH + 5), 1, "nested more than"),
    "very deep lists": ("[" * 900 + "]" * 900, 1, "nested more than"),
    "a number beyond all bounds": ("a: 1e999\n", 1, "too large"),
    "a control character": ("a: 1\nb: \x07\n", 2, "U+0007"),
    "a byte of nothing": ("a: 1\r\nb: 1\r\nc: \x00\n", 3, "U+0000"),
    "the same as an escape": ('a: 1\nb: "shop\\0"\n', 2, "U+0000"),
    "the same in a key": ('a: 1\n"b\\0": 1\n', 2, "U+0000"),
    "a tab for blanks": ("a:\n\tb: 1\n", 2, "no YAML"),
    "a byte order mark amid": ("a: 1\n\ufeffb: 1\n", 2, "no YAML"),
    "half a character as an escape": ('a: "\\ud800"\n', 1, "no YAML"),
    "a tag with a prefix": ("%TAG !e! tag:yaml.org,2002:python/\n---\na: !e!none x\n", 3, "Tags"),
    "a bomb of nine levels": (
        "a: &a [x, x]\n" + "".join(f"{n}: &{n} [*{b}, *{b}]\n" for b, n in itertools.pairwise("abcdefghi")),
        1,
        "Anchors",
    ),
    "a key in two spellings of quotes": ("a: 1\n'a': 2\n", 2, "there already, on line 1"),
    "a key that is a mapping": ("a: 1\n? {b: 1}\n: 2\n", 2, "A key must be text"),
    "a long list of lists": ("[" * 1_000_000, 1, "nested more than"),
    "deep blocks": ("\n".join(" " * deep + "a:" for deep in range(MAX_DEPTH + 5)), MAX_DEPTH + 1, "nested more than"),
    "text behind the end": ("a: 1\n...\nb\n", 3, "no YAML"),
    "too many bytes": ("#" * (MAX_BYTES + 1), 0, "larger than"),
    "half a character": ("a: 1\nb: \ud800\n", 2, "UTF-8"),
    "Latin-1": (b"a: \xc3\xa9\nb: \xe9\n", 2, "UTF-8"),
    "UTF-16": ("a: 1\n".encode("utf-16"), 1, "UTF-8"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text__read__is_refused_at_its_line(name: str) -> None:
    text, line, words = HOSTILE[name]

    found = problems(text)

    assert [(place, words in message) for _, place, message in found] == [(line, True)]


HARMLESS: dict[str, str | bytes] = {
    "a byte order mark": "\ufeff" + HEAD,
    "the same as bytes": b"\xef\xbb\xbf" + HEAD.encode(),
    "breaks of Windows": HEAD.replace("\n", "\r\n"),
    "breaks of old": HEAD.replace("\n", "\r"),
    "a tab behind a colon": HEAD.replace(": 1", ":\t1"),
    "a version of YAML": f"%YAML 1.1\n---\n{HEAD}...\n",
    "JSON": '{"version": 1, "project": {"key": "shop"}}',
    "comments": f"# &anchor *alias !tag <<\n{HEAD}",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_text_of_another_make__read__says_the_same(name: str) -> None:
    assert read_manifest(HARMLESS[name]).manifest == {"version": 1, "project": {"key": "shop"}}


CONFIG = "environments:\n  production:\n    flags:\n      checkout:\n        config:\n"
FLAG = "flags:\n  checkout: {name: Checkout, kind: release, value_type: boolean}\n"
VARIANTS = "          variants: [{name: on, value: true}, {name: off, value: false}]\n"
STAGE = "environments.p.plans[0].definition.stages[0]"


def stage(text: str) -> str:
    """A manifest with a plan of this one stage, on line 5."""
    definition = f"definition: {{flags: [a], strategy: custom, stages: [{{name: A, {text}}}]}}"
    return f"{HEAD}environments:\n  p:\n    plans: [{{title: A, {definition}}}]\n"


WRONG = {
    "an unknown field": (f"{HEAD}flagz: {{}}\n", "flagz", 3, "not known"),
    "an unknown field of a flag": (f"{HEAD}flags:\n  a:\n    nam: A\n", "flags.a.nam", 5, "not known"),
    "a field in letters that look alike": (f"{HEAD}fl\u0430gs: {{}}\n", "fl\u0430gs", 3, "not known"),
    "a field with a blank of no width": (f"{HEAD}flags\u200b: {{}}\n", "flags\u200b", 3, "not known"),
    "a flag in letters that look alike": (
        f"{HEAD}flags:\n  checkout: {{name: A, kind: release, value_type: boolean}}\n  \u0441heckout: {{}}\n",
        "flags.\u0441heckout",
        5,
        "other alphabets",
    ),
    "a key that is no key": (
        f"{HEAD}environments:\n  p:\n    segments:\n      a b: {{name: A, condition: null}}\n",
        "environments.p.segments.a b",
        6,
        "A key starts with",
    ),
    "a key that is a number": (f"{HEAD}1: x\n", "1", 3, "not known"),
    "a key that is a truth value": (f"{HEAD}true: x\n", "true", 3, "not known"),
    "a key that is nothing": (f"{HEAD}~: x\n", "~", 3, "not known"),
    "a merge in quotes": (f"{HEAD}'<<': {{}}\n", "<<", 3, "not known"),
    "a number for text": (f"{HEAD}flags:\n  a: {{name: 12}}\n", "flags.a.name", 4, "valid string"),
    "a list for a mapping": (f"{HEAD}flags: [a]\n", "flags", 3, "Names and values belong here"),
    "a number of many digits": (
        f"{HEAD}environments:\n  p:\n    position: {'9' * 5_000}\n",
        "environments.p.position",
        5,
        "integer",
    ),
    "no version": ("project: {key: shop}\n", "version", 1, "missing"),
    "another version": ("version: 2\nproject: {key: shop}\n", "version", 1, "1"),
    "a word for a number": (f"{HEAD}environments:\n  p:\n    position: one\n", "environments.p.position", 5, "integer"),
    "a new flag without kind": (f"{HEAD}flags:\n  a: {{name: A}}\n", "flags.a", 4, "kind, value_type"),
    "a config of no flag": (
        f"{HEAD}{CONFIG}          enabled: true\n",
        "environments.production.flags.checkout",
        6,
        "There is no flag checkout",
    ),
    "a variant that is not there": (
        f"{HEAD}{FLAG}{CONFIG}{VARIANTS}          enabled: true\n          off_variant: off\n"
        "          default_variant: maybe\n",
        "environments.production.flags.checkout.config.default_variant",
        13,
        "Choose one of the variants",
    ),
    "a plan of another shape": (
        f"{HEAD}environments:\n  p:\n    plans:\n    - title: A\n      "
        "definition: {flags: [a], stages: [], strategy: fast}\n",
        "environments.p.plans[0].definition.strategy",
        7,
        "Input should be",
    ),
    "a word for yes": (stage("patches: [{flag_key: a, enabled: 'on'}]"), f"{STAGE}.patches[0].enabled", 5, "boolean"),
    "digits in quotes": (stage("patches: [{flag_key: a, weight: '5'}]"), f"{STAGE}.patches[0].weight", 5, "integer"),
    "a number for a time": (
        stage("patches: [], gates: {not_before: 1790000000}"),
        f"{STAGE}.gates.not_before",
        5,
        "valid datetime",
    ),
    "a time that no calendar reaches": (
        stage("patches: [], gates: {not_before: '0001-01-01T00:00:00+23:00'}"),
        f"{STAGE}.gates.not_before",
        5,
        "The calendar does not reach this time",
    ),
    "a time after the last": (
        stage("patches: [], gates: {not_before: '9999-12-31T23:59:59-12:00'}"),
        f"{STAGE}.gates.not_before",
        5,
        "The calendar does not reach this time",
    ),
    "a rule of no shape": (f"{HEAD}policy_rules:\n  a: {{name: A}}\n", "policy_rules.a", 4, "A rule is an object"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_manifest__with_a_mistake__names_path_and_line(name: str) -> None:
    text, path, line, words = WRONG[name]

    found = problems(text)

    assert [(place, number, words in message) for place, number, message in found] == [(path, line, True)]


FLAGS = "flags:\n  a: {name: A, kind: release, value_type: boolean"
PLACE = "environments:\n  p:\n    "
POLICY = "policy: {required_approvals: %s, named_approvers: [%s], expires_after_hours: %s}"
TEMPLATE = "plan_templates:\n  t: {name: T, definition: {flags: [a], strategy: custom, stages: []}}\n"
MILESTONES = "[{kind: sunset, at: '2026-12-01T09:00:00Z', minutes: -5}]"
BY_ITSELF = {
    "a key with a blank": (f"{HEAD}flags:\n  Bad Key!: {{}}\n", "flags.Bad Key!", 4),
    "a flag of no name": (f"{HEAD}flags:\n  a: {{name: ' '}}\n", "flags.a.name", 4),
    "a long tag": (f"{HEAD}{FLAGS}, tags: [b, {'t' * 41}]}}\n", "flags.a.tags[1]", 4),
    "a link that runs": (f"{HEAD}{FLAGS}, links: ['javascript:alert(1)']}}\n", "flags.a.links[0]", 4),
    "approvals below none": (f"{HEAD}{PLACE}{POLICY % (-3, '', 24)}\n", "environments.p.policy.required_approvals", 5),
    "more approvals than names": (
        f"{HEAD}{PLACE}{POLICY % (2, 'abel', 24)}\n",
        "environments.p.policy.named_approvers",
        5,
    ),
    "a life of no time": (f"{HEAD}{PLACE}{POLICY % (1, '', 0)}\n", "environments.p.policy.expires_after_hours", 5),
    "a template without stages": (f"{HEAD}{TEMPLATE}", "plan_templates.t.definition.flags", 4),
    "a plan without stages": (
        f"{HEAD}{PLACE}plans: [{{title: A, definition: {{flags: [a], strategy: custom, stages: []}}}}]\n",
        "environments.p.plans[0].definition.stages",
        5,
    ),
    "a soak below none": (
        stage("patches: [{flag_key: a, enabled: true}], gates: {soak_minutes: -1}"),
        f"{STAGE}.gates.soak_minutes",
        5,
    ),
    "a timeline without announcement": (
        f"{HEAD}{PLACE}flags: {{a: {{timeline: {{definition: {{flag_key: a, milestones: {MILESTONES}}}}}}}}}\n",
        "environments.p.flags.a.timeline.definition.milestones",
        5,
    ),
    "a config that serves a variant that is not there": (
        f"{HEAD}{PLACE}flags: {{a: {{config: {{enabled: true, variants: [{{name: x, value: 1}}], off_variant: x, "
        "default_variant: y}}}\n",
        "environments.p.flags.a.config.default_variant",
        5,
    ),
}


@pytest.mark.parametrize("name", BY_ITSELF)
def test_manifest_that_cannot_be__validated_where_nobody_knows_the_project__names_path_and_line(name: str) -> None:
    text, path, line = BY_ITSELF[name]

    found = problems(text, None)

    assert (path, line) in [(place, number) for place, number, _ in found]


PARTS = {
    "a flag that is described anew": f"{HEAD}flags:\n  a: {{description: Anew}}\n",
    "a config of a flag elsewhere": f"{HEAD}{PLACE}flags:\n      a:\n        config:\n{VARIANTS}"
    "          enabled: true\n          off_variant: off\n          default_variant: off\n"
    "          rules: [{condition: {segment: elsewhere}, serve: {variant: on}}]\n",
    "a plan of a flag elsewhere": stage("patches: [{flag_key: a, enabled: true}]"),
}


@pytest.mark.parametrize("name", PARTS)
def test_part_of_a_project__validated_where_nobody_knows_the_rest__can_be_used(name: str) -> None:
    reading = read_manifest(PARTS[name])

    assert problems_of(reading.manifest, None) == []


def test_plan_of_no_flag__checked_with_the_project__is_told() -> None:
    found = problems(PARTS["a plan of a flag elsewhere"])

    assert [(path, line) for path, line, _ in found] == [("environments.p.plans[0].definition.flags[0]", 5)]


def test_thousands_of_mistakes__read__are_a_hundred_told() -> None:
    found = problems(HEAD + "".join(f"x{number}: 1\n" for number in range(2_000)))

    assert [(path, line) for path, line, _ in found] == [(f"x{number}", number + 3) for number in range(100)]


def test_list_of_what_is_no_text__read__is_told_once() -> None:
    found = problems(f"{HEAD}flags:\n  a:\n    tags: [{', '.join(['1'] * 500)}]\n")

    assert [(path, line) for path, line, _ in found] == [("flags.a.tags[0]", 5)]


def test_values_beyond_what_may_be__read__are_refused_where_they_begin() -> None:
    text = f"{HEAD}flags:\n  a:\n    tags: [{', '.join(['x'] * 1_000)}]\n"

    with pytest.raises(InvalidManifest, match=r"more than 500 values"):
        read_manifest(text, most=500)
    assert len(read_manifest(text).manifest["flags"]["a"]["tags"]) == 1_000


def test_two_mistakes__read__are_both_told_in_the_order_of_the_text() -> None:
    found = problems(f"{HEAD}flags:\n  b: {{nam: 1}}\n  a: {{kid: 2}}\n")

    assert [(path, line) for path, line, _ in found] == [("flags.b.nam", 4), ("flags.a.kid", 5)]


def test_export__with_yaml_1_1__means_the_same() -> None:
    """Other tools read it too: what they would take for a truth value or a time stands in quotes."""
    text = write_manifest({"variants": ["on", "no", "12:30", "1e3", "2026-11-21", "0o17"]})

    assert text.count("'") >= 2 * 5
