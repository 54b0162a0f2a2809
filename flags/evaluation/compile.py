"""Compile a snapshot to closures that evaluate. Pure: no clock, no I/O, and evaluation never raises.

Every resolution a flag can give is built here, once; evaluation only chooses among them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from .deprecations import (
    Deprecation,
    deprecation_of,
    is_archived,
    is_client_visible,
    names_successor,
    told_of,
)
from .endings import told_from, withdrawn
from .flags import Dependent, FlagCompiler, Known, Program, metadata_of, values_of
from .ordering import dependency_order, flags_required
from .plans import Plan
from .prerequisites import STRIDE, CompiledFlag, link
from .resolution import ErrorCode, Reason, Resolution, failure
from .segments import UNREADABLE, Segments
from .sources import FlagSource, Metadata, Snapshot
from .splits import Evaluator

__all__ = ["CompiledSnapshot", "FlagSource", "Snapshot", "compile_snapshot"]

_NOTHING_FORCED: Mapping[str, str] = {}


class CompiledSnapshot:
    """A snapshot that evaluates. Immutable, so threads share it."""

    __slots__ = (
        "__weakref__",
        "_compiled",
        "_dependents",
        "_everything",
        "_failed",
        "_invalid_context",
        "_not_found",
        "_segments",
        "_simple",
        "_visible",
        "client_flag_keys",
        "forced",
        "ignored_forced",
        "snapshot",
    )

    def __init__(
        self, snapshot: Snapshot, *, forced: Mapping[str, str], compiled: dict[str, CompiledFlag], segments: Segments
    ) -> None:
        """Use `compile_snapshot`: what is given here has to fit together."""
        self.snapshot = snapshot
        self._compiled = compiled
        self._segments = segments
        self.forced, self.ignored_forced = _sorted_out(snapshot, forced)
        self.client_flag_keys = frozenset(
            key for key, source in snapshot.flags.items() if is_client_visible(source.document)
        )
        self._simple: dict[str, Evaluator] = {
            key: flag.program.as_simple() for key, flag in compiled.items() if flag.program.dependent is None
        }
        self._dependents = _reachable(compiled)
        self._everything = Plan(compiled, compiled.keys())
        self._visible = Plan(compiled, self.client_flag_keys, dependents=self._dependents)
        self._not_found, self._invalid_context, self._failed = _failures(snapshot)

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
        return tuple(self._compiled)

    def answers(self, flag_key: str) -> tuple[Resolution, ...]:
        """Every resolution this flag can give; `evaluate` returns these very objects, so they can be rendered ahead."""
        flag = self._compiled.get(flag_key)
        return () if flag is None else flag.answers

    def plan(self, *, client_only: bool) -> Plan:
        """How all flags are answered, or those that clients may see. One object as long as this snapshot lives."""
        return self._visible if client_only else self._everything

    def evaluate(
        self, flag_key: str, context: Mapping[str, Any], now: datetime, *, known: Known | None = None
    ) -> Resolution:
        """Return the resolution of one flag. Never raises, whatever it is given.

        `now` is the aware instant of the question, for rules that start or end. `known` holds, and takes up, what flags
        on the way answer: for several questions about one context and instant, so that none is worked out twice.
        """
        if type(context) is not dict:
            plain = _as_dict(context)
            if plain is None:
                return self._invalid_context
            context = plain
        try:
            evaluator = self._simple.get(flag_key)
            if evaluator is not None:
                return evaluator(context)
            dependent = self._dependents.get(flag_key)
            return self._not_found if dependent is None else dependent(context, now, {} if known is None else known)
        except Exception:
            # No JSON value gets here; an attribute of a foreign class whose comparison raises does.
            return self._failed

    def evaluate_all(
        self, context: Mapping[str, Any], now: datetime, *, client_only: bool = False
    ) -> dict[str, Resolution]:
        """Return the resolution of every flag for one context, or of those that clients may see. Never raises."""
        plan = self.plan(client_only=client_only)
        if type(context) is dict:
            try:
                return plan.run(context, now)
            except Exception:  # noqa: S110 - the flags that can be answered are answered one by one below
                pass
        return {key: self.evaluate(key, context, now) for key in plan.keys}

    def decide(self, plan: Plan, context: dict[str, Any], now: datetime) -> list[Resolution]:
        """Return what the context decides: the resolutions of `plan.open_keys`. Never raises."""
        try:
            return plan.decide(context, now)
        except Exception:
            return [self.evaluate(key, context, now) for key in plan.open_keys]

    def with_forced(self, forced: Mapping[str, str]) -> "CompiledSnapshot":
        """Return this snapshot with exactly these variants forced (flag key -> variant), whatever documents say.

        Only flags whose answers this can change are compiled again. `ignored_forced` of the result names what it
        cannot force.
        """
        wanted, _ = _sorted_out(self.snapshot, forced)
        changed = {key for key in wanted.keys() | self.forced.keys() if wanted.get(key) != self.forced.get(key)}
        stale = _with_children(self.snapshot, changed)
        kept = {key: flag for key, flag in self._compiled.items() if key not in stale}
        compiled = _compile_flags(self.snapshot, self._segments, wanted, kept)
        return CompiledSnapshot(self.snapshot, forced=forced, compiled=compiled, segments=self._segments)


def compile_snapshot(snapshot: Snapshot, *, forced: Mapping[str, str] = _NOTHING_FORCED) -> CompiledSnapshot:
    """Return the evaluating form of a snapshot. A document that cannot be read fails its own flag only.

    `forced` is the kill list: flag key -> variant to answer, before anything else is looked at. Archived flags are left
    out.
    """
    snapshot = without_archived(snapshot)
    segments = Segments(snapshot.segments)
    wanted, _ = _sorted_out(snapshot, forced)
    compiled = _compile_flags(snapshot, segments, wanted, {})
    return CompiledSnapshot(snapshot, forced=forced, compiled=compiled, segments=segments)


def without_archived(snapshot: Snapshot) -> Snapshot:
    """The snapshot without the flags that are archived in its environment: for services they do not exist."""
    archived = {key for key, source in snapshot.flags.items() if is_archived(source.document)}
    if not archived:
        return snapshot
    return replace(snapshot, flags={key: source for key, source in snapshot.flags.items() if key not in archived})


def _compile_flags(
    snapshot: Snapshot, segments: Segments, forced: Mapping[str, str], kept: Mapping[str, CompiledFlag]
) -> dict[str, CompiledFlag]:
    """Compile every flag that is not kept, each behind those it requires, and return all in the snapshot's order."""
    required = {
        key: set() if key in forced else flags_required(source.document) for key, source in snapshot.flags.items()
    }
    order, circular = dependency_order(required)
    compiled = dict(kept)
    for key in order:
        if key not in compiled:
            compiled[key] = _compile_flag(key, snapshot, segments, forced, compiled, is_circular=False)
    for key in circular - compiled.keys():
        compiled[key] = _compile_flag(key, snapshot, segments, forced, compiled, is_circular=True)
    return {key: compiled[key] for key in snapshot.flags}


