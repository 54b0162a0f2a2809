"""Findings about rules, targets and splits: what is never reached, and what says the same twice."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from audits.integrity import canonical_json
from flags.evaluation.instants import parse_instant

from .findings import Finding, Surroundings
from .schema import TARGETING_KEY, TOTAL_WEIGHT, quoted
from .words import describe_condition, describe_keys, instant_words, rule_label

Node = Mapping[str, Any]


def rule_findings(document: Node, around: Surroundings) -> Iterator[Finding]:
    """Rules that nobody reaches: over, impossible, repeated or behind a wider one."""
    rules = document["rules"]
    for index, rule in enumerate(rules):
        path, name = f"rules[{index}]", _name(rules, index)
        if has_ended(rule, around.now):
            ended = instant_words(rule["ends_at"])
            message = f"{name} ended {ended}, so it does nothing any more."
            yield Finding("rule_ended", "note", f"{path}.ends_at", message, "Remove it, or give it a later end.")
        elif around.reasoning.is_impossible(rule["condition"]):
            message = f"Nobody can meet the condition of {name}: {describe_condition(rule['condition'])}."
            advice = "Two of its parts contradict each other. Did you mean “any of” instead of “all of”?"
            yield Finding("rule_never_matches", "warning", f"{path}.condition", message, advice)
        else:
            yield from _hidden(rules, index, around)


def _hidden(rules: Sequence[Node], index: int, around: Surroundings) -> Iterator[Finding]:
    rule, path, name = rules[index], f"rules[{index}]", _name(rules, index)
    for place, earlier in enumerate(rules[:index]):
        if has_ended(earlier, around.now) or not _covers(earlier, rule, around.now):
            continue
        other = _name(rules, place)
        if earlier["condition"] is None:
            message = f"{name} is never reached: {other} is for everyone and comes first."
            advice = f"Move it ahead of {other}, or remove it."
            yield Finding("rule_unreachable", "warning", path, message, advice)
        elif canonical_json(earlier["condition"]) == canonical_json(rule["condition"]):
            message = f"{name} is never reached: {other} has the same condition and comes first."
            yield Finding("rule_repeated", "warning", f"{path}.condition", message, "Keep one of the two.")
        elif around.reasoning.implies(rule["condition"], earlier["condition"]):
            message = f"{name} is never reached: everybody it is for meets {other} first."
            advice = f"Move it ahead of {other}, or remove it."
            yield Finding("rule_shadowed", "warning", f"{path}.condition", message, advice)
        else:
            continue
        return


def _name(rules: Sequence[Node], index: int) -> str:
    return f"Rule {index + 1} {rule_label(rules[index])}"


def has_started(rule: Node, now: datetime) -> bool:
    """Whether the window of a rule has opened; a rule without one is open."""
    starts_at = parse_instant(rule.get("starts_at"))
    return starts_at is None or starts_at <= now


def has_ended(rule: Node, now: datetime) -> bool:
    """Whether the window of a rule is over."""
    ends_at = parse_instant(rule.get("ends_at"))
    return ends_at is not None and ends_at <= now


def _covers(earlier: Node, later: Node, now: datetime) -> bool:
    """Whether the earlier rule counts, from now on, at every moment at which the later one does."""
    starts, begins = (parse_instant(rule.get("starts_at")) for rule in (earlier, later))
    if starts is not None and starts > max(begins or now, now):
        return False
    ends, stops = (parse_instant(rule.get("ends_at")) for rule in (earlier, later))
    return ends is None or (stops is not None and stops <= ends)


def target_findings(document: Node, around: Surroundings) -> Iterator[Finding]:
    """Individual targets that a rule names too, and those that get what they would get anyway."""
    targets = document.get("targets", ())
    holders = {key: item["variant"] for item in targets for key in item["keys"]}
    for index, rule in enumerate(document["rules"]):
        named: dict[str, list[str]] = {}
        for key in dict.fromkeys(_named_keys(rule["condition"])):
            if key in holders and rule["serve"] != {"variant": holders[key]}:
                named.setdefault(holders[key], []).append(key)
        for variant, keys in named.items():
            message = (
                f"{_name(document['rules'], index)} names {describe_keys(keys, limit=3)}, but individual targets "
                f"come first and serve {quoted(variant)}."
            )
            advice = "Take these keys out of the rule or out of the individual targets."
            yield Finding("target_shadows_rule", "warning", f"rules[{index}].condition", message, advice)
    served = _served_after_targets(document, around)
    for index, item in enumerate(targets):
        if served == {item["variant"]}:
            message = (
                f"Everyone not named gets {quoted(item['variant'])}, so listing "
                f"{describe_keys(item['keys'], limit=3)} changes nothing."
            )
            advice = "Remove these individual targets, unless you are about to change the rules."
            yield Finding("target_redundant", "note", f"targets[{index}]", message, advice)


def _served_after_targets(document: Node, around: Surroundings) -> set[str | None]:
    served: set[str | None] = set()
    for rule in document["rules"]:
        if has_ended(rule, around.now):
            continue
        served |= served_by(rule["serve"])
        if rule["condition"] is None and not rule.keys() & {"starts_at", "ends_at"}:
            # Without a value to split by, the default variant is served.
            return served | ({document["default_variant"]} if "split" in rule["serve"] else set())
    return served | {document["default_variant"]}


def served_by(serve: Node) -> set[str]:
    """The variants that a rule can serve; a share of nothing serves nobody."""
    if "variant" in serve:
        return {serve["variant"]}
    return {share["variant"] for share in serve["split"] if share["weight"]}


def _named_keys(condition: Node | None) -> Iterator[str]:
    """The targeting keys that a condition is for; those that it is for everybody but are left out."""
    for leaf, path in comparisons(condition, ""):
        is_negated = path.count(".not") % 2 == 1
        operator = leaf["operator"].removeprefix("not_")
        is_for = is_negated is (operator != leaf["operator"])
        if leaf["attribute"] == TARGETING_KEY and operator in ("equals", "in") and is_for:
            value = leaf["value"]
            yield from (key for key in (value if isinstance(value, list) else [value]) if isinstance(key, str))


def comparisons(condition: Node | None, path: str) -> Iterator[tuple[Node, str]]:
    """Every comparison in a condition with its path; segments are not opened."""
    pending: list[tuple[Any, str]] = [(condition, path)]
    while pending:
        item, where = pending.pop()
        if not item:
            continue
        if "attribute" in item:
            yield item, where
        for group in ("or", "and"):
            parts = list(enumerate(item.get(group, ())))
            pending.extend((part, f"{where}.{group}[{index}]") for index, part in reversed(parts))
        pending.append((item.get("not"), f"{where}.not"))


def split_findings(flag_key: str, document: Node, around: Surroundings) -> Iterator[Finding]:
    """Splits that do not split, and splits that put the same people on the same side as another flag does."""
    values = {variant["name"]: variant["value"] for variant in document["variants"]}
    for index, rule in enumerate(document["rules"]):
        split = rule["serve"].get("split")
        if not split:
            continue
        path, name = f"rules[{index}].serve.split", _name(document["rules"], index)
        whole = next((share["variant"] for share in split if share["weight"] == TOTAL_WEIGHT), None)
        empty = [place for place, share in enumerate(split) if not share["weight"]]
        if whole is not None:
            message = (
                f"{name} splits 100 % to {quoted(whole)}; "
                "who sends no value to split by still gets the default variant."
            )
            advice = f"Serve {quoted(whole)} without a split once the rollout is over."
            yield Finding("split_single", "note", path, message, advice)
        elif len({canonical_json(values[name]) for name in served_by(rule["serve"])}) == 1:
            message = f"{name} splits between variants that have the same value, so everyone gets the same."
            yield Finding("split_same_value", "warning", path, message, "Give the variants different values.")
        elif empty:
            message = f"{name} gives {quoted(split[empty[0]]['variant'])} a share of 0 %, so nobody gets it here."
            advice = "Remove the share, or raise it."
            yield Finding("split_empty_share", "note", f"{path}[{empty[0]}].weight", message, advice)
    yield from _correlated(flag_key, document, around)


def _correlated(flag_key: str, document: Node, around: Surroundings) -> Iterator[Finding]:
    mine = dict(reversed([(basis, index) for index, basis in _bases(document)]))
    for other, config in sorted(around.configs.items()):
        for _, basis in _bases(config) if other != flag_key else ():
            if basis in mine:
                index = mine.pop(basis)
                message = (
                    f"{_name(document['rules'], index)} splits with the same salt as the flag {quoted(other)}, so the "
                    "same people are in the first share of both. Neither can be judged on its own."
                )
                advice = "Give this rule a salt of its own, unless both are meant to reach the same people."
                yield Finding("split_correlated", "warning", f"rules[{index}].serve.split", message, advice)


def _bases(document: Node) -> Iterator[tuple[int, tuple[str, str]]]:
    """What each real split goes by: its salt, and the attribute."""
    for index, rule in enumerate(document["rules"]):
        if len(served_by(rule["serve"])) > 1:
            yield index, (rule.get("salt", document["salt"]), rule.get("bucket_by", TARGETING_KEY))
