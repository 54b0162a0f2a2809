"""The end of a flag in its config document: read, written, checked and brought into one form."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from flags.evaluation.deprecations import WITHDRAWAL_WEIGHT, Deprecation, Withdrawal, deprecation_of, is_archived
from flags.evaluation.instants import instant_text, parse_instant

from .schema import Document, Problem, field_problems, has_hidden_characters, is_integer, join, name_problem, quote

__all__ = [
    "Deprecation",
    "Withdrawal",
    "announces",
    "deprecation_of",
    "deprecation_problems",
    "is_archived",
    "is_withdrawn",
    "normalise_deprecation",
    "with_deprecation",
    "withdrawal_at",
]

MAX_LINK_CHARACTERS = 500
_OPTIONAL_FIELDS = ("sunset_at", "successor", "link", "withdrawal", "is_archived")
_INSTANT_FIELDS = ("deprecated_at", "sunset_at")
_NO_INSTANT = "Give a date and time that names its zone, such as 2026-12-01T08:00:00Z"
_UNSAFE_IN_LINKS = frozenset('<>"\\^`{|}')


def withdrawal_at(document: Mapping[str, Any], now: datetime) -> Withdrawal | None:
    """Return the withdrawal that is in force at an instant, for everybody or for a share."""
    deprecation = deprecation_of(document)
    withdrawal = deprecation.withdrawal if deprecation else None
    return withdrawal if withdrawal is not None and withdrawal.holds_at(now) else None


def is_withdrawn(document: Mapping[str, Any], now: datetime) -> bool:
    """Whether a withdrawal is in force at an instant for everybody: a brownout or the sunset, not a share."""
    withdrawal = withdrawal_at(document, now)
    return withdrawal is not None and withdrawal.is_for_everyone


def announces(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> bool:
    """Whether services are told something else of the end of a flag, whoever is withdrawn."""
    return _told(before or {}) != _told(after)


def _told(document: Mapping[str, Any]) -> dict[str, Any] | None:
    found = document.get("deprecation")
    return None if found is None else {name: part for name, part in found.items() if name != "withdrawal"}


def with_deprecation(document: Mapping[str, Any], deprecation: Deprecation | None) -> Document:
    """Return the document with this end of its flag instead of its own, or with none. The argument is left alone."""
    result: Document = {name: part for name, part in document.items() if name != "deprecation"}
    if deprecation is not None:
        result["deprecation"] = _as_json(deprecation)
    return result


def _as_json(deprecation: Deprecation) -> dict[str, Any]:
    withdrawal = deprecation.withdrawal
    written: dict[str, Any] = {
        "deprecated_at": instant_text(deprecation.deprecated_at),
        "sunset_at": None if deprecation.sunset_at is None else instant_text(deprecation.sunset_at),
        "successor": deprecation.successor,
        "link": deprecation.link,
        "is_archived": deprecation.is_archived,
    }
    if withdrawal is not None:
        until = None if withdrawal.until is None else instant_text(withdrawal.until)
        written["withdrawal"] = {"weight": withdrawal.weight, "serves": withdrawal.serves, "until": until}
    normalise_deprecation(written)
    return written


def normalise_deprecation(found: dict[str, Any]) -> None:
    """Leave out what says nothing and write instants in one way, in place."""
    _drop_silent(found, *_OPTIONAL_FIELDS)
    if found.get("is_archived") is False:
        del found["is_archived"]
    _rewrite_instants(found, *_INSTANT_FIELDS)
    withdrawal = found.get("withdrawal")
    if isinstance(withdrawal, dict):
        withdrawal.setdefault("serves", None)
        _drop_silent(withdrawal, "until")
        _rewrite_instants(withdrawal, "until")


def _drop_silent(item: dict[str, Any], *fields: str) -> None:
    for field in fields:
        if field in item and (item[field] is None or item[field] == ""):
            del item[field]


def _rewrite_instants(item: dict[str, Any], *fields: str) -> None:
    for field in fields:
        instant = parse_instant(item.get(field))
        if instant is not None:
            item[field] = instant_text(instant)


def deprecation_problems(found: object, names: list[str]) -> list[Problem]:
    """What is wrong with the field `deprecation` of a config document. `names` are the variants."""
    path = "deprecation"
    if not isinstance(found, dict):
        return [Problem(path, "Give the deprecation as an object with the instant deprecated_at, or leave it out.")]
    problems = field_problems(found, path, required=("deprecated_at",), optional=_OPTIONAL_FIELDS)
    problems += _date_problems(found, path)
    if "successor" in found:
        message = name_problem(found["successor"], what="the key of the successor")
        problems += [Problem(join(path, "successor"), message)] if message else []
    if "link" in found:
        message = _link_problem(found["link"])
        problems += [Problem(join(path, "link"), message)] if message else []
    if not isinstance(found.get("is_archived", False), bool):
        problems.append(Problem(join(path, "is_archived"), "Say true (services no longer get it) or leave it out."))
    if "withdrawal" in found:
        problems += _withdrawal_problems(found["withdrawal"], join(path, "withdrawal"), names)
    return problems


def _date_problems(found: dict[str, Any], path: str) -> list[Problem]:
    problems = [
        Problem(join(path, field), f"{_NO_INSTANT}{'' if field == 'deprecated_at' else ', or leave it out'}.")
        for field in _INSTANT_FIELDS
        if field in found and parse_instant(found[field]) is None
    ]
    deprecated_at, sunset_at = (parse_instant(found.get(field)) for field in _INSTANT_FIELDS)
    if deprecated_at and sunset_at and sunset_at < deprecated_at:
        message = "A flag is deprecated before its sunset, not after. Move one of the two dates."
        problems.append(Problem(join(path, "sunset_at"), message))
    return problems


def _withdrawal_problems(found: object, path: str, names: list[str]) -> list[Problem]:
    if not isinstance(found, dict):
        return [Problem(path, "A withdrawal must be an object with a weight and what it serves.")]
    problems = field_problems(found, path, required=("weight", "serves"), optional=("until",))
    weight: Any = found.get("weight")
    serves = found.get("serves")
    if "weight" in found and not (is_integer(weight) and 1 <= weight <= WITHDRAWAL_WEIGHT):
        message = f"Give the weight as a whole number from 1 to {WITHDRAWAL_WEIGHT}; 1000 is 1 %."
        problems.append(Problem(join(path, "weight"), message))
    if serves is not None and (not isinstance(serves, str) or serves not in names):
        message = f"Choose one of the variants {quote(names)}, or null to let the application's own default decide."
        problems.append(Problem(join(path, "serves"), message))
    if "until" in found and parse_instant(found["until"]) is None:
        problems.append(Problem(join(path, "until"), f"{_NO_INSTANT}, or leave it out."))
    return problems


def _link_problem(link: object) -> str:
    advice = "Give the address of a page about the end of this flag, beginning with https://, or leave it out."
    if not isinstance(link, str) or not link.isascii() or any(c.isspace() or c in _UNSAFE_IN_LINKS for c in link):
        return advice
    if len(link) > MAX_LINK_CHARACTERS:
        return f"Shorten the address to {MAX_LINK_CHARACTERS} characters; it has {len(link)}."
    try:
        address = urlsplit(link)
        is_usable = address.scheme == "https" and bool(address.hostname) and not address.username
    except ValueError:
        is_usable = False
    return "" if is_usable and not has_hidden_characters(link) else advice
