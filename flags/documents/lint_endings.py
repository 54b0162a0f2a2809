"""Findings about flags that end: what still leans on them, and where their successor leads."""

from collections.abc import Iterator, Mapping
from typing import Any

from .deprecation import Deprecation, deprecation_of
from .deprecation_words import told_words
from .findings import Finding, Surroundings
from .schema import named, quoted
from .words import instant_words

Node = Mapping[str, Any]


def ending_findings(document: Node, around: Surroundings) -> Iterator[Finding]:
    """Prerequisites on flags that end, a successor that ends or is not here, and a withdrawal that is over."""
    for index, item in enumerate(document.get("prerequisites", ())):
        parent = around.configs.get(item["flag"], {})
        if "deprecation" in parent:
            yield _ending_parent(item["flag"], parent["deprecation"], f"prerequisites[{index}]")
    deprecation = deprecation_of(document)
    if deprecation is None:
        return
    if deprecation.successor:
        yield from _successor_findings(deprecation.successor, around, is_visible=document.get("client_visible") is True)
    yield from _withdrawal_findings(deprecation, around)


def _ending_parent(key: str, found: Node, path: str) -> Finding:
    message = f"This flag needs {named(key)}, which is deprecated {told_words(found)}."
    successor = found.get("successor")
    advice = f"Let it depend on {named(successor)} instead" if successor else "Remove the prerequisite"
    return Finding("prerequisite_deprecated", "warning", path, message, f"{advice} before {named(key)} is gone.")


def _successor_findings(successor: str, around: Surroundings, *, is_visible: bool) -> Iterator[Finding]:
    path, shown = "deprecation.successor", quoted(successor)
    there = around.configs.get(successor)
    if there is None:
        message = f"The successor {shown} is not set up in this environment, so services that follow it find nothing."
        yield Finding("successor_missing", "warning", path, message, "Set it up here, or name another flag.")
    elif "deprecation" in there:
        message = f"The successor {shown} is deprecated itself, {told_words(there['deprecation'])}."
        yield Finding("successor_deprecated", "warning", path, message, "Name a flag that stays.")
    elif is_visible and there.get("client_visible") is not True:
        message = f"Browsers see this flag but not its successor {shown}, so nobody is told of the successor."
        yield Finding("successor_hidden", "warning", path, message, "Let browsers see the successor as well.")


def _withdrawal_findings(deprecation: Deprecation, around: Surroundings) -> Iterator[Finding]:
    withdrawal = deprecation.withdrawal
    if withdrawal is not None and withdrawal.until is not None and withdrawal.until <= around.now:
        ended = instant_words(withdrawal.until.isoformat())
        message = f"The withdrawal ended {ended}, so it does nothing any more."
        advice = "It goes with the next milestone, or when you remove it."
        yield Finding("withdrawal_over", "note", "deprecation.withdrawal.until", message, advice)
