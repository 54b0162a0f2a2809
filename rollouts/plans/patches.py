"""The documents that the stages of a plan mean.

A plan manages one rule of each flag: the one called `RULE_ID`, else the last one where that is for everyone, else one
that it makes at the end; and before it one rule for each segment that a ring lets in. The share of the growing variant
keeps its place in the split and salts stay as they are, so raising a weight takes the variant from nobody.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audits.integrity import canonical_json
from flags.documents import normalise_config, percent
from flags.documents.schema import MAX_NAME_CHARACTERS, quote, quoted, variant_names

from .codec import invalid
from .definition import TOTAL_WEIGHT, Patch, PlanDefinition

RULE_ID = "rollout"
_DESCRIPTION = "Managed by a rollout plan."
_BUCKETING = ("salt", "bucket_by")

Document = dict[str, Any]
Problems = list[tuple[str, str]]


def segment_rule_id(segment: str) -> str:
    """The id of the rule that lets the members of a segment in."""
    return f"{RULE_ID}-{segment}"


@dataclass(frozen=True, slots=True)
class Arms:
    """Which two variants the managed rule of a flag tells apart, and the weight of the first, None where it is not
    there yet.
    """

    variant: str | None = None
    against: str | None = None
    weight: int | None = None

    def after(self, patch: Patch, document: Mapping[str, Any]) -> "Arms":
        """The arms once the patch is made. Who is to get the rest gets the default variant where nobody says."""
        variant = self.variant if patch.variant is None else patch.variant
        against = self.against if patch.against is None else patch.against
        if against is None:
            against = document.get("default_variant") or document.get("off_variant")
        return Arms(variant, against, self.weight if patch.weight is None else patch.weight)


def documents_of(definition: PlanDefinition, base: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Document], ...]:
    """For each stage the whole document of every flag that it changes.

    Raises InvalidPlan with the path of every patch that cannot be made.
    """
    problems = patch_problems(definition, base)
    if problems:
        raise invalid(problems)
    present: dict[str, Document] = {key: dict(document) for key, document in base.items()}
    arms = {key: Arms() for key in base}
    stages = []
    for stage in definition.stages:
        before = dict(present)
        for patch in stage.patches:
            key = patch.flag_key
            arms[key] = arms[key].after(patch, base[key])
            present[key] = _patched(present[key], patch, arms[key], base=base[key])
        stages.append({key: present[key] for key in definition.flags if not _is_same(present[key], before[key])})
    return tuple(stages)


def documents_at(
    stage: int, *, base: Mapping[str, Mapping[str, Any]], documents: Sequence[Mapping[str, Mapping[str, Any]]]
) -> dict[str, Document]:
    """What every flag of a plan is at a stage; 0 is how it was before."""
    found = {key: dict(document) for key, document in base.items()}
    for changed in documents[:stage]:
        found.update({key: dict(document) for key, document in changed.items()})
    return found


def share_of(document: Mapping[str, Any], variant: str) -> int:
    """The weight with which a variant is served to those who come to the managed rule, or past all rules without."""
    if not document["enabled"]:
        return TOTAL_WEIGHT if document["off_variant"] == variant else 0
    rule = managed_rule(document)
    if rule is None:
        return TOTAL_WEIGHT if document["default_variant"] == variant else 0
    serve = rule["serve"]
    if "variant" in serve:
        return TOTAL_WEIGHT if serve["variant"] == variant else 0
    return sum(share["weight"] for share in serve["split"] if share["variant"] == variant)


def managed_rule(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The rule that a plan manages; None where there is none yet."""
    rules = document["rules"]
    named = next((rule for rule in rules if rule["id"] == RULE_ID), None)
    if named is None and rules and is_for_everyone(rules[-1]):
        found: Mapping[str, Any] = rules[-1]
        return found
    return named


def is_for_everyone(rule: Mapping[str, Any]) -> bool:
    """Whether whoever comes to a rule is served by it, at any time."""
    return rule["condition"] is None and not rule.keys() & {"starts_at", "ends_at"}


def _is_same(document: Document, other: Document) -> bool:
    return document is other or canonical_json(document) == canonical_json(other)


def _patched(document: Document, patch: Patch, arms: Arms, *, base: Mapping[str, Any]) -> Document:
    changed = dict(document)
    if patch.enabled is not None:
        changed["enabled"] = patch.enabled
    if patch.default_variant is not None:
        changed["default_variant"] = patch.default_variant
    if patch.values:
        changed["variants"] = [_with_value(variant, patch.values) for variant in document["variants"]]
    if patch.segment is not None:
        changed["rules"] = _with_segment(changed["rules"], patch.segment, arms, managed=_managed_id(document))
    if moves_share(patch, arms):
        changed["rules"] = _with_share(changed["rules"], managed_rule(base), arms)
    return normalise_config(changed)


def moves_share(patch: Patch, arms: Arms) -> bool:
    """Whether a patch writes the managed rule; one for a segment does only where it gives a weight."""
    if patch.weight is not None:
        return True
    is_for_all = patch.segment is None and (patch.variant is not None or patch.against is not None)
    return is_for_all and arms.weight is not None


