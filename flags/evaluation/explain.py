"""Explain a resolution: read the documents step by step and keep a trace of every step.

This does not run the compiled closures; it is a second reading of the same rules, and tests hold both together. The
compiler is asked for the answers that no step leads to (no such flag, no usable context, an unreadable document) and
for what the required flags answer. Those are read themselves only where they are shown, and only as far as the size of
the answer allows: what an explanation costs is bounded, whatever environment it is about.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from .bucketing import MAX_TARGETING_KEY_CHARACTERS, bucket, key_hash
from .compile import CompiledSnapshot, compile_snapshot
from .deprecations import WITHDRAWAL_WEIGHT, names_successor, successor_of
from .flags import KEY_ADVICE, metadata_of, values_of
from .instants import parse_instant
from .ordering import dependency_order, flags_required
from .reading import CUT_HERE, Budget, ConditionReader, weight
from .resolution import ErrorCode, Reason, Resolution, failure
from .sources import FlagSource, Metadata, Snapshot
from .splits import TARGETING_KEY
from .traces import Explanation, PrerequisiteTrace, RuleTrace, ShareTrace, SplitTrace, WithdrawalTrace

_NOTHING_FORCED: Mapping[str, str] = {}
# Explanations of prerequisites contain each other this deep; further away only the outcome is told.
_MAX_NESTING = 8
# How many nodes (rules, conditions, shares, prerequisites, flags) one explanation shows. Long texts count as several.
MAX_TRACE_NODES = 5_000


def explain(
    snapshot: Snapshot,
    flag_key: str,
    context: Mapping[str, Any],
    now: datetime,
    *,
    forced: Mapping[str, str] = _NOTHING_FORCED,
) -> Explanation:
    """Return how this flag comes to its resolution for a context. Never raises, whatever it is given.

    The resolution equals that of `compile_snapshot(snapshot, forced=forced).evaluate(flag_key, context, now)`.
    """
    return explain_compiled(compile_related(snapshot, [flag_key], forced=forced), flag_key, context, now)


def compile_related(
    snapshot: Snapshot, flag_keys: Iterable[object], *, forced: Mapping[str, str] = _NOTHING_FORCED
) -> CompiledSnapshot:
    """Return the evaluating form of the part of a snapshot that can matter to these flags."""
    related = _related(snapshot, flag_keys)
    return compile_snapshot(related, forced={key: forced[key] for key in forced if key in related.flags})


def explain_compiled(
    compiled: CompiledSnapshot,
    flag_key: str,
    context: Mapping[str, Any],
    now: datetime,
    *,
    nodes: int = MAX_TRACE_NODES,
) -> Explanation:
    """Return how this flag of a compiled snapshot comes to its resolution. Never raises, whatever it is given.

    Beyond about so many `nodes` the tree is cut, which its notes say. The resolution and the outcome of every rule and
    prerequisite of this flag are told all the same.
    """
    answer = compiled.evaluate(flag_key, context, now)
    if answer.error_code in (ErrorCode.FLAG_NOT_FOUND, ErrorCode.INVALID_CONTEXT, ErrorCode.GENERAL):
        return Explanation(_text(flag_key), answer, "error")
    try:
        return _Reading(compiled, flag_key, dict(context), now, nodes=nodes).explanation(flag_key)
    except Exception:
        # Only foreign objects in a context get here; the answer is still the right one.
        return Explanation(_text(flag_key), answer, "error")


def _text(flag_key: object) -> str:
    return flag_key if isinstance(flag_key, str) else ""


def _related(snapshot: Snapshot, flag_keys: Iterable[object]) -> Snapshot:
    """The part of a snapshot that can matter to these flags."""
    required = _required(snapshot, flag_keys, _NOTHING_FORCED)
    # Whether a successor is named depends on who may see it, and on nothing it requires.
    named = {successor_of(snapshot.flags[key].document) for key in required} & snapshot.flags.keys()
    return replace(snapshot, flags={key: snapshot.flags[key] for key in (*required, *(named - required.keys()))})


def _required(snapshot: Snapshot, flag_keys: Iterable[object], forced: Mapping[str, str]) -> dict[str, set[str]]:
    """These flags and all behind them, each with the flags it requires; a forced one requires nothing."""
    found: dict[str, set[str]] = {}
    pending = [key for key in flag_keys if isinstance(key, str)]
    while pending:
        key = pending.pop()
        if key in snapshot.flags and key not in found:
            found[key] = set() if key in forced else flags_required(snapshot.flags[key].document)
            pending.extend(found[key])
    return found


class _Reading:
    """One reading of a flag and of those it requires, for one context at one instant, within one budget."""

    def __init__(
        self, compiled: CompiledSnapshot, flag_key: str, context: dict[str, Any], now: datetime, *, nodes: int
    ) -> None:
        self._compiled = compiled
        self._snapshot = compiled.snapshot
        self._forced = compiled.forced
        self._context = context
        self._now = now
        self._answers: dict[str, Resolution] = {}
        self._told = {flag_key}
        self._budget = Budget(nodes)
        self._conditions = ConditionReader(self._snapshot.segments, context, self._budget)
        _, self._circular = dependency_order(_required(self._snapshot, [flag_key], self._forced))

    def explanation(self, flag_key: str, *, nesting: int = _MAX_NESTING) -> Explanation:
        """Read this flag, then those it requires, each once and where it is met first, `nesting` flags deep."""
        read = self._read(flag_key)
        self._budget.spend(1 + weight(read.resolution.value))
        return replace(read, prerequisites=tuple(self._with_parent(trace, nesting) for trace in read.prerequisites))

    def _with_parent(self, trace: PrerequisiteTrace, nesting: int) -> PrerequisiteTrace:
        if trace.note:
            return trace
        if trace.flag in self._told:
            return replace(trace, note="Explained elsewhere in this tree.")
        if nesting == 0:
            return replace(trace, note="Too many flags away to be shown here; ask for it alone.")
        if self._budget.is_spent:
            return replace(trace, note=f"{CUT_HERE} Ask for this flag alone.")
        self._told.add(trace.flag)
        return replace(trace, explanation=self.explanation(trace.flag, nesting=nesting - 1))

    def _read(self, key: str) -> Explanation:
        source = self._snapshot.flags[key]
        if key in self._forced:
            return self._forced_explanation(key, source)
        broken = [answer for answer in self._compiled.answers(key) if answer.error_code is ErrorCode.PARSE_ERROR]
        if broken:
            return Explanation(key, broken[0], "error")
        document = source.document
        if document["enabled"] is not True:
            off = self._resolution(source, document["off_variant"], Reason.DISABLED)
            return Explanation(key, off, "switch", is_on=False)
        withdrawal = self._withdrawal(document)
        if withdrawal is not None and withdrawal.holds:
            return Explanation(
                key, self._withdrawn(source, withdrawal), "withdrawal", is_on=True, withdrawal=withdrawal
            )
        return replace(self._beyond_withdrawal(key, source), is_on=True, withdrawal=withdrawal)

    def _beyond_withdrawal(self, key: str, source: FlagSource) -> Explanation:
        required = source.document.get("prerequisites") or []
        self._budget.spend(len(required))
        traces = tuple(self._prerequisite(item, is_circular=key in self._circular) for item in required)
        unmet = self._unmet(source, traces)
        if unmet is not None:
            return Explanation(key, unmet, "prerequisite", prerequisites=traces)
        return replace(self._body(key, source), prerequisites=traces)

    def _withdrawal(self, document: Mapping[str, Any]) -> WithdrawalTrace | None:
        found = (document.get("deprecation") or {}).get("withdrawal")
        if not found:
            return None
        share, until = found["weight"], parse_instant(found.get("until"))
        is_open = until is None or self._now < until
        if share == WITHDRAWAL_WEIGHT:
            return WithdrawalTrace(share, found["serves"], found.get("until"), is_open, is_open)
        key, generation = self._key(TARGETING_KEY), self._snapshot.generation
        place = None
        if key is not None:
            place = bucket(key, salt=document["salt"], total=WITHDRAWAL_WEIGHT, generation=generation)
        holds = is_open and place is not None and place < share
        return WithdrawalTrace(share, found["serves"], found.get("until"), is_open, holds, key, place)

    def _withdrawn(self, source: FlagSource, trace: WithdrawalTrace) -> Resolution:
        reason = Reason.STATIC if trace.weight == WITHDRAWAL_WEIGHT else Reason.SPLIT
        answer = self._resolution(source, trace.serves, Reason.DEFAULT if trace.serves is None else reason)
        return replace(answer, metadata={**answer.metadata, "withdrawn": True})

    def _forced_explanation(self, key: str, source: FlagSource) -> Explanation:
        variant = self._forced[key]
        metadata = metadata_of(self._snapshot, source) | {"forced": True}
        answer = Resolution(values_of(source)[variant], variant, Reason.STATIC, metadata=metadata)
        return Explanation(key, answer, "forced", forced=variant)

    def _prerequisite(self, item: Mapping[str, Any], *, is_circular: bool) -> PrerequisiteTrace:
        key, variants = item["flag"], tuple(item["variants"])
        if is_circular:
            note = "This leads into a circle of flags that require each other, so it is never met."
            return PrerequisiteTrace(key, variants, None, False, None, note)
        if key not in self._snapshot.flags:
            note = "There is no such flag in this environment, so it is never met."
            return PrerequisiteTrace(key, variants, None, False, None, note)
        got = self._answer(key).variant
        return PrerequisiteTrace(key, variants, got, got in variants, None)

    def _answer(self, key: str) -> Resolution:
        """What a required flag answers."""
        answer = self._answers.get(key)
        if answer is None:
            answer = self._compiled.evaluate(key, self._context, self._now, known=self._answers)
            self._answers[key] = answer
        return answer

    def _unmet(self, source: FlagSource, traces: tuple[PrerequisiteTrace, ...]) -> Resolution | None:
        unmet = [trace for trace in traces if not trace.is_met]
        if not unmet:
            return None
        if all(not trace.note and self._is_keyless(trace.flag) for trace in unmet):
            return self._without_key(source)
        return self._resolution(source, source.document["off_variant"], Reason.DISABLED)

    def _is_keyless(self, key: str) -> bool:
        return self._answer(key).error_code is ErrorCode.TARGETING_KEY_MISSING

    def _body(self, key: str, source: FlagSource) -> Explanation:
        document = source.document
        default: str | None = document["default_variant"]
        targeting_key = self._context.get(TARGETING_KEY)
        for target in document.get("targets") or ():
            if isinstance(targeting_key, str) and targeting_key in target["keys"]:
                answer = self._resolution(source, target["variant"], Reason.TARGETING_MATCH)
                return Explanation(key, answer, "target", target=target["variant"])
        if not document["rules"]:
            reason = Reason.DEFAULT if default is None else Reason.STATIC
            return Explanation(key, self._resolution(source, default, reason), "default", default_variant=default)
        traces: list[RuleTrace] = []
        self._conditions.begin()
        for number, rule in enumerate(document["rules"], start=1):
            trace = self._rule(number, rule, document)
            traces.append(trace)
            if trace.matched:
                answer = self._served(source, rule, trace)
                return Explanation(key, answer, "rule", rules=tuple(traces), default_variant=default)
        answer = self._resolution(source, default, Reason.DEFAULT)
        return Explanation(key, answer, "default", rules=tuple(traces), default_variant=default)

    def _rule(self, number: int, rule: Mapping[str, Any], document: Mapping[str, Any]) -> RuleTrace:
        self._budget.spend(1 + weight(rule.get("description", "")))
        is_in_window = self._is_in_window(rule)
        condition = None
        if is_in_window and rule["condition"] is not None:
            condition = self._conditions.trace(rule["condition"])
        matched = is_in_window and (condition is None or condition.holds)
        split = self._split(rule, document) if matched and "split" in rule["serve"] else None
        return RuleTrace(
            number=number,
            id=rule.get("id", ""),
            description=rule.get("description", ""),
            starts_at=rule.get("starts_at"),
            ends_at=rule.get("ends_at"),
            is_in_window=is_in_window,
            condition=condition,
            matched=matched,
            variant=(split.variant if split else rule["serve"].get("variant")) if matched else None,
            split=split,
        )

    def _is_in_window(self, rule: Mapping[str, Any]) -> bool:
        starts_at, ends_at = parse_instant(rule.get("starts_at")), parse_instant(rule.get("ends_at"))
        has_started = starts_at is None or self._now >= starts_at
        return has_started and (ends_at is None or self._now < ends_at)

    def _split(self, rule: Mapping[str, Any], document: Mapping[str, Any]) -> SplitTrace:
        attribute, salt = rule.get("bucket_by", TARGETING_KEY), rule.get("salt", document["salt"])
        shares = [(share["variant"], share["weight"]) for share in rule["serve"]["split"]]
        self._budget.spend(len(shares))
        total = sum(share for _, share in shares)
        key = self._key(attribute)
        generation = self._snapshot.generation
        place = None if key is None or total < 1 else bucket(key, salt=salt, total=total, generation=generation)
        traces: list[ShareTrace] = []
        start = 0
        for variant, share in shares:
            chosen = place is not None and start <= place < start + share
            traces.append(ShareTrace(variant, start, start + share, chosen))
            start += share
        return SplitTrace(
            bucket_by=attribute,
            salt=salt,
            generation=generation.value,
            total=total,
            key=key,
            hash=None if key is None else key_hash(salt, generation=generation)(key),
            bucket=place,
            variant=next((trace.variant for trace in traces if trace.is_chosen), None),
            shares=tuple(traces),
        )

    def _key(self, attribute: str) -> str | None:
        """The text that a split by this attribute hashes, or None."""
        key = self._context.get(attribute)
        if not isinstance(key, str) or len(key) > MAX_TARGETING_KEY_CHARACTERS:
            return None
        if any("\ud800" <= character <= "\udfff" for character in key):
            return None
        return None if key == "" and self._needs_key(attribute) else key

    def _needs_key(self, attribute: str) -> bool:
        return self._snapshot.requires_targeting_key and attribute == TARGETING_KEY

    def _served(self, source: FlagSource, rule: Mapping[str, Any], trace: RuleTrace) -> Resolution:
        if trace.split is None:
            return self._resolution(source, rule["serve"]["variant"], Reason.TARGETING_MATCH)
        if trace.split.variant is not None:
            return self._resolution(source, trace.split.variant, Reason.SPLIT)
        if trace.split.total > 0 and self._needs_key(trace.split.bucket_by):
            return self._without_key(source)
        return self._resolution(source, source.document["default_variant"], Reason.DEFAULT)

    def _metadata(self, source: FlagSource) -> Metadata:
        metadata = metadata_of(self._snapshot, source)
        found = source.document.get("deprecation") or {}
        told_at = parse_instant(found.get("deprecated_at"))
        if told_at is None or self._now < told_at:
            return metadata
        metadata["deprecated"] = True
        if found.get("sunset_at"):
            metadata["sunsetAt"] = found["sunset_at"]
        if found.get("successor") and names_successor(self._snapshot, source, found["successor"]):
            metadata["successor"] = found["successor"]
        return metadata

    def _without_key(self, source: FlagSource) -> Resolution:
        metadata = self._metadata(source)
        return failure(ErrorCode.TARGETING_KEY_MISSING, KEY_ADVICE, metadata=metadata)

    def _resolution(self, source: FlagSource, variant: str | None, reason: Reason) -> Resolution:
        metadata = self._metadata(source)
        if variant is None:
            return Resolution(None, None, reason, metadata=metadata, has_value=False)
        return Resolution(values_of(source)[variant], variant, reason, metadata=metadata)
