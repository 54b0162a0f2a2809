"""Compile a snapshot to closures that evaluate. Pure: no clock, no I/O, and evaluation never raises.

Every resolution a flag can give is built here, once; evaluation only chooses among them.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

from .bucketing import REMEMBERED_KEY_CHARACTERS, Generation, salted_hash, unusual_hash
from .conditions import Condition, Context, compile_condition, never
from .resolution import ErrorCode, Reason, Resolution, failure

Evaluator = Callable[[Context], Resolution]
Metadata = dict[str, bool | str | int | float]

_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, OverflowError)


@dataclass(frozen=True, slots=True)
class FlagSource:
    """One flag as it is in an environment: its value type, its config document and the version of that."""

    value_type: str
    document: Mapping[str, Any]
    version: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The frozen input of evaluation: everything an environment serves at one revision."""

    project_key: str
    environment_id: str
    environment_key: str
    revision: int
    generation: Generation
    flags: Mapping[str, FlagSource]
    segments: Mapping[str, Mapping[str, Any]]
    requires_targeting_key: bool = False


class CompiledSnapshot:
    """A snapshot that evaluates. Immutable, so threads share it."""

    __slots__ = ("_answers", "_evaluators", "_failed", "_invalid_context", "_not_found", "snapshot")

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        metadata: Metadata = {"environment": snapshot.environment_key, "revision": snapshot.revision}
        segments = _Segments(snapshot.segments)
        flags = {key: _compile_flag(source, snapshot, segments) for key, source in snapshot.flags.items()}
        self._evaluators: dict[str, Evaluator] = {key: evaluator for key, (evaluator, _) in flags.items()}
        self._answers = {key: answers for key, (_, answers) in flags.items()}
        self._not_found = failure(
            ErrorCode.FLAG_NOT_FOUND,
            f"Environment “{snapshot.environment_key}” serves no flag with this key. "
            "Check the spelling, or set the flag up in this environment.",
            metadata=metadata,
        )
        self._invalid_context = failure(
            ErrorCode.INVALID_CONTEXT,
            "The evaluation context is not an object. Send a JSON object of attributes.",
            metadata=metadata,
        )

        self._failed = failure(
            ErrorCode.GENERAL,
            "An attribute of the evaluation context cannot be compared. Send JSON values only.",
            metadata=metadata,
        )

    @property
    def revision(self) -> int:
        """The counter of the environment this snapshot was taken at."""
        return self.snapshot.revision

    @property
    def environment_key(self) -> str:
        """The key of the environment this snapshot serves."""
        return self.snapshot.environment_key

    @property
    def flag_keys(self) -> tuple[str, ...]:
        """The keys of all flags served, in the order of the snapshot."""
        return tuple(self._evaluators)

    def answers(self, flag_key: str) -> tuple[Resolution, ...]:
        """Every resolution this flag can give; `evaluate` returns these very objects, so they can be rendered ahead."""
        return self._answers.get(flag_key, ())

    def evaluate(self, flag_key: str, context: Mapping[str, Any], now: datetime) -> Resolution:
        """Return the resolution of one flag. Never raises, whatever it is given.

        `now` is the instant of the question, for rules that depend on time; no rule does so today.
        """
        if type(context) is not dict:
            plain = _as_dict(context)
            if plain is None:
                return self._invalid_context
            context = plain
        try:
            evaluator = self._evaluators.get(flag_key)
            return self._not_found if evaluator is None else evaluator(context)
        except Exception:
            # No JSON value gets here; an attribute of a foreign class whose comparison raises does.
            return self._failed

    def evaluate_all(self, context: Mapping[str, Any], now: datetime) -> dict[str, Resolution]:
        """Return the resolution of every flag for one context. Never raises; see `evaluate`."""
        try:
            if type(context) is dict:
                return {key: evaluator(context) for key, evaluator in self._evaluators.items()}
        except Exception:  # noqa: S110 - the flags that can be answered are answered one by one below
            pass
        return {key: self.evaluate(key, context, now) for key in self._evaluators}


def compile_snapshot(snapshot: Snapshot) -> CompiledSnapshot:
    """Return the evaluating form of a snapshot. A document that cannot be read fails its own flag only."""
    return CompiledSnapshot(snapshot)


def _as_dict(context: object) -> dict[str, Any] | None:
    if type(context) is dict:
        return context
    if not isinstance(context, Mapping):
        return None
    try:
        return dict(context)
    except Exception:
        # A foreign mapping may raise anything.
        return None


