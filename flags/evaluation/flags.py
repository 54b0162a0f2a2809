"""Compile one config document: which resolutions it can give, and the closure that chooses among them.

The order is: switched on? withdrawal, prerequisites, individual targets, rules, default variant. The first and the last
three are here; `prerequisites` links flags to each other, `endings` puts the withdrawal ahead of the rest.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from .conditions import Condition, Context, Guard, Weighed, always, never, weigh_condition
from .deprecations import deprecation_of
from .instants import parse_instant
from .resolution import ErrorCode, Reason, Resolution, failure
from .segments import UNREADABLE, Segments, remembering
from .sources import FlagSource, Metadata, Snapshot
from .splits import TARGETING_KEY, Evaluator, compile_split

Known = dict[str, Resolution]
# Given the context, the instant of the question, and the answers this evaluation already knows, by flag key.
Dependent = Callable[[Context, datetime, Known], Resolution]

# About 0.2 ms of comparisons. Beyond it, a flag looks at each segment only once per evaluation.
_REMEMBER_BEYOND = 4_000

_EVER = datetime.min.replace(tzinfo=UTC)
_FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Program:
    """How a flag answers: always the same, from the context alone, or also from the time and from other flags.

    Exactly one of the three is there.
    """

    constant: Resolution | None = None
    simple: Evaluator | None = None
    dependent: Dependent | None = None

    def as_dependent(self) -> Dependent:
        """The most general form, whichever it is."""
        if self.dependent is not None:
            return self.dependent
        simple = self.as_simple()
        return lambda context, now, known: simple(context)

    def as_simple(self) -> Evaluator:
        """The form that looks at the context alone. Raises ValueError where that is not enough."""
        if self.simple is not None:
            return self.simple
        constant = self.constant
        if constant is None:
            raise ValueError("This flag depends on more than the context.")
        return lambda context: constant


@dataclass(frozen=True, slots=True)
class _Rule:
    holds: Condition
    guard: Guard | None
    serve: Evaluator
    constant: Resolution | None
    starts_at: datetime
    ends_at: datetime

    @property
    def has_window(self) -> bool:
        return self.starts_at is not _EVER or self.ends_at is not _FOREVER


class FlagCompiler:
    """Turns one config document into a program, and keeps the resolutions it can give.

    Everything here raises one of `segments.UNREADABLE` for a document that validation would refuse.
    """

    def __init__(
        self, source: FlagSource, *, snapshot: Snapshot, segments: Segments, told: Metadata | None = None
    ) -> None:
        """`told` is what the metadata of every answer says beyond where it comes from."""
        self._document = source.document
        self._snapshot = snapshot
        self._segments = segments
        self._metadata = metadata_of(snapshot, source) | (told or {})
        self._values = values_of(source)
        self._built: dict[tuple[str | None, Reason], Resolution] = {}
        self._without_key: Resolution | None = None

    def answers(self) -> tuple[Resolution, ...]:
        """Every resolution built so far."""
        built = tuple(self._built.values())
        return built if self._without_key is None else (*built, self._without_key)

    def off(self) -> Resolution:
        """The answer of the flag while it is switched off, or while a prerequisite is not met."""
        return self._resolution(self._document["off_variant"], Reason.DISABLED)

    def withdrawn(self, variant: str | None, *, is_for_everyone: bool) -> Resolution:
        """The answer of a withdrawal; None is the code default."""
        metadata = self._metadata | {"withdrawn": True}
        if variant is None:
            return Resolution(None, None, Reason.DEFAULT, metadata=metadata, has_value=False)
        reason = Reason.STATIC if is_for_everyone else Reason.SPLIT
        return Resolution(self._values[variant], variant, reason, metadata=metadata)

    def without_key(self) -> Resolution:
        """The answer in strict mode where a targeting key is needed and there is none."""
        if self._without_key is None:
            self._without_key = failure(ErrorCode.TARGETING_KEY_MISSING, KEY_ADVICE, metadata=self._metadata)
        return self._without_key

    def body(self) -> Program:
        """Targets, rules and default variant."""
        program = self._rules()
        targets = self._targets()
        return _with_targets(targets, program) if targets else program

    def _targets(self) -> dict[str, Resolution]:
        found: dict[str, Resolution] = {}
        for target in self._document.get("targets") or ():
            answer = self._resolution(target["variant"], Reason.TARGETING_MATCH)
            for key in target["keys"]:
                # The first mention counts, though validation allows only one.
                found.setdefault(key, answer)
        return found

    def _rules(self) -> Program:
        rules = self._document["rules"]
        if not rules:
            reason = Reason.DEFAULT if self._document["default_variant"] is None else Reason.STATIC
            return Program(constant=self._resolution(self._document["default_variant"], reason))
        compiled = self._compiled_rules(self._segments.find)
        if sum(cost for _, cost in compiled) <= _REMEMBER_BEYOND:
            return self._first_match([rule for rule, _ in compiled])
        compiled = self._compiled_rules(self._segments.find_remembered)
        return _with_memory(self._first_match([rule for rule, _ in compiled]))

    def _compiled_rules(self, segment: Callable[[str], Weighed]) -> list[tuple[_Rule, int]]:
        compiled: list[tuple[_Rule, int]] = []
        for rule in self._document["rules"]:
            condition = weigh_condition(rule["condition"], segment=segment)
            if condition.holds is never:
                continue
            built = self._rule(rule, condition)
            compiled.append((built, condition.cost))
            if built.holds is always and not built.has_window:
                # Rules behind one for everyone are never reached.
                break
        return compiled

    def _rule(self, rule: Mapping[str, Any], condition: Weighed) -> _Rule:
        looked_at = partial(_Rule, condition.holds, condition.guard)
        starts_at, ends_at = window_of(rule)
        serve = rule["serve"]
        if "variant" in serve:
            constant = self._resolution(serve["variant"], Reason.TARGETING_MATCH)
            return looked_at(Program(constant=constant).as_simple(), constant, starts_at, ends_at)
        shares = [(share["variant"], share["weight"]) for share in serve["split"]]
        if sum(weight for _, weight in shares) < 1:
            constant = self._default()
            return looked_at(Program(constant=constant).as_simple(), constant, starts_at, ends_at)
        return looked_at(self._split(rule, shares), None, starts_at, ends_at)

    def _split(self, rule: Mapping[str, Any], shares: list[tuple[str, int]]) -> Evaluator:
        attribute = rule.get("bucket_by", TARGETING_KEY)
        strict = self._snapshot.requires_targeting_key and attribute == TARGETING_KEY
        return compile_split(
            [(self._resolution(variant, Reason.SPLIT), weight) for variant, weight in shares],
            attribute=_text(attribute),
            salt=_text(rule.get("salt", self._document["salt"])),
            generation=self._snapshot.generation,
            otherwise=self.without_key() if strict else self._default(),
            without_key=self.without_key() if strict else None,
        )

    def _first_match(self, rules: list[_Rule]) -> Program:
        if any(rule.has_window for rule in rules):
            return Program(dependent=_in_window(rules, self._default()))
        conditional = [rule for rule in rules if rule.holds is not always]
        last = rules[-1] if rules and rules[-1].holds is always else None
        constant = self._default() if last is None else last.constant
        if not conditional and constant is not None:
            return Program(constant=constant)
        otherwise = last.serve if last is not None else Program(constant=constant).as_simple()
        return Program(simple=_first_of(conditional, otherwise) if conditional else otherwise)

    def _default(self) -> Resolution:
        return self._resolution(self._document["default_variant"], Reason.DEFAULT)

    def _resolution(self, variant: str | None, reason: Reason) -> Resolution:
        resolution = self._built.get((variant, reason))
        if resolution is None:
            if variant is None:
                resolution = Resolution(None, None, reason, metadata=self._metadata, has_value=False)
            else:
                resolution = Resolution(self._values[variant], variant, reason, metadata=self._metadata)
            self._built[variant, reason] = resolution
        return resolution


KEY_ADVICE = (
    "This environment requires a targeting key for splits, and the evaluation context has none that can be used. "
    "Send “targetingKey” as a text of 1 to 1024 characters that stands for the person or thing being served."
)


def metadata_of(snapshot: Snapshot, source: FlagSource) -> Metadata:
    """What every resolution of a flag says about where it comes from."""
    return {"environment": snapshot.environment_key, "revision": snapshot.revision, "version": source.version}


def values_of(source: FlagSource) -> dict[str, Any]:
    """The value of each variant. Raises one of `segments.UNREADABLE` for a document without readable variants."""
    as_value: Callable[[Any], Any] = float if source.value_type == "float" else lambda value: value
    return {variant["name"]: as_value(variant["value"]) for variant in source.document["variants"]}


def window_of(rule: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """From when to when a rule is looked at; the end itself is outside. Raises ValueError for what is no instant."""
    return _instant(rule.get("starts_at"), _EVER), _instant(rule.get("ends_at"), _FOREVER)


def window_instants(sources: Iterable[FlagSource]) -> list[datetime]:
    """The instants at which a rule, a withdrawal or a word of the end of these flags begins or ceases, in order.

    Between two of them answers depend on the context alone.
    """
    found: set[datetime] = set()
    for source in sources:
        try:
            found.update(_ending_instants(source.document))
            for rule in source.document["rules"]:
                found.update(_read_window(rule))
        except UNREADABLE:
            continue
    return sorted(found - {_EVER, _FOREVER})


def _ending_instants(document: Mapping[str, Any]) -> list[datetime]:
    deprecation = deprecation_of(document)
    if deprecation is None:
        return []
    until = deprecation.withdrawal and deprecation.withdrawal.until
    return [deprecation.deprecated_at, *([until] if until else [])]


def _read_window(rule: Mapping[str, Any]) -> tuple[datetime, ...]:
    try:
        return window_of(rule)
    except UNREADABLE:
        # Behind a rule for everyone nobody reads it, and the flag answers all the same.
        return ()


def _instant(text: object, otherwise: datetime) -> datetime:
    if text is None:
        return otherwise
    instant = parse_instant(text)
    if instant is None:
        raise ValueError("A window starts and ends at RFC 3339 instants.")
    return instant


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("A salt and an attribute name are texts.")
    return value


def _first_of(rules: list[_Rule], otherwise: Evaluator) -> Evaluator:
    guarded = tuple((*rule.guard, rule.serve) for rule in rules if rule.guard is not None)
    if len(guarded) == len(rules):
        return _first_guarded(guarded, otherwise)
    ordered = tuple((rule.holds, rule.serve) for rule in rules)

    def evaluate(context: Context) -> Resolution:
        for holds, serve in ordered:
            if holds(context):
                return serve(context)
        return otherwise(context)

    return evaluate


def _first_guarded(rules: tuple[tuple[str, str, Condition, Evaluator], ...], otherwise: Evaluator) -> Evaluator:
    def evaluate(context: Context) -> Resolution:
        given = context.get
        for attribute, text, rest, serve in rules:
            if given(attribute) == text and rest(context):
                return serve(context)
        return otherwise(context)

    return evaluate


def _in_window(rules: list[_Rule], default: Resolution) -> Dependent:
    ordered = tuple((rule.starts_at, rule.ends_at, rule.holds, rule.serve) for rule in rules)

    def evaluate(context: Context, now: datetime, known: Known) -> Resolution:
        for starts_at, ends_at, holds, serve in ordered:
            if starts_at <= now < ends_at and holds(context):
                return serve(context)
        return default

    return evaluate


def _with_targets(targets: Mapping[str, Resolution], program: Program) -> Program:
    def target(context: Context) -> Resolution | None:
        try:
            return targets.get(context.get(TARGETING_KEY))  # type: ignore[arg-type]  # whatever it is, it is looked up
        except TypeError:
            # A list or an object has no hash, and is no key.
            return None

    if program.dependent is None:
        simple = program.as_simple()
        return Program(simple=lambda context: target(context) or simple(context))
    dependent = program.dependent
    return Program(dependent=lambda context, now, known: target(context) or dependent(context, now, known))


def _with_memory(program: Program) -> Program:
    if program.dependent is not None:
        dependent = program.dependent
        return Program(dependent=lambda context, now, known: dependent(remembering(context), now, known))
    if program.constant is not None:
        return program
    simple = program.as_simple()
    return Program(simple=lambda context: simple(remembering(context)))
