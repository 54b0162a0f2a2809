"""The targeting of one flag of a flagd definition as rules, targets and prerequisites of ours. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from flags.documents.schema import MAX_CONDITIONS, MAX_RULES, is_integer
from flags.evaluation.bucketing import Generation

from .flagd_conditions import ConditionReader, is_within, single, variable_name
from .flagd_effort import Unsupported
from .flagd_parents import ParentFinder
from .flagd_splits import TARGETING_KEY, Split, read_split
from .logic import TIMESTAMP, Logic, has_text, is_text

MAX_LEVELS = 60
_BOOLEAN = frozenset({"===", "!==", "==", "!=", "in", "!", "!!", "<", "<=", ">", ">="})
_CHAIN = ("if", "?:")
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(slots=True)
class TargetingReader:
    """Reads one flag's targeting. `rules` end with what serves; a rule here always serves a variant or a split."""

    flag_key: str
    default: str | None
    generation: Generation
    parents: ParentFinder
    conditions: ConditionReader
    rules: list[dict[str, Any]] = field(default_factory=list)
    targets: list[dict[str, Any]] = field(default_factory=list)
    prerequisites: list[dict[str, Any]] = field(default_factory=list)
    off_variant: str | None = None
    never: bool = False
    _serves_default: list[bool] = field(default_factory=list)

    def read(self, targeting: Logic) -> None:
        """Read everything. Raises Unsupported."""
        if isinstance(targeting, dict) and len(targeting) == 1 and next(iter(targeting)) in _CHAIN:
            targeting = self._head(targeting)
        if self.never:
            self.default, self.off_variant = self.off_variant, None
            self.prerequisites, self.targets = [], []
            return
        if not self.prerequisites:
            self.off_variant = None
        self._outcome(targeting, [], 0)
        while self.rules and self._serves_default[-1]:
            self.rules.pop()
            self._serves_default.pop()
        if any(self._serves_default) and self.default is None:
            raise Unsupported("A rule in the middle gives the code default; here a rule serves a variant or a split.")
        if len(self.rules) > MAX_RULES:
            raise Unsupported(f"It has {len(self.rules):,} rules once written out; at most {MAX_RULES} are possible.")
        if not all(is_within(rule["condition"], MAX_CONDITIONS) for rule in self.rules):
            raise Unsupported(
                f"A rule has more than {MAX_CONDITIONS} comparisons once nested rules and shared evaluators are "
                "written out. Use fewer, or an attribute that says it."
            )

    def _head(self, targeting: Logic) -> Logic:
        """Take prerequisites and individual targets off the beginning of a chain."""
        operator, arguments = single(targeting)
        branches = list(arguments) if isinstance(arguments, list) else [arguments]
        if len(branches) >= 2 and (wanted := _required(branches[0])) is not None:
            if not (branches[1] is None or isinstance(branches[1], str)):
                raise Unsupported("What serves while a prerequisite is not met must be one variant.")
            self._require(wanted, branches)
            branches = branches[2:]
        while len(branches) >= 2 and (keys := _target_keys(branches[0])) is not None:
            self.conditions.spend(len(branches) + len(keys))
            if not isinstance(branches[1], str) or branches[1] in [item["variant"] for item in self.targets]:
                break
            self.targets.append({"variant": branches[1], "keys": keys})
            branches = branches[2:]
        return {operator: branches} if len(branches) > 1 else (branches[0] if branches else None)

    def _require(self, wanted: list[Logic], branches: list[Logic]) -> None:
        self.off_variant = branches[1]
        if self.off_variant is None and self.default is None:
            # Our own export writes the default variant out where the off variant is the code default.
            self.default = _written_default(branches)
        elif self.off_variant is None and self.default is not None:
            self.off_variant = self.default
        for logic in wanted:
            found = self.parents.find(logic)
            if found is False:
                self.conditions.note("A prerequisite can never be met, so what served without it serves everyone.")
                self.never = True
            elif found is True:
                self.conditions.note("A prerequisite that is always met was left out.")
            else:
                self.prerequisites.append({"flag": found[0], "variants": found[1]})

    def _outcome(self, logic: Logic, path: list[Logic], level: int) -> None:
        """Write the rules for everyone who meets `path` and then gets what `logic` says."""
        if level > MAX_LEVELS:
            raise Unsupported(f"Rules are nested more than {MAX_LEVELS} levels deep.")
        if isinstance(logic, bool):
            logic = str(logic).lower()
        if logic is None or isinstance(logic, str):
            self._add(path, {"variant": self.default if logic is None else logic}, is_default=logic is None)
            return
        operator, arguments = single(logic)
        split = self._split(logic)
        if split is not None:
            self._add_split(path, split)
        elif operator in _CHAIN:
            self._chain(arguments, path, level)
        elif operator in _BOOLEAN:
            self._add([*path, logic], {"variant": "true"})
            self._add(path, {"variant": "false"})
        else:
            raise Unsupported(f"“{operator}” cannot choose a variant here: use “if” or “fractional”.")

    def _chain(self, arguments: Any, path: list[Logic], level: int) -> None:
        branches = list(arguments) if isinstance(arguments, list) else [arguments]
        self.conditions.spend(len(branches))
        for condition, outcome in zip(branches[::2], branches[1::2], strict=False):
            self._outcome(outcome, path if condition is True else [*path, condition], level + 1)
        self._outcome(branches[-1] if len(branches) % 2 else None, path, level + 1)

    def _split(self, logic: Logic) -> Split | tuple[()] | None:
        """The split of a `fractional`, with or without the guard of its key; () for one without shares."""
        operator, arguments = single(logic)
        guard, is_guarded = None, False
        if operator in _CHAIN and isinstance(arguments, list) and len(arguments) in (2, 3):
            guard, inner = arguments[0], arguments[1]
            without = arguments[2] if len(arguments) == 3 else None
            is_guarded = isinstance(inner, dict) and set(inner) == {"fractional"} and without in (None, self.default)
            if not is_guarded:
                return None
            arguments = inner["fractional"]
        elif operator != "fractional":
            return None
        split = read_split(
            arguments, flag_key=self.flag_key, default=self.default, generation=self.generation, is_guarded=is_guarded
        )
        if split is not None and is_guarded:
            key = {"var": split.bucket_by}
            if guard not in (is_text(key), has_text(key)):
                return None
            if guard == has_text(key):
                self.conditions.note(
                    "An empty targeting key is drawn like any other where the environment is not strict."
                )
        return split or ()

    def _add_split(self, path: list[Logic], split: Split | tuple[()]) -> None:
        if not isinstance(split, Split):
            self._add(path, {"variant": self.default}, is_default=True)
            return
        for note in split.notes:
            self.conditions.note(note)
        own = {} if split.bucket_by == TARGETING_KEY else {"bucket_by": split.bucket_by}
        self._add(path, {"split": split.shares}, own={"salt": split.salt, **own})

    def _add(
        self,
        path: list[Logic],
        serve: dict[str, Any],
        *,
        is_default: bool = False,
        own: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """One more rule, unless it can never be reached. `own` are the rule's salt and bucketing."""
        if self.rules and self.rules[-1]["condition"] is None and not self.rules[-1].keys() & {"starts_at", "ends_at"}:
            # Behind a rule for everyone nothing is reached.
            return
        parts = [part for item in path for part in _conjuncts(item)]
        self.conditions.spend(len(parts) + 1)
        window, rest = _window(parts)
        logic = True if not rest else (rest[0] if len(rest) == 1 else {"and": rest})
        if path and not window:
            logic = path[0] if len(path) == 1 else {"and": path}
        condition = self.conditions.read(logic)
        if condition is False or (len(window) == 2 and window["starts_at"] >= window["ends_at"]):
            self.conditions.note("A rule that can never match was left out.")
            return
        given = None if condition is True else condition
        number = f"r{len(self.rules) + 1}"
        self.rules.append({"id": number, "description": "", "condition": given, "serve": serve, **window, **own})
        self._serves_default.append(is_default)


def _written_default(branches: list[Logic]) -> str | None:
    """The default variant of a chain that writes it out: beside a split, or else at its end."""
    for outcome in [*branches[1::2], branches[-1]]:
        arguments: Any = outcome.get("if") if isinstance(outcome, dict) else None
        is_choice = isinstance(arguments, list) and len(arguments) == 3 and isinstance(arguments[1], dict)
        if is_choice and "fractional" in arguments[1] and isinstance(arguments[2], str):
            return str(arguments[2])
    return branches[-1] if isinstance(branches[-1], str) else None


def _conjuncts(logic: Logic) -> list[Logic]:
    """The parts of a condition that begins with a time window; any other is one part."""
    if isinstance(logic, dict) and len(logic) == 1 and isinstance(logic.get("and"), list):
        parts: list[Logic] = logic["and"]
        if any(_instant(part) for part in parts):
            return parts
    return [logic]


def _window(parts: list[Logic]) -> tuple[dict[str, str], list[Logic]]:
    """The time window of a rule, and the parts of its condition that are none of it."""
    starts: list[int] = []
    ends: list[int] = []
    rest: list[Logic] = []
    for part in parts:
        bound = _instant(part)
        if bound is None:
            rest.append(part)
        else:
            (starts if bound[0] == "starts_at" else ends).append(bound[1])
    window: dict[str, str] = {}
    try:
        if starts:
            window["starts_at"] = _as_text(max(starts))
        if ends:
            window["ends_at"] = _as_text(min(ends))
    except (OverflowError, ValueError, OSError):
        raise Unsupported("A rule begins or ends at a time that no calendar has.") from None
    return window, rest


def _instant(logic: Logic) -> tuple[str, int] | None:
    """The bound a comparison with flagd's clock sets. The clock counts whole seconds."""
    if not isinstance(logic, dict) or len(logic) != 1:
        return None
    operator, arguments = next(iter(logic.items()))
    if operator not in _FLIPPED or not isinstance(arguments, list) or len(arguments) != 2:
        return None
    left, right = arguments
    if right == TIMESTAMP:
        left, right, operator = right, left, _FLIPPED[operator]
    if left != TIMESTAMP or not is_integer(right):
        return None
    later = right + 1 if operator in {">", "<="} else right
    return ("starts_at" if operator in {">", ">="} else "ends_at"), later


def _as_text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat().replace("+00:00", "Z")


def _required(logic: Logic) -> list[Logic] | None:
    """What must hold, where a condition is the one our export writes for prerequisites."""
    if not isinstance(logic, dict) or set(logic) != {"!"} or not isinstance(logic["!"], list) or len(logic["!"]) != 1:
        return None
    inner = logic["!"][0]
    if not isinstance(inner, dict) or set(inner) != {"and"} or not isinstance(inner["and"], list):
        return None
    return inner["and"] if inner["and"] and all(map(ParentFinder.is_asked, inner["and"])) else None


def _target_keys(logic: Logic) -> list[str] | None:
    """The keys of individual targets, where a condition is the one our export writes for them."""
    if not isinstance(logic, dict) or not isinstance(logic.get("if"), list) or len(logic["if"]) != 3:
        return None
    guard, inner, otherwise = logic["if"]
    if guard != is_text({"var": TARGETING_KEY}) or otherwise is not False or not isinstance(inner, dict):
        return None
    arguments = inner.get("in")
    if not isinstance(arguments, list) or len(arguments) != 2 or variable_name(arguments[0]) != TARGETING_KEY:
        return None
    keys = arguments[1]
    return keys if isinstance(keys, list) and all(isinstance(key, str) for key in keys) else None
