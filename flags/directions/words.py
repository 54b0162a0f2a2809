"""Why a flag narrows or widens, in one sentence."""

from collections.abc import Mapping, Sequence
from itertools import chain

from flags.documents.deprecation import is_archived
from flags.documents.schema import quoted
from flags.documents.words import percent, rule_label

from .answers import Answer, Level, Serve
from .comparing import Step
from .kinds import Document
from .reading import Decision, Reading

_PREREQUISITES = {
    Level.NARROWER: "Its prerequisites let fewer people through.",
    Level.WIDER: "Its prerequisites let more people through.",
}
_VISIBILITY = {Level.NARROWER: "Clients no longer see it.", Level.WIDER: "Clients can see it from now on."}


def why(step: Step, old: Reading, new: Reading, *, before: Document | None, after: Document) -> str:
    """What the worst step of a flag means for people."""
    if step.level is Level.SAME:
        return "Nobody is served anything else."
    if step.cause == "visibility":
        return _VISIBILITY[step.level]
    if before is None:
        return "Set up here for the first time; services got their own code default until now."
    if is_archived(after) and not is_archived(before):
        return "Archived: services get their own code default, as if there were no such flag."
    if before["enabled"] and not after["enabled"] and step.level is Level.NARROWER:
        return "Switched off for everyone."
    if step.cause == "off":
        return f"Switched off, it serves {_words(step.after)} instead of {_words(step.before)}."
    if after["enabled"] and not before["enabled"]:
        return f"Switched on; until now everyone got {_words(old.off)}."
    return _in_service(step, old, new, after)


def through(sentence: str, ways: Sequence[str]) -> str:
    """The sentence of a flag that the change does not edit itself, with what leads to it."""
    return f"Through {' and '.join(ways)}: {sentence[:1].lower()}{sentence[1:]}"


def _in_service(step: Step, old: Reading, new: Reading, after: Document) -> str:
    if step.cause == "prerequisites":
        return _PREREQUISITES[step.level]
    if (
        step.after
        and step.before
        and step.after.variant == step.before.variant
        and step.after.value != step.before.value
    ):
        return f"The value of {_words(step.after)} changes from {step.before.value} to {step.after.value}."
    place = _place(step, after)
    if step.old and step.new and (words := _shares(step.old, step.new, old, new)):
        return f"{place}{words}"
    if step.level is Level.NARROWER:
        return f"{place}Some who get {_words(step.before)} get {_words(step.after)} instead, nobody anything new."
    return f"{place}Some who get {_words(step.before)} would get {_words(step.after)}."


def _place(step: Step, after: Document) -> str:
    if step.cause == "withdrawal":
        return "Withdrawal: "
    if step.cause == "targets":
        return "Individual targets: "
    number = step.new.number if step.new else None
    if number is None or (step.new and step.new.condition is None):
        return ""
    return f"Rule {number} {rule_label(after['rules'][number - 1])}: "


def _shares(before: Decision, after: Decision, old: Reading, new: Reading) -> str:
    """The shares that change between two decisions for the same people; empty where none does."""
    if _people(before, old) != _people(after, new):
        return ""
    was, becomes = _weights(before.serve, old.off), _weights(after.serve, new.off)
    changed = [name for name in dict.fromkeys(chain(was, becomes)) if was.get(name, 0) != becomes.get(name, 0)]
    parts = [
        f"{quoted(name)} goes from {percent(was.get(name, 0))} to {percent(becomes.get(name, 0))}" for name in changed
    ]
    if parts:
        return f"The share of {' and that of '.join(parts[:3])}{' …' if len(parts) > 3 else ''}."
    if before.serve.bucketing != after.serve.bucketing:
        return "The split assigns everyone anew, so some get what they did not get before."
    return ""


def _people(decision: Decision, reading: Reading) -> list[tuple[object, ...]]:
    """For whom and when a decision is taken: its own condition, and those of all ahead of it."""
    decisions = reading.decisions[: reading.decisions.index(decision) + 1]
    return [(item.identity, item.starts_at, item.ends_at) for item in decisions]


def _weights(serve: Serve, off: Answer) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for answer, weight in serve.shares:
        if answer.variant is not None and answer.value != off.value:
            found[answer.variant] = found.get(answer.variant, 0) + weight
    return found


def _words(answer: Answer | None) -> str:
    return "their own code default" if answer is None or answer.variant is None else quoted(answer.variant)
