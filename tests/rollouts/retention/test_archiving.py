"""Payloads leave and come back: what goes, what stays, what the trail says, and what a crash leaves."""

import gzip
import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from audits.actions import Action
from audits.chains import chain_names, verify_chain
from audits.models import AuditEvent
from flags.archives import note_of
from flags.changes import document_digest
from flags.errors import ConcurrentUpdate, InvalidInput, PermissionMissing
from flags.models import ArchivedPayload, Flag, FlagConfig, Segment
from flags.services.tickets import governed_write
from rollouts.models import DrillRun, RolloutPlan
from rollouts.retention.classes import PayloadClass
from rollouts.selectors.retention import SOURCES, Source
from rollouts.services.drills import DrillPlan, add_drill
from rollouts.services.retention import archiving
from rollouts.services.retention.archiving import count_due
from rollouts.services.retention.restoring import restore_payloads
from rollouts.services.retention.verifying import verify_archive
from tests.factories import NOW, actor_of
from tests.rollouts.retention.support import LATER, SYSTEM, UNTIL, Old, archive, everything, old_world

pytestmark = [pytest.mark.django_db, pytest.mark.engines]
CONFIGS, SEGMENTS = (source for source in SOURCES[PayloadClass.VERSIONS])


@pytest.fixture
def old() -> Old:
    return old_world()


def notes(source: Source) -> int:
    return sum(note_of(value) is not None for value in source.rows.values_list(source.column, flat=True))


def is_sound() -> bool:
    return all(verify_chain(chain).bad is None for chain in chain_names())


def made(old: Old, kind: PayloadClass, folder: Path, **changed: Any) -> Path:
    done = archive(old, kind, folder, **changed)
    assert done is not None
    return done.path


def restored(path: Path) -> tuple[int, int]:
    done = restore_payloads(path, actor=SYSTEM, now=LATER)
    return done.restored, done.present


@pytest.mark.parametrize("kind", PayloadClass)
def test_archive__each_class__leaves_notes_and_comes_back_to_the_letter(kind, old, tmp_path):
    before, due = everything(), count_due(old.world.project, kind, until=UNTIL)
    path = made(old, kind, tmp_path)

    assert due > 0
    assert sum(map(notes, SOURCES[kind])) == ArchivedPayload.objects.count() == due
    without = {table: [row[1:] for row in rows] for table, rows in everything().items()}
    assert without == {table: [row[1:] for row in rows] for table, rows in before.items()}
    report = verify_archive(path)
    assert (report.problems, report.lines, report.archived, report.present) == ([], due, due, 0)
    assert is_sound()
    assert archive(old, kind, tmp_path) is None

    assert restored(path) == (due, 0)
    assert everything() == before
    assert restored(path) == (0, due)
    assert verify_archive(path).present == due
    assert is_sound()


def test_archive__event_and_manifest__anchor_the_file(old, tmp_path):
    path = made(old, PayloadClass.VERSIONS, tmp_path, reason="Old")
    event = AuditEvent.objects.get(action=Action.PAYLOADS_ARCHIVED)
    report, manifest = verify_archive(path), json.loads(next(tmp_path.glob("*.manifest.json")).read_text())

    assert (event.project_key, event.reason) == (old.world.project.key, "Old")
    assert event.details["sha256"] == report.sha256 == manifest["sha256"]
    assert event.details["payloads"] == report.lines == manifest["payloads"]
    assert (event.details["class"], event.details["file"]) == ("versions", path.name)
    assert set(ArchivedPayload.objects.values_list("correlation_id", flat=True)) == {event.correlation_id}
    restored(path)
    assert AuditEvent.objects.filter(action=Action.PAYLOADS_RESTORED).count() == 1


def test_archive__file_and_manifest__are_for_their_owner_alone(old, tmp_path):
    made(old, PayloadClass.VERSIONS, tmp_path)

    assert [each.stat().st_mode & 0o777 for each in tmp_path.iterdir()] == [0o600, 0o600]


def test_file__of_versions__proves_itself_to_an_outsider(old, tmp_path):
    with gzip.open(made(old, PayloadClass.VERSIONS, tmp_path), "rt") as file:
        lines = [json.loads(line) for line in file]
    history: Any = FlagConfig.history
    digests = dict(history.values_list("history_id", "digest"))

    configs = [line for line in lines if line["table"] == CONFIGS.table]
    assert {line["class"] for line in lines} == {"versions"}
    assert [document_digest(json.loads(line["payload"])) for line in configs] == [
        digests[int(line["id"])] for line in configs
    ]


def kept_versions(old: Old) -> dict[tuple[str, int], bool]:
    """Whether the document of each version in production is still in the database."""
    rows = FlagConfig.history.filter(environment=old.world.production)
    return {(row.flag.key, row.version): note_of(row.document) is None for row in rows}


def test_versions__present_ones_and_those_of_live_flags__stay(old, tmp_path):
    made(old, PayloadClass.VERSIONS, tmp_path)
    kept = kept_versions(old)

    assert [kept["gone", number] for number in (1, 2, 3)] == [False, False, True]
    assert all(is_kept for (key, _), is_kept in kept.items() if key != "gone")
    beta = {row.version: note_of(row.document) is None for row in Segment.history.all()}
    assert beta == {1: False, 2: True}


@pytest.mark.parametrize("younger", [timedelta(seconds=1), timedelta(days=30)])
def test_archive__nothing_as_old__is_none_and_leaves_no_file(younger, old, tmp_path):
    assert [archive(old, kind, tmp_path, until=NOW - younger) for kind in PayloadClass] == [None] * len(PayloadClass)
    assert not list(tmp_path.iterdir())
    assert not AuditEvent.objects.filter(action=Action.PAYLOADS_ARCHIVED).exists()


