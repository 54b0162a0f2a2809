"""Writing down what the kill list of a host forces, once the database can be reached again."""

import socket
from collections.abc import Sequence
from datetime import datetime

from django.db import IntegrityError, transaction

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags.models import Environment, LocalKill
from flags.services.attempts import attempted
from flags.snapshots import Kill

ACTOR = Actor.system("flags.kill_list", via="kill list")


def settle_this_host(kills: Sequence[Kill], now: datetime) -> None:
    """`settle_local_kills` for the host this process runs on."""
    settle_local_kills(kills, host=socket.gethostname()[:255], now=now)


def settle_local_kills(kills: Sequence[Kill], *, host: str, now: datetime) -> int:
    """Make the open local kills of a host those of its kill list, with an event for each; returns how many changed.

    Any number of processes of the host may call it at once: each change is written by one of them. Needs no permission,
    since it records what already happens there and changes nothing that is served.
    """
    wanted = {(kill.place, kill.flag_key): kill for kill in kills}
    rows = LocalKill.objects.filter(host=host, lifted_at=None).select_related("environment__project")
    present = {((row.environment.project.key, row.environment.key), row.flag_key): row for row in rows}
    changes = 0
    for name, row in present.items():
        kill = wanted.get(name)
        if kill is None or kill.variant != row.variant:
            changes += _lift(row, now=now)
    for name, kill in wanted.items():
        if name not in present or present[name].variant != kill.variant:
            changes += _notice(kill, host=host, now=now)
    return changes


@attempted
def _lift(row: LocalKill, *, now: datetime) -> int:
    with transaction.atomic():
        if not LocalKill.objects.filter(pk=row.pk, lifted_at=None).update(lifted_at=now):
            return 0
        _record(Action.LOCAL_KILL_LIFTED, row, row.environment, now=now)
    return 1


def _notice(kill: Kill, *, host: str, now: datetime) -> int:
    try:
        return _write_notice(kill, host=host, now=now)
    except IntegrityError:
        # Another process of this host was quicker: one open row for a flag, says the database.
        return 0


@attempted
def _write_notice(kill: Kill, *, host: str, now: datetime) -> int:
    places = Environment.objects.select_related("project")
    with transaction.atomic():
        environment = places.filter(project__key=kill.project_key, key=kill.environment_key).first()
        if environment is None:
            return 0
        open_rows = LocalKill.objects.filter(environment=environment, flag_key=kill.flag_key, host=host, lifted_at=None)
        if open_rows.exists():
            return 0
        row = LocalKill(
            environment=environment,
            flag_key=kill.flag_key,
            variant=kill.variant,
            host=host,
            since=min(kill.since, now),
            noticed_at=now,
        )
        row.save(force_insert=True)
        _record(Action.LOCAL_KILL_NOTICED, row, environment, now=now)
    return 1


def _record(action: Action, row: LocalKill, environment: Environment, *, now: datetime) -> None:
    trail.record(
        action,
        actor=ACTOR,
        target=trail.Target("local_kill", str(row.pk), row.flag_key),
        now=now,
        project_id=environment.project_id,
        project_key=environment.project.key,
        environment_key=environment.key,
        flag_key=row.flag_key,
        data={"host": row.host, "variant": row.variant, "since": row.since.isoformat()},
    )
