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
from flags.selectors.teams import teams_of
from flags.services.attempts import attempted
from flags.services.configs import apply_change_set
from flags.services.keys import checked_key, checked_text, problem
from flags.services.tickets import governed_write

EDITABLE = ("name", "description", "kind", "owner_id", "owner_team_id", "tags", "links")


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
    owner_team_id: uuid.UUID | None = None,
    tags: Sequence[str] = (),
    links: Sequence[str] = (),
) -> Flag:
    """Create a flag, switched off, in every environment the actor may edit directly.

    Protected environments stay "not set up": what they serve starts with an approved change request.
    Raises PermissionMissing (editors of the project), InvalidInput, InvalidDocument, AlreadyExists.
    """
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        raise NotFound("This project does not exist.", project_id=str(project_id))
    _require_editor(actor, project)
    flag = Flag(
        project=project,
        key=checked_key(key, what="flag"),
        value_type=value_type,
        value_schema=value_schema,
        created_at=now,
    )
    if value_type not in ValueType.values:
        raise problem("value_type", f"Choose one of {', '.join(ValueType.values)}.")
    owners = {"owner_id": owner_id, "owner_team_id": owner_team_id}
    fields = {"name": name, "description": description, "kind": kind, **owners}
    _set_fields(flag, {**fields, "tags": list(tags), "links": list(links)})
    _check_schema(flag)
    document = initial_document(flag.key, value_type, variants)
    with transaction.atomic():
        _lock_environments(project)
        try:
            with transaction.atomic():
                flag.save(force_insert=True)
        except IntegrityError as error:
            raise AlreadyExists(
                f"{project.name} has a flag with the key {key} already. Keys are never used twice: choose another one."
            ) from error
        _record(Action.FLAG_CREATED, flag, actor=actor, now=now, data={"kind": kind, "value_type": value_type})
        _set_up(flag, document, actor=actor, now=now)
    return flag


@attempted
def update_flag(flag_id: uuid.UUID, *, actor: Actor, now: datetime, **fields: Any) -> Flag:
    """Change metadata: any of name, description, kind, owner_id, owner_team_id, tags, links; nothing that is served.

    A flag that a team owns is given away by its members and by administrators, since approvals may be asked of it.
    Raises PermissionMissing, InvalidInput, NotFound. A call that changes nothing records nothing.
    """
    unknown = set(fields) - set(EDITABLE)
    if unknown:
        raise InvalidInput(f"These fields of a flag never change: {', '.join(sorted(unknown))}.", problems=[])
    with transaction.atomic():
        flag = (
            Flag.objects.select_for_update(of=("self",), no_key=True)
            .select_related("project")
            .filter(pk=flag_id)
            .first()
        )
        if flag is None:
            raise NotFound("This flag does not exist.", flag_id=str(flag_id))
        _require_editor(actor, flag.project)
        before = {name: getattr(flag, name) for name in fields}
        if fields.get("owner_team_id", flag.owner_team_id) != flag.owner_team_id:
            _require_owner(actor, flag)
        _set_fields(flag, fields)
        changed = {
            name: {"from": _plain(before[name]), "to": _plain(getattr(flag, name))}
            for name in fields
            if before[name] != getattr(flag, name)
        }
        if changed:
            with governed_write(flag.project_id):
                flag.save(update_fields=list(changed))
            _record(Action.FLAG_UPDATED, flag, actor=actor, now=now, data={"changed": changed})
    return flag


def _check_schema(flag: Flag) -> None:
    found = [] if flag.value_schema is None else validate_value_schema(flag.value_schema)
    if found:
        problems = [{"key": flag.key, "path": item.path, "message": item.message} for item in found]
        raise InvalidDocument(f"{flag.key}: {found[0].message}", problems=problems)


def _lock_environments(project: Project) -> None:
    """All of the project's environments, in one order and before the audit chain, as every other writer does."""
    rows = Environment.objects.select_for_update(of=("self",), no_key=True).filter(project=project)
    list(rows.order_by("pk").values_list("pk"))


def _require_editor(actor: Actor, project: Project) -> None:
    environments = Environment.objects.filter(project=project)
    if not any(permissions.holds(actor, permissions.PROPOSE, environment) for environment in environments):
        raise PermissionMissing(
            f"{actor.label} is not an editor of any environment of {project.name}. Ask an administrator for that role.",
            permission=permissions.PROPOSE,
        )


def _require_owner(actor: Actor, flag: Flag) -> None:
    if flag.owner_team is None or flag.owner_team_id in teams_of(uuid.UUID(actor.id)):
        return
    environments = Environment.objects.filter(project=flag.project)
    if not any(permissions.holds(actor, permissions.ADMINISTER, environment) for environment in environments):
        raise PermissionMissing(
            f"{flag.name} belongs to the team {flag.owner_team.name}, so its members and administrators decide who "
            "owns it next. Ask one of them.",
            permission=permissions.ADMINISTER,
        )


def _set_up(flag: Flag, document: dict[str, Any], *, actor: Actor, now: datetime) -> None:
    own_opening = Q(unprotected_by_id=actor.id) if actor.kind is ActorKind.PERSON else Q(pk=None)
    for environment in Environment.objects.filter(project=flag.project, is_protected=False).exclude(own_opening):
        if permissions.holds(actor, permissions.PROPOSE, environment):
            edit = ConfigEdit(flag_key=flag.key, base_version=0, document=document)
            change_set = ChangeSet(environment_id=str(environment.pk), edits=(edit,))
            apply_change_set(change_set, actor=actor, authority=DirectEdit(), now=now, reason="Created, switched off")


def _set_fields(flag: Flag, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        setattr(flag, name, _checked(flag, name, value))


def _checked(flag: Flag, name: str, value: Any) -> Any:
    match name:
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


def _record(action: Action, flag: Flag, *, actor: Actor, now: datetime, data: dict[str, Any]) -> None:
    trail.record(
        action,
        actor=actor,
        target=trail.Target("flag", str(flag.pk), flag.key),
        now=now,
        project_id=flag.project_id,
        project_key=flag.project.key,
        flag_key=flag.key,
        data=data,
    )