def test_versions__flag_revived_meanwhile__stay(old, tmp_path):
    with governed_write(old.world.project.pk):
        Flag.objects.filter(pk=old.gone.pk).update(archived_at=None)
    made(old, PayloadClass.VERSIONS, tmp_path)

    assert notes(CONFIGS) == 0
    assert notes(SEGMENTS) == 1


def test_versions__a_drill_goes_back_to_one__it_stays(old, tmp_path):
    wanted = DrillPlan("To two", old.gone.pk, "version", 2, None, limit_seconds=60, interval_days=1)
    add_drill(old.world.production.pk, wanted, actor=actor_of(old.world.rolf), now=NOW)
    made(old, PayloadClass.VERSIONS, tmp_path)
    kept = kept_versions(old)

    assert [kept["gone", number] for number in (1, 2, 3)] == [False, True, True]


def test_versions__an_open_request_is_based_on_one__it_stays(old, tmp_path, monkeypatch):
    from rollouts.selectors import retention

    monkeypatch.setattr(retention, "_OPEN", ["rejected"])
    edits = [{"kind": "flag_config", "flag_key": "gone", "base_version": 1, "document": {}}]
    content = old.request.change_set
    first = content["edits"][0]
    changed = {**content, "edits": [{**first, **{k: v for k, v in edits[0].items() if k in first}}]}
    with governed_write(old.request.environment_id):
        type(old.request).objects.filter(pk=old.request.pk).update(change_set=changed)
    made(old, PayloadClass.VERSIONS, tmp_path)
    kept = kept_versions(old)

    assert [kept["gone", number] for number in (1, 2, 3)] == [True, False, True]


def test_rounds_and_impact__of_an_open_request__stay(old, tmp_path, monkeypatch):
    from rollouts.selectors import retention

    monkeypatch.setattr(retention, "_OPEN", ["rejected"])
    assert archive(old, PayloadClass.ROUNDS, tmp_path) is None
    assert archive(old, PayloadClass.IMPACT_RESULTS, tmp_path) is None


def test_guard_evidence__of_a_plan_that_may_go_on__stays(old, tmp_path):
    with governed_write(old.plan.environment_id):
        RolloutPlan.objects.update(state="rolled_back")

    assert archive(old, PayloadClass.GUARD_EVIDENCE, tmp_path) is None


def test_drill_runs__newest_of_a_drill__stays(old, tmp_path):
    made(old, PayloadClass.DRILL_RUNS, tmp_path)
    kept = {run.started_at: note_of(run.evidence) is None for run in DrillRun.objects.all()}

    assert [kept[at] for at in sorted(kept)] == [False, True]


@pytest.mark.parametrize("who", ["rita", "rolf"])
def test_archive_and_restore__by_somebody_without_the_superuser_mark__are_refused(who, old, tmp_path):
    path, before = made(old, PayloadClass.ROUNDS, tmp_path), everything()
    actor = actor_of(getattr(old.world, who))

    with pytest.raises(PermissionMissing):
        archive(old, PayloadClass.VERSIONS, tmp_path, actor=actor)
    with pytest.raises(PermissionMissing):
        restore_payloads(path, actor=actor, now=LATER)
    assert everything() == before


def test_archive__killed_before_the_commit__leaves_a_file_that_nothing_names(old, tmp_path, monkeypatch):
    before = everything()

    def die(*args: Any, **facts: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(archiving, "record_moved", die)
        with pytest.raises(KeyboardInterrupt):
            archive(old, PayloadClass.VERSIONS, tmp_path)

    [unused] = tmp_path.glob("*.jsonl.gz")
    assert everything() == before
    assert not ArchivedPayload.objects.exists()
    assert "No event" in verify_archive(unused).problems[0]
    assert made(old, PayloadClass.VERSIONS, tmp_path) != unused


def test_archive__another_run_was_first__nothing_happens_twice(old, tmp_path, monkeypatch):
    other: list[Path] = []

    def overtaken(*args: Any) -> None:
        monkeypatch.undo()
        other.append(made(old, PayloadClass.VERSIONS, tmp_path))

    monkeypatch.setattr(archiving, "write_manifest", overtaken)
    with pytest.raises(ConcurrentUpdate, match="none was archived"):
        archive(old, PayloadClass.VERSIONS, tmp_path)

    assert AuditEvent.objects.filter(action=Action.PAYLOADS_ARCHIVED).count() == 1
    assert set(ArchivedPayload.objects.values_list("file", flat=True)) == {other[0].name}


def test_archive__folder_is_missing__nothing_happens(old, tmp_path):
    before = everything()
    with pytest.raises(InvalidInput, match="cannot be written"):
        archive(old, PayloadClass.VERSIONS, tmp_path / "nowhere")

    assert everything() == before


@pytest.mark.parametrize("seed", range(3))
def test_archive__any_set_in_any_order__chain_is_sound_and_all_comes_back(seed, old, tmp_path):
    before, chosen = everything(), random.Random(seed)
    files = []
    for kind in chosen.sample(list(PayloadClass), len(PayloadClass)):
        while done := archive(old, kind, tmp_path, most=chosen.randint(1, 3)):
            files.append(done.path)
            if chosen.random() < 0.3:
                break
    assert is_sound()
    back = chosen.sample(files, len(files))
    for path in back[: len(back) // 2]:
        restored(path)
    again = [done.path for kind in PayloadClass if (done := archive(old, kind, tmp_path))]
    assert all(verify_archive(path).is_sound for path in [*files, *again])
    for path in chosen.sample([*files, *again], len(files) + len(again)):
        restored(path)

    assert everything() == before
    assert is_sound()
