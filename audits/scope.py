"""Who may read which part of the trail. This app knows no roles: `settings.AUDIT_SCOPE` names the rule."""

from dataclasses import dataclass
from typing import Any, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from audits.context import Actor

DEFAULT_RULE = "audits.scope.superusers_only"


@dataclass(frozen=True, slots=True)
class Scope:
    """A part of the trail. An event is inside when every given field lets it pass.

    `project_keys`: None means all, events of no project included. `environment_key`: only events of environments with
    this key. `environments`: pairs of project and environment key; of environments only these, and events of no
    environment. `reader` says who reads, where that is not the signed-in person (a service token).
    """

    project_keys: frozenset[str] | None = frozenset()
    environment_key: str | None = None
    environments: frozenset[tuple[str, str]] | None = None
    reader: Actor | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all can be inside."""
        return self.project_keys is not None and not self.project_keys


EVERYTHING = Scope(project_keys=None)
NOTHING = Scope()


class ScopeRule(Protocol):
    """What `settings.AUDIT_SCOPE` names by dotted path. The request is Django's in the admin and DRF's in the API."""

    def __call__(self, request: Any) -> Scope:
        """The part of the trail this request may read."""


def superusers_only(request: Any) -> Scope:
    """The rule where none is set: active superusers read everything, others nothing."""
    user = getattr(request, "user", None)
    return EVERYTHING if user is not None and user.is_active and user.is_superuser else NOTHING


def scope_of(request: Any) -> Scope:
    """The scope of a request, asked for once per request."""
    scope: Scope | None = getattr(request, "_audit_scope", None)
    if scope is None:
        rule: ScopeRule = import_string(getattr(settings, "AUDIT_SCOPE", DEFAULT_RULE))
        scope = rule(request)
        request._audit_scope = scope
    return scope