def _compile_flag(
    key: str,
    snapshot: Snapshot,
    segments: Segments,
    forced: Mapping[str, str],
    compiled: Mapping[str, CompiledFlag],
    *,
    is_circular: bool,
) -> CompiledFlag:
    source = snapshot.flags[key]
    if key in forced:
        return _constant(_forced(snapshot, source, forced[key]))

    def serving(flag: FlagCompiler) -> CompiledFlag:
        if is_circular:
            # What requires itself is never met, and nothing that requires that either.
            return _constant(flag.off())
        required = source.document.get("prerequisites") or []
        return link(flag, required=required, find=compiled.get, strict=snapshot.requires_targeting_key)

    try:
        deprecation = deprecation_of(source.document)
        silent = _switched(FlagCompiler(source, snapshot=snapshot, segments=segments), source, snapshot, serving)
        if deprecation is None:
            return silent
        telling = FlagCompiler(source, snapshot=snapshot, segments=segments, told=_told(source, deprecation, snapshot))
        return told_from(deprecation.deprecated_at, silent, _switched(telling, source, snapshot, serving))
    except UNREADABLE:
        return _constant(unreadable(snapshot, source))


def _told(source: FlagSource, deprecation: Deprecation, snapshot: Snapshot) -> Metadata:
    """What services are told of the end."""
    if not names_successor(snapshot, source, deprecation.successor):
        deprecation = replace(deprecation, successor="")
    return told_of(deprecation)


def _switched(
    flag: FlagCompiler, source: FlagSource, snapshot: Snapshot, serving: Callable[[FlagCompiler], CompiledFlag]
) -> CompiledFlag:
    """The flag with its switch, then its withdrawal, then what it serves beyond both."""
    if source.document["enabled"] is not True:
        return _constant(flag.off())
    deprecation = deprecation_of(source.document)
    if deprecation is None or deprecation.withdrawal is None:
        return serving(flag)
    return withdrawn(
        flag,
        deprecation.withdrawal,
        lambda: serving(flag),
        salt=source.document["salt"],
        generation=snapshot.generation,
        strict=snapshot.requires_targeting_key,
    )


