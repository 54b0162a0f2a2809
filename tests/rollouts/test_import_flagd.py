"""`manage.py import_flagd` and `manage.py export_flagd`."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audits.models import AuditEvent
from flags.models import Flag
from rollouts.models import ChangeRequest
from tests.factories import World, make_world, percent_document
from tests.rollouts.flagd_definitions import DEFINITION

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    made = make_world()
    made.flag()
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flags.json"
    path.write_bytes(DEFINITION)
    return path


def run(command: str, *arguments: object, world: World, **options: Any) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    place = ["--project", world.project.key, "--environment", options.pop("environment", "production")]
    call_command(command, *map(str, arguments), *place, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_import__editor__prints_the_report_and_makes_a_draft(world: World, file: Path):
    out, _ = run("import_flagd", file, "--as", world.rita.username, "--reason", "Moving", world=world)

    made = ChangeRequest.objects.get()
    assert (made.requester, made.reason, len(made.content.edits)) == (world.rita, "Moving", 2)
    assert "exact        checkout-redesign  (changes what is served)" in out
    assert "adapted      new-search  (new, boolean)" in out
    assert "unsupported  dark-mode  (not taken over)" in out
    assert "1 exact, 1 adapted, 1 unsupported." in out
    assert f"Draft #{made.number}" in out
    event = AuditEvent.objects.filter(action="change_request.created").get()
    assert event.via == "command"


def test_import__dry_run__changes_nothing(world: World, file: Path):
    events = AuditEvent.objects.count()

    out, _ = run("import_flagd", file, "--as", world.rita.username, "--dry-run", world=world)

    assert "dry run" in out
    assert (AuditEvent.objects.count(), Flag.objects.count()) == (events, 1)


def test_import__only_one__takes_that(world: World, file: Path):
    run("import_flagd", file, "--as", world.rita.username, "--only", "new-search", world=world)

    assert [edit.flag_key for edit in ChangeRequest.objects.get().content.edits] == ["new-search"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("person", "content", "environment", "words", "code"),
    [
        ("vera", DEFINITION, "production", "role editor", 3),
        ("nobody", DEFINITION, "production", "no active person", 2),
        ("rita", b"{", "production", "no JSON", 2),
        ("rita", None, "production", "cannot be read", 2),
        ("rita", DEFINITION, "gone", "no environment “gone”", 2),
    ],
    ids=["role", "person", "json", "file", "environment"],
)
def test_import__refused__says_why_and_changes_nothing(
    person: str, content: bytes | None, environment: str, words: str, code: int, world: World, tmp_path: Path
):
    path = tmp_path / "given.json"
    if content is not None:
        path.write_bytes(content)
    username = getattr(world, person).username if hasattr(world, person) else person

    with pytest.raises(CommandError, match=words) as ended:
        run("import_flagd", path, "--as", username, world=world, environment=environment)

    assert ended.value.returncode == code
    assert Flag.objects.count() == 1
    assert not ChangeRequest.objects.exists()


def test_export__file__is_whole_and_names_what_is_left_out(world: World, tmp_path: Path):
    served = percent_document("checkout-redesign", 20)
    world.serve(world.flags["checkout-redesign"], world.production, served)
    dated = world.flag("dated")
    condition = {"attribute": "since", "operator": "before", "value": "2026-01-01T00:00:00Z"}
    rules = [{"id": "r1", "description": "", "condition": condition, "serve": {"variant": "on"}}]
    world.serve(dated, world.production, {**percent_document("dated", 0), "rules": rules})
    path = tmp_path / "out.json"

    _, err = run("export_flagd", "--output", path, world=world)

    definition = json.loads(path.read_text())
    assert set(definition["flags"]) == {"checkout-redesign"}
    assert "dated: left out, because of the operator “before”." in err
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.json"]
    out, _ = run("export_flagd", world=world)
    assert json.loads(out) == definition


def test_export__strict__writes_nothing_where_a_flag_would_be_left_out(world: World, tmp_path: Path):
    rules = [{"id": "r1", "description": "", "condition": {"attribute": "since", "operator": "before",
              "value": "2026-01-01T00:00:00Z"}, "serve": {"variant": "on"}}]  # fmt: skip
    document = {**percent_document("checkout-redesign", 0), "rules": rules}
    world.serve(world.flags["checkout-redesign"], world.production, document)

    with pytest.raises(CommandError) as caught:
        run("export_flagd", "--strict", "--output", tmp_path / "out.json", world=world)

    assert caught.value.returncode == 3
    assert list(tmp_path.iterdir()) == []


def test_export__unknown_place_or_folder__says_so(world: World, tmp_path: Path):
    with pytest.raises(CommandError, match="no environment"):
        run("export_flagd", world=world, environment="gone")
    with pytest.raises(CommandError, match="cannot be written"):
        run("export_flagd", "--output", tmp_path / "no" / "out.json", world=world)
