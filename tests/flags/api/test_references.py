"""The doors of code references: who may report and read what, and what bodies are refused."""

import gzip
import json
from collections.abc import Iterator
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import Client

from audits.models import AuditEvent
from flags import snapshots
from flags.api import edge, reference_bodies
from flags.models import CodeReference, CodeScan
from flags.models.tokens import TokenScope
from flags.scanning.scans import FileReferences, Found, Scan
from flags.scanning.wire import head_of, written
from flags.services.tokens import issue_token
from tests.factories import NOW, World, actor_of, make_served_world, make_world

pytestmark = pytest.mark.django_db

ADDRESS = "/api/v1/code-references"
KEY = "checkout-redesign"
FILES = (FileReferences("src/<script>.py", (Found(KEY, "", 3, 7, "if on('checkout-redesign'):"),)),)


@pytest.fixture(autouse=True)
def _own_state(settings: Any) -> Iterator[None]:
    settings.REDIS_URL = ""
    edge.reset()
    snapshots.store.reset()
    with time_machine.travel(NOW, tick=False):
        yield
    edge.reset()
    snapshots.store.reset()


@pytest.fixture
def world() -> World:
    return make_served_world()


def token(world: World, scope: str = "references") -> str:
    facts: dict[str, Any] = {"name": "CI", "scope": scope, "expires_at": None, "now": NOW}
    secret = issue_token(world.production.pk, actor=actor_of(world.ada), **facts).secret
    snapshots.store.reset()
    return secret


def report(world: World, files: Any = FILES, **said: Any) -> bytes:
    """The lines of a report."""
    facts = {"scan_id": str(uuid4()), "project": world.project.key, "repository": "shop", "committed_at": ""}
    head = head_of(Scan("main", "ab12", "", (), 4, 0.1), **{**facts, "scanned_at": NOW.isoformat(), **said})
    return b"".join(written(head, files))


def send(body: bytes, secret: str, *, content_type: str = "application/x-ndjson", **headers: str) -> Any:
    return Client().post(ADDRESS, body, content_type=content_type, headers={"X-API-Key": secret, **headers})


def read(address: str, secret: str) -> Any:
    return Client().get(address, headers={"X-API-Key": secret})


def test_report__then_reading__shows_what_was_found(world):
    response = send(gzip.compress(report(world)), token(world), **{"Content-Encoding": "gzip"})

    assert response.status_code == 201
    assert {**response.json(), "id": ""} == {
        "id": "",
        "is_duplicate": False,
        "references": 1,
        "added": 1,
        "vanished": 0,
        "left_out": 0,
    }
    answer = read(f"/api/v1/projects/{world.project.key}/code-references?flag={KEY}", token(world, "manage")).json()
    assert answer["is_scanned"]
    assert [(line["path"], line["line"], line["url"]) for line in answer["references"]] == [("src/<script>.py", 3, "")]
    assert answer["flags"][0]["live"] == 1
    assert AuditEvent.objects.get(action="code_scan.imported").actor_kind == "service"


def test_report__again_with_its_id__changes_nothing(world):
    body, secret = report(world), token(world)
    send(body, secret)

    response = send(body, secret)

    assert (response.status_code, response.json()["is_duplicate"]) == (200, True)
    assert CodeScan.objects.count() == 1


def test_report__as_one_document__is_the_same(world):
    lines = [json.loads(line) for line in report(world).splitlines()]
    document = {**lines[0], "files": lines[1:-1]}

    response = send(json.dumps(document).encode(), token(world), content_type="application/json")

    assert (response.status_code, response.json()["added"]) == (201, 1)


@pytest.mark.parametrize("scope", [scope for scope in TokenScope.values if scope != "references"])
def test_report__with_a_token_of_another_scope__is_refused(scope, world):
    secret = token(world, scope)

    assert send(report(world), secret).status_code == 403
    assert read(f"/api/v1/projects/{world.project.key}/flag-keys", secret).status_code == 403


def test_token_of_scanners__may_do_nothing_else(world):
    secret = token(world)
    elsewhere = [
        read("/api/v1/audit-events/", secret),
        read(f"/api/v1/projects/{world.project.key}/code-references", secret),
        read("/api/v1/environments/production/flagd.json", secret),
        Client().post("/ofrep/v1/evaluate/flags", b"{}", "application/json", headers={"X-API-Key": secret}),
        Client().post("/api/v1/telemetry", b"{}", "application/json", headers={"X-API-Key": secret}),
    ]

    assert {response.status_code for response in elsewhere} == {403}


def test_keys__of_the_project__and_of_no_other(world):
    other, secret = make_world(), token(world)

    answer = read(f"/api/v1/projects/{world.project.key}/flag-keys", secret)

    assert answer.json()["keys"] == sorted(world.flags)
    assert read(f"/api/v1/projects/{other.project.key}/flag-keys", secret).status_code == 404
    assert read(f"/api/v1/projects/{world.project.key}/flag-keys?page=2", secret).status_code == 400


