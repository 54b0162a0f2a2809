"""Which stages of a plan take something away from somebody on the way forward."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audits.integrity import canonical_json
from flags.changes import ChangeSet, ConfigEdit
from flags.directions import Direction, movement_of
from flags.documents import percent
from flags.documents.schema import quoted

from .definition import PlanDefinition
from .patches import documents_at, share_of

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A stage, numbered from 1, after which somebody no longer gets what a flag served them before."""

    stage: int
    flag_key: str
    sentence: str


def narrowings(
    definition: PlanDefinition,
    base: Mapping[str, Document],
    documents: Sequence[Mapping[str, Document]],
    segments: Mapping[str, Document],
) -> tuple[Narrowed, ...]:
    """Every stage that may take something away, with the flag and why. `segments` are present documents by key.

    Somebody loses who gets what the flag serves switched off after anything else, or is put from the growing variant
    back to the other one. What cannot be told counts as lost.
    """
    found = []
    before = documents_at(0, base=base, documents=documents)
    for number, stage in enumerate(definition.stages, start=1):
        after = documents_at(number, base=base, documents=documents)
        losses = _losses(before, after, segments)
        for patch in stage.patches:
            sentence = _fallen(patch.variant, before[patch.flag_key], after[patch.flag_key])
            if sentence:
                losses[patch.flag_key] = sentence
        found += [Narrowed(number, key, losses[key]) for key in definition.flags if key in losses]
        before = after
    return tuple(found)


def _losses(
    before: Mapping[str, Document], after: Mapping[str, Document], segments: Mapping[str, Document]
) -> dict[str, str]:
    """Why, for each flag, somebody comes to get what it serves switched off."""
    edited = [key for key in after if canonical_json(before[key]) != canonical_json(after[key])]
    if not edited:
        return {}
    forward = movement_of(_edits(edited, after), configs=before, segments=segments)
    found = {flag.flag_key: flag.why for flag in forward.flags if flag.direction is Direction.NARROWS}
    # Whoever loses something on the way forward is exposed anew on the way back.
    shown_before, shown_after = _two_answers(before), _two_answers(after)
    back = movement_of(_edits(edited, shown_before), configs=shown_after, segments=segments)
    for flag in back.widening:
        found.setdefault(flag.flag_key, "Some get what it serves switched off, and got something else before.")
    return found


def _edits(keys: Sequence[str], documents: Mapping[str, Document]) -> ChangeSet:
    return ChangeSet("", tuple(ConfigEdit(key, 0, dict(documents[key])) for key in keys))


def _fallen(variant: str | None, before: Document, after: Document) -> str:
    if variant is None:
        return ""
    was, becomes = share_of(before, variant), share_of(after, variant)
    if becomes >= was or not before["enabled"]:
        return ""
    return f"The share of {quoted(variant)} falls from {percent(was)} to {percent(becomes)}."


def _two_answers(documents: Mapping[str, Document]) -> dict[str, Document]:
    """The documents as if flags served only two things: what they serve switched off, and anything else."""
    names = {key: _names(document) for key, document in documents.items()}
    return {key: _renamed(document, names[key], names) for key, document in documents.items()}


def _names(document: Document) -> dict[str | None, str]:
    values = {variant["name"]: canonical_json(variant["value"]) for variant in document["variants"]}
    off = document["off_variant"]
    names: dict[str | None, str] = {
        name: "off" if off is not None and value == values[off] else "shown" for name, value in values.items()
    }
    return {**names, None: "off" if off is None else "shown"}


def _renamed(
    document: Document, names: Mapping[str | None, str], all_names: Mapping[str, Mapping[str | None, str]]
) -> Document:
    changed = dict(document)
    changed["variants"] = [{"name": "off", "value": False}, {"name": "shown", "value": True}]
    for field in ("off_variant", "default_variant"):
        changed[field] = names[document[field]]
    changed["rules"] = [_renamed_rule(rule, names) for rule in document["rules"]]
    for field in ("targets", "prerequisites"):
        if field in document:
            changed[field] = [dict(item) for item in document[field]]
    for item in changed.get("targets", ()):
        item["variant"] = names[item["variant"]]
    for item in changed.get("prerequisites", ()):
        known = all_names.get(item["flag"], {})
        item["variants"] = sorted({known.get(name, name) for name in item["variants"]})
    withdrawal = (document.get("deprecation") or {}).get("withdrawal")
    if withdrawal:
        withdrawal = {**withdrawal, "serves": names[withdrawal["serves"]]}
        changed["deprecation"] = {**document["deprecation"], "withdrawal": withdrawal}
    return changed


def _renamed_rule(rule: Mapping[str, Any], names: Mapping[str | None, str]) -> dict[str, Any]:
    """Who sends no targeting key gets the default variant of a split, so here every split goes by some attribute."""
    serve = rule["serve"]
    if "variant" in serve:
        return {**rule, "serve": {"variant": names[serve["variant"]]}}
    shares = [{**share, "variant": names[share["variant"]]} for share in serve["split"]]
    return {"bucket_by": "key", **rule, "serve": {"split": shares}}
