"""A whole environment of 500 flags goes back in one act, in less than five seconds."""

import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audits.models import AuditEvent
from flags.authority import DirectEdit
from flags.changes import ChangeSet, ConfigEdit
from flags.models import Environment, Flag, FlagConfig
from flags.services.configs import apply_change_set
from rollouts.services.versions import restore_environment
from tests.factories import NOW, World, actor_of, make_world, percent_document

FLAGS = 500
SECONDS = 5.0
STATEMENTS_EACH = 7


def _serve_all(world: World, share: int, *, base_version: int, minutes: int) -> None:
    edits = tuple(ConfigEdit(f"flag-{n}", base_version, percent_document(f"flag-{n}", share)) for n in range(FLAGS))
    apply_change_set(
        ChangeSet(str(world.development.pk), edits),
        actor=actor_of(world.rita),
        authority=DirectEdit(),
        now=NOW + timedelta(minutes=minutes),
        reason="Test",
    )


@pytest.mark.django_db(transaction=True)
def test_restore__500_flags__under_five_seconds_one_event_each_one_correlation() -> None:
    world = make_world()
    Flag.objects.bulk_create(
        Flag(
            project=world.project,
            key=f"flag-{n}",
            name=f"Flag {n}",
            kind="release",
            value_type="boolean",
            created_at=NOW,
        )
        for n in range(FLAGS)
    )
    _serve_all(world, 10, base_version=0, minutes=0)
    _serve_all(world, 90, base_version=1, minutes=10)
    revision = Environment.objects.get(pk=world.development.pk).revision

    # The time of this process: other tests may run on the same cores. What the database adds is in the statements.
    began = time.process_time()
    with CaptureQueriesContext(connection) as statements:
        done = restore_environment(
            world.development.pk,
            instant=NOW + timedelta(minutes=5),
            actor=actor_of(world.rita),
            reason="Errors went up",
            now=NOW + timedelta(minutes=20),
        )
    took = time.process_time() - began

    events = AuditEvent.objects.filter(action="flag_config.applied", occurred_at=NOW + timedelta(minutes=20))
    assert took < SECONDS
    assert len(statements) < STATEMENTS_EACH * FLAGS
    assert len(set(events.values_list("flag_key", flat=True))) == events.count() == FLAGS
    assert len(set(events.values_list("correlation_id", flat=True))) == 1
    assert set(FlagConfig.objects.values_list("version", flat=True)) == {3}
    assert Environment.objects.get(pk=world.development.pk).revision == revision + 1
    assert done.verification is not None
    assert done.verification.is_good