def test_report__for_another_project__is_refused(world):
    other = make_world()

    response = send(report(world, project=other.project.key), token(world))

    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert not CodeReference.objects.exists()


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (lambda body: body[:-30], 400, "unusable_scan"),
        (lambda body: b"\n", 400, "unusable_scan"),
        (lambda body: b"\xff\xfe", 400, "unusable_scan"),
        (lambda body: body.replace(b"src/", b"../"), 400, "unusable_scan"),
        (lambda body: body.replace(b"src/", b"/"), 400, "unusable_scan"),
        (lambda body: body.replace(b"src/", b"\\u0000"), 400, "unusable_scan"),
        (lambda body: body.replace(b'"line":3', b'"line":9999999999'), 400, "unusable_scan"),
        (lambda body: body.replace(b'"branch":"main"', b'"branch":""'), 400, "invalid_input"),
        (lambda body: body + b"x", 400, "unusable_scan"),
    ],
)
def test_report__that_cannot_be_taken_in__leaves_nothing_behind(change, status, code, world):
    response = send(change(report(world)), token(world))

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response["Content-Type"] == "application/problem+json"
    assert not CodeScan.objects.exists()
    assert not CodeReference.objects.exists()


def test_report__older_than_the_newest__is_refused(world):
    secret = token(world)
    send(report(world), secret)

    response = send(report(world, scanned_at="2026-03-01T00:00:00Z"), secret)

    assert (response.status_code, response.json()["code"]) == (409, "stale_change")


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (b'{"scan": {"id": "x", "branch": "main"}}', "application/json", "lacks “project”, “repository”, “scanned_at”"),
        (b'{"scan": ' + b"[" * 100_000, "application/json", "nested too deep"),
        (b'{"scan": ' + b"[" * 100_000, "application/x-ndjson", "nested too deep"),
    ],
)
def test_report__that_lacks_fields_or_is_too_deep__is_told_so(body, content_type, words, world):
    response = send(body, token(world), content_type=content_type)

    assert (response.status_code, response.json()["code"]) == (400, "unusable_scan")
    assert words in response.json()["detail"]


@pytest.mark.parametrize(
    ("content_type", "encoding", "status"),
    [("text/plain", "", 415), ("application/x-ndjson", "br", 415), ("application/x-ndjson", "gzip", 400)],
)
def test_body__of_another_kind__is_refused(content_type, encoding, status, world):
    headers = {"Content-Encoding": encoding} if encoding else {}

    assert send(report(world), token(world), content_type=content_type, **headers).status_code == status


def test_gzip__that_is_cut_off__is_refused(world):
    body = gzip.compress(report(world))[:-9]

    response = send(body, token(world), **{"Content-Encoding": "gzip"})

    assert (response.status_code, response.json()["code"]) == (400, "unusable_scan")
    assert not CodeScan.objects.exists()


@pytest.mark.parametrize(("limit", "packed"), [("MAX_BYTES", False), ("MAX_UNPACKED_BYTES", True)])
def test_body__beyond_a_limit__is_refused(limit, packed, world, monkeypatch):
    monkeypatch.setattr(reference_bodies, limit, 100)
    body = gzip.compress(report(world)) if packed else report(world)

    response = send(body, token(world), **({"Content-Encoding": "gzip"} if packed else {}))

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert not CodeScan.objects.exists()


def test_scans__beyond_the_limit_of_a_minute__are_refused(world, monkeypatch):
    monkeypatch.setattr("flags.api.edge.SCANS_A_MINUTE", 1)
    edge.reset()
    secret = token(world)
    send(report(world), secret)

    response = send(report(world), secret)

    assert response.status_code == 429
    assert "Retry-After" in response


@pytest.mark.parametrize("query", ["flag=gone", "flag=a%00b", "flag=", "page=2", "flag=gone&flag=checkout-redesign"])
def test_reading__something_that_is_not_there__is_refused(query, world):
    response = read(f"/api/v1/projects/{world.project.key}/code-references?{query}", token(world, "manage"))

    assert response.status_code in {400, 404}


def scan_code(*arguments: str) -> str:
    """What the command says."""
    said = StringIO()
    call_command("scan_code", *arguments, stderr=said)
    return said.getvalue()


def test_command__takes_a_scan_in(world, tmp_path):
    (tmp_path / "a.py").write_text(f"on('{KEY}')")
    arguments = (str(tmp_path), "--project", world.project.key, "--branch", "main", "--repository", "shop")

    assert "kept" not in scan_code(*arguments, "--dry-run")
    assert not CodeScan.objects.exists()
    assert "Taken in: 1 new, 0 gone." in scan_code(*arguments)

    assert list(CodeReference.objects.values_list("path", "line", "text")) == [("a.py", 1, "")]
    assert CodeScan.objects.get().reported_by == "flags.scan_code"


def test_command__without_such_a_project__ends_with_its_own_code(tmp_path):
    with pytest.raises(CommandError) as refused:
        scan_code(str(tmp_path), "--project", "none", "--branch", "main")

    assert refused.value.returncode == 2
