"""A rehearsal of going back: build the restored state beside what is served, and prove that it would be served in time.

Nothing here writes, and no request of anybody is answered from what is built.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from audits.errors import GovernanceError
from flags import snapshots
from flags.changes import ChangeSet, ConfigEdit, SegmentEdit, document_digest
from flags.evaluation.compile import CompiledSnapshot, FlagSource, Snapshot
from flags.evaluation.explain import explain_compiled
from flags.models import FlagConfig
from flags.selectors.versions import Past, environment_at, past_version
from flags.services.configs import validate_change_set
from flags.snapshots import SnapshotStore, TokenFacts
from rollouts.models import DrillTarget, RollbackDrill
from rollouts.services.verifying import differing

Clock = Callable[[], float]
SAMPLES = 200
_LISTED = 50


class RehearsalFailed(Exception):
    """The state could not be put back; the text says why."""


@dataclass(slots=True)
class Rehearsal:
    """What one rehearsal found. `took` is seconds until the shadow store served; `problem` is empty where it passed."""

    took: float = 0.0
    problem: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Anchor:
    """The state to go back to: configs by flag key and segments by their key."""

    configs: Mapping[str, Past]
    segments: Mapping[str, Past]


def rehearse(drill: RollbackDrill, *, now: datetime, clock: Clock) -> Rehearsal:
    """Put the drill's target back in a shadow store, compare what it serves and ask it. Never raises for the anchor."""
    found = Rehearsal()
    began = last = clock()
    steps: dict[str, int] = {}
    found.evidence["steps_ms"] = steps

    def step(name: str) -> None:
        nonlocal last
        steps[name], last = round((clock() - last) * 1000), clock()

    try:
        anchor = _anchor(drill, now)
        found.evidence["anchor"] = _listed(anchor)
        step("read")
        expected = _validated(drill, anchor)
        step("validate")
        served = _shadow(_restored(drill, anchor))
        found.took = clock() - began
        step("serve")
        _compare(served, expected)
        found.evidence["evaluations"] = _ask(served, [key for kind, key in expected if kind == "flag"], now)
        step("verify")
    except RehearsalFailed as failure:
        found.problem = str(failure)
    found.took = found.took or clock() - began
    if not found.problem and found.took > drill.limit_seconds:
        found.problem = f"It took {found.took:.1f} s; the limit is {drill.limit_seconds} s."
    return found


def _anchor(drill: RollbackDrill, now: datetime) -> _Anchor:
    """The documents to go back to, each as it was when it was served. Raises RehearsalFailed."""
    if drill.target == DrillTarget.INSTANT:
        past = environment_at(drill.environment, now - timedelta(hours=drill.target_hours or 0))
        key = drill.flag.key if drill.flag else None
        configs = {name: one for name, one in past.configs.items() if key in (None, name)}
        anchor = _Anchor(configs, {} if key else past.segments)
        if not configs:
            raise RehearsalFailed(
                f"Nothing was set up {drill.target_hours} hours ago, so there is nothing to go back to."
            )
    else:
        one = _one_version(drill)
        anchor = _Anchor({one.key: one}, {})
    for past_one in (*anchor.configs.values(), *anchor.segments.values()):
        if past_one.archived is not None:
            raise RehearsalFailed(
                f"Version {past_one.version} of {past_one.key} is no longer in the database, so nothing could go back "
                f"to it. {past_one.archived.words}"
            )
        if not past_one.document or document_digest(past_one.document) != past_one.digest:
            raise RehearsalFailed(
                f"Version {past_one.version} of {past_one.key} in the history is not what was served then: "
                "its content does not match its digest. Choose another version to go back to and find out why."
            )
    return anchor


def _one_version(drill: RollbackDrill) -> Past:
    rows = FlagConfig.objects.select_related("flag", "environment")
    row = rows.filter(environment=drill.environment, flag=drill.flag).first()
    if row is None:
        raise RehearsalFailed("The flag is not set up here, so there is nothing to go back to.")
    number = drill.target_version if drill.target == DrillTarget.VERSION else row.version - 1
    past = past_version(row, number or 0)
    if past is None:
        which = f"version {number}" if number else "version before the present one"
        raise RehearsalFailed(f"There is no {which} of {row.flag.key}, so there is nothing to go back to.")
    return past


