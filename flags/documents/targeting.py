"""Validation of what surrounds the conditions: individual targets, prerequisites, time windows and bucketing."""

import unicodedata
from collections.abc import Mapping
from typing import Any

from flags.evaluation.instants import parse_instant

from .schema import (
    MAX_KEY_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_PREREQUISITES,
    MAX_TARGET_KEYS,
    TARGETING_KEY,
    Problem,
    attribute_problem,
    field_problems,
    has_hidden_characters,
    join,
    name_problem,
    quote,
    quoted,
)

WINDOW_FIELDS = ("starts_at", "ends_at")
BUCKETING_FIELDS = ("salt", "bucket_by")
_NO_INSTANT = "Give a date and time that names its zone, such as 2026-12-01T08:00:00Z, or leave it out."


def targeting_problems(document: Mapping[str, Any], names: list[str]) -> list[Problem]:
    """What is wrong with the targets, the prerequisites and the visibility. `names` are the variants."""
    problems = []
    if "prerequisites" in document:
        problems += _prerequisite_problems(document["prerequisites"])
    if "targets" in document:
        problems += _target_problems(document["targets"], names)
    if not isinstance(document.get("client_visible", False), bool):
        problems.append(Problem("client_visible", "Say true (client tokens see this flag) or leave it out."))
    return problems


def _prerequisite_problems(prerequisites: object) -> list[Problem]:
    path = "prerequisites"
    if not isinstance(prerequisites, list):
        return [Problem(path, "Give the prerequisites as a list of flags with the variants they must serve.")]
    if len(prerequisites) > MAX_PREREQUISITES:
        message = f"Use at most {MAX_PREREQUISITES} prerequisites; there are {len(prerequisites)}."
        return [Problem(path, message)]
    problems: list[Problem] = []
    seen: set[str] = set()
    for index, item in enumerate(prerequisites):
        where = f"{path}[{index}]"
        if not isinstance(item, dict):
            problems.append(Problem(where, "A prerequisite must be an object with a flag and its variants."))
            continue
        problems += _one_prerequisite_problems(item, where, seen)
    return problems


def _one_prerequisite_problems(item: dict[str, Any], path: str, seen: set[str]) -> list[Problem]:
    problems = field_problems(item, path, required=("flag", "variants"), optional=())
    flag = item.get("flag")
    if "flag" in item:
        message = name_problem(flag, what="the flag key")
        if message:
            problems.append(Problem(join(path, "flag"), message))
        elif flag in seen:
            message = f"{quoted(str(flag))} is a prerequisite twice. Put the variants that will do into one."
            problems.append(Problem(join(path, "flag"), message))
        else:
            seen.add(str(flag))
    if "variants" in item:
        problems += _wanted_problems(item["variants"], join(path, "variants"))
    return problems


def _wanted_problems(variants: object, path: str) -> list[Problem]:
    if not isinstance(variants, list) or not variants:
        return [Problem(path, "Name at least one variant that the other flag must serve.")]
    problems: list[Problem] = []
    for index, name in enumerate(variants):
        message = name_problem(name, what="the variant name")
        if not message and name in variants[:index]:
            message = f"{quoted(name)} is listed twice. Remove one."
        if message:
            problems.append(Problem(f"{path}[{index}]", message))
    return problems


def _target_problems(targets: object, names: list[str]) -> list[Problem]:
    if not isinstance(targets, list):
        return [Problem("targets", "Give the individual targets as a list of variants with their targeting keys.")]
    entries = [item for item in targets if isinstance(item, dict)]
    count = sum(len(item["keys"]) for item in entries if isinstance(item.get("keys"), list))
    if count > MAX_TARGET_KEYS:
        message = f"Use at most {MAX_TARGET_KEYS} individual targets; there are {count}. Use a segment for more people."
        return [Problem("targets", message)]
    problems: list[Problem] = []
    served: set[str] = set()
    holders: dict[str, str] = {}
    for index, item in enumerate(targets):
        path = f"targets[{index}]"
        if not isinstance(item, dict):
            problems.append(Problem(path, "An entry must be an object with a variant and a list of keys."))
            continue
        problems += field_problems(item, path, required=("variant", "keys"), optional=())
        problems += _target_variant_problems(item, path, names, served)
        if "keys" in item:
            problems += _key_problems(item["keys"], join(path, "keys"), str(item.get("variant")), holders)
    return problems


