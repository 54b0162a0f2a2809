"""What `settings.AUDIT_SCOPE` has to return, under the name the API's callers look for it."""

from audits.scope import EVERYTHING, NOTHING, Scope, ScopeRule, scope_of, superusers_only

__all__ = ["EVERYTHING", "NOTHING", "Scope", "ScopeRule", "scope_of", "superusers_only"]
