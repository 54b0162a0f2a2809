"""The three commands, from the age that is too young to the payload that is back."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import override_settings

from audits.actions import Action
from audits.models import AuditEvent
from rollouts.retention.classes import TERMS, PayloadClass
from tests.rollouts.retention.support import LATER, Old, everything, old_world

pytestmark = [pytest.mark.django_db, pytest.mark.engines]


@pytest.fixture
def old(tmp_path: Path) -> Any:
    with time_machine.travel(LATER, tick=False), override_settings(ARCHIVE_DIR=tmp_path / "archive"):
        yield old_world()


def said(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def archived(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said("archive_payloads", "--json", "--class", *words))
    return found


def test_commands__there_and_back__say_what_they_did(old: Old) -> None:
    before = everything()
    [file] = archived("versions", "--older-than", "400d", "--as", old.world.ada.username, "--reason", "Old")["files"]

    assert AuditEvent.objects.get(action=Action.PAYLOADS_ARCHIVED).actor_id == str(old.world.ada.pk)
    assert "Sound: 3 payloads as event" in said("verify_archive", file["file"])
    assert json.loads(said("verify_archive", file["file"], "--json"))["verdict"] == "sound"
    assert said("restore_payloads", file["file"]) == "3 payloads came back; there already: 0.\n"
    assert json.loads(said("restore_payloads", file["file"], "--json")) == {"restored": 0, "present": 3}
    assert everything() == before
    assert AuditEvent.objects.get(action=Action.PAYLOADS_RESTORED).actor_id == "rollouts.restore_payloads"


def test_archive__in_sentences__names_file_and_digest_then_nothing_is_left(old: Old, tmp_path: Path) -> None:
    words = said("archive_payloads", "--class", "rounds", "--project", old.world.project.key, "--to", str(tmp_path))

    assert f"{tmp_path}/{old.world.project.key}-rounds-" in words
    assert "SHA-256" in words
    assert "Nothing to archive" in said("archive_payloads", "--class", "rounds")


@pytest.mark.parametrize("kind", PayloadClass)
def test_archive__dry_run__counts_and_changes_nothing(kind: PayloadClass, old: Old, tmp_path: Path) -> None:
    before = everything()
    found = archived(kind.value, "--dry-run")

    assert found["due"][old.world.project.key] > 0
    assert found["files"] == []
    assert "Nothing was changed" in said("archive_payloads", "--class", kind.value, "--dry-run")
    assert everything() == before
    assert not (tmp_path / "archive").exists()


def test_archive__setting_keeps_longer__nothing_leaves(old: Old) -> None:
    with override_settings(RETENTION="versions=800"):
        assert archived("versions")["files"] == []
        assert archived("rounds")["files"] != []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--class", "versions", "--older-than", "30d"), "kept for 400 days at least"),
        (("--class", "versions", "--older-than", "soon"), "no number of days"),
        (("--class", "versions", "--project", "nowhere"), "no project “nowhere”"),
        (("--class", "versions", "--as", "nobody"), "no active person “nobody”"),
        (("--class", "events"), "invalid choice"),
    ],
)
def test_archive__asked_for_what_cannot_be__says_why(words: tuple[str, ...], sentence: str, old: Old) -> None:
    before = everything()
    with pytest.raises(CommandError, match=sentence) as ended:
        said("archive_payloads", *words)

    # The parser's own refusals have their code from Django.
    assert ended.value.returncode == (1 if "events" in words else 2)
    assert everything() == before


@pytest.mark.parametrize("kind", PayloadClass)
def test_archive__nothing_is_old_enough__is_said_in_a_whole_sentence(kind: PayloadClass, old: Old) -> None:
    words = said("archive_payloads", "--class", kind.value, "--older-than", "30000d")

    assert words == f"Nothing to archive. None of these may leave by now: {TERMS[kind].holds}.\n"


def test_archive__one_payload__is_counted_as_one(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollouts.management.commands.archive_payloads.count_due", lambda *args, **kwargs: 1)

    assert ": 1 payload would leave" in said("archive_payloads", "--class", "rounds", "--dry-run")


def test_archive__folder_that_cannot_be__ends_with_2(old: Old, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(CommandError, match="folder cannot be used") as ended:
        said("archive_payloads", "--class", "versions", "--to", str(tmp_path / "file"))
    assert ended.value.returncode == 2


def test_archive__by_somebody_without_the_superuser_mark__is_refused(old: Old) -> None:
    with pytest.raises(CommandError, match="Only a superuser") as ended:
        said("archive_payloads", "--class", "versions", "--as", old.world.rolf.username)
    assert ended.value.returncode == 3


def test_verify_and_restore__file_was_altered_or_is_missing__say_so(old: Old, tmp_path: Path) -> None:
    [file] = archived("versions")["files"]
    path = Path(file["file"])
    path.write_bytes(path.read_bytes()[:-9])
    out = StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("verify_archive", str(path), stdout=out)
    assert ended.value.code == 1
    assert "ALTERED" in out.getvalue()
    with pytest.raises(CommandError, match="Nothing was brought back") as refused:
        said("restore_payloads", str(path))
    assert refused.value.returncode == 1
    for command in ("verify_archive", "restore_payloads"):
        with pytest.raises(CommandError, match="cannot be read") as missing:
            said(command, str(tmp_path / "none"))
        assert missing.value.returncode == 2