def _with_value(variant: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    if variant["name"] not in values:
        return dict(variant)
    value = values[variant["name"]]
    if isinstance(variant["value"], float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    return {**variant, "value": value}


def _managed_id(document: Mapping[str, Any]) -> str:
    rule = managed_rule(document)
    return RULE_ID if rule is None else str(rule["id"])


def _with_segment(rules: Sequence[Document], segment: str, arms: Arms, *, managed: str) -> list[Document]:
    """The rules with one that serves the variant to a segment, right before the managed one."""
    name, serve = segment_rule_id(segment), {"variant": arms.variant}
    if any(rule["id"] == name for rule in rules):
        return [{**_unsplit(rule), "serve": serve} if rule["id"] == name else rule for rule in rules]
    made = {"id": name, "description": _DESCRIPTION, "condition": {"segment": segment}, "serve": serve}
    place = next((index for index, rule in enumerate(rules) if rule["id"] == managed), len(rules))
    return [*rules[:place], made, *rules[place:]]


def _with_share(rules: Sequence[Document], was: Mapping[str, Any] | None, arms: Arms) -> list[Document]:
    """The rules with the managed one at a weight. `was` is that rule before the plan, which knows salt and order."""
    rule = was or {"id": RULE_ID, "description": _DESCRIPTION, "condition": None}
    weight = arms.weight or 0
    if weight == TOTAL_WEIGHT:
        made = {**_unsplit(rule), "serve": {"variant": arms.variant}}
    else:
        shares = [
            {"variant": arms.variant, "weight": weight},
            {"variant": arms.against, "weight": TOTAL_WEIGHT - weight},
        ]
        made = {**rule, "serve": {"split": shares[::-1] if _is_second(was, arms) else shares}}
    if any(item["id"] == made["id"] for item in rules):
        return [made if item["id"] == made["id"] else item for item in rules]
    return [*rules, made]


def _unsplit(rule: Mapping[str, Any]) -> Document:
    """A rule without what only a split has use for."""
    return {field: value for field, value in rule.items() if field not in _BUCKETING}


def _is_second(was: Mapping[str, Any] | None, arms: Arms) -> bool:
    """Whether the growing variant stands behind the other one already: then it grows from its own end."""
    names = [share["variant"] for share in (was or {"serve": {}})["serve"].get("split", ())]
    return arms.variant in names and arms.against in names and names.index(arms.against) < names.index(arms.variant)


def patch_problems(definition: PlanDefinition, base: Mapping[str, Mapping[str, Any]]) -> Problems:
    """Path and sentence of every patch that cannot be made."""
    arms: dict[str, Arms] = {}
    problems: Problems = []
    for number, stage in enumerate(definition.stages):
        for place, patch in enumerate(stage.patches):
            path, key = f"stages.{number}.patches.{place}", patch.flag_key
            if key not in definition.flags or key not in base:
                message = f"The flag {quoted(key)} is none of the flags of this plan. Add it, or choose another one."
                problems.append((f"{path}.flag_key", message))
                continue
            arms[key] = arms.get(key, Arms()).after(patch, base[key])
            problems += [(f"{path}.{field}", message) for field, message in _wrong(patch, arms[key], base[key])]
    return problems


def _wrong(patch: Patch, arms: Arms, document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    names = variant_names(document)
    for field in ("variant", "against", "default_variant"):
        chosen = getattr(patch, field)
        if chosen is not None and chosen not in names:
            yield field, f"{quoted(patch.flag_key)} has no variant {quoted(chosen)}. Choose one of {quote(names)}."
    for name in patch.values or ():
        if name not in names:
            message = f"{quoted(patch.flag_key)} has no variant {quoted(name)} to give a value. Choose one of "
            yield "values", f"{message}{quote(names)}."
    if patch.segment is not None:
        yield from _wrong_segment(patch.segment, arms)
    if patch.weight is not None and not 0 <= patch.weight <= TOTAL_WEIGHT:
        yield "weight", f"Give a share from 0 % to 100 %; this is {percent(patch.weight)}."
    elif moves_share(patch, arms):
        yield from _wrong_share(arms, managed_rule(document))


def _wrong_segment(segment: str, arms: Arms) -> Iterator[tuple[str, str]]:
    longest = MAX_NAME_CHARACTERS - len(segment_rule_id(""))
    if not 1 <= len(segment) <= longest:
        yield "segment", f"Name a segment whose key has 1 to {longest} characters."
    if arms.variant is None:
        yield "variant", f"Say which variant the members of segment {quoted(segment)} get."


def _wrong_share(arms: Arms, was: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    if arms.variant is None:
        yield "variant", "Say which variant grows."
        return
    if arms.against is None and arms.weight != TOTAL_WEIGHT:
        yield "against", "Say which variant the others get: this flag has no default variant."
    if arms.against == arms.variant and arms.weight != TOTAL_WEIGHT:
        yield "against", f"{quoted(arms.variant)} cannot grow against itself. Choose another variant for the others."
    split = was["serve"].get("split", ()) if was else ()
    shares = {share["variant"]: share["weight"] for share in split}
    third = [name for name, weight in shares.items() if weight and name not in (arms.variant, arms.against)]
    if shares.get(arms.variant) and third:
        message = (
            f"The rule {quoted(was['id'] if was else RULE_ID)} gives {percent(shares[third[0]])} to "
            f"{quoted(third[0])}, and a plan tells two variants apart. Put that share to {quoted(arms.variant)} or "
            f"{quoted(str(arms.against))} first."
        )
        yield "variant", message