def _target_variant_problems(item: dict[str, Any], path: str, names: list[str], served: set[str]) -> list[Problem]:
    if "variant" not in item:
        return []
    variant, path = item["variant"], join(path, "variant")
    if not isinstance(variant, str) or variant not in names:
        return [Problem(path, f"Choose one of the variants {quote(names)}.")]
    if variant in served:
        return [Problem(path, f"{quoted(variant)} has two lists of individual targets. Put the keys into one.")]
    served.add(variant)
    return []


def _key_problems(keys: object, path: str, variant: str, holders: dict[str, str]) -> list[Problem]:
    """What is wrong with one list of keys, ten problems at most. `holders` says which variant has a key already."""
    if not isinstance(keys, list) or not keys:
        return [Problem(path, "Give at least one targeting key, or remove the entry.")]
    problems: list[Problem] = []
    for index, key in enumerate(keys):
        message = ""
        if not isinstance(key, str) or not key:
            message = f"Give the targeting key as text of 1 to {MAX_KEY_CHARACTERS} characters."
        elif len(key) > MAX_KEY_CHARACTERS:
            message = f"Shorten the targeting key to {MAX_KEY_CHARACTERS} characters; it has {len(key)}."
        elif has_hidden_characters(key):
            message = f"Remove invisible, control or text-direction characters from {quoted(key[:60])}."
        elif key in holders:
            other = "twice here" if holders[key] == variant else f"under {quoted(holders[key])} already"
            message = f"The targeting key {quoted(key[:60])} is listed {other}. Keep one."
        else:
            holders[key] = variant
        if message:
            problems.append(Problem(f"{path}[{index}]", message))
        if len(problems) == 10:
            break
    return problems


def window_problems(rule: Mapping[str, Any], path: str) -> list[Problem]:
    """What is wrong with the instants between which a rule counts."""
    problems = [
        Problem(join(path, field), _NO_INSTANT)
        for field in WINDOW_FIELDS
        if field in rule and parse_instant(rule[field]) is None
    ]
    starts_at, ends_at = (parse_instant(rule.get(field)) for field in WINDOW_FIELDS)
    if starts_at and ends_at and starts_at >= ends_at:
        problems.append(Problem(join(path, "ends_at"), "Let the rule end after it starts; as it is, it never counts."))
    return problems


def bucketing_problems(rule: Mapping[str, Any], path: str) -> list[Problem]:
    """What is wrong with a rule's own salt and with the attribute that its split goes by."""
    checks = {
        "salt": lambda salt: name_problem(salt, what="the salt", maximum=2 * MAX_NAME_CHARACTERS),
        "bucket_by": _bucket_by_problem,
    }
    serve = rule.get("serve")
    has_split = isinstance(serve, dict) and "split" in serve
    problems = []
    for field in BUCKETING_FIELDS:
        if field not in rule:
            continue
        message = checks[field](rule[field])
        if not message and not has_split:
            message = "Only a rule with a split has use for this. Leave it out, or let the rule serve a split."
        if message:
            problems.append(Problem(join(path, field), message))
    return problems


def _bucket_by_problem(name: object) -> str:
    message = attribute_problem(name)
    if message or name == TARGETING_KEY:
        return message
    letters = "".join(filter(str.isalnum, unicodedata.normalize("NFKC", str(name)).casefold()))
    if letters != TARGETING_KEY.casefold():
        return ""
    return f"{quoted(str(name))} reads like the targeting key, which a split goes by anyway. Use another attribute."
