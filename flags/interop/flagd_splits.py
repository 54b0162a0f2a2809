"""`fractional` of a flagd definition as a split of ours. Pure.

Buckets come from `(hash * total) >> 32` in both, so a total that divides ours is only written in another way.
"""

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from flags.documents.schema import MAX_VARIANTS, TOTAL_WEIGHT, is_integer
from flags.evaluation.bucketing import Generation

from .flagd_conditions import attribute_of, shown, variable_name
from .flagd_effort import Unsupported
from .logic import Logic

TARGETING_KEY = "targetingKey"
_REDRAWN = "Everyone is drawn again: the shares stay the same, the people in them do not."
_MAX_SUM = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Split:
    """Shares out of 100,000, the salt, and the attribute whose value is hashed behind it."""

    shares: list[dict[str, Any]]
    salt: str
    bucket_by: str
    notes: tuple[str, ...]


def read_split(
    arguments: Any, *, flag_key: str, default: str | None, generation: Generation, is_guarded: bool
) -> Split | None:
    """The split of a `fractional`; None where nobody gets a share, so the default variant serves. Raises Unsupported.

    `is_guarded`: the definition itself sends people without a key to the default variant.
    """
    if not isinstance(arguments, list) or not arguments:
        raise Unsupported("“fractional” needs a list of variants with their weights.")
    notes: list[str] = []
    if isinstance(arguments[0], list):
        salt, attribute, entries = flag_key, TARGETING_KEY, arguments
        if generation is Generation.FLAGD_V3:
            notes.append(f"flagd draws by flag key and targeting key without a salt. {_REDRAWN}")
    else:
        salt, attribute, entries = *_read_key(arguments[0], flag_key, notes), arguments[1:]
        if not is_guarded:
            notes.append(f"People without “{attribute}” share one bucket in flagd; here the default variant serves.")
    shares = _merged([_read_share(entry, default) for entry in entries], notes)
    if len(shares) > MAX_VARIANTS:
        raise Unsupported(f"A split has {len(shares):,} variants; at most {MAX_VARIANTS} are possible.")
    total = sum(weight for _, weight in shares)
    if total > _MAX_SUM:
        raise Unsupported("The weights of a split add up to more than 2147483647.")
    if total < 1:
        return None
    listed = [{"variant": name, "weight": weight} for name, weight in _scaled(shares, total, notes)]
    return Split(listed, salt, attribute, tuple(notes))


def _read_key(logic: Logic, flag_key: str, notes: list[str]) -> tuple[str, str]:
    """The salt and the attribute of the hashed text."""
    parts = _parts(logic, flag_key)
    attributes = [attribute_of(part) for part in parts if not isinstance(part, str)]
    if len(attributes) != 1:
        raise Unsupported("A split must go by exactly one attribute, such as the targeting key.")
    salt = "".join(part for part in parts if isinstance(part, str))
    if isinstance(parts[-1], str) or not salt:
        notes.append(f"Here the salt stands before the attribute and is never empty. {_REDRAWN}")
        salt = salt or f"{flag_key}/"
    return salt, attributes[0]


def _parts(logic: Logic, flag_key: str) -> list[Any]:
    if not isinstance(logic, dict) or set(logic) != {"cat"}:
        items = [logic]
    else:
        items = logic["cat"] if isinstance(logic["cat"], list) else [logic["cat"]]
    parts = [flag_key if variable_name(item) == "$flagd.flagKey" else item for item in items]
    if any(not isinstance(part, str) and variable_name(part) is None for part in parts):
        raise Unsupported(f"“{shown(logic)}” is no key for a split: use texts and one attribute.")
    return parts


def _read_share(entry: Any, default: str | None) -> tuple[str, int]:
    if not isinstance(entry, list) or not 1 <= len(entry) <= 2:
        raise Unsupported(f"“{shown(entry)}” is no share: give a variant and a weight.")
    variant, weight = entry[0], entry[1] if len(entry) == 2 else 1
    if variant is None:
        variant = default
    if isinstance(variant, bool):
        variant = str(variant).lower()
    if not isinstance(variant, str):
        raise Unsupported(f"“{shown(variant)}” is no variant: a share cannot serve the code default or a rule.")
    if not is_integer(weight):
        raise Unsupported("A weight is computed. Use whole numbers, and a rollout plan for what moves with time.")
    return variant, max(0, weight)


def _merged(shares: list[tuple[str, int]], notes: list[str]) -> list[tuple[str, int]]:
    """Each variant once, in the order of their first share."""
    sums: dict[str, int] = {}
    for name, weight in shares:
        sums[name] = sums.get(name, 0) + weight
    if len(sums) < len(shares):
        notes.append("A variant had several shares; they were put together, so some people may change their variant.")
    return list(sums.items())


def _scaled(shares: list[tuple[str, int]], total: int, notes: list[str]) -> list[tuple[str, int]]:
    """The weights out of our total, with the ends where they were, as far as whole numbers allow."""
    if total == TOTAL_WEIGHT:
        return shares
    ends = [(end * TOTAL_WEIGHT * 2 + total) // (2 * total) for end in accumulate(weight for _, weight in shares)]
    if TOTAL_WEIGHT % total:
        notes.append("The weights are rounded to thousandths of a percent: hardly anyone changes their variant.")
    else:
        notes.append("The weights are written out of 100,000; everyone keeps their variant.")
    names = [name for name, _ in shares]
    return [(name, end - start) for name, start, end in zip(names, [0, *ends], ends, strict=False)]
