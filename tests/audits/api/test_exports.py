"""CSV and JSON lines: complete, harmless in a spreadsheet, verifiable with sha256sum, and themselves recorded."""

import csv
import hashlib
import io
import json
import subprocess

import pytest
from django.test import Client

from audits.actions import Action
from audits.api.exports import CSV_COLUMNS, neutral_cell
from audits.integrity import GENESIS_HASH, canonical_json
from audits.models import AuditEvent
from audits.trail import Target
from tests.audits.trails import NOW, note, note_many, person
from tests.factories import make_person

pytestmark = pytest.mark.django_db
URL = "/api/v1/audit-events"
CSV, JSONL = f"{URL}?format=csv", f"{URL}?format=jsonl"


@pytest.fixture(autouse=True)
def _everybody_sees_everything(settings):
    settings.AUDIT_SCOPE = "tests.audits.trails.everything"


@pytest.fixture
def auditor() -> Client:
    client = Client()
    client.force_login(make_person("vera"))
    return client


def text_of(client: Client, address: str, **headers: str) -> str:
    response = client.get(address, headers=headers)
    assert response.status_code == 200
    assert response.streaming
    return b"".join(response).decode()


def csv_rows(client: Client, address: str = CSV) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text_of(client, address), newline="")))


def test_csv__events__have_a_header_and_a_row_each(auditor):
    recorded = note_many(3, environment_key="production", reason='A "quoted", long\nreason')

    rows = csv_rows(auditor, f"{CSV}&project=storefront&action=flag.updated")

    assert tuple(rows[0]) == CSV_COLUMNS
    assert [row["id"] for row in rows] == [str(event.pk) for event in recorded[::-1]]
    assert rows[0]["sentence"] == "Ben Okafor changed the details of the flag checkout-redesign"
    assert rows[0]["reason"] == 'A "quoted", long\nreason'
    assert rows[0]["occurred_at"] == "2026-11-21T12:00:02.000000Z"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_csv__formula_in_every_text_column__is_neutralised(auditor, start):
    formula = f"{start}1+1"
    note(
        actor=person(formula, formula, via=formula),
        target=Target(formula, formula, formula),
        project_key=formula,
        environment_key=formula,
        flag_key=formula,
        reason=formula,
        data={},
    )

    (row,) = csv_rows(auditor, f"{CSV}&action=flag.updated")

    planted = {name for name, cell in row.items() if "1+1" in cell}
    assert planted == {
        "project",
        "environment",
        "flag",
        "sentence",
        "actor_id",
        "actor_label",
        "via",
        "target_type",
        "target_id",
        "target_label",
        "reason",
    }
    for name, cell in row.items():
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")), (name, cell)


@pytest.mark.parametrize(
    ("value", "cell"), [("=1", "'=1"), ("plain", "plain"), ("", ""), (-5, -5), ("a=1", "a=1"), ("'=1", "'=1")]
)
def test_neutral_cell__value__is_only_changed_where_it_is_dangerous(value, cell):
    assert neutral_cell(value) == cell


def test_jsonl__each_line__gives_its_hash_to_sha256sum(auditor):
    note_many(3, reason="ünïcode \x7f \u2028 🎛️", data={"share": 0.25, "name": "Zoë"})

    lines = [json.loads(line) for line in text_of(auditor, JSONL).split("\n") if line]

    assert len(lines) == 4
    for line in lines:
        stated = line.pop("hash")
        del line["actor_label"], line["target_name"]
        facts = json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        assert hashlib.sha256(facts).hexdigest() == stated
        summed = subprocess.run(["sha256sum"], input=facts, capture_output=True, check=True).stdout.split()[0]
        assert summed.decode() == stated


def test_jsonl__lines_of_a_chain__link_up_from_the_first(auditor):
    note_many(4)

    lines = [json.loads(line) for line in text_of(auditor, f"{JSONL}&project=storefront").splitlines()]

    chain = sorted((line for line in lines if line["chain"] != "site"), key=lambda line: line["sequence"])
    assert [line["sequence"] for line in chain] == [1, 2, 3, 4]
    assert [line["previous_hash"] for line in chain] == [GENESIS_HASH, *(line["hash"] for line in chain[:-1])]


def test_jsonl__line__is_canonical_json(auditor):
    note()

    for line in text_of(auditor, JSONL).splitlines():
        assert canonical_json(json.loads(line)).decode() == line


