"""Validation of config and segment documents: every problem with its exact path and what to do about it."""

from collections.abc import Collection
from typing import Any

from audits.integrity import canonical_json

from .conditions import condition_problems
from .deprecation import deprecation_problems
from .schema import (
    MAX_DOCUMENT_BYTES,
    MAX_NAME_CHARACTERS,
    MAX_RULES,
    MAX_TARGET_BYTES,
    MAX_VARIANTS,
    SCHEMA_VERSION,
    TOTAL_WEIGHT,
    VALUE_TYPES,
    Problem,
    description_problems,
    field_problems,
    is_integer,
    join,
    json_problems,
    name_problem,
    quote,
    variant_names,
)
from .targeting import BUCKETING_FIELDS, WINDOW_FIELDS, bucketing_problems, targeting_problems, window_problems
from .values import schema_problems, validate_value_schema, value_problems
from .words import percent

_CONFIG_FIELDS = ("schema", "enabled", "off_variant", "variants", "default_variant", "salt", "rules")
_OPTIONAL_FIELDS = ("prerequisites", "targets", "client_visible", "deprecation")


def validate_config(
    document: object, *, value_type: str, value_schema: dict[str, Any] | None = None, segment_keys: Collection[str]
) -> list[Problem]:
    """Return what is wrong with a config document; an empty list means that its normalised form can be served.

    Normalise first: fields that normalising fills in are required here, descriptions excepted. `segment_keys` are the
    segments of the environment; whether its flags and segments fit together is a question for `references`.
    Raises ValueError for an unknown `value_type`.
    """
    if value_type not in VALUE_TYPES:
        raise ValueError(f"Unknown value type {value_type!r}. Use one of {', '.join(VALUE_TYPES)}.")
    problems = _carrier_problems(document)
    if problems or not isinstance(document, dict):
        return problems
    names = variant_names(document)
    problems += field_problems(document, "", required=_CONFIG_FIELDS, optional=_OPTIONAL_FIELDS)
    problems += _schema_version_problems(document)
    if "enabled" in document and not isinstance(document["enabled"], bool):
        problems.append(Problem("enabled", "Say true (switched on) or false (switched off)."))
    problems += _variant_list_problems(document, value_type=value_type, value_schema=value_schema)
    problems += _chosen_variant_problems(document, names)
    problems += _salt_problems(document)
    problems += targeting_problems(document, names)
    if "deprecation" in document:
        problems += deprecation_problems(document["deprecation"], names)
    return problems + _rule_list_problems(document, names, segment_keys)


def validate_segment(document: object, *, segment_keys: Collection[str] = ()) -> list[Problem]:
    """Return what is wrong with a segment document; an empty list means it can be served.

    `segment_keys` are the segments of the environment, which it may name. Circles are found by `references`.
    """
    problems = _carrier_problems(document)
    if problems or not isinstance(document, dict):
        return problems
    problems += field_problems(document, "", required=("schema", "condition"), optional=())
    problems += _schema_version_problems(document)
    if "condition" not in document:
        return problems
    if document["condition"] is None:
        return [*problems, Problem("condition", "Say who belongs to the segment: add at least one condition.")]
    return problems + condition_problems(document["condition"], "condition", segment_keys=segment_keys)


def _carrier_problems(document: object) -> list[Problem]:
    """Problems that make looking further pointless."""
    if not isinstance(document, dict):
        return [Problem("", "The document must be a JSON object.")]
    problems = json_problems(document)
    if problems:
        return problems
    size = len(canonical_json({name: part for name, part in document.items() if name != "targets"}))
    if size > MAX_DOCUMENT_BYTES:
        message = f"The document has {size} bytes; at most {MAX_DOCUMENT_BYTES} are allowed. Shorten lists or values."
        return [Problem("", message)]
    size = len(canonical_json(document.get("targets")))
    if size > MAX_TARGET_BYTES:
        message = f"The individual targets have {size} bytes; at most {MAX_TARGET_BYTES} are allowed. Use a segment."
        return [Problem("targets", message)]
    return []


def _schema_version_problems(document: dict[str, Any]) -> list[Problem]:
    version = document.get("schema", SCHEMA_VERSION)
    if is_integer(version) and version == SCHEMA_VERSION:
        return []
    return [Problem("schema", f"Set the document schema to {SCHEMA_VERSION}, the only one there is.")]


def _variant_list_problems(
    document: dict[str, Any], *, value_type: str, value_schema: dict[str, Any] | None
) -> list[Problem]:
    variants = document.get("variants", [{}])
    if not isinstance(variants, list) or not variants:
        return [Problem("variants", "Add at least one variant to the list.")] if "variants" in document else []
    if "variants" not in document:
        return []
    if len(variants) > MAX_VARIANTS:
        return [Problem("variants", f"Use at most {MAX_VARIANTS} variants; there are {len(variants)}.")]
    problems = [] if value_schema is None else validate_value_schema(value_schema)
    usable_schema = None if problems else value_schema
    seen: set[str] = set()
    for index, variant in enumerate(variants):
        path = f"variants[{index}]"
        problems += _variant_problems(variant, path, value_type=value_type, value_schema=usable_schema)
        name = variant.get("name") if isinstance(variant, dict) else None
        if isinstance(name, str) and name in seen:
            problems.append(Problem(join(path, "name"), f"There are two variants named “{name}”. Rename one."))
        elif isinstance(name, str):
            seen.add(name)
    return problems


