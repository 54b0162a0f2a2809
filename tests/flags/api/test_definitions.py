"""The flagd definition over HTTP: who may read it, entity tags, and that no request costs a query."""

import gc
import json
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Event
from typing import Any

import pytest
from django.test import Client

from flags import snapshots
from flags.api import definitions
from flags.api.definitions import answer
from flags.api.edge import Edge
from flags.interop import export_definition, read_definition
from flags.snapshots import SnapshotStore, build
from tests.factories import NOW
from tests.flags.api.plane import DOCUMENTS, SECRET, FakeSource, Plane, document, rule

PATHS = ("/api/v1/environments/production/flagd.json", "/api/v1/environments/production/flagd-report.json")
DEFINITION, REPORT = PATHS


@pytest.fixture
def secret(plane: Plane) -> str:
    return str(plane.issue(scope="flagd").secret)


def get(path: str, secret: str, **headers: str) -> Any:
    given = {"Authorization": f"Bearer {secret}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Client().get(path, headers=given)


def test_definition__flagd_token__is_the_export_of_what_is_served(plane: Plane, secret: str):
    response = get(DEFINITION, secret)

    expected = export_definition(build(plane.environment.pk)).document
    assert response.status_code == 200
    assert response.json() == expected
    assert set(expected["flags"]) == set(DOCUMENTS)
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "private, no-cache"
    assert {"Authorization", "X-API-Key"} <= {name.strip() for name in response["Vary"].split(",")}
    assert b'"on":1.0' in response.content
    assert read_definition(response.content).problems == ()


def test_report__names_what_is_left_out(plane: Plane):

    condition = {"attribute": "signed_up", "operator": "after", "value": "2026-01-01T00:00:00Z"}
    made = document("dated", rules=[rule({"variant": "on"}, condition)])
    plane.world.serve(plane.world.flag("dated", variants=made["variants"]), plane.environment, made)
    secret = plane.issue(scope="flagd").secret

    report, definition = get(REPORT, secret).json(), get(DEFINITION, secret).json()

    assert "dated" not in definition["flags"]
    assert definition["metadata"]["flagsLeftOut"] == 1
    assert (report["environment"], report["bucketing"], report["flags"]) == ("production", "flagd-v2", len(DOCUMENTS))
    assert [(item["flag"], item["leftOut"]) for item in report["omissions"]] == [("dated", True)]
    assert report["revision"] == definition["metadata"]["revision"]


def test_token__either_header__is_taken_at_both_addresses(secret: str):
    for path in PATHS:
        for header, value in (("X-API-Key", secret), ("Authorization", f"Bearer {secret}")):
            assert Client().get(path, headers={header: value}).status_code == 200


def test_token__other_scope__is_forbidden(plane: Plane):
    others = [plane.issue(scope=scope).secret for scope in ("evaluate", "client", "manage", "audit")]
    for other in others:
        for path in PATHS:
            response = get(path, other)
            assert (response.status_code, response.json()["code"]) == (403, "wrong_scope")
            assert response["Content-Type"].startswith("application/problem+json")


def test_token__missing_unknown_or_empty__is_unauthorised_alike(plane: Plane):
    for path in PATHS:
        answers = [Client().get(path), get(path, "fsf_unknown"), get(path, "")]
        assert [response.status_code for response in answers] == [401, 401, 401]
        assert all(response["WWW-Authenticate"].startswith("Bearer") for response in answers)


def test_token__signed_in_person_without_one__is_unauthorised(plane: Plane):
    client = Client()
    client.force_login(plane.world.ada)

    assert client.get(DEFINITION).status_code == 401


def test_environment__not_the_tokens__is_not_found(secret: str):
    for key in ("staging", "unknown", "Production", "production%2F", "ü", "a" * 3_000):
        assert get(f"/api/v1/environments/{key}/flagd.json", secret).status_code == 404
    assert get("/api/v1/environments/%00/flagd.json", secret).status_code in {400, 404}


@pytest.mark.parametrize("path", [DEFINITION, REPORT])
def test_parameter__at_all__is_refused(secret: str, path: str):
    response = get(f"{path}?selector=x", secret)

    assert (response.status_code, response.json()["problems"][0]["path"]) == (400, "selector")


def test_method__that_is_not_reading__is_refused(secret: str):
    for method in ("post", "put", "patch", "delete", "options"):
        response = getattr(Client(), method)(DEFINITION, headers={"X-API-Key": secret})
        assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")


def test_head__has_the_headers_and_no_body(secret: str):
    head = Client().head(DEFINITION, headers={"X-API-Key": secret})

    assert (head.status_code, head.content) == (200, b"")
    assert head["ETag"] == get(DEFINITION, secret)["ETag"]


def test_etag__strong_weak_listed_or_any__is_a_304_without_body(secret: str):
    etag = get(DEFINITION, secret)["ETag"]
    assert etag.startswith('"')

    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        response = get(DEFINITION, secret, If_None_Match=known)
        assert (response.status_code, response.content, response["ETag"]) == (304, b"", etag)
        assert "Content-Type" not in response
        assert response["Cache-Control"] == "private, no-cache"
    for unknown in ('"other"', etag.strip('"'), ""):
        assert get(DEFINITION, secret, If_None_Match=unknown).status_code == 200


def test_etag__change__is_another_tag_and_the_report_has_its_own(plane: Plane, secret: str):
    first = get(DEFINITION, secret)["ETag"]
    report = get(REPORT, secret)["ETag"]

    flag = plane.world.flags["a-boolean"]
    plane.world.serve(flag, plane.environment, {**DOCUMENTS["a-boolean"][1], "default_variant": "off"})
    snapshots.store.refresh()
    second = get(DEFINITION, secret, If_None_Match=first)

    assert second.status_code == 200
    assert second["ETag"] not in (first, report)
    assert second.json()["flags"]["a-boolean"]["defaultVariant"] == "off"


def test_definition__asked_again__costs_no_query_and_is_written_once(
    plane: Plane, secret: str, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
):
    get(DEFINITION, secret)
    monkeypatch.setattr("flags.api.definitions.export_definition", None)

    with django_assert_num_queries(0):
        assert get(DEFINITION, secret).status_code == 200
        assert get(REPORT, secret).status_code == 200


def _ask(store: SnapshotStore, token: Any, key: str = "production") -> Any:
    return answer(token, key, is_report=False, if_none_match="", store=store, now=NOW, edge=Edge())


def test_definition__asked_by_many_at_once__is_written_once(monkeypatch: pytest.MonkeyPatch):
    source = FakeSource()
    token = source.add_token(source.add_environment(DOCUMENTS), scope="flagd")
    store = SnapshotStore(source)
    store.snapshot(token.environment_id)
    together, second, written = Barrier(8), Event(), []

    def export(*given: Any, **named: Any) -> Any:
        written.append(given)
        # Long enough for the others to come here as well, were they let in.
        second.wait(timeout=0.2)
        return export_definition(*given, **named)

    def ask(_: int) -> bytes:
        together.wait(timeout=10)
        return bytes(_ask(store, token).body)

    monkeypatch.setattr(definitions, "export_definition", export)
    with ThreadPoolExecutor(8) as pool:
        bodies = set(pool.map(ask, range(8)))

    assert (len(bodies), len(written)) == (1, 1)


def test_definition__of_a_snapshot_that_is_served_no_more__is_dropped():
    source = FakeSource()
    environment = source.add_environment(DOCUMENTS)
    token = source.add_token(environment, scope="flagd")
    store = SnapshotStore(source)
    _ask(store, token)
    served = weakref.ref(store.snapshot(environment))
    assert served() in definitions._pages

    source.move(environment, 2)
    store.refresh()
    gc.collect()

    assert served() is None


def test_answer__source_gone__goes_on_with_the_last_snapshot():
    source = FakeSource()
    environment = source.add_environment(DOCUMENTS)
    token = source.add_token(environment, scope="flagd")
    store = SnapshotStore(source)
    first = _ask(store, token)

    source.fails = RuntimeError("gone")
    store.try_refresh()

    assert _ask(store, token) == first
    assert first.status == 200


def test_answer__never_loaded__is_unavailable():
    source = FakeSource(fails=RuntimeError("gone"))
    token = source.add_token(source.add_environment(DOCUMENTS), SECRET, scope="flagd")

    response = _ask(SnapshotStore(source), token)

    assert (response.status, json.loads(response.body)["code"]) == (503, "snapshots_unavailable")
    assert "Retry-After" in response.headers


def test_answer__kill_list__is_in_the_definition(monkeypatch: pytest.MonkeyPatch):
    source = FakeSource()
    token = source.add_token(source.add_environment(DOCUMENTS), scope="flagd")
    store = SnapshotStore(source)
    snapshot = store.snapshot(token.environment_id)
    assert snapshot is not None
    before = json.loads(_ask(store, token).body)["flags"]["a-boolean"]
    monkeypatch.setattr(store, "snapshot", lambda _: snapshot.with_forced({"a-boolean": "off"}))

    after = json.loads(_ask(store, token).body)["flags"]["a-boolean"]

    assert (before["defaultVariant"], after["defaultVariant"]) == ("on", "off")
    assert after["metadata"]["forced"] is True


def test_expired_token__is_unauthorised(plane: Plane):
    issued = plane.issue(scope="flagd", expires_at=NOW + timedelta(hours=1))

    assert get(DEFINITION, issued.secret).status_code == 401
