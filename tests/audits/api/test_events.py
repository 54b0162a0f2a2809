"""`GET /api/v1/audit-events`: filters, pages, scopes, and parameters nobody should send."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from django.test import Client

from audits.actions import Action
from audits.context import Actor
from audits.models import AuditEvent
from audits.trail import Target
from tests.audits.trails import NOW, note, note_many, person, places_of
from tests.factories import make_person

pytestmark = pytest.mark.django_db
URL = "/api/v1/audit-events"
ACT = UUID("0197a0de-0000-4000-8000-000000000001")


@pytest.fixture(autouse=True)
def _everybody_sees_everything(settings):
    settings.AUDIT_SCOPE = "tests.audits.trails.everything"


@pytest.fixture
def auditor() -> Client:
    client = Client()
    client.force_login(make_person("vera"))
    return client


def reasons(client: Client, query: str = "") -> set[str]:
    response = client.get(f"{URL}?{query}")
    assert response.status_code == 200, response.content
    return {event["reason"] for event in response.json()["results"]}


def test_list__one_event__is_shown_whole(auditor):
    event = note(
        Action.CHANGE_REQUEST_APPROVED,
        target=Target("change_request", "r1", "#12 Checkout"),
        environment_key="production",
        flag_key="checkout-redesign",
        reason="Fine",
        data={"digest": "abc"},
        act=ACT,
    )

    body = auditor.get(URL).json()

    assert body == {
        "next": None,
        "results": [
            {
                "id": str(event.pk),
                "occurred_at": "2026-11-21T12:00:00.000000Z",
                "action": "change_request.approved",
                "sentence": "Ben Okafor approved change request #12 Checkout in Production",
                "actor": {"kind": "person", "id": "ben", "label": "Ben Okafor", "via": "admin"},
                "target": {"type": "change_request", "id": "r1", "label": "#12 Checkout"},
                "project": "storefront",
                "environment": "production",
                "flag": "checkout-redesign",
                "reason": "Fine",
                "data": {"digest": "abc"},
                "correlation_id": str(ACT),
                "chain": event.chain,
                "sequence": 1,
                "previous_hash": event.previous_hash,
                "hash": event.hash,
            }
        ],
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            "",
            {"plain", "project", "environment", "flag", "actor", "kind", "action", "act", "target", "earlier", "later"},
        ),
        ("project=backoffice", {"project"}),
        ("environment=production", {"environment"}),
        ("flag=other", {"flag"}),
        ("actor=rosa", {"actor"}),
        ("actor_kind=system", {"kind"}),
        ("action=token.issued", {"action"}),
        (f"correlation_id={ACT}", {"act"}),
        (f"correlation_id={ACT.hex}", {"act"}),
        ("target_type=segment", {"target"}),
        ("target_id=s9", {"target"}),
        ("to=2026-11-21", {"earlier"}),
        ("to=2026-11-21T12:00:00Z", {"earlier"}),
        ("from=2026-11-22", {"later"}),
        ("from=2026-11-21T12:00:00.000001Z", {"later"}),
        ("from=2026-11-21T14:00:00.000001%2B02:00", {"later"}),
        ("from=2026-11-22T12:00:00Z", {"later"}),
        ("from=2026-11-22&to=2026-11-22T12:00:00Z", set()),
        ("project=nowhere", set()),
        ("project=backoffice&action=token.issued", set()),
    ],
)
def test_list__filter__finds_exactly_these(auditor, query, expected):
    note(reason="plain")
    note(project="backoffice", reason="project")
    note(environment_key="production", reason="environment")
    note(flag_key="other", reason="flag")
    note(actor=person("rosa", "Rosa"), reason="actor")
    note(actor=Actor.system("rollouts.apply_due_changes"), reason="kind")
    note(Action.TOKEN_ISSUED, reason="action")
    note(act=ACT, reason="act")
    note(target=Target("segment", "s9", "Beta"), reason="target")
    note(now=NOW - timedelta(days=1), reason="earlier")
    note(now=NOW + timedelta(days=1), reason="later")

    assert reasons(auditor, query) == expected


def test_list__pages__are_complete_without_repeats_while_events_arrive(auditor):
    recorded = {str(event.pk) for event in note_many(7)} | {str(note().pk) for _ in range(4)}
    seen: list[str] = []
    address: str | None = f"{URL}?page_size=3&project=storefront"
    while address:
        body = auditor.get(address).json()
        seen += [event["id"] for event in body["results"]]
        address = body["next"]
        note(now=NOW)
        note(now=NOW + timedelta(days=1))

    assert len(seen) == len(set(seen))
    assert recorded <= set(seen)


def test_list__next__keeps_the_filters(auditor):
    note_many(5)
    note(project="backoffice", now=NOW - timedelta(days=1))

    body = auditor.get(f"{URL}?page_size=2&project=storefront&from=2026-11-21T12:00:00%2B00:00").json()

    assert body["next"].startswith("http://testserver/api/v1/audit-events?")
    assert {event["project"] for event in auditor.get(body["next"]).json()["results"]} == {"storefront"}
    assert "from=2026-11-21T12%3A00%3A00%2B00%3A00" in body["next"]


def test_list__any_page_size__costs_the_same_queries(auditor, django_assert_num_queries):
    for number in range(30):
        note(actor=person(f"actor-{number}", f"Actor {number}"))

    # Session, person, events, names.
    with django_assert_num_queries(4):
        auditor.get(f"{URL}?page_size=1")
    with django_assert_num_queries(4):
        auditor.get(f"{URL}?page_size=30")


BAD = {
    "unknown parameter": "colour=red",
    "misspelt parameter": "projects=storefront",
    "django lookup": "project_key__startswith=s",
    "unknown action": "action=flag.deleted",
    "unknown kind": "actor_kind=robot",
    "time without offset": "from=2026-11-21T12:00:00",
    "time with a blank for plus": "from=2026-11-21T12:00:00+02:00",
    "time no time": "to=yesterday",
    "time impossible": "to=2026-02-30",
    "time before all times": "from=0001-01-01T00:00:00%2B23:59",
    "time after all times": "to=9999-12-31T23:59:59-23:59",
    "end before beginning": "from=2026-11-22&to=2026-11-21",
    "end equals beginning": "from=2026-11-22&to=2026-11-22",
    "no uuid": "correlation_id=12",
    "page size zero": "page_size=0",
    "page size too large": "page_size=201",
    "page size huge": f"page_size={'9' * 300}",
    "page size negative": "page_size=-1",
    "page size of other digits": "page_size=%D9%A3",
    "page size with underscore": "page_size=1_0",
    "cursor invented": "cursor=abc",
    "cursor of another shape": "cursor=e30",
    "cursor not base64": "cursor=%21%21",
    "cursor not ascii": "cursor=%C3%BC",
    "cursor deeply nested": f"cursor={'W' * 400}",
    "format unknown": "format=xml",
    "empty value": "project=",
    "twice": "project=a&project=b",
    "too long": f"flag={'x' * 10_000}",
    "long name": f"{'y' * 10_000}=1",
}


@pytest.mark.parametrize("case", BAD)
def test_list__parameter_that_cannot_be_used__is_a_400_that_says_why(auditor, case):
    note()

    response = auditor.get(f"{URL}?{BAD[case]}")

    assert response.status_code == 400, response.content
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"] == "invalid_input"
    assert problem["problems"][0].keys() == {"path", "message"}
    assert problem["problems"][0]["message"]
    assert len(response.content) < 10_000


def test_list__several_bad_parameters__are_all_named(auditor):
    problem = auditor.get(f"{URL}?colour=red&page_size=x&action=y").json()

    assert {each["path"] for each in problem["problems"]} == {"colour", "page_size", "action"}


@pytest.mark.parametrize(
    "encoding", ["%ED%A0%80", "%FF%FE", "%F0%9F", quote("\U0010ffff"), "%E2%80%AE", "'%20OR%201=1--"]
)
@pytest.mark.parametrize("name", ["project", "target_id", "actor", "cursor", "from", "format"])
def test_list__bytes_that_are_hostile__never_break_the_server(auditor, name, encoding):
    note()

    response = auditor.get(f"{URL}?{name}={encoding}")

    assert response.status_code in (200, 400)
    if response.status_code == 200:
        assert response.json()["results"] == []


def test_list__cursor_from_another_filter__only_moves_the_start(auditor):
    note_many(4)
    note(project="backoffice", now=NOW - timedelta(days=3))
    cursor = auditor.get(f"{URL}?page_size=2").json()["next"].split("cursor=")[1].split("&")[0]

    assert [
        event["project"] for event in auditor.get(f"{URL}?cursor={cursor}&project=backoffice").json()["results"]
    ] == ["backoffice"]


def test_list__nobody_signed_in__is_refused():
    response = Client().get(URL)

    assert response.status_code in (401, 403)
    assert response["Content-Type"] == "application/problem+json"


def test_list__person_without_any_scope__is_told_whom_to_ask(settings, auditor):
    settings.AUDIT_SCOPE = "tests.audits.trails.nothing"
    note()

    response = auditor.get(URL)

    assert (response.status_code, response.json()["code"]) == (403, "trail_not_visible")
    assert "administrator" in response.json()["detail"]


def test_list__no_scope_set__is_for_superusers(settings, auditor):
    del settings.AUDIT_SCOPE
    note()
    superuser = Client()
    superuser.force_login(make_person("ada", is_superuser=True))

    assert auditor.get(URL).status_code == 403
    assert superuser.get(URL).status_code == 200


LEAKS = ["", "project=backoffice", "environment=production", "project=backoffice&environment=staging", "actor=ben"]
VISIBLE: dict[str, set[tuple[str, str]]] = {
    "only_storefront": {("storefront", ""), ("storefront", "staging"), ("storefront", "production")},
    "only_storefront_staging": {("storefront", ""), ("storefront", "staging")},
    "staging_token": {("storefront", "staging")},
}


@pytest.mark.parametrize("query", LEAKS)
@pytest.mark.parametrize("rule", VISIBLE)
def test_list__scope__leaks_nothing_whatever_is_asked_for(settings, auditor, rule, query):
    settings.AUDIT_SCOPE = f"tests.audits.trails.{rule}"
    for project in ("storefront", "backoffice", ""):
        for environment in ("", "staging", "production"):
            note(project=project, environment_key=environment)

    found: list[dict[str, Any]] = auditor.get(f"{URL}?{query}").json()["results"]

    assert places_of(found) <= VISIBLE[rule]
    if not query:
        assert places_of(found) == VISIBLE[rule]


def test_list__former_address__answers_the_same(auditor):
    note(reason="one")

    former = auditor.get(f"{URL}/")

    assert former.status_code == 200
    assert former.json() == auditor.get(URL).json()


def test_list__options__is_refused_as_everywhere_else(auditor):
    response = auditor.options(URL)

    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert auditor.options("/api/v1/plans").status_code in {401, 405}


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_list__any_writing_method__is_refused(auditor, method):
    event = note()

    response = getattr(auditor, method)(URL, data="{}", content_type="application/json")

    assert response.status_code in (403, 405)
    assert AuditEvent.objects.get().hash == event.hash


def test_list__accept_header_nobody_serves__is_406(auditor):
    assert auditor.get(URL, headers={"accept": "application/xml"}).status_code == 406


def test_list__damaged_details__are_still_shown(auditor):
    from django.db import connection

    from tests.support.flush import without_triggers

    note()
    with without_triggers(connection), connection.cursor() as cursor:
        cursor.execute("UPDATE audits_auditevent SET data = 'no json'")

    assert auditor.get(URL).json()["results"][0]["data"] == {"unreadable": "no json"}
