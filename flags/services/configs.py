"""The single write path: `apply_change_set` is the only way in which served state changes, whoever asks."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from django.db import IntegrityError, transaction
from django.db.models import F

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions, snapshots
from flags.authority import Authority, DirectEdit, NotNarrowing, ProtectedEnvironment
from flags.changes import ChangeSet, ConfigEdit, SegmentEdit, change_digest
from flags.differences import recorded_sentences
from flags.directions import PREPARES, Movement
from flags.documents import Problem, normalise_config, normalise_segment, validate_config, validate_segment
from flags.documents.deprecation import is_archived
from flags.errors import InvalidDocument, InvalidInput, NotFound, StaleChange
from flags.models import Environment, Flag, FlagConfig, Segment
from flags.selectors.movements import movement_of_change_set
from flags.services.attempts import attempted
from flags.services.endings import refuse_ending, revival_problems
from flags.services.gates import pass_gates
from flags.services.keys import checked_key, checked_text
from flags.services.locks import lock_environment
from flags.services.retirement import keep_up, lock_flags
from flags.services.surroundings import surrounding_problems
from flags.services.tickets import governed_write
from flags.services.versions import Author, write_version


@dataclass(frozen=True, slots=True)
class AppliedChange:
    """What an apply brought about: the environment's new revision and the new version of each key."""

    revision: int
    versions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _State:
    """The rows a change set touches, as they are now."""

    environment: Environment
    flags: Mapping[str, Flag]
    configs: Mapping[str, FlagConfig]
    segments: Mapping[str, Segment]

    def row(self, edit: ConfigEdit | SegmentEdit) -> FlagConfig | Segment | None:
        if isinstance(edit, ConfigEdit):
            return self.configs.get(edit.flag_key)
        return self.segments.get(edit.segment_key)


def apply_change_set(
    change_set: ChangeSet, *, actor: Actor, authority: Authority, now: datetime, reason: str
) -> AppliedChange:
    """Apply `change_set` to its environment, all of it or nothing.

    Raises PermissionMissing, ProtectedEnvironment, ConsentMismatch or NotNarrowing (authority), StaleChange (base
    versions moved), InvalidDocument (the resulting environment would break a rule), NotFound, and what gates raise.
    """
    with transaction.atomic():
        environment = lock_environment(change_set.environment_id)
        permissions.require_any(actor, authority.permissions, environment)
        _refuse_own_opening(environment, actor, authority)
        authority.check(is_protected=environment.is_protected, digest=_content_digest(change_set))
        state = _load(change_set, environment, lock=True)
        _refuse_stale(change_set, state)
        change_set = _validated(change_set, state)
        refuse_ending(change_set, state.configs, environment, authority)
        movement = movement_of_change_set(change_set, environment)
        _refuse_widening(movement, environment, authority)
        pass_gates(change_set, environment, actor=actor, authority=authority, movement=movement, now=now)
        context = _Context(movement, actor, authority, now, reason)
        try:
            return _write(change_set, state, context)
        except IntegrityError as error:
            if "flagsite:" in str(error):
                raise
            raise StaleChange(
                "Somebody set this up a moment ago. Look at the current version and try again."
            ) from error


@attempted
def edit_config(
    flag_id: uuid.UUID,
    environment_id: uuid.UUID,
    *,
    actor: Actor,
    document: dict[str, object],
    base_version: int,
    reason: str,
    now: datetime,
) -> AppliedChange:
    """A person's direct edit of one flag in an environment that is not protected."""
    flag = Flag.objects.filter(pk=flag_id, project__environments=environment_id).first()
    if flag is None:
        raise NotFound("This flag does not exist in the environment's project.", flag_id=str(flag_id))
    edit = ConfigEdit(flag_key=flag.key, base_version=base_version, document=document)
    change_set = ChangeSet(environment_id=str(environment_id), edits=(edit,))
    return apply_change_set(change_set, actor=actor, authority=DirectEdit(), now=now, reason=reason)


@attempted
def edit_segment(
    environment_id: uuid.UUID,
    *,
    actor: Actor,
    key: str,
    name: str,
    document: dict[str, object],
    base_version: int,
    reason: str,
    now: datetime,
) -> AppliedChange:
    """A person's direct edit of one segment in an environment that is not protected; base version 0 creates it."""
    edit = SegmentEdit(segment_key=key, name=name, base_version=base_version, document=document)
    change_set = ChangeSet(environment_id=str(environment_id), edits=(edit,))
    return apply_change_set(change_set, actor=actor, authority=DirectEdit(), now=now, reason=reason)


@attempted
def edit_directly(change_set: ChangeSet, *, actor: Actor, reason: str, now: datetime) -> AppliedChange:
    """A person's direct edit of several flags and segments together, in an environment that is not protected."""
    return apply_change_set(change_set, actor=actor, authority=DirectEdit(), now=now, reason=reason)


def validate_change_set(change_set: ChangeSet, environment: Environment) -> ChangeSet:
    """The change set with its documents in normal form. Raises InvalidDocument listing every problem by path."""
    return _validated(change_set, _load(change_set, environment, lock=False))


