"""A change approved for later is applied at its time by Celery, embedded and on PostgreSQL with Redis."""

import json
import os
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.journeys.demos import Demo, running_demo

# Runs inside the demo's own environment: asks for a change as Mira and approves it as Ben, due in three seconds.
SCHEDULE = """
import json
from datetime import timedelta
from django.utils import timezone
from audits.context import Actor
from flags.changes import ChangeSet, ConfigEdit
from flags.models import Environment, FlagConfig
from flagsite.models import User
from rollouts.services.change_requests import *

mira, ben = (Actor.person(User.objects.get(username=name), via="test") for name in ("mira", "ben"))
production = Environment.objects.get(project__key="storefront", key="production")
config = FlagConfig.objects.get(environment=production, flag__key="card-payments")
edit = ConfigEdit("card-payments", config.version, {**config.document, "enabled": False})
due = timezone.now() + timedelta(seconds=3)
request = create_change_request(production.pk, actor=mira, title="Switch card payments off", reason="Maintenance",
    change_set=ChangeSet(str(production.pk), (edit,)), apply_at=due, now=timezone.now())
submit_change_request(request.pk, actor=mira, now=timezone.now())
approve_change_request(request.pk, actor=ben, digest=request.digest, comment="", now=timezone.now())
print("RESULT", json.dumps({"id": str(request.pk), "due": due.timestamp()}))
"""
LOOK = """
import json
from audits.models import AuditEvent
from rollouts.models import ChangeRequest
request = ChangeRequest.objects.get(pk="{id}")
events = AuditEvent.objects.filter(target_id="{id}", action="change_request.applied")
facts = {{"state": request.state, "applied": request.applied_at.timestamp(), "events": events.count()}}
print("RESULT", json.dumps({{**facts, "actor": events[0].actor_id}}))
"""


def ask(demo: Demo, code: str) -> Any:
    """Run Python inside the demo's environment; answers what it printed behind RESULT."""
    printed = demo.manage("shell", "-v0", "-c", code)
    return json.loads(next(line for line in printed.splitlines() if line.startswith("RESULT")).removeprefix("RESULT"))


def applied_at_its_time(demo: Demo) -> None:
    assert demo.evaluate("card-payments", "x")["value"] is True

    scheduled = ask(demo, SCHEDULE)
    assert demo.evaluate("card-payments", "x")["value"] is True
    demo.wait_for(lambda: demo.evaluate("card-payments", "x")["value"] is False, seconds=60)

    outcome = ask(demo, LOOK.format(id=scheduled["id"]))
    assert outcome["state"] == "applied"
    assert scheduled["due"] <= outcome["applied"]
    assert (outcome["events"], outcome["actor"]) == (1, "rollouts.apply_due_changes")


@pytest.mark.sqlite
def test_scheduled_change__embedded__is_applied_by_celery_at_its_time(demo):
    applied_at_its_time(demo)


@pytest.mark.postgres
@pytest.mark.redis
def test_scheduled_change__on_postgresql_and_redis__is_applied_by_celery_at_its_time(tmp_path: Path):
    name = f"journey_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    database = os.environ["DATABASE_URL"].rsplit("/", 1)[0] + f"/{name}"

    with running_demo(tmp_path, DATABASE_URL=database, REDIS_URL=os.environ["REDIS_URL"]) as demo:
        applied_at_its_time(demo)
