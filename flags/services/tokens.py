"""Environment tokens: issued once, stored as a hash, revocable."""

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import transaction

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions, snapshots
from flags.errors import NotFound
from flags.models import EnvironmentToken
from flags.models.tokens import TokenScope
from flags.services.attempts import attempted
from flags.services.keys import checked_text, problem
from flags.services.locks import lock_environment

PREFIXES = {
    TokenScope.EVALUATE: "fse_",
    TokenScope.CLIENT: "fsc_",
    TokenScope.FLAGD: "fsf_",
    TokenScope.MANAGE: "fsm_",
    TokenScope.AUDIT: "fsa_",
    TokenScope.TELEMETRY: "fst_",
    TokenScope.REFERENCES: "fsr_",
}
PREFIX_LENGTH = 10


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token and its secret, which exists nowhere else and is never shown again."""

    token: EnvironmentToken
    secret: str


@attempted
def issue_token(
    environment_id: uuid.UUID, *, actor: Actor, name: str, scope: str, expires_at: datetime | None, now: datetime
) -> IssuedToken:
    """Issue a token for one environment and one scope. Needs the role administrator there.

    `expires_at` must lie in the future; None means it never expires. Raises PermissionMissing, InvalidInput, NotFound.
    """
    name = checked_text(name, field="name", longest=120, required=True)
    if scope not in TokenScope.values:
        raise problem("scope", f"Choose one of {', '.join(TokenScope.values)}.")
    if expires_at is not None and expires_at <= now:
        raise problem("expires_at", "Choose a time in the future, or none.")
    secret = PREFIXES[TokenScope(scope)] + secrets.token_urlsafe(32)
    with transaction.atomic():
        environment = lock_environment(environment_id)
        permissions.require(actor, permissions.ADMINISTER, environment)
        person = permissions.person_of(actor)
        token = EnvironmentToken(
            environment=environment,
            name=name,
            scope=scope,
            prefix=secret[:PREFIX_LENGTH],
            secret_hash=snapshots.hash_secret(secret),
            created_by_id=person.pk if person else None,
            created_at=now,
            changed_at=now,
            expires_at=expires_at,
        )
        token.save(force_insert=True)
        _record(Action.TOKEN_ISSUED, token, actor=actor, now=now)
        transaction.on_commit(partial(snapshots.publish, environment.pk), robust=True)
    return IssuedToken(token, secret)


@attempted
def revoke_token(token_id: uuid.UUID, *, actor: Actor, now: datetime, reason: str) -> EnvironmentToken:
    """Revoke a token; services that use it are refused within one poll interval. Revoking twice changes nothing.

    Needs a reason and the role administrator. Locks the environment first, as whoever counts the token's yes does.
    """
    reason = checked_text(reason, field="reason", longest=4000, required=True)
    with transaction.atomic():
        token = _locked(token_id)
        permissions.require(actor, permissions.ADMINISTER, token.environment)
        if token.revoked_at is None:
            token.revoked_at = token.changed_at = now
            token.save(update_fields=["revoked_at", "changed_at"])
            _record(Action.TOKEN_REVOKED, token, actor=actor, now=now, reason=reason)
            transaction.on_commit(partial(snapshots.publish, token.environment_id), robust=True)
    return token


def _locked(token_id: uuid.UUID) -> EnvironmentToken:
    rows = EnvironmentToken.objects.filter(pk=token_id)
    environment_id = rows.values_list("environment_id", flat=True).first()
    if environment_id is None:
        raise NotFound("This token does not exist.", token_id=str(token_id))
    environment = lock_environment(environment_id)
    token = rows.select_for_update(of=("self",), no_key=True).get()
    token.environment = environment
    return token


def _record(action: Action, token: EnvironmentToken, *, actor: Actor, now: datetime, reason: str = "") -> None:
    environment = token.environment
    trail.record(
        action,
        actor=actor,
        target=trail.Target("environment_token", str(token.pk), token.name),
        now=now,
        project_id=environment.project_id,
        project_key=environment.project.key,
        environment_key=environment.key,
        reason=reason,
        data={
            "scope": token.scope,
            "prefix": token.prefix,
            "expires_at": token.expires_at.isoformat() if token.expires_at else None,
        },
    )
