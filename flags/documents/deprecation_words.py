"""The end of a flag in plain words, for pages, messages and diffs."""

from collections.abc import Mapping
from typing import Any

from .schema import TOTAL_WEIGHT, named, quoted
from .words import instant_words, percent

Item = Mapping[str, Any]
ARCHIVED = "Archived: services get their own code default, as if there were no such flag"
# What of a deprecation services are told; the rest changes what they are served.
TOLD_FIELDS = ("deprecated_at", "sunset_at", "successor", "link")


def describe_deprecation(found: Item) -> list[str]:
    """A deprecation in sentences without a full stop: what services are told, who is withdrawn, whether it is gone."""
    sentences = [f"Services are told that it is deprecated {told_words(found)}"]
    if found.get("withdrawal"):
        sentences.append(describe_withdrawal(found["withdrawal"]))
    return [*sentences, ARCHIVED] if found.get("is_archived") else sentences


def told_words(found: Item) -> str:
    """Since when, until when, what comes instead: since 2027-03-03 09:00 UTC; sunset 2027-06-01 00:00 UTC."""
    parts = [f"since {instant_words(found['deprecated_at'])}"]
    if found.get("sunset_at"):
        parts.append(f"sunset {instant_words(found['sunset_at'])}")
    if found.get("successor"):
        parts.append(f"successor {named(found['successor'])}")
    if found.get("link"):
        parts.append(f"more at {found['link']}")
    return "; ".join(parts)


def describe_withdrawal(withdrawal: Item) -> str:
    """A withdrawal in words: Brownout until 2027-04-01 14:30 UTC: everybody gets “off”."""
    what = "the code default" if withdrawal["serves"] is None else quoted(withdrawal["serves"])
    until = f" until {instant_words(withdrawal['until'])}" if withdrawal.get("until") else ""
    if withdrawal["weight"] < TOTAL_WEIGHT:
        return f"{percent(withdrawal['weight'])} of people get {what}{until}"
    return f"Brownout{until}: everybody gets {what}" if until else f"Withdrawn: everybody gets {what}"