def _listed(anchor: _Anchor) -> dict[str, Any]:
    every = {
        **{f"flag {k}": v for k, v in anchor.configs.items()},
        **{f"segment {k}": v for k, v in anchor.segments.items()},
    }
    shown = {name: {"version": one.version, "digest": one.digest} for name, one in sorted(every.items())[:_LISTED]}
    return {"count": len(every), "versions": shown}


def _validated(drill: RollbackDrill, anchor: _Anchor) -> dict[tuple[str, str], str]:
    """The digests that have to be served. Raises RehearsalFailed where the state would be refused if it were live."""
    versions = {("flag", key): one.version for key, one in anchor.configs.items()}
    edits: list[ConfigEdit | SegmentEdit] = [
        ConfigEdit(key, versions["flag", key], one.document) for key, one in anchor.configs.items()
    ]
    edits += [SegmentEdit(key, one.name, one.version, one.document) for key, one in anchor.segments.items()]
    change_set = ChangeSet(str(drill.environment.pk), tuple(edits))
    try:
        checked = validate_change_set(change_set, drill.environment)
    except GovernanceError as error:
        raise RehearsalFailed(f"It would be refused today: {error.message}") from error
    return {
        ("flag", edit.flag_key) if isinstance(edit, ConfigEdit) else ("segment", edit.segment_key): document_digest(
            edit.document
        )
        for edit in checked.edits
    }


def _restored(drill: RollbackDrill, anchor: _Anchor) -> Snapshot:
    """What the environment would serve: what it serves now with the anchor's documents in it."""
    present = snapshots.build(drill.environment.pk)
    flags = dict(present.flags)
    for key, one in anchor.configs.items():
        if key in flags:
            flags[key] = FlagSource(flags[key].value_type, one.document, flags[key].version + 1)
    documents = {key: one.document for key, one in anchor.segments.items() if key in present.segments}
    return replace(present, revision=present.revision + 1, flags=flags, segments={**present.segments, **documents})


class _ShadowSource:
    """A source that holds one environment, for a store that nobody asks but the rehearsal."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._id = uuid.UUID(snapshot.environment_id)

    def read_revisions(self) -> Mapping[uuid.UUID, int]:
        return {self._id: self._snapshot.revision}

    def read_token_stamp(self) -> object:
        return "drill"

    def read_tokens(self) -> Mapping[str, TokenFacts]:
        shadow = self._snapshot
        facts = TokenFacts(uuid.UUID(int=0), "drill", "evaluate", shadow.project_key, self._id, "shadow", None)
        return {"drill": facts}

    def build(self, environment_id: uuid.UUID) -> Snapshot:
        return self._snapshot

    def write_last_use(self, token_id: uuid.UUID, used_at: datetime) -> None:
        return None


def _shadow(snapshot: Snapshot) -> CompiledSnapshot:
    store = SnapshotStore(_ShadowSource(snapshot))
    store.refresh()
    return store.served[uuid.UUID(snapshot.environment_id)]


def _compare(served: CompiledSnapshot, expected: Mapping[tuple[str, str], str]) -> None:
    wrong = differing(served, expected)
    if wrong:
        raise RehearsalFailed(
            f"The shadow store serves something else than what was to be put back: {', '.join(wrong)}."
        )


def _ask(served: CompiledSnapshot, keys: list[str], now: datetime) -> int:
    """Ask the shadow store, read the documents a second way, and see that both agree. How often it was asked."""
    values = list(_values_named(served.snapshot))
    for number in range(SAMPLES):
        key, context = keys[number % len(keys)], {"targetingKey": f"drill-{number}"}
        context |= {name: options[number % len(options)] for name, options in values}
        answer = served.evaluate(key, context, now)
        told = explain_compiled(served, key, context, now).resolution
        if (answer.variant, answer.reason) != (told.variant, told.reason):
            raise RehearsalFailed(f"{key} answers {answer.variant!r} where its settings say {told.variant!r}.")
    return SAMPLES


def _values_named(snapshot: Snapshot) -> Iterator[tuple[str, list[Any]]]:
    """What rules and segments compare attributes with, so that the samples reach more than the default."""
    found: dict[str, list[Any]] = {}
    pending: list[Any] = [source.document for source in snapshot.flags.values()] + list(snapshot.segments.values())
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            if isinstance(item.get("attribute"), str):
                value = item.get("value")
                found.setdefault(item["attribute"], [None]).extend(value if isinstance(value, list) else [value])
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    found.pop("targetingKey", None)
    yield from sorted(found.items())
