"""Rules, targets and prerequisites of one environment as flagd targeting. Pure.

Two forms of the same rules are needed. In the *open* form null stands for the default variant, as flagd has it. In the
*total* form the default variant is written out and null stands for the code default: for flags that other flags
require, and for flags that can give the code default although they have a default variant.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flags.evaluation import Snapshot
from flags.evaluation.bucketing import Generation
from flags.evaluation.instants import parse_instant

from .flagd_endings import is_for_good, withdrawal_condition, withdrawal_of
from .logic import TIMESTAMP, Inexpressible, Logic, condition_logic, has_text, is_text, variable
from .sizes import Scale

MAX_PREREQUISITE_LEVELS = 20
MAX_EXPRESSION_NODES = 50_000
TARGETING_KEY = "targetingKey"
# What a document that validation never saw can raise.
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, OverflowError)

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Total:
    """A flag as other flags see it: an expression that gives a variant, or null for the code default."""

    logic: Logic
    levels: int


@dataclass(frozen=True, slots=True)
class Reach:
    """A condition with its segments written out: its comparisons, and how deep they are nested."""

    comparisons: int
    levels: int


@dataclass(slots=True)
class TargetingWriter:
    """Writes the targeting of every flag of a snapshot; what flags share is written once and remembered."""

    snapshot: Snapshot
    forced: Mapping[str, str]
    scale: Scale = field(default_factory=Scale)
    _totals: dict[str, _Total | Inexpressible | None] = field(default_factory=dict)
    _segments: dict[str, Logic | None] = field(default_factory=dict)
    _reaches: dict[str, Reach] = field(default_factory=dict)

    def open(self, document: Document) -> Logic:
        """The rules where null is the default variant; None without any."""
        return self._write(document, default=None).logic

    def total(self, document: Document) -> Logic:
        """The rules where null is the code default."""
        return self._write(document, default=document["default_variant"]).logic

    def needs_total(self, document: Document) -> bool:
        """Whether the code default can be the answer although there is a default variant."""
        if document["default_variant"] is None:
            return False
        withdrawal = withdrawal_of(document)
        if withdrawal is not None and withdrawal.serves is None:
            return True
        if document.get("prerequisites") and document["off_variant"] is None:
            return True
        return self.snapshot.requires_targeting_key and any(map(is_split_by_key, document["rules"]))

    def reach(self, condition: Mapping[str, Any] | None) -> Reach:
        """How far a condition goes that could be written; segments run in no circle there."""
        if condition is None:
            return Reach(0, 0)
        if "segment" in condition:
            key = condition["segment"]
            if key not in self._reaches:
                self._reaches[key] = self.reach(self.snapshot.segments.get(key, {}).get("condition"))
            return self._reaches[key]
        parts = condition.get("and") or condition.get("or") or ([condition["not"]] if "not" in condition else [])
        if not parts:
            return Reach(1, 1)
        inner = [self.reach(part) for part in parts]
        return Reach(sum(part.comparisons for part in inner), 1 + max(part.levels for part in inner))

    def _write(self, document: Document, *, default: str | None) -> _Total:
        branches = self._withdrawal(document)
        levels = 1
        if document.get("prerequisites"):
            met = [self._prerequisite(item) for item in document["prerequisites"]]
            levels += max(item.levels for item in met)
            branches += [{"!": [{"and": [item.logic for item in met]}]}, document["off_variant"]]
        for target in document.get("targets", ()):
            key = {"var": TARGETING_KEY}
            branches += [{"if": [is_text(key), {"in": [key, list(target["keys"])]}, False]}, target["variant"]]
        branches, otherwise = self._rules(document, branches, default=default)
        logic = {"if": [*branches, otherwise]} if branches else otherwise
        if self.scale.keep(logic).nodes > MAX_EXPRESSION_NODES:
            raise Inexpressible(
                "its size",
                "A definition repeats segments and prerequisites in every rule that uses them, and this grows too "
                "large. Use fewer rules, or an attribute instead of long lists.",
            )
        return _Total(logic, levels)

    def _withdrawal(self, document: Document) -> list[Logic]:
        """The branch of those who are withdrawn, if any are."""
        withdrawal = withdrawal_of(document)
        if withdrawal is None:
            return []
        salt = _safe_salt(document["salt"], self.snapshot.generation)
        strict = self.snapshot.requires_targeting_key
        return [withdrawal_condition(withdrawal, salt=salt, strict=strict), withdrawal.serves]

    def _rules(self, document: Document, branches: list[Logic], *, default: str | None) -> tuple[list[Logic], Logic]:
        for rule in document["rules"]:
            condition = self._condition(rule)
            serve = self._serve(rule, document, default=default)
            if condition is True:
                # Rules behind one for everyone are never reached.
                return branches, serve
            branches += [condition, serve]
        return branches, default

    def _condition(self, rule: Mapping[str, Any]) -> Logic:
        parts: list[Logic] = []
        for name, operator in (("starts_at", ">="), ("ends_at", "<")):
            if rule.get(name) is not None:
                parts.append({operator: [TIMESTAMP, _whole_seconds(rule[name])]})
        condition = condition_logic(rule["condition"], segment=self._segment)
        if not parts:
            return condition
        return {"and": parts if condition is True else [*parts, condition]}

    def _serve(self, rule: Mapping[str, Any], document: Document, *, default: str | None) -> Logic:
        serve = rule["serve"]
        if "variant" in serve:
            return serve["variant"]
        shares = [[share["variant"], share["weight"]] for share in serve["split"]]
        if sum(weight for _, weight in shares) < 1:
            return default
        key = variable(rule.get("bucket_by") or TARGETING_KEY)
        salt = _safe_salt(rule.get("salt") or document["salt"], self.snapshot.generation)
        split = {"fractional": [{"cat": [salt, key]}, *shares]}
        if self.snapshot.requires_targeting_key and is_split_by_key(rule):
            # Without a key the code default; see `needs_total`.
            return {"if": [has_text(key), split, None]}
        return {"if": [is_text(key), split, default]}

    def _prerequisite(self, item: Mapping[str, Any]) -> _Total:
        parent = self._parent(item["flag"])
        wanted = list(item["variants"])
        logic = {"===": [parent.logic, wanted[0]]} if len(wanted) == 1 else {"in": [parent.logic, wanted]}
        return _Total(logic, parent.levels)

    def _parent(self, key: str) -> _Total:
        source = self.snapshot.flags.get(key)
        if source is None:
            return _Total(None, 1)
        if key not in self._totals:
            self._totals[key] = None
            try:
                self._totals[key] = self._total_of(key, source.document)
            except Inexpressible as error:
                self._totals[key] = error
            except MALFORMED:
                self._totals[key] = Inexpressible("a configuration that cannot be read", "Save it again.")
        found = self._totals[key]
        if found is None:
            raise Inexpressible(f"the prerequisite “{key}”", "The prerequisites run in a circle. Break the circle.")
        if isinstance(found, Inexpressible):
            raise Inexpressible(f"the prerequisite “{key}”", f"That flag uses {found.what}. {found.why}")
        if found.levels >= MAX_PREREQUISITE_LEVELS:
            raise Inexpressible(
                f"the prerequisite “{key}”",
                f"Prerequisites of prerequisites nest over {MAX_PREREQUISITE_LEVELS} levels here. Shorten them.",
            )
        return found

    def _total_of(self, key: str, document: Document) -> _Total:
        if key in self.forced:
            return _Total(self.forced[key], 1)
        if document["enabled"] is not True:
            return _Total(document["off_variant"], 1)
        withdrawal = withdrawal_of(document)
        if withdrawal is not None and is_for_good(withdrawal):
            return _Total(withdrawal.serves, 1)
        if self.snapshot.requires_targeting_key and any(map(is_split_by_key, document["rules"])):
            raise Inexpressible(
                "a split by a targeting key that this environment insists on",
                "Without one this flag would fail too, and flagd has no such error.",
            )
        return self._write(document, default=document["default_variant"])

    def _segment(self, key: str) -> Logic:
        """The condition of a segment written out. One that does not exist holds for no one."""
        document = self.snapshot.segments.get(key)
        if document is None:
            return False
        if key not in self._segments:
            self._segments[key] = None
            try:
                self._segments[key] = condition_logic(document["condition"], segment=self._segment)
                self.scale.keep(self._segments[key])
            except Exception:
                del self._segments[key]
                raise
        logic = self._segments[key]
        if logic is None:
            raise Inexpressible(f"the segment “{key}”", "Segments run in a circle there. Break the circle.")
        return logic


def is_split_by_key(rule: Mapping[str, Any]) -> bool:
    """Whether a rule serves a split that goes by the targeting key."""
    return "split" in rule["serve"] and (rule.get("bucket_by") or TARGETING_KEY) == TARGETING_KEY


def reached_rules(document: Document) -> Iterator[Mapping[str, Any]]:
    """The rules up to the first for everyone, behind which none is looked at."""
    for rule in document["rules"]:
        yield rule
        if rule["condition"] is None and rule.get("starts_at") is None and rule.get("ends_at") is None:
            return


def _whole_seconds(text: str) -> int:
    instant = parse_instant(text)
    if not isinstance(instant, datetime):
        raise ValueError("This is no instant.")
    if instant.microsecond:
        raise Inexpressible("a rule that begins or ends within a second", "flagd's clock counts whole seconds.")
    return int(instant.timestamp())


def _safe_salt(salt: Any, generation: Generation) -> str:
    if not isinstance(salt, str):
        raise TypeError("The salt is no text.")
    if generation is Generation.FLAGD_V2 and not salt.isascii():
        raise Inexpressible(
            f"the salt “{salt}”", "JavaScript evaluators hash it differently. Use letters without accents in the salt."
        )
    return salt
