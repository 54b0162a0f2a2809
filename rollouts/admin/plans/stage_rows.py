"""Stages as rows of the editor: a share or a segment and its gates in, stages out; and back again."""

from collections.abc import Sequence
from dataclasses import replace

from flags.documents.words import percent
from rollouts.admin.plans.typed import Typed, duration_fields, instant_field, percent_text
from rollouts.admin.plans.values import Known, fields_of_values, value_patches
from rollouts.plans.checking import MAX_CHECKS
from rollouts.plans.definition import Check, CheckKind, Gates, Patch, PlanDefinition, Stage

SHARE, SEGMENT, VALUES, KEPT = "share", "segment", "values", "kept"
CHECK_FIELDS = ("name", "kind", "url", "query", "operator", "threshold")
CHECK_PLACES = ("check", *(f"check-{number}" for number in range(2, MAX_CHECKS + 1)))


def stages_from(
    typed: Typed, arms: Sequence[tuple[str, str, str]], stored: PlanDefinition | None, known: Known
) -> tuple[Stage, ...]:
    """The stages of all rows. `arms` are flag, growing variant and the other one; `stored` gives what rows keep, and
    `known` what stands behind variants now.
    """
    found = []
    for number in range(typed.count("rows")):
        prefix = f"row-{number}"
        if typed.text(f"{prefix}-kind") == VALUES:
            keys, enabled = [key for key, _, _ in arms], True if number == 0 else None
            patches = value_patches(typed, prefix, keys, known, enabled=enabled, needs_each=False)
        else:
            patches = _patches(typed, prefix, arms, stored, is_first=number == 0)
        name = typed.text(f"{prefix}-name") or _usual_name(typed, prefix, number)
        found.append(Stage(name, patches, _gates(typed, prefix)))
    return tuple(found)


def rows_of(stages: Sequence[Stage]) -> dict[str, str]:
    """The fields that show these stages as rows."""
    fields = {"rows": str(len(stages))}
    for number, stage in enumerate(stages):
        prefix, gates = f"row-{number}", stage.gates
        fields |= {
            f"{prefix}-name": stage.name,
            f"{prefix}-from": str(number),
            f"{prefix}-approvals": str(gates.approvals or ""),
            f"{prefix}-sample": str(gates.minimum_sample or ""),
            f"{prefix}-monitored": "1" if gates.is_monitored else "",
            f"{prefix}-not-before": instant_field(gates.not_before),
            **duration_fields(f"{prefix}-soak", gates.soak_minutes),
            **_kind_fields(prefix, stage.patches),
        }
        for place, check in zip(CHECK_PLACES, gates.checks, strict=False):
            fields |= {f"{prefix}-{place}-{name}": str(getattr(check, name)) for name in CHECK_FIELDS}
    return fields


def without_row(fields: dict[str, str], gone: int) -> dict[str, str]:
    """The fields with one row taken out and the later ones moved up."""
    total = int(fields["rows"])
    kept = {name: value for name, value in fields.items() if not name.startswith("row-")}
    for name, value in fields.items():
        if not name.startswith("row-"):
            continue
        number, _, rest = name.removeprefix("row-").partition("-")
        place = int(number)
        if place != gone:
            kept[f"row-{place - (place > gone)}-{rest}"] = value
    return {**kept, "rows": str(max(0, total - 1))}


def with_row(fields: dict[str, str]) -> dict[str, str]:
    """The fields with one row more, with the gates of the row before."""
    total = int(fields.get("rows") or 0)
    before, here = f"row-{total - 1}-", f"row-{total}-"
    same = ("soak", "soak-unit", "sample", "monitored")
    made = {f"{here}{name}": fields[f"{before}{name}"] for name in same if f"{before}{name}" in fields}
    return {**fields, **made, f"{here}kind": SHARE, "rows": str(total + 1)}


