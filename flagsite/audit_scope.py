"""Who may read which part of the audit trail: `settings.AUDIT_SCOPE`. Audits know no roles, so the rule lives here."""

from typing import Any

from audits.context import Actor
from audits.scope import EVERYTHING, NOTHING, Scope
from flags.models.tokens import TokenScope
from flags.permissions import visible_environments
from flags.snapshots import TokenFacts


def audit_scope(request: Any) -> Scope:
    """What this request may read. Works for Django's requests (admin) and REST framework's (API).

    A token reads its own environment. A person reads the environments they may look at and what happened in their
    projects outside any environment; a superuser reads everything.
    """
    token = getattr(request, "auth", None)
    if isinstance(token, TokenFacts):
        return _scope_of_token(token)
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated or not user.is_active:
        return NOTHING
    if user.is_superuser:
        return EVERYTHING
    environments = frozenset(visible_environments(user).values_list("project__key", "key"))
    return Scope(project_keys=frozenset(project for project, _ in environments), environments=environments)


def _scope_of_token(token: TokenFacts) -> Scope:
    if token.scope != TokenScope.AUDIT:
        return NOTHING
    return Scope(
        project_keys=frozenset({token.project_key}),
        environment_key=token.environment_key,
        reader=Actor.service(token.id, token.name),
    )