def _variant_problems(
    variant: object, path: str, *, value_type: str, value_schema: dict[str, Any] | None
) -> list[Problem]:
    if not isinstance(variant, dict):
        return [Problem(path, "A variant must be an object with a name and a value.")]
    problems = field_problems(variant, path, required=("name", "value"), optional=("description",))
    problems += description_problems(variant, path)
    message = name_problem(variant["name"], what="the variant name") if "name" in variant else ""
    if message:
        problems.append(Problem(join(path, "name"), message))
    if "value" not in variant:
        return problems
    of_type = value_problems(variant["value"], join(path, "value"), value_type=value_type)
    if of_type or value_schema is None or value_type != "object":
        return problems + of_type
    return problems + schema_problems(variant["value"], join(path, "value"), schema=value_schema)


def _chosen_variant_problems(document: dict[str, Any], names: list[str]) -> list[Problem]:
    problems = []
    for field in ("off_variant", "default_variant"):
        chosen = document.get(field)
        if chosen is not None and (not isinstance(chosen, str) or chosen not in names):
            message = f"Choose one of the variants {quote(names)}, or null to let the application's own default decide."
            problems.append(Problem(field, message))
    return problems


def _salt_problems(document: dict[str, Any]) -> list[Problem]:
    if "salt" not in document:
        return []
    message = name_problem(document["salt"], what="the salt", maximum=2 * MAX_NAME_CHARACTERS)
    return [Problem("salt", message)] if message else []


def _rule_list_problems(document: dict[str, Any], names: list[str], segment_keys: Collection[str]) -> list[Problem]:
    rules = document.get("rules", [])
    if not isinstance(rules, list):
        return [Problem("rules", "Give the rules as a list; it may be empty.")]
    if len(rules) > MAX_RULES:
        return [Problem("rules", f"Use at most {MAX_RULES} rules; there are {len(rules)}. Combine some in a segment.")]
    problems: list[Problem] = []
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        path = f"rules[{index}]"
        if not isinstance(rule, dict):
            problems.append(Problem(path, "A rule must be an object with id, condition and serve."))
            continue
        problems += _rule_problems(rule, path, names, segment_keys)
        if isinstance(rule.get("id"), str) and rule["id"] in seen:
            problems.append(Problem(join(path, "id"), f"There are two rules with the id “{rule['id']}”. Change one."))
        elif isinstance(rule.get("id"), str):
            seen.add(rule["id"])
    return problems


def _rule_problems(rule: dict[str, Any], path: str, names: list[str], segment_keys: Collection[str]) -> list[Problem]:
    optional = ("description", *WINDOW_FIELDS, *BUCKETING_FIELDS)
    problems = field_problems(rule, path, required=("id", "condition", "serve"), optional=optional)
    problems += description_problems(rule, path)
    message = name_problem(rule["id"], what="the rule id") if "id" in rule else ""
    if message:
        problems.append(Problem(join(path, "id"), message))
    problems += condition_problems(rule.get("condition"), join(path, "condition"), segment_keys=segment_keys)
    if "serve" in rule:
        problems += _serve_problems(rule["serve"], join(path, "serve"), names)
    return problems + window_problems(rule, path) + bucketing_problems(rule, path)


def _serve_problems(serve: object, path: str, names: list[str]) -> list[Problem]:
    if not isinstance(serve, dict) or len(serve) != 1 or not serve.keys() <= {"variant", "split"}:
        return [Problem(path, "A rule must serve either one variant or a split.")]
    if "split" in serve:
        return _split_problems(serve["split"], join(path, "split"), names)
    if not isinstance(serve["variant"], str) or serve["variant"] not in names:
        return [Problem(join(path, "variant"), f"Choose one of the variants {quote(names)}.")]
    return []


def _split_problems(split: object, path: str, names: list[str]) -> list[Problem]:
    if not isinstance(split, list) or not split:
        return [Problem(path, "A split must be a list of variants with their weights.")]
    problems: list[Problem] = []
    seen: set[str] = set()
    for index, share in enumerate(split):
        problems += _share_problems(share, f"{path}[{index}]", names, seen)
    if problems:
        return problems
    total = sum(share["weight"] for share in split)
    if total != TOTAL_WEIGHT:
        message = (
            f"The shares add up to {percent(total)}. Change them so that they make 100 % (a sum of {TOTAL_WEIGHT})."
        )
        return [Problem(path, message)]
    return []


def _share_problems(share: object, path: str, names: list[str], seen: set[str]) -> list[Problem]:
    if not isinstance(share, dict):
        return [Problem(path, "A share must be an object with a variant and a weight.")]
    problems = field_problems(share, path, required=("variant", "weight"), optional=())
    variant, weight = share.get("variant"), share.get("weight", 0)
    if "variant" in share and (not isinstance(variant, str) or variant not in names):
        problems.append(Problem(join(path, "variant"), f"Choose one of the variants {quote(names)}."))
    elif isinstance(variant, str) and variant in seen:
        problems.append(Problem(join(path, "variant"), f"“{variant}” is in this split twice. Give it one share."))
    elif isinstance(variant, str):
        seen.add(variant)
    if not is_integer(weight) or not 0 <= weight <= TOTAL_WEIGHT:
        message = f"Give the weight as a whole number from 0 to {TOTAL_WEIGHT}; 1000 is 1 %."
        problems.append(Problem(join(path, "weight"), message))
    return problems