def _patches(
    typed: Typed, prefix: str, arms: Sequence[tuple[str, str, str]], stored: PlanDefinition | None, *, is_first: bool
) -> tuple[Patch, ...]:
    kind, former = typed.text(f"{prefix}-kind"), _stored_stage(typed, prefix, stored)
    if kind == KEPT and former is not None:
        return former.patches
    enabled = True if is_first else None
    if kind == SEGMENT:
        segment = typed.text(f"{prefix}-segment")
        if not segment:
            typed.problems[f"{prefix}-segment"] = "Choose the segment that gets it in this stage."
        return tuple(
            Patch(key, enabled=enabled, variant=variant, against=against or None, segment=segment or None)
            for key, variant, against in arms
        )
    if not typed.text(f"{prefix}-share"):
        typed.problems[f"{prefix}-share"] = "Give the share of this stage as a percentage, such as 25."
    weight = typed.share(f"{prefix}-share", "the share")
    return tuple(
        Patch(key, enabled=enabled, variant=variant, against=against or None, weight=weight)
        for key, variant, against in arms
    )


def _gates(typed: Typed, prefix: str) -> Gates:
    checks = [_check(typed, f"{prefix}-{place}") for place in CHECK_PLACES]
    return Gates(
        soak_minutes=typed.minutes(f"{prefix}-soak", "the time of the stage"),
        not_before=typed.instant(f"{prefix}-not-before"),
        approvals=typed.number(f"{prefix}-approvals", "the number of approvals"),
        minimum_sample=typed.number(f"{prefix}-sample", "the number of people"),
        is_monitored=typed.is_ticked(f"{prefix}-monitored"),
        checks=tuple(check for check in checks if check is not None),
    )


def _check(typed: Typed, prefix: str) -> Check | None:
    kind = typed.text(f"{prefix}-kind")
    if kind not in {CheckKind.HTTP, CheckKind.PROMETHEUS}:
        return None
    try:
        threshold = float(typed.text(f"{prefix}-threshold") or 0)
    except ValueError:
        typed.problems[f"{prefix}-threshold"] = "Give the limit as a number, such as 0.5."
        threshold = 0.0
    return Check(
        name=typed.text(f"{prefix}-name") or "Outside check",
        kind=CheckKind(kind),
        query=typed.text(f"{prefix}-query") if kind == CheckKind.PROMETHEUS else "",
        url=typed.text(f"{prefix}-url") if kind == CheckKind.HTTP else "",
        operator=typed.text(f"{prefix}-operator") or "<",
        threshold=threshold if kind == CheckKind.PROMETHEUS else 0.0,
    )


def _stored_stage(typed: Typed, prefix: str, stored: PlanDefinition | None) -> Stage | None:
    text = typed.text(f"{prefix}-from")
    if stored is None or not (text.isdecimal() and text.isascii() and len(text) <= 2):
        return None
    number = int(text)
    return stored.stages[number] if number < len(stored.stages) else None


def _kind_fields(prefix: str, patches: Sequence[Patch]) -> dict[str, str]:
    """How a row shows what a stage changes; what a row cannot say is kept as it is."""
    if patches and all(patch.values and not _changes_more(patch) for patch in patches):
        return {f"{prefix}-kind": VALUES, **fields_of_values(prefix, patches)}
    plain = {
        replace(patch, flag_key="", enabled=None, variant=None, against=None) for patch in patches if not patch.values
    }
    one = plain.pop() if len(plain) == 1 and not any(patch.values for patch in patches) else None
    if one is not None and one.default_variant is None and all(patch.enabled is not False for patch in patches):
        if one.segment is not None and one.weight is None:
            return {f"{prefix}-kind": SEGMENT, f"{prefix}-segment": one.segment}
        if one.weight is not None and one.segment is None:
            return {f"{prefix}-kind": SHARE, f"{prefix}-share": percent_text(one.weight)}
    return {f"{prefix}-kind": KEPT}


def _changes_more(patch: Patch) -> bool:
    """Whether a patch does more than to give new values and to switch on."""
    rest = replace(patch, enabled=None, values=None)
    return rest != Patch(patch.flag_key) or patch.enabled is False


def _usual_name(typed: Typed, prefix: str, number: int) -> str:
    if typed.text(f"{prefix}-kind") == SEGMENT:
        return typed.text(f"{prefix}-segment") or f"Stage {number + 1}"
    if typed.text(f"{prefix}-kind") == VALUES:
        return f"New values {number + 1}" if number else "New values"
    if typed.text(f"{prefix}-kind") == KEPT:
        return f"Stage {number + 1}"
    return percent(typed.share(f"{prefix}-share", "the share"))
