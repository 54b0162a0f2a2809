"""A small definition cannot ask for much work: what grows while it is read is refused, and nothing hangs."""

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from flags.documents.schema import MAX_CONDITIONS, MAX_RULES
from flags.interop import Grade, flagd_effort, read_definition

X = {"var": "x"}
FINE = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
LONG_TEXT = "x" * 400_000


@pytest.fixture(autouse=True)
def _nothing_hangs() -> Iterator[None]:
    """Each of these took from half a minute to for ever."""

    def give_up(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def equal(number: int) -> dict[str, Any]:
    return {"===": [{"var": f"a{number}"}, "v"]}


def flag(targeting: Any) -> dict[str, Any]:
    return {**FINE, "targeting": targeting}


def nested_ifs(levels: int) -> Any:
    logic = equal(0)
    for number in range(levels):
        logic = {"if": [logic, equal(number + 1), equal(number + 100)]}
    return logic


def nested_rules(condition: Any, *, inner: int) -> Any:
    """One condition that every one of the rules behind it repeats."""
    rules = [part for number in range(inner) for part in (equal(number), "on")]
    return {"if": [condition, {"if": [*rules, "off"]}, "off"]}


def referring(name: str, times: int) -> Any:
    return {"if": [part for _ in range(times) for part in ({"$ref": name}, "on")]}


MANY = [equal(number) for number in range(5_000)]
HOSTILE: dict[str, dict[str, Any]] = {
    "nested ifs, 20 levels": {"flags": {"f": flag({"if": [nested_ifs(20), "on", None]})}},
    "nested ifs, 55 levels": {"flags": {"f": flag({"if": [nested_ifs(55), "on", None]})}},
    "nested ifs, 30 levels, negated": {"flags": {"f": flag({"if": [{"!": [nested_ifs(30)]}, "on", None]})}},
    "big evaluator, 2,000 times": {"$evaluators": {"e": {"or": MANY}}, "flags": {"f": flag(referring("e", 2_000))}},
    "list evaluator, 2,000 times": {
        "$evaluators": {"e": {"in": [X, list(range(50_000))]}},
        "flags": {"f": flag(referring("e", 2_000))},
    },
    "long name, 20,000 times": {
        "$evaluators": {"e": {"==": [{"var": LONG_TEXT}, 1]}},
        "flags": {"f": flag(referring("e", 20_000))},
    },
    "big evaluator, in 1,000 flags": {
        "$evaluators": {"e": {"or": MANY}},
        "flags": {f"f{number}": flag(referring("e", 5)) for number in range(1_000)},
    },
    "big condition around 5,000 rules": {
        "flags": {"f": flag(nested_rules({"or": MANY[:3_000]}, inner=5_000))},
    },
    "long list around 5,000 rules": {
        "flags": {"f": flag(nested_rules({"in": [X, list(range(50_000))]}, inner=5_000))},
    },
    "time windows around 5,000 rules": {
        "flags": {
            "f": flag(nested_rules({"and": [{">": [{"var": "$flagd.timestamp"}, 1]}] * 5_000}, inner=5_000)),
        },
    },
    "30,000 notes": {
        "flags": {"f": flag({"if": [{"or": [{"==": [{"var": f"a{number}"}, 1]} for number in range(30_000)]}, "on"]})},
    },
    "60,000 shares": {"flags": {"f": flag({"fractional": [[f"v{number}", 1] for number in range(60_000)]})}},
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_read__what_grows_while_it_is_read__is_unsupported_at_once(case: str):
    text = json.dumps(HOSTILE[case])
    assert len(text) < 1024 * 1024

    report = read_definition(text)

    assert report.problems == ()
    assert {item.grade for item in report.flags} == {Grade.UNSUPPORTED}


def test_read__rules_behind_one_for_everyone__take_no_time():
    """They are never reached, however many there are."""
    (imported,) = read_definition(json.dumps({"flags": {"f": flag({"if": [True, "on"] * 60_000})}})).flags

    assert imported.document is not None
    assert [rule["serve"] for rule in imported.document["rules"]] == [{"variant": "on"}]


def test_read__field_doubled_among_many__is_found_in_time():
    text = "{" + ",".join(f'"a{number}":0' for number in range(90_000)) + ',"a89999":0}'

    (problem,) = read_definition(text).problems

    assert "“a89999” stands twice" in problem.message


def test_comparisons_and_rules__up_to_the_limits__are_read():
    rules = [part for _ in range(MAX_RULES) for part in (equal(1), "on")]
    given = [
        [{"or": MANY[:MAX_CONDITIONS]}, "on"],
        rules,
        [*rules, equal(1), "on"],
        [{"or": MANY[: MAX_CONDITIONS + 1]}, "on"],
    ]
    definition = {"flags": {f"f{number}": flag({"if": branches}) for number, branches in enumerate(given)}}

    *fitting, many_rules, long_rule = read_definition(definition).flags

    assert [item.grade for item in fitting] == [Grade.EXACT, Grade.EXACT]
    assert "101 rules" in many_rules.notes[0]
    assert "more than 50 comparisons" in long_rule.notes[0]


def test_rules_that_only_give_the_default__are_left_out_and_count_for_nothing():
    trailing = [part for _ in range(MAX_RULES) for part in (equal(1), None)]

    (imported,) = read_definition({"flags": {"a": flag({"if": [equal(0), "on", *trailing]})}}).flags

    assert imported.document is not None
    assert len(imported.document["rules"]) == 1


def test_allowance__flag_that_asks_for_too_much__leaves_the_others_readable():
    definition = {
        "$evaluators": {"e": {"or": MANY}},
        "flags": {"a": flag(referring("e", 50)), "b": flag({"if": [equal(1), "on"]})},
    }

    hostile, fine = read_definition(definition).flags

    assert (hostile.grade, fine.grade) == (Grade.UNSUPPORTED, Grade.EXACT)
    assert "nested rules and shared evaluators" in hostile.notes[0]


def test_allowance__of_the_whole_definition__ends_for_all_that_follow(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(flagd_effort, "MAX_FLAG_PARTS", flagd_effort.MAX_DEFINITION_PARTS)
    definition = {
        "$evaluators": {"e": {"or": MANY}},
        "flags": {f"f{number:02}": flag(referring("e", 5)) for number in range(8)},
    }

    flags = read_definition(definition).flags

    assert "more than 50 comparisons" in flags[0].notes[0]
    assert "The definition as a whole" in flags[-1].notes[0]
