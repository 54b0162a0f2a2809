"""Writing down what the kill list of a host forces, once the database can be reached again."""

import socket
import uuid
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags.models import Environment, LocalKill
from flags.services.attempts import attempted
from flags.snapshots import Kill, PassedKill

ACTOR = Actor.system("flags.kill_list", via="kill list")


# A process confirms its rows every minute. A row that none confirms stands for a list that is gone: on a host that
# still reports it is one of a process that ended, elsewhere the whole host may be cut off and still force it.
_CONFIRMED_EVERY = timedelta(seconds=30)
_GONE_FROM_THIS_HOST = timedelta(minutes=15)
_GONE_WITH_ITS_HOST = timedelta(hours=24)

Place = tuple[tuple[str, str], str, str]


def settle_this_host(
    kills: Sequence[Kill], passed: Sequence[PassedKill], sources: Collection[str], now: datetime
) -> None:
    """`settle_local_kills` for the host this process runs on."""
    settle_local_kills(kills, passed=passed, host=socket.gethostname()[:255], sources=sources, now=now)


def settle_local_kills(
    kills: Sequence[Kill],
    *,
    host: str,
    sources: Collection[str],
    now: datetime,
    passed: Sequence[PassedKill] = (),
) -> int:
    """Make the open local kills of some lists of a host what these say, with an event for each; how many changed.

    What `passed` before it was written down is noticed and lifted in one.

    `sources` are the lists this process reads: it lifts nothing that another one noticed from a list of its own, unless
    that was not confirmed for long. Any number of processes of the host may call it at once: each change is written by
    one of them. Needs no permission, since it records what already happens there and changes nothing that is served.
    """
    wanted = {(kill.place, kill.flag_key, kill.source): kill for kill in kills}
    rows = LocalKill.objects.filter(host=host, source__in=sources, lifted_at=None)
    present = {_place(row): row for row in rows.select_related("environment__project")}
    changes, kept = 0, []
    for name, row in present.items():
        if name in wanted and wanted[name].variant == row.variant:
            kept.append(row.pk)
        else:
            changes += _lift(row, now=now)
    for name, kill in wanted.items():
        if name not in present or present[name].variant != kill.variant:
            changes += _notice(kill, host=host, now=now)
    for one in passed:
        changes += _write_passed(one, host=host, now=now)
    _confirm(kept, now=now)
    return changes + _lift_unconfirmed(host, sources, now=now)


def _place(row: LocalKill) -> Place:
    return (row.environment.project.key, row.environment.key), row.flag_key, row.source


def _confirm(keys: Sequence[uuid.UUID], *, now: datetime) -> None:
    if keys:
        unconfirmed = _not_confirmed_since(now - _CONFIRMED_EVERY)
        LocalKill.objects.filter(unconfirmed, pk__in=keys, lifted_at=None).update(confirmed_at=now)


def _lift_unconfirmed(host: str, sources: Collection[str], *, now: datetime) -> int:
    """Close what nobody speaks for any more. What a list of this process says was settled before."""
    limits = (
        (_GONE_FROM_THIS_HOST, Q(host=host) & ~Q(source__in=sources)),
        (_GONE_WITH_ITS_HOST, ~Q(host=host)),
    )
    changes = 0
    for silence, where in limits:
        unconfirmed = _not_confirmed_since(now - silence)
        for row in LocalKill.objects.filter(where, unconfirmed, lifted_at=None).select_related("environment__project"):
            changes += _lift(row, now=now, condition=unconfirmed, reason="not confirmed any longer")
    return changes


def _not_confirmed_since(moment: datetime) -> Q:
    return Q(confirmed_at__lt=moment) | Q(confirmed_at=None, noticed_at__lt=moment)


@attempted
def _lift(row: LocalKill, *, now: datetime, condition: Q | None = None, reason: str = "") -> int:
    with transaction.atomic():
        if not LocalKill.objects.filter(condition or Q(), pk=row.pk, lifted_at=None).update(lifted_at=now):
            return 0
        _record(Action.LOCAL_KILL_LIFTED, row, row.environment, now=now, reason=reason)
    return 1


def _notice(kill: Kill, *, host: str, now: datetime) -> int:
    try:
        return _write_notice(kill, host=host, now=now)
    except IntegrityError:
        # Another process of this host was quicker: one open row for a flag and a list, says the database.
        return 0


@attempted
def _write_notice(kill: Kill, *, host: str, now: datetime) -> int:
    with transaction.atomic():
        row = _row(kill, _places(kill).first(), host=host, now=now)
        if row is None or _same(row).filter(lifted_at=None).exists():
            return 0
        row.save(force_insert=True)
        _record(Action.LOCAL_KILL_NOTICED, row, row.environment, now=now)
    return 1


@attempted
def _write_passed(passed: PassedKill, *, host: str, now: datetime) -> int:
    """Notice and lift it, unless another process of the host did, or it was noticed while it was in force."""
    with transaction.atomic():
        # No constraint tells two closed rows of one moment apart, so processes write one after the other.
        environment = _places(passed.kill).select_for_update(of=("self",), no_key=True).first()
        row = _row(passed.kill, environment, host=host, now=now)
        if row is None:
            return 0
        is_written = Q(lifted_at=None) | Q(lifted_at__gte=passed.began_at)
        if _same(row).filter(is_written, variant=row.variant).exists():
            return 0
        row.lifted_at = now
        row.save(force_insert=True)
        _record(Action.LOCAL_KILL_NOTICED, row, row.environment, now=now)
        until = min(passed.ended_at, now).isoformat()
        _record(Action.LOCAL_KILL_LIFTED, row, row.environment, now=now, until=until)
    return 1


def _places(kill: Kill) -> QuerySet[Environment]:
    rows = Environment.objects.select_related("project")
    return rows.filter(project__key=kill.project_key, key=kill.environment_key)


def _row(kill: Kill, environment: Environment | None, *, host: str, now: datetime) -> LocalKill | None:
    if environment is None:
        return None
    return LocalKill(
        environment=environment,
        flag_key=kill.flag_key,
        host=host,
        source=kill.source,
        variant=kill.variant,
        since=min(kill.since, now),
        noticed_at=now,
        confirmed_at=now,
    )


def _same(row: LocalKill) -> QuerySet[LocalKill]:
    """What is known of the same flag from the same list of the same host."""
    return LocalKill.objects.filter(
        environment=row.environment, flag_key=row.flag_key, host=row.host, source=row.source
    )


def _record(action: Action, row: LocalKill, environment: Environment, *, now: datetime, **more: str) -> None:
    data = {"host": row.host, "source": row.source, "variant": row.variant, "since": row.since.isoformat()}
    data |= {name: text for name, text in more.items() if text}
    trail.record(
        action,
        actor=ACTOR,
        target=trail.Target("local_kill", str(row.pk), row.flag_key),
        now=now,
        project_id=environment.project_id,
        project_key=environment.project.key,
        environment_key=environment.key,
        flag_key=row.flag_key,
        data=data,
    )
