"""The classes of payloads that may leave the database for an archive: a closed list."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_LONGEST = 36_500


class PayloadClass(StrEnum):
    """What kind of payload it is."""

    VERSIONS = "versions"
    ROUNDS = "rounds"
    GUARD_EVIDENCE = "guard_evidence"
    IMPACT_RESULTS = "impact_results"
    DRILL_RUNS = "drill_runs"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a class holds, what of it stays in the database for good, and how many days are the least and the usual."""

    holds: str
    stays: str
    least_days: int
    usual_days: int


# 400 days reach past everything that looks a year back, such as rules about how long something was live elsewhere.
TERMS: Mapping[PayloadClass, Terms] = {
    PayloadClass.VERSIONS: Terms(
        "documents of versions that were replaced that long ago: of flags that were archived or replaced as long ago, "
        "and of segments",
        "number, author, reason, time and digest of each version; every present version, and what an open request or "
        "a drill goes by",
        400,
        400,
    ),
    PayloadClass.ROUNDS: Terms(
        "the content of each round of review of requests that are closed",
        "the request with its final content, approvals, dissent and comments; author, time and digest of each round",
        180,
        400,
    ),
    PayloadClass.GUARD_EVIDENCE: Terms(
        "the counts minute by minute behind guards of plans that were completed or ended",
        "every verdict with its sentence, parameters and statistics",
        90,
        400,
    ),
    PayloadClass.IMPACT_RESULTS: Terms(
        "the counts of impact runs of requests that are closed",
        "who asked, over whom, when, and the totals in the audit trail",
        90,
        400,
    ),
    PayloadClass.DRILL_RUNS: Terms(
        "the evidence of runs of rollback drills, but the newest of each drill",
        "whether it passed, how long it took and why it failed",
        90,
        400,
    ),
}


def retention_of(text: str) -> dict[PayloadClass, int]:
    """How many days each class is kept at least: `versions=800,rounds=400`; the usual ones of what is not named.

    Raises ValueError with a sentence for what cannot be used.
    """
    kept = {kind: terms.usual_days for kind, terms in TERMS.items()}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, days = part.partition("=")
        if name not in list(PayloadClass):
            raise ValueError(f"“{name}” is no class; use {', '.join(PayloadClass)}")
        kept[PayloadClass(name)] = checked_days(PayloadClass(name), days)
    return kept


def checked_days(kind: PayloadClass, text: str) -> int:
    """A number of days, also written `400d`. Raises ValueError where it is none or less than the class allows."""
    digits = text.strip().removesuffix("d")
    if not (digits.isascii() and digits.isdigit()) or int(digits) > _LONGEST:
        raise ValueError(f"“{text}” is no number of days; write it as 400 or 400d")
    least = TERMS[kind].least_days
    if int(digits) < least:
        raise ValueError(f"{kind.value} are kept for {least} days at least: what looks back that far needs them")
    return int(digits)