def refuse_stale_change_set(change_set: ChangeSet, environment: Environment) -> None:
    """Raise StaleChange, saying what moved, unless every edit is based on the current version."""
    _refuse_stale(change_set, _load(change_set, environment, lock=False))


def _refuse_own_opening(environment: Environment, actor: Actor, authority: Authority) -> None:
    is_edit = permissions.PROPOSE in authority.permissions and not authority.demands_narrowing(is_protected=False)
    if is_edit and not environment.is_protected and str(environment.unprotected_by_id) == actor.id:
        raise ProtectedEnvironment(
            f"You took the protection off {environment.name} yourself, so somebody else has to edit it. "
            "Protect it again and propose the change, or ask another editor."
        )


def _refuse_widening(movement: Movement, environment: Environment, authority: Authority) -> None:
    if not authority.demands_narrowing(is_protected=environment.is_protected):
        return
    if not movement.held:
        return
    widening = movement.widening
    first = (widening or movement.held)[0]
    what = (
        f"“{first.flag_key}” would show something to people who do not get it now. {first.why}"
        if widening
        else f"“{first.flag_key}” {PREPARES} {first.prepares}"
    )
    more = len(widening or movement.held) - 1
    raise NotNarrowing(
        f"This cannot be applied at once: {what}{f' So do {more} more.' if more and widening else ''} "
        "Submit it for review instead.",
        flags=[{"key": flag.flag_key, "why": flag.hurdle} for flag in movement.held],
    )


def _content_digest(change_set: ChangeSet) -> str:
    try:
        return change_digest(change_set, apply_at=None)
    except (ValueError, TypeError, RecursionError) as error:
        message = "The document holds something JSON cannot carry, such as NaN or half a character. Remove it."
        raise InvalidDocument(message, problems=[{"key": "", "path": "", "message": message}]) from error


def _load(change_set: ChangeSet, environment: Environment, *, lock: bool) -> _State:
    flag_keys = [edit.flag_key for edit in change_set.edits if isinstance(edit, ConfigEdit)]
    flags = {flag.key: flag for flag in Flag.objects.filter(project=environment.project_id, key__in=flag_keys)}
    configs = FlagConfig.objects.filter(environment=environment, flag__key__in=flag_keys)
    segments = Segment.objects.filter(environment=environment)
    if lock:
        configs = configs.select_for_update(of=("self",), no_key=True)
        segments = segments.select_for_update(of=("self",), no_key=True)
    return _State(
        environment,
        flags,
        {config.flag.key: config for config in configs.select_related("flag").order_by("flag__key")},
        {segment.key: segment for segment in segments.order_by("key")},
    )


def _refuse_stale(change_set: ChangeSet, state: _State) -> None:
    moved = []
    for edit in change_set.edits:
        row = state.row(edit)
        version = row.version if row else 0
        if version != edit.base_version:
            moved.append({"key": _key(edit), "base_version": edit.base_version, "current_version": version})
    if moved:
        names = ", ".join(
            f"{item['key']} (version {item['base_version']} → {item['current_version']})" for item in moved
        )
        raise StaleChange(
            f"Changed in {state.environment.name} since this was prepared: {names}. "
            "Compare with the current version and prepare the change again on top of it.",
            moved=moved,
        )


def _validated(change_set: ChangeSet, state: _State) -> ChangeSet:
    if not change_set.edits:
        raise InvalidDocument("The change is empty. Change something before saving it.", problems=[])
    segment_keys = set(state.segments)
    segment_keys |= {edit.segment_key for edit in change_set.edits if isinstance(edit, SegmentEdit)}
    problems: list[dict[str, str]] = []
    edits: list[ConfigEdit | SegmentEdit] = []
    for edit in change_set.edits:
        found, document = _examine(edit, state, segment_keys)
        problems += [{"key": _key(edit), "path": item.path, "message": item.message} for item in found]
        edits.append(replace(edit, document=document))
    if len({(type(edit), _key(edit)) for edit in edits}) < len(edits):
        problems.append(
            {"key": "", "path": "edits", "message": "Each flag and segment may be changed once per request."}
        )
    change_set = replace(change_set, edits=tuple(edits))
    if not problems:
        problems = surrounding_problems(change_set, state.environment, configs=state.configs, segments=state.segments)
    if problems:
        first = problems[0]
        raise InvalidDocument(f"{first['key']}: {first['message']}{_others(problems)}", problems=problems)
    return change_set


def _others(problems: list[dict[str, str]]) -> str:
    keys = sorted({problem["key"] for problem in problems[1:]} - {problems[0]["key"], ""})
    return f" Problems also with: {', '.join(keys[:10])}{' …' if len(keys) > 10 else ''}." if keys else ""


