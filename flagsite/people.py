"""People: creating accounts, correcting them, ending them. Each act is one audit event of the site's own chain.

Names never go into the chain, so the person can be erased later; events say which fields changed, not to what.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from audits import trail
from audits.actions import Action
from audits.context import PERSON_TARGET, Actor
from flags import permissions
from flags.errors import AlreadyExists, InvalidInput, NotFound, PermissionMissing
from flags.models import Environment, EnvironmentUserGrant
from flags.services.attempts import attempted
from flags.services.keys import checked_text
from flags.services.locks import lock_environments
from flagsite.models import User

EDITABLE = ("first_name", "last_name", "email", "is_active")
_LONGEST = {"username": 150, "first_name": 150, "last_name": 150, "email": 254}


@attempted
def create_person(
    *, actor: Actor, username: str, first_name: str, last_name: str, email: str, password: str, now: datetime
) -> User:
    """Create an account that can sign in and has no role anywhere. Needs a site administrator.

    Raises PermissionMissing, InvalidInput, AlreadyExists. Nobody becomes a site administrator through this.
    """
    _require_superuser(actor, "create accounts")
    person = User(is_staff=True, date_joined=now, **_checked({"username": username}))
    _assign(person, {"first_name": first_name, "last_name": last_name, "email": email})
    _check_password(password, person)
    person.set_password(password)
    try:
        with transaction.atomic():
            person.save(force_insert=True)
            _record(Action.USER_CREATED, person, actor=actor, now=now, data={})
    except IntegrityError as error:
        message = f"There is an account with the user name {username} already. Choose another one."
        raise AlreadyExists(message, problems=[{"path": "username", "message": message}]) from error
    return person


@attempted
def change_person(person_id: uuid.UUID, *, actor: Actor, now: datetime, reason: str = "", **fields: Any) -> User:
    """Change any of first_name, last_name, email and is_active. Needs a site administrator.

    Nobody ends their own account, so the last site administrator stays. Ending or reviving one needs a reason. Raises
    PermissionMissing, InvalidInput, NotFound. A call that changes nothing records nothing.
    """
    _require_superuser(actor, "change accounts")
    unknown = set(fields) - set(EDITABLE)
    if unknown:
        raise InvalidInput(f"These fields of an account do not change here: {', '.join(sorted(unknown))}.", problems=[])
    with transaction.atomic():
        if not fields.get("is_active", True):
            _lock_environments(person_id)
        person = _locked(person_id)
        if str(person.pk) == actor.id and fields.get("is_active") is False:
            raise InvalidInput("You cannot deactivate your own account. Ask another site administrator.", problems=[])
        before = {name: getattr(person, name) for name in fields}
        _assign(person, fields)
        changed = sorted(name for name in fields if getattr(person, name) != before[name])
        if changed:
            reason = checked_text(reason, field="reason", longest=4000, required="is_active" in changed)
            person.save(update_fields=changed)
            ended = "is_active" in changed and not person.is_active
            action = Action.USER_DEACTIVATED if ended else Action.USER_UPDATED
            _record(action, person, actor=actor, now=now, reason=reason, data={"changed": list(changed)})
    return person


@attempted
def change_password(person_id: uuid.UUID, *, actor: Actor, password: str, now: datetime) -> User:
    """Set a password: one's own, or anybody's for a site administrator. Other sessions of the person end."""
    if str(person_id) != actor.id:
        _require_superuser(actor, "set other people's passwords")
    with transaction.atomic():
        person = _locked(person_id)
        _check_password(password, person)
        person.set_password(password)
        person.save(update_fields=["password"])
        _record(Action.USER_PASSWORD_CHANGED, person, actor=actor, now=now, data={})
    return person


def _require_superuser(actor: Actor, act: str) -> None:
    if not permissions.is_superuser(actor):
        raise PermissionMissing(f"{actor.label} may not {act}. Ask a site administrator.")


def _lock_environments(person_id: uuid.UUID) -> None:
    """Lock wherever the person has a say, so that an apply comes before the end of the account or meets it."""
    environments = Environment.objects.all()
    if not User.objects.filter(pk=person_id, is_superuser=True).exists():
        grants = EnvironmentUserGrant.every.filter(user_id=person_id)
        environments = environments.filter(pk__in=grants.values("content_object_id"))
    lock_environments(environments)


def _locked(person_id: uuid.UUID) -> User:
    person = User.objects.select_for_update(no_key=True).filter(pk=person_id).first()
    if person is None:
        raise NotFound("This person does not exist.", user_id=str(person_id))
    return person


def _assign(person: User, fields: Mapping[str, Any]) -> None:
    for name, value in _checked(fields).items():
        setattr(person, name, value)


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    problems = [{"path": name, "message": text} for name in fields if (text := _complaint(name, fields[name]))]
    if problems:
        raise InvalidInput("Some details of the account cannot be used.", problems=problems)
    return {name: value.strip() if isinstance(value, str) else bool(value) for name, value in fields.items()}


def _complaint(name: str, value: Any) -> str:
    if name == "is_active":
        return ""
    text = str(value).strip()
    if len(text) > _LONGEST[name]:
        return f"Use {_LONGEST[name]} characters at most."
    if not text.isprintable():
        return "Remove the control characters."
    try:
        if name == "username":
            UnicodeUsernameValidator()(text)
        if name == "email" and text:
            validate_email(text)
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


def _check_password(password: str, person: User) -> None:
    try:
        validate_password(password, person)
    except ValidationError as error:
        problems = [{"path": "password", "message": text} for text in error.messages]
        raise InvalidInput("Choose another password.", problems=problems) from error


def _record(
    action: Action, person: User, *, actor: Actor, now: datetime, data: dict[str, Any], reason: str = ""
) -> None:
    target = trail.Target(PERSON_TARGET, str(person.pk), "")
    trail.record(action, actor=actor, target=target, now=now, reason=reason, data=data)
