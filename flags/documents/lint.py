"""The linter: what is valid, and probably not meant. Pure; it never stops anybody from saving."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from .findings import AttributeFacts, Finding, Surroundings
from .lint_context import attribute_findings, attributes_used, exposure_findings, prerequisite_findings
from .lint_endings import ending_findings
from .lint_rules import rule_findings, split_findings, target_findings
from .reasoning import Reasoning

__all__ = ["AttributeFacts", "Finding", "attributes_used", "lint_config", "lint_segment"]

MAX_FINDINGS = 50


def lint_config(
    document: Mapping[str, Any],
    *,
    flag_key: str,
    segments: Mapping[str, Mapping[str, Any]],
    configs: Mapping[str, Mapping[str, Any]],
    attributes: Mapping[str, AttributeFacts],
    known_attributes: Collection[str],
    now: datetime,
    flag_kind: str = "",
) -> list[Finding]:
    """Return what is probably not meant in a valid, normalised config document: warnings first, then by path.

    `segments` and `configs` are the documents of the environment by key; what is stored of this flag is not looked at.
    `attributes` are those the project declares, `known_attributes` those in use by its other flags and segments.
    """
    configs = {**configs, flag_key: document}
    around = Surroundings(now, segments, configs, attributes, known_attributes, Reasoning(segments))
    found = [
        *rule_findings(document, around),
        *target_findings(document, around),
        *split_findings(flag_key, document, around),
        *attribute_findings(document, around),
        *exposure_findings(flag_key, document, around),
        *prerequisite_findings(document, around),
        *ending_findings(document, around),
        *_switch_findings(document, flag_kind),
    ]
    return _ordered(found)


def lint_segment(
    document: Mapping[str, Any],
    *,
    segments: Mapping[str, Mapping[str, Any]],
    attributes: Mapping[str, AttributeFacts],
    known_attributes: Collection[str],
    now: datetime,
) -> list[Finding]:
    """Return what is probably not meant in a valid, normalised segment document. Arguments as for `lint_config`."""
    reasoning = Reasoning(segments)
    around = Surroundings(now, segments, {}, attributes, known_attributes, reasoning)
    found = list(attribute_findings(document, around))
    if reasoning.is_impossible(document["condition"]):
        message = "Nobody can belong to this segment: two of its parts contradict each other."
        advice = "Did you mean “any of” instead of “all of”?"
        found.append(Finding("segment_empty", "warning", "condition", message, advice))
    return _ordered(found)


def _switch_findings(document: Mapping[str, Any], flag_kind: str) -> list[Finding]:
    if flag_kind != "kill_switch" or document["off_variant"] is not None:
        return []
    message = "Switched off, this kill switch leaves the decision to the default in each application's code."
    advice = "Choose the variant that every application must get when it is switched off."
    return [Finding("kill_switch_undecided", "warning", "off_variant", message, advice)]


def _ordered(found: list[Finding]) -> list[Finding]:
    return sorted(found, key=lambda finding: finding.severity != "warning")[:MAX_FINDINGS]