def _examine(
    edit: ConfigEdit | SegmentEdit, state: _State, segment_keys: set[str]
) -> tuple[list[Problem], dict[str, object]]:
    if isinstance(edit, SegmentEdit):
        segment = normalise_segment(edit.document)
        return [*_name_problems(edit), *validate_segment(segment, segment_keys=segment_keys)], segment
    flag = state.flags.get(edit.flag_key)
    if flag is None:
        return [Problem("flag_key", f"There is no flag {edit.flag_key} in this project.")], edit.document
    document = normalise_config(edit.document, value_type=flag.value_type, flag_key=flag.key)
    found = validate_config(
        document, value_type=flag.value_type, value_schema=flag.value_schema, segment_keys=segment_keys
    )
    return found or revival_problems(state.configs.get(edit.flag_key), document), document


def _name_problems(edit: SegmentEdit) -> list[Problem]:
    try:
        checked_key(edit.segment_key, what="segment")
        checked_text(edit.name, field="name", longest=120, required=True)
    except InvalidInput as error:
        return [Problem(item["path"], item["message"]) for item in error.facts["problems"]]
    return []


@dataclass(frozen=True, slots=True)
class _Context:
    """Which way a write moves exposure, and on whose word it happens."""

    movement: Movement
    actor: Actor
    authority: Authority
    now: datetime
    reason: str

    def evidence(self, edit: ConfigEdit | SegmentEdit) -> dict[str, object]:
        """What the trail keeps. A sentence of why could name people, who may be erased one day, so it is left out."""
        found: dict[str, object] = {"direction": self.movement.direction.value}
        moved = self.movement.of(edit.flag_key) if isinstance(edit, ConfigEdit) else None
        if moved is not None:
            found |= {"direction": moved.direction.value}
            found |= {"share_before": moved.share_before, "share_after": moved.share_after, "jump": moved.jump}
        indirect = [flag for flag in self.movement.flags if flag.is_indirect]
        if indirect:
            found["moves"] = {flag.flag_key: flag.direction.value for flag in indirect}
        return {**found, **self.authority.evidence()}


def _write(change_set: ChangeSet, state: _State, context: _Context) -> AppliedChange:
    environment = state.environment
    revision = environment.revision + 1
    versions: dict[str, int] = {}
    author = Author.of(context.actor)
    ending = _ending_or_coming_back(change_set, state)
    with governed_write(environment.id):
        for edit in change_set.edits:
            row, before = _row_for(edit, state), state.row(edit)
            old = (before.document, before.version, before.digest) if before else (None, 0, "")
            write_version(row, edit.document, author=author, now=context.now, reason=context.reason)
            versions[_key(edit)] = row.version
            _record(edit, row, old, environment, revision, context)
        moved = Environment.objects.filter(pk=environment.pk, revision=environment.revision)
        if not moved.update(revision=F("revision") + 1):
            raise StaleChange("The environment changed a moment ago. Try again.")
    keep_up(ending, actor=context.actor, now=context.now, reason=context.reason)
    transaction.on_commit(partial(snapshots.publish, environment.id), robust=True)
    return AppliedChange(revision, versions)


def _ending_or_coming_back(change_set: ChangeSet, state: _State) -> list[Flag]:
    """Flags that may be archived or revived as a whole by this write, locked."""
    keys = []
    for edit in change_set.edits:
        if isinstance(edit, ConfigEdit):
            row, flag = state.configs.get(edit.flag_key), state.flags[edit.flag_key]
            was_archived = row is not None and is_archived(row.document)
            if row is None or flag.archived_at is not None or was_archived != is_archived(edit.document):
                keys.append(edit.flag_key)
    return lock_flags(keys, state.environment.project_id) if keys else []


def _row_for(edit: ConfigEdit | SegmentEdit, state: _State) -> FlagConfig | Segment:
    row = state.row(edit)
    if isinstance(edit, ConfigEdit):
        return row or FlagConfig(flag=state.flags[edit.flag_key], environment=state.environment)
    row = row or Segment(key=edit.segment_key, environment=state.environment)
    row.name = edit.name  # type: ignore[union-attr]
    return row


def _record(
    edit: ConfigEdit | SegmentEdit,
    row: FlagConfig | Segment,
    old: tuple[dict[str, object] | None, int, str],
    environment: Environment,
    revision: int,
    context: _Context,
) -> None:
    is_config = isinstance(edit, ConfigEdit)
    trail.record(
        Action.FLAG_CONFIG_APPLIED if is_config else Action.SEGMENT_APPLIED,
        actor=context.actor,
        target=trail.Target("flag_config" if is_config else "segment", str(row.pk), _key(edit)),
        now=context.now,
        project_id=environment.project_id,
        project_key=environment.project.key,
        environment_key=environment.key,
        flag_key=edit.flag_key if isinstance(edit, ConfigEdit) else "",
        reason=context.reason,
        data={
            "from_version": old[1],
            "to_version": row.version,
            "from_digest": old[2],
            "to_digest": row.digest,
            "revision": revision,
            "differences": recorded_sentences(old[0], edit.document),
            **context.evidence(edit),
        },
    )


def _key(edit: ConfigEdit | SegmentEdit) -> str:
    return edit.flag_key if isinstance(edit, ConfigEdit) else edit.segment_key
