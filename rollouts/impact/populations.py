"""Synthetic populations: as many evaluation contexts as wanted from a description, the same ones for the same seed."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from flags.documents.schema import MAX_NUMBER, attribute_problem, is_integer, is_number
from flags.evaluation.bucketing import hash_bytes
from flags.evaluation.instants import parse_instant

MAX_SIZE = 100_000
MAX_ATTRIBUTES = 50
MAX_VALUES = 200
MAX_CHARACTERS = 200
_FIELDS = ("size", "seed", "attributes", "missing")
_HASHES = 1 << 32

Draw = Callable[[bytes], Any]
Context = dict[str, Any]


class PopulationProblem(ValueError):
    """The description or the upload cannot be used: where, and in a sentence what to do about it."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


@dataclass(frozen=True, slots=True)
class Population:
    """A description that was checked. `attributes` are distributions by name, `missing` how many percent lack one."""

    size: int
    seed: int = 1
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    missing: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: object) -> "Population":
        """The population of a description. Raises PopulationProblem."""
        if not isinstance(value, dict):
            raise PopulationProblem("", "Describe the population as a JSON object with “size” and “attributes”.")
        for name in value:
            if name not in _FIELDS:
                raise PopulationProblem("", f"A population holds {', '.join(_FIELDS)} and nothing else.")
        size: Any = value.get("size")
        seed: Any = value.get("seed", 1)
        if not is_integer(size) or not 1 <= size <= MAX_SIZE:
            raise PopulationProblem("size", f"Give a whole number of people from 1 to {MAX_SIZE:,}.")
        if not is_integer(seed) or not 0 <= seed <= MAX_NUMBER:
            raise PopulationProblem("seed", "Give a whole number from 0 as the seed.")
        attributes = _checked_attributes(value.get("attributes", {}))
        return cls(size, seed, attributes, _checked_missing(value.get("missing", {}), attributes))

    def as_json(self) -> dict[str, Any]:
        """The stored form; `from_json` reads it back."""
        return {
            "size": self.size,
            "seed": self.seed,
            "attributes": {name: dict(given) for name, given in self.attributes.items()},
            "missing": dict(self.missing),
        }

    def contexts(self, start: int = 0, stop: int | None = None) -> Iterator[Context]:
        """The contexts from number `start` up to `stop`, the last one left out. Any part is the same in every run."""
        draws = [(name, self._draw(name, given)) for name, given in self.attributes.items()]
        keys = f"{self.seed}:targetingKey:".encode()
        for number in range(start, self.size if stop is None else min(stop, self.size)):
            place = b"%d" % number
            context: Context = {"targetingKey": f"user-{number:05x}{hash_bytes(keys + place) & 0xFFFF:04x}"}
            for name, draw in draws:
                drawn = draw(place)
                if drawn is not None:
                    context[name] = drawn
            yield context

    def context(self, number: int) -> Context:
        """One context by its number."""
        return next(self.contexts(number, number + 1))

    def _draw(self, name: str, given: Mapping[str, Any]) -> Draw:
        pick = _picker(given, name)
        salt, lacks = f"{self.seed}:{name}:".encode(), f"{self.seed}:{name}?".encode()
        bound = int(self.missing.get(name, 0) / 100 * _HASHES)
        if not bound:
            return lambda place: pick(hash_bytes(salt + place))
        return lambda place: None if hash_bytes(lacks + place) < bound else pick(hash_bytes(salt + place))


def _picker(given: Mapping[str, Any], name: str) -> Callable[[int], Any]:
    """The value for a hash, every value as often as its share says."""
    kind, said = next(iter(given.items()))
    if kind == "distinct":
        return lambda drawn: f"{name}-{(drawn * said >> 32) + 1}"
    if kind == "range":
        return _between(*said)
    if kind == "instants":
        first, last = [moment for item in said if (moment := parse_instant(item))]
        return lambda drawn: _instant(first + (last - first) * (drawn / _HASHES))
    pairs = list(said.items()) if isinstance(said, Mapping) else said
    values = [value for value, _ in pairs]
    total = sum(weight for _, weight in pairs)
    ends = [end / total * _HASHES for end in accumulate(weight for _, weight in pairs)]
    return lambda drawn: values[min(bisect_right(ends, drawn), len(values) - 1)]


