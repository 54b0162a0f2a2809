"""Flags: identity and metadata."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models import Q

from audits import trail
from audits.actions import Action
from audits.context import Actor, ActorKind
from flags import permissions
from flags.authority import DirectEdit
from flags.changes import ChangeSet, ConfigEdit
from flags.documents import initial_document, validate_value_schema
from flags.errors import AlreadyExists, InvalidDocument, InvalidInput, NotFound, PermissionMissing
from flags.models import Environment, Flag, Project, Team
from flags.models.flags import FlagKind, ValueType
from flags.services.administering import administered_project, require_everywhere
from flags.services.attempts import attempted
from flags.services.configs import apply_change_set
from flags.services.keys import checked_key, checked_text, problem, together
from flags.services.retirement import lock_flags
from flags.services.tickets import governed_write
from flags.services.tombstones import free_key, refuse_alike
from flags.services.watches import details_change, details_of, lets_pass
from flags.settings_authority import ALONE, SecondPersonNeeded, SettingChange, SettingsAuthority, SoleAct

EDITABLE = ("name", "description", "kind", "owner_id", "tags", "links")
RELIED_ON = "approvals there may be asked of the team that owns a flag"


@attempted
def create_flag(
    project_id: uuid.UUID,
    *,
    actor: Actor,
    key: str,
    name: str,
    kind: str,
    value_type: str,
    now: datetime,
    variants: Sequence[Mapping[str, Any]] | None = None,
    value_schema: dict[str, Any] | None = None,
    description: str = "",
    owner_id: uuid.UUID | None = None,
    tags: Sequence[str] = (),
    links: Sequence[str] = (),
) -> Flag:
    """Create a flag, switched off, in every environment the actor may edit directly.

    Protected environments stay "not set up": what they serve starts with an approved change request. The key of an
    archived flag is taken from it once nobody uses it.
    Raises PermissionMissing (editors of the project), InvalidInput, InvalidDocument, AlreadyExists, KeyKeptBack.
    """
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        raise NotFound("This project does not exist.", project_id=str(project_id))
    _require_editor(actor, project)
    flag = Flag(project=project, value_schema=value_schema, created_at=now)
    fields = {"key": key, "name": name, "description": description, "kind": kind, "value_type": value_type}
    _set_fields(flag, {**fields, "owner_id": owner_id, "tags": list(tags), "links": list(links)})
    _check_schema(flag)
    document = initial_document(flag.key, value_type, variants)
    with transaction.atomic():
        _lock_environments(project)
        _free_key(flag, actor=actor, now=now)
        try:
            with transaction.atomic():
                flag.save(force_insert=True)
        except IntegrityError as error:
            raise AlreadyExists(
                f"{project.name} has a flag with the key {key} already. Choose another key for the new one."
            ) from error
        _record(Action.FLAG_CREATED, flag, actor=actor, now=now, data={"kind": kind, "value_type": value_type})
        _set_up(flag, document, actor=actor, now=now)
    return flag


@attempted
def update_flag(flag_id: uuid.UUID, *, actor: Actor, now: datetime, **fields: Any) -> Flag:
    """Change metadata: any of name, description, kind, owner_id, tags, links; nothing that is served.

    Raises PermissionMissing, InvalidInput, NotFound, and SecondPersonNeeded for a kind or tags with which the flag
    could pass a rule or a freeze (`set_flag_details`). A call that changes nothing records nothing.
    """
    unknown = set(fields) - set(EDITABLE)
    if unknown:
        raise InvalidInput(f"These fields of a flag never change: {', '.join(sorted(unknown))}.", problems=[])
    with transaction.atomic():
        flag = _locked_flag(flag_id)
        _require_editor(actor, flag.project)
        _write(flag, fields, actor=actor, authority=ALONE, now=now)
    return flag


@attempted
def set_flag_details(
    flag_id: uuid.UUID,
    *,
    kind: str,
    tags: Sequence[str],
    owner_team_id: uuid.UUID | None,
    actor: Actor,
    reason: str,
    now: datetime,
    authority: SettingsAuthority = ALONE,
) -> Flag:
    """Set what rules and freezes look at. Needs the role administrator in every protected environment of the project.

    Raises PermissionMissing, InvalidInput, NotFound, and SecondPersonNeeded where the flag could then pass a rule or a
    freeze. A call that changes nothing records nothing.
    """
    reason = checked_text(reason, field="reason", longest=4000, required=True)
    with transaction.atomic():
        flag = _locked_flag(flag_id)
        administered_project(flag.project_id, actor, "to change it")
        require_everywhere(flag.project, actor, RELIED_ON, "to change it")
        fields = {"kind": kind, "tags": tags, "owner_team_id": owner_team_id}
        _write(flag, fields, actor=actor, authority=authority, now=now, reason=reason)
    return flag


def changed_details(flag: Flag, *, kind: Any, tags: Any, owner_team_id: Any, now: datetime) -> SettingChange:
    """What `set_flag_details` would do, as authorities judge it. Raises InvalidInput."""
    before = details_of(flag)
    _set_fields(flag, {"kind": kind, "tags": tags, "owner_team_id": owner_team_id})
    return details_change(flag.project, flag.key, before, details_of(flag), now=now)


def _locked_flag(flag_id: uuid.UUID) -> Flag:
    """The flag, behind its project's environments: an apply comes before the change of its details or meets it."""
    found = Flag.objects.select_related("project").filter(pk=flag_id).first()
    if found is None:
        raise NotFound("This flag does not exist.", flag_id=str(flag_id))
    _lock_environments(found.project)
    rows = Flag.objects.select_for_update(of=("self",), no_key=True).select_related("project")
    return rows.get(pk=flag_id)


