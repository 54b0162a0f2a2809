"""After how many days a flag counts as stale, by kind. The only place where these numbers stand."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

# Whatever the kind: a flag that is younger, or was changed more lately, is never stale.
YOUNG_DAYS: Final = 30
UNTOUCHED_DAYS: Final = 14
# Evaluations of these days are “recent”; an environment without any of any flag reports no figures.
RECENT_DAYS: Final = 7
# A request that is open for longer does not say any more that somebody works on the flag.
ABANDONED_DAYS: Final = 30
SHORTEST_DAYS: Final = 7
LONGEST_DAYS: Final = 365
PERMANENT_TAG: Final = "permanent"
PERMANENT_KINDS: Final = frozenset({"kill_switch", "permission"})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Days after which each reason holds; None never.

    `lifetime`: since it was created. `unused`: nobody asked for it. `one_variant`: all who asked got the same.
    `settled`: everybody is to get the same. `partial`: a share stands still. `no_rules`: nothing was ever said about
    who gets what.
    """

    lifetime: int | None = None
    unused: int | None = None
    one_variant: int | None = None
    settled: int | None = None
    partial: int | None = None
    no_rules: int | None = None


USUAL: Final[Mapping[str, Thresholds]] = {
    "release": Thresholds(lifetime=40, unused=30, one_variant=30, settled=30, partial=30, no_rules=30),
    "experiment": Thresholds(lifetime=40, unused=30, one_variant=30, settled=30, partial=60, no_rules=30),
    "operational": Thresholds(unused=60, partial=90, no_rules=90),
    "kill_switch": Thresholds(),
    "permission": Thresholds(),
}
NAMES: Final = tuple(field.name for field in fields(Thresholds))
NEVER: Final = Thresholds()


def is_tagged_permanent(tags: Iterable[str]) -> bool:
    """Whether tags say that a flag is meant to stay, in capitals or not."""
    return any(tag.strip().casefold() == PERMANENT_TAG for tag in tags)


def thresholds_for(kind: str, values: Mapping[str, Any] | None = None) -> Thresholds:
    """The thresholds of a kind; `values` are those of the project that differ. Permanent kinds are never stale."""
    usual = USUAL.get(kind, NEVER)
    if kind in PERMANENT_KINDS or kind not in USUAL or not values:
        return usual
    return replace(usual, **{name: days for name, days in values.items() if name in NAMES})


def problems_of(kind: str, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with thresholds for a kind: the field, and what to do about it."""
    if kind not in USUAL:
        return [("kind", f"Choose one of: {', '.join(USUAL)}.")]
    if kind in PERMANENT_KINDS:
        return [("kind", "Kill switches and permission flags are meant to stay: they never count as stale.")]
    found = []
    for name, days in values.items():
        if name not in NAMES:
            found.append((str(name)[:60], f"This is no threshold. Known are {', '.join(NAMES)}."))
        elif days is not None and (type(days) is not int or not SHORTEST_DAYS <= days <= LONGEST_DAYS):
            found.append((name, f"Give days from {SHORTEST_DAYS} to {LONGEST_DAYS}, or nothing for never."))
    return found


def differing(kind: str, values: Mapping[str, Any]) -> dict[str, int | None]:
    """Of these values those that differ from the usual ones of the kind."""
    usual = asdict(USUAL[kind])
    return {name: days for name, days in values.items() if days != usual[name]}
