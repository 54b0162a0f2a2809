"""Settings of an environment that change what it serves."""

import uuid
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import F

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions, snapshots
from flags.authority import ProtectedEnvironment
from flags.models import Environment
from flags.services.attempts import attempted
from flags.services.keys import checked_text
from flags.services.locks import lock_environment
from flags.services.tickets import governed_write
from flags.settings_authority import ALONE, SettingChange, SettingsAuthority


@attempted
def set_targeting_key_mode(
    environment_id: uuid.UUID,
    *,
    actor: Actor,
    is_required: bool,
    now: datetime,
    reason: str,
    authority: SettingsAuthority = ALONE,
) -> Environment:
    """Turn strict mode on or off: whether a split without a targeting key is an error instead of the default variant.

    Needs the role administrator and a reason. It changes what is served, so it is no one person's act: two agree on it
    in a protected environment and in one whose protection somebody took off; he does not confirm it there. Raises
    PermissionMissing, InvalidInput, NotFound, ProtectedEnvironment, SecondPersonNeeded. A call that changes nothing
    records nothing.
    """
    reason = checked_text(reason, field="reason", longest=4000, required=True)
    with transaction.atomic():
        environment = lock_environment(environment_id)
        permissions.require(actor, permissions.ADMINISTER, environment)
        if environment.requires_targeting_key == is_required:
            return environment
        refuse_opener(environment, actor)
        change = SettingChange(
            kind="strict_mode",
            project_id=str(environment.project_id),
            environment_id=str(environment.pk),
            before={"requires_targeting_key": environment.requires_targeting_key},
            after={"requires_targeting_key": is_required},
        )
        authority.check(change, is_looser=environment.is_guarded)
        with governed_write(environment.pk):
            rows = Environment.objects.filter(pk=environment.pk)
            rows.update(requires_targeting_key=is_required, revision=F("revision") + 1)
        data = {
            "before": change.before,
            "after": change.after,
            "revision": environment.revision + 1,
            **authority.evidence(),
        }
        environment.requires_targeting_key = is_required
        environment.revision += 1
        trail.record(
            Action.ENVIRONMENT_UPDATED,
            actor=actor,
            target=trail.Target("environment", str(environment.pk), environment.name),
            now=now,
            project_id=environment.project_id,
            project_key=environment.project.key,
            environment_key=environment.key,
            reason=reason,
            data=data,
        )
        transaction.on_commit(partial(snapshots.publish, environment.pk), robust=True)
    return environment


def refuse_opener(environment: Environment, actor: Actor) -> None:
    """Raise ProtectedEnvironment where the actor took the protection off, and so would decide alone."""
    if str(environment.unprotected_by_id) == actor.id:
        raise ProtectedEnvironment(
            f"You took the protection off {environment.name} yourself, so another administrator has to switch "
            "this. Ask one, or protect the environment again."
        )
