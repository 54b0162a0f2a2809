"""A file that is not what was archived is found out, and nothing comes back from it."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from audits.models import AuditEvent
from flags.archives import note_of, stub_of
from flags.errors import InvalidInput
from flags.models import ArchivedPayload, FlagConfig
from rollouts.retention.classes import PayloadClass
from rollouts.services.retention import files
from rollouts.services.retention.restoring import restore_payloads
from rollouts.services.retention.tickets import archive_write
from rollouts.services.retention.verifying import unfounded_files, verify_archive
from tests.rollouts.retention.support import LATER, SYSTEM, archive, everything, old_world
from tests.support.flush import without_triggers

pytestmark = [pytest.mark.django_db, pytest.mark.engines]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with versions."""
    done = archive(old_world(), PayloadClass.VERSIONS, tmp_path)
    assert done is not None
    return done.path


def rewrite(path: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    with gzip.open(path, "rt") as file:
        lines = [json.loads(line) for line in file]
    change(lines)
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def forge(path: Path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a payload": (lambda p: rewrite(p, lambda x: x[0].update(payload="{}")), "the payload was altered"),
    "a payload with its digest": (
        lambda p: rewrite(p, lambda x: x[0].update(payload="{}", sha256="0" * 64)),
        "the payload was altered",
    ),
    "a line gone": (lambda p: rewrite(p, lambda x: x.pop()), "1 payload that it should hold"),
    "a line more": (lambda p: rewrite(p, lambda x: x.append({**x[0], "id": "999"})), "nobody ever archived this"),
    "another table": (lambda p: rewrite(p, lambda x: x[0].update(table="flags_flag")), "nobody ever archived this"),
    "another row": (lambda p: rewrite(p, lambda x: x[0].update(id="no id")), "nobody ever archived this"),
    "another field": (lambda p: rewrite(p, lambda x: x[0].update(more="x")), "cannot be read from line 1"),
    "a number": (lambda p: rewrite(p, lambda x: x[0].update(payload=7)), "cannot be read from line 1"),
    "written anew": (lambda p: rewrite(p, lambda x: None), "its SHA-256 is"),
    "cut off": (cut, "cannot be read from line"),
    "brackets in brackets": (lambda p: forge(p, b"[" * 200_000 + b"\n"), "cannot be read from line 1"),
    "a line without an end": (lambda p: forge(p, b" " * 3_000), "cannot be read from line 1 on: the line is too long"),
    "no text": (lambda p: forge(p, b"\xff\n"), "cannot be read from line 1"),
    "no archive": (lambda p: p.write_bytes(b"hello"), "cannot be read from line 1"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_verify__file_was_changed__says_what_and_nothing_comes_back(damage, path, monkeypatch):
    monkeypatch.setattr(files, "LONGEST_LINE", 2_000)
    before, (change, words) = everything(), DAMAGE[damage]
    change(path)
    report = verify_archive(path)

    assert not report.is_sound
    assert "was altered" in report.problems[0]
    assert any(words in problem for problem in report.problems), report.problems
    with pytest.raises(InvalidInput, match="Nothing was brought back"):
        restore_payloads(path, actor=SYSTEM, now=LATER)
    assert everything() == before


def test_verify__another_sha256__is_read_no_further_than_the_first_altered_line(path):
    rewrite(path, lambda x: [line.update(payload="{}") for line in x])
    report = verify_archive(path)

    assert report.lines == 1
    assert len(report.problems) == 2


def test_verify__file_was_only_renamed__is_sound(path):
    other = path.rename(path.with_name("copy.gz"))

    assert verify_archive(other).is_sound
    assert restore_payloads(other, actor=SYSTEM, now=LATER).restored > 0


def test_verify__event_was_altered__says_that_the_trail_is_broken(path):
    with without_triggers(connection):
        AuditEvent.objects.filter(sequence=1).update(reason="Another one")

    assert "The audit trail itself is broken at event 1" in " ".join(verify_archive(path).problems)


def test_verify__note_was_altered_in_the_database__is_noticed(path):
    with without_triggers(connection):
        FlagConfig.history.update(document={})

    assert any("the database holds another payload there" in one for one in verify_archive(path).problems)


def test_verify_and_restore__the_note_of_another_payload_stands_there__say_so(path):
    row = next(row for row in FlagConfig.history.all() if note_of(row.document))
    other = stub_of(replace(note_of(row.document), sha256="0" * 64))  # type: ignore[type-var, arg-type]
    with without_triggers(connection):
        FlagConfig.history.filter(pk=row.pk).update(document=other)

    assert any("the note of another payload" in one for one in verify_archive(path).problems)
    with pytest.raises(InvalidInput, match="the note of another payload"):
        restore_payloads(path, actor=SYSTEM, now=LATER)


def test_command__a_payload_is_noted_for_a_file_without_an_event__says_so(path, capsys):
    assert unfounded_files() == []
    promise = ArchivedPayload.objects.all()[0]
    promise.pk, promise.file = None, "never.gz"
    with archive_write(promise.environment_id):
        promise.save(force_insert=True)

    assert unfounded_files() == ["1 payloads are noted as archived in never.gz, but the audit trail says 0."]
    with pytest.raises(SystemExit):
        call_command("verify_archive", str(path))
    assert "never.gz" in capsys.readouterr().out
    assert verify_archive(path).is_sound