def _write(
    flag: Flag,
    fields: Mapping[str, Any],
    *,
    actor: Actor,
    authority: SettingsAuthority,
    now: datetime,
    reason: str = "",
) -> None:
    before, details = {name: getattr(flag, name) for name in fields}, details_of(flag)
    _set_fields(flag, fields)
    changed = {
        name: {"from": _plain(before[name]), "to": _plain(getattr(flag, name))}
        for name in fields
        if before[name] != getattr(flag, name)
    }
    if not changed:
        return
    evidence: dict[str, object] = {}
    if details != details_of(flag):
        evidence = _authorise(flag, details, authority, now=now)
    with governed_write(flag.project_id):
        flag.save(update_fields=list(changed))
    data = {"changed": changed, **evidence}
    _record(Action.FLAG_UPDATED, flag, actor=actor, now=now, data=data, reason=reason)


def _authorise(flag: Flag, before: dict[str, Any], authority: SettingsAuthority, *, now: datetime) -> dict[str, object]:
    """What the audit trail keeps of the authority, once it covers the change. Raises SecondPersonNeeded."""
    change = details_change(flag.project, flag.key, before, details_of(flag), now=now)
    if lets_pass(change) and isinstance(authority, SoleAct):
        raise SecondPersonNeeded(
            f"With these details {flag.name} could pass {join_words(change.after['passes'])}, so an administrator of "
            "every protected environment proposes them and another one confirms. Nothing was changed.",
            kind=change.kind,
        )
    authority.check(change, is_looser=lets_pass(change))
    return authority.evidence() if lets_pass(change) else {}


def join_words(names: Sequence[str]) -> str:
    """Such as “a, b and c”."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _check_schema(flag: Flag) -> None:
    found = [] if flag.value_schema is None else validate_value_schema(flag.value_schema)
    if found:
        problems = [{"key": flag.key, "path": item.path, "message": item.message} for item in found]
        raise InvalidDocument(f"{flag.key}: {found[0].message}", problems=problems)


def _lock_environments(project: Project) -> None:
    """All of the project's environments, in one order and before the audit chain, as every other writer does."""
    rows = Environment.objects.select_for_update(of=("self",), no_key=True).filter(project=project)
    list(rows.order_by("pk").values_list("pk"))


def _free_key(flag: Flag, *, actor: Actor, now: datetime) -> None:
    """Take the key from an archived flag that has it. Raises AlreadyExists, KeyKeptBack."""
    for earlier in lock_flags([flag.key], flag.project_id):
        free_key(earlier, actor=actor, now=now)
    refuse_alike(flag, actor=actor, now=now)


def _require_editor(actor: Actor, project: Project) -> None:
    environments = Environment.objects.filter(project=project)
    if not any(permissions.holds(actor, permissions.PROPOSE, environment) for environment in environments):
        raise PermissionMissing(
            f"{actor.label} is not an editor of any environment of {project.name}. Ask an administrator for that role.",
            permission=permissions.PROPOSE,
        )


def _set_up(flag: Flag, document: dict[str, Any], *, actor: Actor, now: datetime) -> None:
    own_opening = Q(unprotected_by_id=actor.id) if actor.kind is ActorKind.PERSON else Q(pk=None)
    for environment in Environment.objects.filter(project=flag.project, is_protected=False).exclude(own_opening):
        if permissions.holds(actor, permissions.PROPOSE, environment):
            edit = ConfigEdit(flag_key=flag.key, base_version=0, document=document)
            change_set = ChangeSet(environment_id=str(environment.pk), edits=(edit,))
            apply_change_set(change_set, actor=actor, authority=DirectEdit(), now=now, reason="Created, switched off")


def check_fields(fields: Mapping[str, Any]) -> None:
    """Raise InvalidInput with all that is wrong with these fields of a flag."""
    _set_fields(Flag(), fields)


def _set_fields(flag: Flag, fields: Mapping[str, Any]) -> None:
    found: list[InvalidInput] = []
    for name, value in fields.items():
        try:
            setattr(flag, name, _checked(flag, name, value))
        except InvalidInput as error:
            found.append(error)
    if found:
        raise together(found)


def _checked(flag: Flag, name: str, value: Any) -> Any:
    match name:
        case "key":
            return checked_key(value, what="flag")
        case "value_type" if value not in ValueType.values:
            raise problem("value_type", f"Choose one of {', '.join(ValueType.values)}.")
        case "name":
            return checked_text(value, field="name", longest=120, required=True)
        case "description":
            return checked_text(value, field="description", longest=4000)
        case "kind" if value not in FlagKind.values:
            raise problem("kind", f"Choose one of {', '.join(FlagKind.values)}.")
        case "owner_id" if value and not get_user_model().objects.filter(pk=value, is_active=True).exists():
            raise problem("owner", "Choose an owner who has an active account.")
        case "owner_team_id" if value and not Team.objects.filter(pk=value, project=flag.project_id).exists():
            raise problem("owner_team", "Choose a team of this project.")
        case "tags":
            return sorted({checked_text(tag, field="tag", longest=40, required=True) for tag in value})
        case "links":
            return [_checked_link(link) for link in value]
        case _:
            return value


def _checked_link(link: str) -> str:
    link = checked_text(link, field="link", longest=500, required=True)
    try:
        parts = urlsplit(link)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise problem("links", "A link starts with https:// or http:// and names a host.")
    return link


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, uuid.UUID) else value


def _record(action: Action, flag: Flag, *, actor: Actor, now: datetime, data: dict[str, Any], reason: str = "") -> None:
    trail.record(
        action,
        actor=actor,
        target=trail.Target("flag", str(flag.pk), flag.key),
        now=now,
        project_id=flag.project_id,
        project_key=flag.project.key,
        flag_key=flag.key,
        reason=reason,
        data=data,
    )
