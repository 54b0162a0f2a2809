"""Sampling contexts: the switch of an environment, writing samples down, and forgetting them."""

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions, snapshots
from flags.models import ContextAttribute, ContextSample, Environment
from flags.sampling import Sample, environment_key, reservoirs
from flags.services.attempts import attempted
from flags.services.environments import refuse_opener
from flags.services.keys import checked_text
from flags.services.locks import lock_environment
from flags.services.tickets import governed_write
from flags.settings_authority import ALONE, SettingChange, SettingsAuthority

MOST_SAMPLES = 20_000
KEPT_FOR = timedelta(days=7)

logger = structlog.get_logger(__name__)


@attempted
def set_context_sampling(
    environment_id: uuid.UUID,
    *,
    actor: Actor,
    is_on: bool,
    now: datetime,
    reason: str,
    authority: SettingsAuthority = ALONE,
) -> Environment:
    """Begin to keep hashed contexts of those who ask an environment, or stop and delete them all at once.

    Needs the role administrator and a reason; to begin in a protected environment takes two, and so it does
    in one whose protection somebody took off. Raises PermissionMissing,
    InvalidInput, NotFound, ProtectedEnvironment, SecondPersonNeeded. A call that changes nothing records nothing.
    """
    reason = checked_text(reason, field="reason", longest=4000, required=True)
    with transaction.atomic():
        environment = lock_environment(environment_id)
        permissions.require(actor, permissions.ADMINISTER, environment)
        if environment.samples_contexts == is_on:
            return environment
        if is_on:
            refuse_opener(environment, actor)
        change = SettingChange(
            kind="context_sampling",
            project_id=str(environment.project_id),
            environment_id=str(environment.pk),
            before={"samples_contexts": environment.samples_contexts},
            after={"samples_contexts": is_on},
        )
        authority.check(change, is_looser=environment.is_guarded and is_on)
        with governed_write(environment.pk):
            rows = Environment.objects.filter(pk=environment.pk)
            rows.update(samples_contexts=is_on, revision=F("revision") + 1)
        deleted = 0 if is_on else ContextSample.objects.filter(environment=environment).delete()[0]
        environment.samples_contexts = is_on
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
            data={
                "before": change.before,
                "after": change.after,
                "revision": environment.revision,
                "samples_deleted": deleted,
                **authority.evidence(),
            },
        )
        transaction.on_commit(partial(snapshots.publish, environment.pk), robust=True)
    return environment


def gather_samples(store: snapshots.SnapshotStore, now: datetime) -> None:
    """Open the reservoirs of this process where an environment samples, and write down those that are due.

    Never raises: a sample that cannot be written is dropped, and evaluation notices nothing.
    """
    found = [key for key, compiled in store.served.items() if compiled.snapshot.samples_contexts]
    reservoirs.keep_only([str(key) for key in found])
    for environment_id in found:
        try:
            _gather(environment_id, now)
        except Exception as error:
            # The message of an error may hold what was sampled, so only its kind is told.
            logger.warning("context_sample_dropped", environment_id=str(environment_id), error=type(error).__name__)
            reservoirs.close(str(environment_id))


def forget_old_samples(*, now: datetime) -> int:
    """Delete samples of people not seen for a week, and those of environments that do not sample; how many."""
    old = Q(seen_at__lte=now - KEPT_FOR) | Q(environment__samples_contexts=False)
    return ContextSample.objects.filter(old).delete()[0]


def _gather(environment_id: uuid.UUID, now: datetime) -> None:
    reservoir = reservoirs.get(str(environment_id))
    if reservoir is None:
        key = environment_key(settings.SECRET_KEY, str(environment_id))
        reservoirs.open(str(environment_id), names=_declared(environment_id), key=key, now=now)
    elif reservoir.is_due(now):
        with transaction.atomic():
            # Whoever switches sampling off holds this lock. While it is taken, the next look tries again.
            rows = Environment.objects.select_for_update(skip_locked=True, no_key=True)
            if rows.filter(pk=environment_id, samples_contexts=True).first() is not None:
                names = _declared(environment_id)
                _keep(environment_id, reservoir.take(names=names, now=now), now)


def _declared(environment_id: uuid.UUID) -> Collection[str]:
    rows = ContextAttribute.objects.filter(project__environments=environment_id)
    return frozenset(rows.exclude(name="targetingKey").values_list("name", flat=True))


def _keep(environment_id: uuid.UUID, samples: Collection[Sample], now: datetime) -> None:
    rows = [
        ContextSample(environment_id=environment_id, key_hash=item.key_hash, attributes=item.attributes, seen_at=now)
        for item in samples
    ]
    ContextSample.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["environment", "key_hash"],
        update_fields=["attributes", "seen_at"],
        batch_size=100,
    )
    kept = ContextSample.objects.filter(environment=environment_id)
    excess = kept.count() - MOST_SAMPLES
    if excess > 0:
        # By hash is by chance, and the same chance for somebody who asks every minute and once a week.
        surplus = kept.order_by("-key_hash").values_list("pk", flat=True)[:excess]
        kept.filter(pk__in=list(surplus)).delete()