def unreadable(snapshot: Snapshot, source: FlagSource) -> Resolution:
    """The answer of a flag whose document validation would have refused."""
    return failure(
        ErrorCode.PARSE_ERROR,
        "The configuration of this flag cannot be read. Save it again in the environment it belongs to.",
        metadata=metadata_of(snapshot, source),
    )


def _constant(resolution: Resolution) -> CompiledFlag:
    return CompiledFlag(Program(constant=resolution), (resolution,))


def _forced(snapshot: Snapshot, source: FlagSource, variant: str) -> Resolution:
    metadata = metadata_of(snapshot, source) | {"forced": True}
    return Resolution(values_of(source)[variant], variant, Reason.STATIC, metadata=metadata)


def _sorted_out(snapshot: Snapshot, forced: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Part what can be forced from what cannot: no such flag, no such variant, or a document nobody can read."""
    usable: dict[str, str] = {}
    for key, variant in forced.items():
        source = snapshot.flags.get(key)
        try:
            if source is not None and variant in values_of(source):
                usable[key] = variant
        except UNREADABLE:
            continue
    return usable, {key: variant for key, variant in forced.items() if key not in usable}


def _with_children(snapshot: Snapshot, changed: Iterable[str]) -> set[str]:
    """These flags and all that require them, directly or not."""
    children: dict[str, list[str]] = {}
    for key, source in snapshot.flags.items():
        for parent in flags_required(source.document):
            children.setdefault(parent, []).append(key)
    found: set[str] = set()
    pending = list(changed)
    while pending:
        key = pending.pop()
        if key not in found:
            found.add(key)
            pending.extend(children.get(key, ()))
    return found


def _reachable(compiled: Mapping[str, CompiledFlag]) -> dict[str, Dependent]:
    """The flags that depend on more than the context, each safe to ask on its own at any depth."""
    dependents = {key: flag for key, flag in compiled.items() if flag.program.dependent}
    # How many calls deep an evaluation of the flag goes, and (a bit for each of `stones`) what it asks in advance, the
    # lowest first, so that it goes no deeper.
    calls: dict[str, int] = {}
    ahead: dict[str, int] = {}
    stones: dict[str, int] = {}
    for key, flag in sorted(dependents.items(), key=lambda item: item[1].depth):
        parents = [parent for parent in flag.parents if parent in dependents]
        calls[key] = 1 + max((calls[parent] for parent in parents if parent not in stones), default=0)
        ahead[key] = 0
        for parent in parents:
            ahead[key] |= ahead[parent] | stones.get(parent, 0)
        if calls[key] >= STRIDE:
            stones[key] = 1 << len(stones)
    steps = [(key, compiled[key].program.as_dependent()) for key in stones]
    return {key: _stepwise(_chosen(steps, ahead[key]), flag) for key, flag in dependents.items()}


def _chosen(steps: list[tuple[str, Dependent]], bits: int) -> list[tuple[str, Dependent]]:
    return [step for step, bit in zip(steps, reversed(f"{bits:b}"), strict=False) if bit == "1"] if bits else []


def _stepwise(steps: list[tuple[str, Dependent]], flag: CompiledFlag) -> Dependent:
    """Ask some of the flags it requires in advance, lowest first, so that no call goes deeper than `STRIDE` flags."""
    evaluate = flag.program.as_dependent()
    if not steps:
        return evaluate

    def stepwise(context: Any, now: datetime, known: Known) -> Resolution:
        for key, step in steps:
            if known.get(key) is None:
                known[key] = step(context, now, known)
        return evaluate(context, now, known)

    return stepwise


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


def _failures(snapshot: Snapshot) -> tuple[Resolution, Resolution, Resolution]:
    metadata: Metadata = {"environment": snapshot.environment_key, "revision": snapshot.revision}
    return (
        failure(
            ErrorCode.FLAG_NOT_FOUND,
            f"Environment “{snapshot.environment_key}” serves no flag with this key. "
            "Check the spelling, or set the flag up in this environment.",
            metadata=metadata,
        ),
        failure(
            ErrorCode.INVALID_CONTEXT,
            "The evaluation context is not an object. Send a JSON object of attributes.",
            metadata=metadata,
        ),
        failure(
            ErrorCode.GENERAL,
            "An attribute of the evaluation context cannot be compared. Send JSON values only.",
            metadata=metadata,
        ),
    )