def _between(low: Any, high: Any) -> Callable[[int], Any]:
    if is_integer(low) and is_integer(high):
        count = high - low + 1
        return lambda drawn: low + (drawn * count >> 32)
    return lambda drawn: round(low + (high - low) * drawn / _HASHES, 2)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _checked_attributes(value: object) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict):
        raise PopulationProblem("attributes", "Give the attributes as an object: name and distribution.")
    if len(value) > MAX_ATTRIBUTES:
        raise PopulationProblem("attributes", f"Describe {MAX_ATTRIBUTES} attributes at most.")
    for number, (name, given) in enumerate(value.items(), start=1):
        if name == "targetingKey" or attribute_problem(name):
            raise PopulationProblem(
                "attributes", f"Attribute {number} has no usable name; targeting keys are made up by themselves."
            )
        _check_distribution(given, f"attributes.{name}")
    return value


def _check_distribution(given: object, path: str) -> None:
    kinds = {"values": _check_values, "range": _check_range, "instants": _check_instants, "distinct": _check_distinct}
    if not isinstance(given, dict) or len(given) != 1 or next(iter(given)) not in kinds:
        raise PopulationProblem(path, f"Give exactly one of: {', '.join(kinds)}.")
    kind, said = next(iter(given.items()))
    kinds[kind](said, path)


def _check_values(said: object, path: str) -> None:
    pairs = list(said.items()) if isinstance(said, dict) else said
    if not isinstance(pairs, list) or not 1 <= len(pairs) <= MAX_VALUES:
        raise PopulationProblem(path, f"Give 1 to {MAX_VALUES} values, each with a share.")
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not _is_scalar(pair[0]):
            raise PopulationProblem(path, "Give texts with shares, or pairs of a value and a share: [[true, 30], …].")
        if not is_number(pair[1]) or not 0 <= pair[1] <= MAX_NUMBER:
            raise PopulationProblem(path, "A share is a number from 0.")
    if sum(weight for _, weight in pairs) <= 0:
        raise PopulationProblem(path, "At least one share must be more than 0.")


def _is_scalar(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_CHARACTERS and value.isprintable()
    return isinstance(value, bool) or (is_number(value) and abs(value) <= MAX_NUMBER)  # type: ignore[arg-type]


def _check_range(said: object, path: str) -> None:
    if (
        not isinstance(said, list)
        or len(said) != 2
        or not all(is_number(item) and abs(item) <= MAX_NUMBER for item in said)
        or said[0] > said[1]
    ):
        raise PopulationProblem(path, "Give the range as two numbers, the lower one first: [18, 90].")


def _check_instants(said: object, path: str) -> None:
    instants = [parse_instant(item) for item in said] if isinstance(said, list) and len(said) == 2 else [None]
    if any(item is None for item in instants) or instants[0] > instants[-1]:  # type: ignore[operator]
        raise PopulationProblem(path, "Give two instants with their zone, the earlier one first.")


def _check_distinct(said: object, path: str) -> None:
    if not is_integer(said) or not 1 <= said <= MAX_SIZE:  # type: ignore[operator]
        raise PopulationProblem(path, f"Give a whole number of different values from 1 to {MAX_SIZE:,}.")


def _checked_missing(value: object, attributes: Mapping[str, Any]) -> dict[str, float]:
    if not isinstance(value, dict):
        raise PopulationProblem("missing", "Say how many percent lack an attribute as an object: name and percent.")
    for name, percent in value.items():
        if name not in attributes:
            raise PopulationProblem("missing", "Name only attributes that the population describes.")
        if not is_number(percent) or not 0 <= percent <= 100:
            raise PopulationProblem(f"missing.{name}", "Give a percentage from 0 to 100.")
    return value
