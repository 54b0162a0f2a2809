"""Documents in plain words, for pages, messages and diffs."""

from collections.abc import Mapping, Sequence
from typing import Any

from flags.evaluation.instants import parse_instant

from .schema import TARGETING_KEY, named, quoted

_SHOWN_VALUES = 3
_MAX_TEXT = 60
# What a sentence shows of values inside values; more than any context that a door lets in, for what is shown in full.
_SHOWN_LEVELS, _LEVELS = 4, 64

_PHRASES = {
    "equals": "is",
    "not_equals": "is not",
    "in": "is one of",
    "not_in": "is none of",
    "contains": "contains",
    "not_contains": "does not contain",
    "starts_with": "starts with",
    "not_starts_with": "does not start with",
    "ends_with": "ends with",
    "not_ends_with": "does not end with",
    "number_equals": "equals",
    "less_than": "is less than",
    "less_or_equal": "is at most",
    "greater_than": "is greater than",
    "greater_or_equal": "is at least",
    "version_equals": "is version",
    "version_less_than": "is a version before",
    "version_less_or_equal": "is at most version",
    "version_greater_than": "is a version after",
    "version_greater_or_equal": "is at least version",
    "version_same_major": "has the same major version as",
    "version_same_minor": "has the same major and minor version as",
    "is_set": "is set",
    "is_not_set": "is not set",
    "is_true": "is true",
    "is_false": "is false",
    "before": "is before",
    "after": "is after",
}


def percent(weight: int) -> str:
    """A weight (out of 100000) as people write it: 25000 is “25 %”, 500 is “0.5 %”."""
    whole, rest = divmod(weight, 1_000)
    return f"{whole}.{rest:03d}".rstrip("0").rstrip(".") + " %"


def shown(value: Any, *, full: bool = False) -> str:
    """A JSON value in a sentence, cut to a readable length and depth unless `full`. Never recurses without end."""
    return _shown(value, full, _LEVELS if full else _SHOWN_LEVELS)


def _shown(value: Any, full: bool, levels: int) -> str:
    if isinstance(value, str):
        return quoted(value if full else _cut(value))
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, Mapping | list) and value and levels == 0:
        return "…"
    if isinstance(value, Mapping):
        limit = len(value) if full else _SHOWN_VALUES
        first = list(value.items())[:limit]
        items = [f"{named(key if full else _cut(key))}: {_shown(item, full, levels - 1)}" for key, item in first]
        return "{" + ", ".join(items) + (", …}" if len(value) > limit else "}")
    if isinstance(value, list):
        return _listed(value, full, levels - 1)
    return str(value)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"


def _listed(values: Sequence[Any], full: bool, levels: int) -> str:
    limit = len(values) if full else _SHOWN_VALUES
    first = [_shown(value, full, levels) for value in values[:limit]]
    if len(values) > limit:
        return f"{', '.join(first)} and {len(values) - limit} more"
    return " and ".join(([", ".join(first[:-1])] if len(first) > 1 else []) + first[-1:])


def describe_condition(condition: Mapping[str, Any] | None, *, full: bool = False) -> str:
    """A condition in words: plan is “gold” and in segment “beta”. None is everyone. Cut unless `full`."""
    if condition is None:
        return "everyone"
    if "and" in condition:
        return " and ".join(_part(part, full=full) for part in condition["and"])
    if "or" in condition:
        return " or ".join(_part(part, full=full) for part in condition["or"])
    if "not" in condition:
        return _negated(condition["not"], full=full)
    if "segment" in condition:
        return f"in segment {quoted(condition['segment'])}"
    phrase = f"{named(condition['attribute'])} {_PHRASES[condition['operator']]}"
    value = condition.get("value")
    return phrase if value is None else f"{phrase} {shown(value, full=full)}"


def _part(condition: Mapping[str, Any], *, full: bool) -> str:
    words = describe_condition(condition, full=full)
    several = len(condition.get("and") or condition.get("or") or ()) > 1
    return f"({words})" if several else words


def _negated(condition: Mapping[str, Any], *, full: bool) -> str:
    if "segment" in condition:
        return f"not in segment {quoted(condition['segment'])}"
    return f"not ({describe_condition(condition, full=full)})"


def describe_serve(serve: Mapping[str, Any]) -> str:
    """What a rule serves: “on”, or 25 % on, 75 % off."""
    if "variant" in serve:
        return quoted(serve["variant"])
    return ", ".join(f"{percent(share['weight'])} {named(share['variant'])}" for share in serve["split"])


def describe_rule(rule: Mapping[str, Any]) -> str:
    """A rule in words, without its description: If plan is “gold”: “on”, from 2026-12-01 08:00 UTC."""
    condition = rule.get("condition")
    who = "Everyone" if condition is None else f"If {describe_condition(condition)}"
    details = [describe_serve(rule["serve"])]
    if "bucket_by" in rule:
        details.append(f"split by {describe_bucketing(rule)}")
    if "salt" in rule:
        details.append(f"with the salt {quoted(_cut(rule['salt']))}")
    return f"{who}: {', '.join([*details, *filter(None, [describe_window(rule)])])}"


def describe_window(rule: Mapping[str, Any]) -> str:
    """When a rule counts: “from 2026-12-01 08:00 UTC until ...”, empty for always."""
    parts = [("from", rule.get("starts_at")), ("until", rule.get("ends_at"))]
    return " ".join(f"{word} {instant_words(instant)}" for word, instant in parts if instant is not None)


def instant_words(instant: Any) -> str:
    """An instant as people read it, in UTC: 2026-12-01 08:00 UTC. Seconds are shown where there are any."""
    moment = parse_instant(instant)
    if moment is None:
        return str(instant)
    text = moment.strftime("%H:%M:%S.%f").removesuffix(".000000").removesuffix(":00")
    return f"{moment:%Y-%m-%d} {text} UTC"


def describe_bucketing(rule: Mapping[str, Any]) -> str:
    """What a split goes by: targeting key, or the attribute in quotation marks, whatever its name."""
    name = rule.get("bucket_by", TARGETING_KEY)
    return "targeting key" if name == TARGETING_KEY else quoted(str(name))


def describe_prerequisite(prerequisite: Mapping[str, Any], *, verb: str = "must serve") -> str:
    """A prerequisite in words: checkout-redesign must serve “on” or “beta”."""
    names = [quoted(name) for name in prerequisite["variants"]]
    either = " or ".join([", ".join(names[:-1])] * (len(names) > 1) + names[-1:])
    return f"{named(prerequisite['flag'])} {verb} {either}"


def describe_keys(keys: Sequence[str], *, limit: int = 10) -> str:
    """Targeting keys in a sentence: “user-1”, “user-2” and 120 more. Long ones are cut."""
    first = ", ".join(shown(key) for key in keys[:limit])
    return first if len(keys) <= limit else f"{first} and {len(keys) - limit} more"


def rule_label(rule: Mapping[str, Any]) -> str:
    """The short name of a rule in a list or a diff: its description, else who it is for."""
    description = " ".join(str(rule.get("description") or "").split())
    if description:
        return quoted(_cut(description[:1].upper() + description[1:]))
    words = describe_condition(rule.get("condition"))
    return f"“{_cut(words[:1].upper() + words[1:])}”"
