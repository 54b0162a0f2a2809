"""Explain a resolution: read the documents step by step and keep a trace of every step.

This does not run the compiled closures; it is a second reading of the same rules, and tests hold both together. The
compiler is asked only for the answers that no step leads to: no such flag, no usable context, an unreadable document.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from .bucketing import MAX_TARGETING_KEY_CHARACTERS, bucket, key_hash
from .compile import CompiledSnapshot, compile_snapshot
from .flags import KEY_ADVICE, metadata_of, values_of
from .instants import parse_instant
from .ordering import dependency_order, flags_required
from .reading import ConditionReader
from .resolution import ErrorCode, Reason, Resolution, failure
from .sources import FlagSource, Snapshot
from .splits import TARGETING_KEY
from .traces import Explanation, PrerequisiteTrace, RuleTrace, ShareTrace, SplitTrace

_NOTHING_FORCED: Mapping[str, str] = {}
# Explanations of prerequisites contain each other this deep; further away only the outcome is told.
_MAX_NESTING = 8


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
    related = _related(snapshot, flag_key)
    compiled = compile_snapshot(related, forced={key: forced[key] for key in forced if key in related.flags})
    answer = compiled.evaluate(flag_key, context, now)
    if answer.error_code in (ErrorCode.FLAG_NOT_FOUND, ErrorCode.INVALID_CONTEXT, ErrorCode.GENERAL):
        return Explanation(_text(flag_key), answer, "error")
    try:
        return _Reading(compiled, dict(context), now).explanation(flag_key)
    except Exception:
        # Only foreign objects in a context get here; the answer is still the right one.
        return Explanation(_text(flag_key), answer, "error")


def _text(flag_key: object) -> str:
    return flag_key if isinstance(flag_key, str) else ""


def _related(snapshot: Snapshot, flag_key: object) -> Snapshot:
    """The part of a snapshot that can matter to one flag."""
    flags: dict[str, FlagSource] = {}
    pending = [flag_key] if isinstance(flag_key, str) else []
    while pending:
        key = pending.pop()
        if key in snapshot.flags and key not in flags:
            flags[key] = snapshot.flags[key]
            pending.extend(flags_required(flags[key].document))
    return replace(snapshot, flags=flags)


class _Reading:
    """One reading of the flags that matter to one, for one context at one instant."""

    def __init__(self, compiled: CompiledSnapshot, context: dict[str, Any], now: datetime) -> None:
        self._compiled = compiled
        self._snapshot = compiled.snapshot
        self._forced = compiled.forced
        self._context = context
        self._now = now
        self._known: dict[str, Explanation] = {}
        self._conditions = ConditionReader(self._snapshot.segments, context)

    def explanation(self, flag_key: str) -> Explanation:
        """Read every flag behind those it requires, then tell the tree of this one."""
        required = {
            key: set() if key in self._forced else flags_required(source.document)
            for key, source in self._snapshot.flags.items()
        }
        order, circular = dependency_order(required)
        for key in (*order, *sorted(circular)):
            self._known[key] = self._read(key, is_circular=key in circular)
        return _without_repeats(self._known[flag_key], {flag_key}, _MAX_NESTING)

    def _read(self, key: str, *, is_circular: bool) -> Explanation:
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
        required = document.get("prerequisites") or []
        traces = tuple(self._prerequisite(item, is_circular=is_circular) for item in required)
        unmet = self._unmet(source, traces)
        if unmet is not None:
            return Explanation(key, unmet, "prerequisite", is_on=True, prerequisites=traces)
        return replace(self._body(key, source), is_on=True, prerequisites=traces)

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
        parent = self._known.get(key)
        if parent is None:
            note = "There is no such flag in this environment, so it is never met."
            return PrerequisiteTrace(key, variants, None, False, None, note)
        got = parent.resolution.variant
        return PrerequisiteTrace(key, variants, got, got in variants, parent)

    def _unmet(self, source: FlagSource, traces: tuple[PrerequisiteTrace, ...]) -> Resolution | None:
        unmet = [trace.explanation for trace in traces if not trace.is_met]
        if not unmet:
            return None
        keyless = [e for e in unmet if e and e.resolution.error_code is ErrorCode.TARGETING_KEY_MISSING]
        if len(keyless) == len(unmet):
            return self._without_key(source)
        return self._resolution(source, source.document["off_variant"], Reason.DISABLED)

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
        total = sum(weight for _, weight in shares)
        key = self._key(attribute)
        generation = self._snapshot.generation
        place = None if key is None or total < 1 else bucket(key, salt=salt, total=total, generation=generation)
        traces: list[ShareTrace] = []
        start = 0
        for variant, weight in shares:
            chosen = place is not None and start <= place < start + weight
            traces.append(ShareTrace(variant, start, start + weight, chosen))
            start += weight
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

    def _without_key(self, source: FlagSource) -> Resolution:
        metadata = metadata_of(self._snapshot, source)
        return failure(ErrorCode.TARGETING_KEY_MISSING, KEY_ADVICE, metadata=metadata)

    def _resolution(self, source: FlagSource, variant: str | None, reason: Reason) -> Resolution:
        metadata = metadata_of(self._snapshot, source)
        if variant is None:
            return Resolution(None, None, reason, metadata=metadata, has_value=False)
        return Resolution(values_of(source)[variant], variant, reason, metadata=metadata)


def _without_repeats(explanation: Explanation, shown: set[str], nesting: int) -> Explanation:
    """The tree with every flag explained once, where it is met first, and not deeper than `nesting` flags."""
    told: list[PrerequisiteTrace] = []
    for trace in explanation.prerequisites:
        inner = trace.explanation
        if inner is None:
            told.append(trace)
        elif inner.flag_key in shown:
            told.append(replace(trace, explanation=None, note="Explained elsewhere in this tree."))
        elif nesting == 0:
            told.append(
                replace(trace, explanation=None, note="Too many flags away to be shown here; ask for it alone.")
            )
        else:
            shown.add(inner.flag_key)
            told.append(replace(trace, explanation=_without_repeats(inner, shown, nesting - 1)))
    return replace(explanation, prerequisites=tuple(told))
