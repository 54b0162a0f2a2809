"""The settings that take two people to loosen: protection, strict mode, sampling, approval policy, custom roles."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model

from audits.context import Actor
from flags.errors import NotFound
from flags.models import CustomRole, Environment, RoleGrant
from flags.services.custom_roles import change_custom_role, checked_role, role_facts
from flags.services.environments import set_targeting_key_mode
from flags.services.keys import problem
from flags.services.projects import set_protection
from flags.services.samples import set_context_sampling
from flags.settings_authority import SettingsAuthority
from rollouts.policies import Policy
from rollouts.selectors.verdicts import policy_of
from rollouts.services.policies import checked_policy, is_looser, set_approval_policy
from rollouts.settings_kinds import Scope, register_kind


class Protection:
    """Whether changes of an environment need approval."""

    name = "protection"

    def read(self, scope: Scope) -> Any:
        """The setting as it is now."""
        return {"is_protected": _environment(scope).is_protected}

    def clean(self, scope: Scope, after: Any) -> Any:
        """One truth value."""
        return _switch(after, "is_protected")

    def is_looser(self, before: Any, after: Any) -> bool:
        """Taking the protection off."""
        return before["is_protected"] and not after["is_protected"]

    def title(self, scope: Scope, before: Any, after: Any) -> str:
        """The change in a few words."""
        return f"{'Protect' if after['is_protected'] else 'Stop protecting'} {scope.name}"

    def describe(self, scope: Scope, before: Any, after: Any) -> Sequence[str]:
        """The change in sentences."""
        if after["is_protected"]:
            return (f"Every change of {scope.name} is a request that somebody else approves.",)
        return (
            f"Every editor can change {scope.name} alone, and it takes effect at once.",
            "Whoever proposes this may not edit there directly until it is protected again.",
        )

    def apply(
        self, scope: Scope, after: Any, *, actor: Actor, authority: SettingsAuthority, now: datetime, reason: str
    ) -> None:
        """Write the setting."""
        set_protection(
            _environment(scope).pk,
            actor=actor,
            is_protected=after["is_protected"],
            now=now,
            reason=reason,
            authority=authority,
        )


class StrictMode:
    """Whether a split without a targeting key is an error. Either way it changes what is served."""

    name = "strict_mode"

    def read(self, scope: Scope) -> Any:
        """The setting as it is now."""
        return {"requires_targeting_key": _environment(scope).requires_targeting_key}

    def clean(self, scope: Scope, after: Any) -> Any:
        """One truth value."""
        return _switch(after, "requires_targeting_key")

    def is_looser(self, before: Any, after: Any) -> bool:
        """Any change: it moves answers, one way or the other."""
        return bool(before != after)

    def title(self, scope: Scope, before: Any, after: Any) -> str:
        """The change in a few words."""
        return f"Turn strict mode {'on' if after['requires_targeting_key'] else 'off'} in {scope.name}"

    def describe(self, scope: Scope, before: Any, after: Any) -> Sequence[str]:
        """The change in sentences."""
        if after["requires_targeting_key"]:
            return (
                f"A service that asks {scope.name} without a targeting key gets an error where a flag splits people by "
                "percentage, instead of the default variant. Its code default decides then.",
            )
        return (
            f"A service that asks {scope.name} without a targeting key quietly gets the default variant where a flag "
            "splits people by percentage.",
        )

    def apply(
        self, scope: Scope, after: Any, *, actor: Actor, authority: SettingsAuthority, now: datetime, reason: str
    ) -> None:
        """Write the setting."""
        set_targeting_key_mode(
            _environment(scope).pk,
            actor=actor,
            is_required=after["requires_targeting_key"],
            now=now,
            reason=reason,
            authority=authority,
        )


class ContextSampling:
    """Whether hashed contexts of those who ask an environment are kept: to keep anything of people is looser."""

    name = "context_sampling"

    def read(self, scope: Scope) -> Any:
        """The setting as it is now."""
        return {"samples_contexts": _environment(scope).samples_contexts}

    def clean(self, scope: Scope, after: Any) -> Any:
        """One truth value."""
        return _switch(after, "samples_contexts")

    def is_looser(self, before: Any, after: Any) -> bool:
        """Beginning to keep."""
        return after["samples_contexts"] and not before["samples_contexts"]

    def title(self, scope: Scope, before: Any, after: Any) -> str:
        """The change in a few words."""
        return f"{'Sample' if after['samples_contexts'] else 'Stop sampling'} contexts of {scope.name}"

    def describe(self, scope: Scope, before: Any, after: Any) -> Sequence[str]:
        """The change in sentences."""
        if not after["samples_contexts"]:
            return (f"Nothing of those who ask {scope.name} is kept any more, and what is there is deleted at once.",)
        return (
            f"Of some of those who ask {scope.name} the attributes that the project declares are kept for a week, with "
            "a hash instead of their targeting key.",
            "“Who will flip?” can then count over them instead of over made-up people.",
        )

    def apply(
        self, scope: Scope, after: Any, *, actor: Actor, authority: SettingsAuthority, now: datetime, reason: str
    ) -> None:
        """Write the setting."""
        set_context_sampling(
            _environment(scope).pk,
            actor=actor,
            is_on=after["samples_contexts"],
            now=now,
            reason=reason,
            authority=authority,
        )


class ApprovalPolicyKind:
    """How many approvals an environment asks for, whose, and how long a request lives."""

    name = "approval_policy"

    def read(self, scope: Scope) -> Any:
        """The setting as it is now."""
        return policy_of(_environment(scope)).as_json()

    def clean(self, scope: Scope, after: Any) -> Any:
        """A policy that could work. Raises InvalidInput."""
        if not isinstance(after, Mapping):
            raise problem("required_approvals", "Say how many approvals are needed, whose, and how long requests live.")
        return checked_policy(
            _environment(scope),
            required_approvals=after.get("required_approvals"),
            named_approvers=after.get("named_approvers") or (),
            expires_after_hours=after.get("expires_after_hours"),
        ).as_json()

    def is_looser(self, before: Any, after: Any) -> bool:
        """Fewer approvals, more people who may give them, or a longer life."""
        return is_looser(Policy.from_json(before), Policy.from_json(after))

    def title(self, scope: Scope, before: Any, after: Any) -> str:
        """The change in a few words."""
        return f"Loosen the approval policy of {scope.name}"

    def describe(self, scope: Scope, before: Any, after: Any) -> Sequence[str]:
        """The change in sentences."""
        was, becomes = Policy.from_json(before), Policy.from_json(after)
        sentences = []
        if was.required_approvals != becomes.required_approvals:
            sentences.append(
                f"A change of {scope.name} needs {_approvals(becomes.required_approvals)} instead of "
                f"{was.required_approvals}."
            )
        if was.named_approvers != becomes.named_approvers:
            sentences.append(f"May approve: {_who(becomes)}. Until now: {_who(was)}.")
        if was.expires_after_hours != becomes.expires_after_hours:
            sentences.append(
                f"Requests expire after {_life(becomes.expires_after_hours)} instead of "
                f"{_life(was.expires_after_hours)}."
            )
        return sentences or ("Nothing is different.",)

    def apply(
        self, scope: Scope, after: Any, *, actor: Actor, authority: SettingsAuthority, now: datetime, reason: str
    ) -> None:
        """Write the setting."""
        set_approval_policy(
            _environment(scope).pk,
            actor=actor,
            required_approvals=after["required_approvals"],
            named_approvers=after["named_approvers"] or (),
            expires_after_hours=after["expires_after_hours"],
            now=now,
            reason=reason,
            authority=authority,
        )


class CustomRoleKind:
    """What a custom role brings to everybody who holds it. The subject is its key."""

    name = "custom_role"

    def read(self, scope: Scope) -> Any:
        """The setting as it is now; None where there is no such role."""
        role = CustomRole.objects.filter(project=scope.project, key=scope.subject).first()
        return role_facts(role) if role else None

    def clean(self, scope: Scope, after: Any) -> Any:
        """A role in normal form. Raises InvalidInput."""
        if not isinstance(after, Mapping):
            raise problem("permissions", "Choose what the role brings.")
        return checked_role(
            name=after.get("name", ""),
            description=after.get("description", ""),
            permissions=after.get("permissions") or (),
        )

    def is_looser(self, before: Any, after: Any) -> bool:
        """A permission more."""
        return not set(after["permissions"]) <= set(before["permissions"] if before else ())

    def title(self, scope: Scope, before: Any, after: Any) -> str:
        """The change in a few words."""
        return f"Widen the role {before['name'] if before else after['name']}"

    def describe(self, scope: Scope, before: Any, after: Any) -> Sequence[str]:
        """The change in sentences."""
        was, becomes = set(before["permissions"] if before else ()), set(after["permissions"])
        more, less = (
            [PERMISSION_WORDS[name] for name in PERMISSION_WORDS if name in names]
            for names in (becomes - was, was - becomes)
        )
        holders = RoleGrant.objects.filter(
            custom_role__project=scope.project, custom_role__key=scope.subject, closed_at=None
        )
        number = holders.values("person").distinct().count()
        who = f"{number} {'person holds' if number == 1 else 'people hold'} it now."
        sentences = [f"Whoever holds it may also {' and '.join(more)}." if more else ""]
        sentences.append(f"Nobody may {' or '.join(less)} through it any more." if less else "")
        return [*filter(None, sentences), who]

    def apply(
        self, scope: Scope, after: Any, *, actor: Actor, authority: SettingsAuthority, now: datetime, reason: str
    ) -> None:
        """Write the setting."""
        role = CustomRole.objects.filter(project=scope.project, key=scope.subject).first()
        if role is None:
            raise NotFound(f"{scope.project.name} has no such role. Create it first.")
        change_custom_role(role.pk, actor=actor, reason=reason, now=now, authority=authority, **after)


PERMISSION_WORDS = {
    "view_environment": "look",
    "propose_change": "propose changes and edit unprotected environments",
    "approve_change": "approve changes",
    "apply_change": "schedule and apply approved changes",
    "break_glass": "change protected environments in an emergency",
    "administer_environment": "administer protection, policies, tokens and roles",
}


def register_kinds() -> None:
    """Know the kinds of this module."""
    for kind in (Protection(), StrictMode(), ContextSampling(), ApprovalPolicyKind(), CustomRoleKind()):
        register_kind(kind)


def _environment(scope: Scope) -> Environment:
    if scope.environment is None:
        raise problem("environment", "Choose an environment: this is a setting of one.")
    return scope.environment


def _switch(value: Any, name: str) -> dict[str, bool]:
    if not isinstance(value, Mapping) or not isinstance(value.get(name), bool):
        raise problem(name, "Say whether it is to be on or off.")
    return {name: value[name]}


def _approvals(number: int) -> str:
    return f"{number} approval" if number == 1 else f"{number} approvals"


def _life(hours: int) -> str:
    number, unit = (hours // 24, "day") if hours % 24 == 0 else (hours, "hour")
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _who(policy: Policy) -> str:
    if policy.named_approvers is None:
        return "everybody with the role approver"
    people = get_user_model().objects.filter(pk__in=policy.named_approvers).order_by("first_name", "last_name")
    return ", ".join(person.get_full_name() or person.get_username() for person in people)