def test_export__longer_than_a_chunk__is_complete_and_needs_two_queries_a_chunk(
    auditor, monkeypatch, django_assert_max_num_queries
):
    monkeypatch.setattr("audits.selectors.EXPORT_CHUNK", 5)
    note_many(23)

    with django_assert_max_num_queries(2 + 10 + 2 * 5):
        rows = csv_rows(auditor)

    assert len(rows) == 24


@pytest.mark.parametrize(
    ("address", "accept", "media_type", "name"),
    [
        (CSV, "*/*", "text/csv; charset=utf-8", ".csv"),
        (JSONL, "application/json", "application/jsonl; charset=utf-8", ".jsonl"),
        (URL, "text/csv", "text/csv; charset=utf-8", ".csv"),
        (URL, "application/jsonl", "application/jsonl; charset=utf-8", ".jsonl"),
    ],
)
def test_export__format_or_accept_header__chooses(auditor, address, accept, media_type, name):
    response = auditor.get(address, headers={"accept": accept})

    assert response["Content-Type"] == media_type
    assert response["Content-Disposition"].startswith('attachment; filename="audit-events-')
    assert response["Content-Disposition"].endswith(f'{name}"')


def test_list__browser_or_format_json__is_a_page(auditor):
    for address, accept in ((URL, "text/html,*/*"), (f"{URL}?format=json", "text/csv")):
        response = auditor.get(address, headers={"accept": accept})
        assert response["Content-Type"] == "application/json"
    assert not AuditEvent.objects.filter(action="audit.exported").exists()


def test_export__by_a_person__is_recorded_with_what_was_asked_for(auditor):
    text_of(auditor, f"{CSV}&project=storefront&from=2026-11-21")

    event = AuditEvent.objects.get(action=Action.AUDIT_EXPORTED)
    assert (event.actor_kind, event.via, event.chain, event.project_key) == ("person", "api", "site", "storefront")
    assert event.details == {
        "format": "csv",
        "filters": {"project_key": "storefront", "occurred_from": "2026-11-21T00:00:00.000000Z"},
        "from_cursor": False,
    }


def test_export__project_the_reader_cannot_see__leaves_nothing_in_its_trail(settings, auditor):
    settings.AUDIT_SCOPE = "tests.audits.trails.only_storefront"

    text_of(auditor, f"{JSONL}&project=backoffice")

    event = AuditEvent.objects.get(action=Action.AUDIT_EXPORTED)
    assert (event.chain, event.project_key) == ("site", "")
    assert "backoffice" not in event.data


def test_export__by_a_token__is_recorded_as_the_service(settings, auditor):
    settings.AUDIT_SCOPE = "tests.audits.trails.staging_token"

    text_of(auditor, JSONL)

    event = AuditEvent.objects.get(action=Action.AUDIT_EXPORTED)
    assert (event.actor_kind, event.actor_id) == ("service", "token-1")


@pytest.mark.parametrize("accept", ["text/csv", "application/jsonl"])
def test_export__bad_parameter__is_a_json_problem_and_leaves_no_event(auditor, accept):
    response = auditor.get(f"{URL}?colour=red", headers={"accept": accept})

    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("accept", ["text/csv", "application/jsonl"])
def test_export__without_scope__is_a_json_problem_and_leaves_no_event(settings, auditor, accept):
    settings.AUDIT_SCOPE = "tests.audits.trails.nothing"

    response = auditor.get(URL, headers={"accept": accept})

    assert response.status_code == 403
    assert response["Content-Type"] == "application/problem+json"
    assert not AuditEvent.objects.exists()


def test_export__scope__leaks_nothing(settings, auditor):
    settings.AUDIT_SCOPE = "tests.audits.trails.only_storefront_staging"
    for project in ("storefront", "backoffice", ""):
        for environment in ("", "staging", "production"):
            note(project=project, environment_key=environment, now=NOW)

    rows = csv_rows(auditor)

    assert {(row["project"], row["environment"]) for row in rows} == {("storefront", ""), ("storefront", "staging")}


@pytest.mark.parametrize("address", [CSV, JSONL])
def test_export__head__has_the_headers_and_leaves_no_event(auditor, address):
    note()

    asked = auditor.head(address)

    assert asked.status_code == 200
    assert AuditEvent.objects.filter(action=Action.AUDIT_EXPORTED).count() == 0
    assert asked["Content-Type"] == auditor.get(address)["Content-Type"]
    assert asked["Content-Disposition"].startswith("attachment;")
