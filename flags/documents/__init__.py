"""Config and segment documents: plain JSON at rest, validated, normalised and put into words here. Pure."""

from .deprecation_words import describe_deprecation, describe_withdrawal
from .normalise import initial_document, normalise_config, normalise_segment, referenced_segments
from .schema import MAX_NUMBER, TOTAL_WEIGHT, VALUE_TYPES, Document, Problem
from .summary import Summary, summarise
from .validate import validate_config, validate_segment
from .values import validate_value_schema
from .words import (
    describe_bucketing,
    describe_condition,
    describe_keys,
    describe_prerequisite,
    describe_rule,
    describe_serve,
    describe_window,
    instant_words,
    percent,
    rule_label,
)

__all__ = [
    "MAX_NUMBER",
    "TOTAL_WEIGHT",
    "VALUE_TYPES",
    "Document",
    "Problem",
    "Summary",
    "describe_bucketing",
    "describe_condition",
    "describe_deprecation",
    "describe_keys",
    "describe_prerequisite",
    "describe_rule",
    "describe_serve",
    "describe_window",
    "describe_withdrawal",
    "initial_document",
    "instant_words",
    "normalise_config",
    "normalise_segment",
    "percent",
    "referenced_segments",
    "rule_label",
    "summarise",
    "validate_config",
    "validate_segment",
    "validate_value_schema",
]
