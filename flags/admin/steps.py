"""An explanation as a list that people read: step by step, with a tick or a cross, conditions inside rules."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flags.documents.schema import named
from flags.documents.words import describe_condition, describe_window, instant_words, percent, shown
from flags.evaluation.resolution import Reason, Resolution
from flags.evaluation.traces import (
    ConditionTrace,
    Explanation,
    PrerequisiteTrace,
    RuleTrace,
    SplitTrace,
    WithdrawalTrace,
)

# A trace longer than this is cut: nobody reads on, and the page has to stay light.
MAX_STEPS = 250

_REASONS = {
    Reason.STATIC: ("Same for everyone", "quiet"),
    Reason.DEFAULT: ("Default", "quiet"),
    Reason.TARGETING_MATCH: ("Rule matched", "accent"),
    Reason.SPLIT: ("Split", "accent"),
    Reason.DISABLED: ("Switched off", "quiet"),
    Reason.ERROR: ("Error", "bad"),
}
_TARGETING_KEY = "targetingKey"
_COLOURS = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """One share of a split as a part of a bar: its width in percent, from which bucket up to which."""

    variant: str
    width: str
    first: int
    end: int
    colour: int
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a trace. `mark` is yes, no or note; `marker` is where the bucket lies in the bars, in percent."""

    mark: str
    text: str
    detail: str = ""
    inner: Sequence["Step"] = ()
    bars: Sequence[Bar] = ()
    marker: str = ""


def reason_chip(resolution: Resolution) -> tuple[str, str]:
    """A reason in words, and the tone of its chip."""
    if resolution.metadata.get("forced"):
        return "Forced", "bad"
    if resolution.metadata.get("withdrawn"):
        return "Withdrawn", "bad"
    return _REASONS.get(resolution.reason, (resolution.reason.value.capitalize(), "quiet"))


def steps_of(explanation: Explanation, context: Mapping[str, Any]) -> list[Step]:
    """The trace of one flag for the context it was asked with. Values come from that context, never from elsewhere."""
    return _cut(list(_steps(explanation, context)), [MAX_STEPS])


def _steps(explanation: Explanation, context: Mapping[str, Any]) -> Iterator[Step]:
    resolution = explanation.resolution
    if explanation.forced is not None:
        yield Step("note", f"Forced to “{explanation.forced}” by the kill list of this server.", "It wins over all.")
        return
    if explanation.is_on is not None:
        yield Step("yes", "Switched on") if explanation.is_on else Step("no", "Switched off", _ends(resolution))
    if explanation.withdrawal is not None:
        yield _withdrawal(explanation.withdrawal, resolution)
    for prerequisite in explanation.prerequisites:
        yield _prerequisite(prerequisite, context)
    if explanation.decided_by == "prerequisite" and resolution.error_code is None:
        yield Step("note", "Not every flag it requires is as it must be", _ends(resolution))
    if explanation.target is not None:
        key = shown(context.get(_TARGETING_KEY))
        yield Step("yes", f"Individual target: {key} is listed", f"Serves “{explanation.target}”.")
    for rule in explanation.rules:
        yield _rule(rule, context)
    if explanation.decided_by == "default":
        words = "No rule matched" if explanation.rules else "No rules: the same for everyone"
        yield Step("note", words, _ends(resolution))
    if resolution.error_code is not None:
        yield Step("no", resolution.error_code.value, resolution.error_message)


def _withdrawal(trace: WithdrawalTrace, resolution: Resolution) -> Step:
    if not trace.is_open:
        return Step("no", f"Withdrawn until {instant_words(trace.until)}, which is over")
    until = f" until {instant_words(trace.until)}" if trace.until else ""
    if trace.bucket is None and not trace.holds:
        return Step("no", f"{percent(trace.weight)} of people are withdrawn{until}: no usable targeting key was sent")
    who = "Withdrawn for everybody" if trace.bucket is None else f"{percent(trace.weight)} of people are withdrawn"
    placed = "" if trace.bucket is None else f"Bucket {trace.bucket} of 100,000. "
    if not trace.holds:
        return Step("no", f"{who}{until}", f"{placed}It is not among the first {trace.weight}.")
    return Step("yes", f"{who}{until}", f"{placed}{_ends(resolution)}")


