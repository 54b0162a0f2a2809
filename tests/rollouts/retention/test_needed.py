"""The database itself lets no payload leave that somebody needs, also with a ticket for archiving."""

import uuid
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import TextField
from django.db.models.functions import Cast

from audits.context import correlation, open_correlation_id
from flags.archives import ArchiveNote, note_of, stub_of, text_digest
from flags.models import ArchivedPayload
from flags.services.tickets import governed_write
from rollouts.models import DrillRun, GuardSample, GuardVerdict, ImpactRun, RequestRound, RolloutPlan
from rollouts.services.retention.tickets import archive_write
from tests.rollouts.retention.support import Old, old_world

pytestmark = [pytest.mark.django_db, pytest.mark.engines]
FILE, DAY = "forged.jsonl.gz", date(2026, 11, 21)


def reopen_request(old: Old) -> None:
    with governed_write(old.request.environment_id):
        type(old.request).objects.filter(pk=old.request.pk).update(state="in_review")


def reopen_plan(old: Old) -> None:
    with governed_write(old.plan.environment_id):
        RolloutPlan.objects.filter(pk=old.plan.pk).update(state="running", ended_at=None)


def untouched(old: Old) -> None:
    """Nothing has to be different: it is needed as it is."""


def erase(row: Any, column: str) -> None:
    """Promise a row's payload honestly, and put the note in its place."""
    rows = type(row)._base_manager.filter(pk=row.pk)
    digest = text_digest(rows.values_list(Cast(column, TextField()), flat=True).get())
    with correlation(open_correlation_id()) as act_id, archive_write(row.environment_id), transaction.atomic():
        ArchivedPayload.objects.create(
            environment_id=row.environment_id,
            payload_class="any",
            table_name=row._meta.db_table,
            column_name=column,
            row_id=row.pk.hex if isinstance(row.pk, uuid.UUID) else str(row.pk),
            sha256=digest,
            size=1,
            file=FILE,
            archived_on=DAY,
            correlation_id=act_id,
        )
        with governed_write(row.environment_id):
            rows.update(**{column: stub_of(ArchiveNote(DAY, FILE, digest))})


NEEDED: dict[str, tuple[Callable[[Old], Any], Callable[[], Any], str]] = {
    "a round of an open request": (reopen_request, lambda: RequestRound.objects.get(), "change_set"),
    "impact of an open request": (reopen_request, lambda: ImpactRun.objects.get(), "result"),
    "the newest run of a drill": (untouched, lambda: DrillRun.objects.latest("started_at"), "evidence"),
    "a sample of a plan that goes on": (reopen_plan, lambda: GuardSample.objects.latest("pk"), "intervals"),
    "a verdict of a plan that goes on": (reopen_plan, lambda: GuardVerdict.objects.latest("pk"), "intervals"),
}


@pytest.mark.parametrize("what", NEEDED)
def test_database__payload_is_needed__stays(what):
    change, found, column = NEEDED[what]
    change(old_world())

    with pytest.raises(IntegrityError, match="flagsite"):
        erase(found(), column)
    assert note_of(getattr(found(), column)) is None


def test_database__nobody_needs_it_any_longer__it_may_leave():
    old_world()
    erase(RequestRound.objects.get(), "change_set")

    assert note_of(RequestRound.objects.get().change_set) is not None
