"""Sign-ins, sign-outs and failed attempts as events of the site's own chain."""

from collections.abc import Mapping
from typing import Any

import structlog
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import Error, transaction
from django.utils import timezone

from audits import trail
from audits.actions import Action
from audits.context import PERSON_TARGET, Actor, ActorKind
from audits.errors import GovernanceError
from flagsite.models import User

logger = structlog.get_logger(__name__)

# Who failed to sign in is not known; the name somebody typed is no proof and may be a password in the wrong field.
SOMEONE = Actor(ActorKind.SYSTEM, "flagsite.sign_in", "Someone", via="admin")


def connect() -> None:
    """Listen to the framework's signals; called once, when the apps are ready."""
    user_logged_in.connect(_signed_in, dispatch_uid="flagsite.sign_ins.in")
    user_logged_out.connect(_signed_out, dispatch_uid="flagsite.sign_ins.out")
    user_login_failed.connect(_failed, dispatch_uid="flagsite.sign_ins.failed")


def _signed_in(*, request: Any, user: User, **_: Any) -> None:
    _record_visit(Action.USER_SIGNED_IN, request, user)


def _signed_out(*, request: Any, user: User | None, **_: Any) -> None:
    if user is not None:
        _record_visit(Action.USER_SIGNED_OUT, request, user)


def _record_visit(action: Action, request: Any, user: User) -> None:
    # A session that code opens or closes without a request is nobody's visit.
    if request is not None and request.method:
        _record(action, lambda: (Actor.person(user, via="admin"), user))


def _failed(*, credentials: Mapping[str, Any], request: Any = None, **_: Any) -> None:
    def attempted() -> tuple[Actor, User | None]:
        return SOMEONE, User.objects.filter(username=str(credentials.get("username", ""))[:150]).first()

    if request is not None and request.method:
        _record(Action.USER_SIGN_IN_FAILED, attempted)


def _record(action: Action, find: Any) -> None:
    """One event. A trail that cannot be written keeps nobody out or in: the failure is in the log."""
    try:
        with transaction.atomic():
            actor, person = find()
            label = (person.get_full_name() or person.get_username()) if person else ""
            target = trail.Target(PERSON_TARGET, str(person.pk) if person else "", label)
            trail.record(action, actor=actor, target=target, now=timezone.now())
    except (Error, GovernanceError, ValueError):
        logger.exception("sign_in_not_recorded", action=action.value)