def _ends(resolution: Resolution) -> str:
    return "The code default decides." if resolution.variant is None else f"Serves “{resolution.variant}”."


def _prerequisite(trace: PrerequisiteTrace, context: Mapping[str, Any]) -> Step:
    wanted = " or ".join(f"“{variant}”" for variant in trace.variants)
    got = "the code default" if trace.got is None else f"“{trace.got}”"
    detail = trace.note if trace.explanation is None and trace.note else f"It serves {got}. {trace.note}".strip()
    inner = list(_steps(trace.explanation, context)) if trace.explanation else []
    return Step("yes" if trace.is_met else "no", f"Requires {trace.flag} to serve {wanted}", detail, inner)


def _rule(trace: RuleTrace, context: Mapping[str, Any]) -> Step:
    name = f"Rule {trace.number}" + (f" “{trace.description}”" if trace.description else "")
    window = describe_window({"starts_at": trace.starts_at, "ends_at": trace.ends_at})
    if not trace.is_in_window:
        return Step("no", f"{name}: not at this time", f"It counts {window}.")
    inner = [] if trace.condition is None else [_condition(trace.condition, context)]
    if trace.condition is None:
        inner = [Step("yes", "For everyone")]
    if window:
        inner = [Step("yes", f"It counts {window}"), *inner]
    if not trace.matched:
        return Step("no", f"{name}: does not match", "", inner)
    if trace.split is not None:
        return Step("yes", f"{name}: matches", "", [*inner, _split(trace.split)])
    return Step("yes", f"{name}: matches", f"Serves “{trace.variant}”.", inner)


def _condition(trace: ConditionTrace, context: Mapping[str, Any]) -> Step:
    mark = "yes" if trace.holds else "no"
    inner = [_condition(part, context) for part in trace.parts]
    if trace.kind == "comparison":
        leaf = {"attribute": trace.attribute, "operator": trace.operator, "value": trace.value}
        return Step(mark, describe_condition(leaf), " ".join(filter(None, [_sent(trace, context), trace.note])))
    if trace.kind == "segment":
        return Step(mark, f"In segment “{trace.segment}”", trace.note, inner)
    words = {"and": "All of these", "or": "One of these", "not": "Not this", "everyone": "Everyone"}
    return Step(mark, words.get(trace.kind, trace.kind), trace.note, inner)


def _sent(trace: ConditionTrace, context: Mapping[str, Any]) -> str:
    name = trace.attribute or ""
    if name not in context:
        return "Not sent."
    return f"Sent: {shown(context[name])}."


def _split(trace: SplitTrace) -> Step:
    by = "targeting key" if trace.bucket_by == _TARGETING_KEY else named(trace.bucket_by)
    if trace.bucket is None or trace.key is None:
        return Step("no", f"Split by {by}: no usable text was sent", "So nobody can be placed in a bucket.")
    chosen = next((share for share in trace.shares if share.is_chosen), None)
    place = "no share" if chosen is None else f"“{chosen.variant}”, {chosen.start:,} to {chosen.end:,}"
    return Step(
        "yes",
        f"Bucket {trace.bucket:,} of {trace.total:,} falls into {place}",
        f"From the {by} {shown(trace.key)} with the salt {shown(trace.salt)}.",
        bars=[
            Bar(
                share.variant,
                _percent(share.end - share.start, trace.total),
                share.start,
                share.end,
                number % _COLOURS,
                share.is_chosen,
            )
            for number, share in enumerate(trace.shares)
        ],
        marker=_percent(trace.bucket, trace.total),
    )


def _percent(part: int, whole: int) -> str:
    """A share for a style attribute: with a point, whatever the language of the page."""
    return f"{100 * part / whole:.3f}" if whole else "0"


def _cut(steps: Sequence[Step], left: list[int]) -> list[Step]:
    """The first steps of a tree, as many as are left; a last one says that there were more."""
    kept: list[Step] = []
    for step in steps:
        if left[0] <= 0:
            kept.append(Step("note", "More steps are not shown", "POST /api/v1/evaluate/explain tells all of them."))
            break
        left[0] -= 1
        inner = _cut(step.inner, left)
        kept.append(Step(step.mark, step.text, step.detail, inner, step.bars, step.marker))
    return kept
