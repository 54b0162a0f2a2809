"""What a flag can serve to somebody, now or later, as it and the flags it needs are configured."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .deprecation import is_archived, withdrawal_at
from .lint_rules import has_ended, served_by

_MAX_PARENT_DEPTH = 30
Document = Mapping[str, Any]


def variants_served(
    key: str,
    configs: Mapping[str, Document],
    *,
    now: datetime,
    known: dict[str, set[str]] | None = None,
    depth: int = 0,
) -> set[str]:
    """The variants that a flag of an environment can serve; none for a flag that is not there.

    Where that is hard to tell, as in a circle, every variant counts. Pass the same `known` to ask about several flags
    of the same `configs`.
    """
    known = {} if known is None else known
    document = configs.get(key)
    if document is None:
        return set()
    if key not in known:
        # What is asked for again on the way, in a circle, is not looked into.
        known[key] = {variant["name"] for variant in document["variants"]}
        if depth <= _MAX_PARENT_DEPTH:
            known[key] = {name for name in _served(document, configs, now, known, depth) if name is not None}
    return known[key]


def _served(
    document: Document, configs: Mapping[str, Document], now: datetime, known: dict[str, set[str]], depth: int
) -> set[str | None]:
    withdrawal = withdrawal_at(document, now)
    if is_archived(document):
        return set()
    if withdrawal is not None and document["enabled"]:
        kept = withdrawal.is_for_everyone and withdrawal.until is None
        rest = set() if kept else _beyond_withdrawal(document, configs, now, known, depth)
        return rest | {withdrawal.serves}
    return _beyond_withdrawal(document, configs, now, known, depth)


def _beyond_withdrawal(
    document: Document, configs: Mapping[str, Document], now: datetime, known: dict[str, set[str]], depth: int
) -> set[str | None]:
    off = {document["off_variant"]}
    parents = document.get("prerequisites", ())
    if not document["enabled"] or any(
        variants_served(item["flag"], configs, now=now, known=known, depth=depth + 1).isdisjoint(item["variants"])
        for item in parents
    ):
        return off
    served: set[str | None] = {item["variant"] for item in document.get("targets", ())} | (off if parents else set())
    for rule in document["rules"]:
        if has_ended(rule, now):
            continue
        served |= served_by(rule["serve"])
        if rule["condition"] is None and "variant" in rule["serve"] and not rule.keys() & {"starts_at", "ends_at"}:
            return served
    return served | {document["default_variant"]}