class _Segments:
    """The compiled segments of a snapshot. They do not see each other, and an unreadable one spoils no other."""

    def __init__(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        self._conditions: dict[str, Condition] = {}
        self._unreadable: set[str] = set()
        for key, document in documents.items():
            try:
                self._conditions[key] = compile_condition(document["condition"], segment=lambda _: never)
            except _MALFORMED:
                self._unreadable.add(key)

    def condition(self, key: str) -> Condition:
        """The condition of a segment; a missing one holds for no one. Raises ValueError for an unreadable one."""
        if key in self._unreadable:
            raise ValueError(f"Segment {key!r} cannot be read.")
        return self._conditions.get(key, never)


def _compile_flag(
    source: FlagSource, snapshot: Snapshot, segments: _Segments
) -> tuple[Evaluator, tuple[Resolution, ...]]:
    metadata: Metadata = {
        "environment": snapshot.environment_key,
        "revision": snapshot.revision,
        "version": source.version,
    }
    try:
        flag = _FlagCompiler(source, snapshot.generation, segments, metadata)
        return flag.evaluator(), flag.answers()
    except _MALFORMED:
        broken = failure(
            ErrorCode.PARSE_ERROR,
            "The configuration of this flag cannot be read. Save it again in the environment it belongs to.",
            metadata=metadata,
        )
        return _constant(broken), (broken,)


def _constant(resolution: Resolution) -> Evaluator:
    return lambda context: resolution


class _FlagCompiler:
    """Turns one config document into a closure, and keeps the resolutions it can give."""

    def __init__(self, source: FlagSource, generation: Generation, segments: _Segments, metadata: Metadata) -> None:
        self._document = source.document
        self._generation = generation
        self._segments = segments
        self._metadata = metadata
        as_value: Callable[[Any], Any] = float if source.value_type == "float" else lambda value: value
        self._values = {variant["name"]: as_value(variant["value"]) for variant in source.document["variants"]}
        self._built: dict[tuple[str | None, Reason], Resolution] = {}

    def answers(self) -> tuple[Resolution, ...]:
        return tuple(self._built.values())

    def evaluator(self) -> Evaluator:
        document = self._document
        if document["enabled"] is not True:
            return _constant(self._resolution(document["off_variant"], Reason.DISABLED))
        rules = document["rules"]
        if not rules:
            reason = Reason.DEFAULT if document["default_variant"] is None else Reason.STATIC
            return _constant(self._resolution(document["default_variant"], reason))
        conditional: list[tuple[Condition, Evaluator]] = []
        for rule in rules:
            serve = self._serve(rule["serve"])
            if rule["condition"] is None:
                # Rules behind one for everyone are never reached.
                return _first_match(conditional, serve)
            conditional.append((compile_condition(rule["condition"], segment=self._segments.condition), serve))
        return _first_match(conditional, _constant(self._default()))

    def _resolution(self, variant: str | None, reason: Reason) -> Resolution:
        resolution = self._built.get((variant, reason))
        if resolution is None:
            if variant is None:
                resolution = Resolution(None, None, reason, metadata=self._metadata, has_value=False)
            else:
                resolution = Resolution(self._values[variant], variant, reason, metadata=self._metadata)
            self._built[variant, reason] = resolution
        return resolution

    def _default(self) -> Resolution:
        return self._resolution(self._document["default_variant"], Reason.DEFAULT)

    def _serve(self, serve: Mapping[str, Any]) -> Evaluator:
        if "variant" in serve:
            return _constant(self._resolution(serve["variant"], Reason.TARGETING_MATCH))
        shares = [(share["variant"], share["weight"]) for share in serve["split"]]
        total = sum(weight for _, weight in shares)
        if total < 1:
            return _constant(self._default())
        # bucket < end is hash < ceil(end * 2**32 / total): the multiplication is done here instead of per evaluation.
        ends = [-((-end << 32) // total) for end in accumulate(weight for _, weight in shares)]
        split = [self._resolution(variant, Reason.SPLIT) for variant, _ in shares]
        return self._split(ends, split)

    def _split(self, ends: list[int], split: list[Resolution]) -> Evaluator:
        salt: str = self._document["salt"]
        if not isinstance(salt, str):
            raise TypeError("The salt is no text.")
        remembered, unusual = salted_hash(self._generation), unusual_hash(self._generation)
        default = self._default()

        def serve(context: Context) -> Resolution:
            key = context.get("targetingKey")
            if isinstance(key, str) and len(key) <= REMEMBERED_KEY_CHARACTERS:
                hashed = remembered(salt, key)
            else:
                hashed = unusual(salt, key)
            return default if hashed is None else split[bisect_right(ends, hashed)]

        return serve


def _first_match(rules: list[tuple[Condition, Evaluator]], otherwise: Evaluator) -> Evaluator:
    if not rules:
        return otherwise
    ordered = tuple(rules)

    def evaluate(context: Context) -> Resolution:
        for holds, serve in ordered:
            if holds(context):
                return serve(context)
        return otherwise(context)

    return evaluate
