"""The OpenAPI document and its browser."""

import io
import json
import re
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.test import Client
from jsonschema import Draft202012Validator

from tests.factories import NOW, make_served_world
from tests.rollouts.test_change_request_api import client_of


@pytest.fixture(scope="module")
def schema() -> Any:
    output = io.StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=output)
    return json.loads(output.getvalue())


def test_schema__is_valid_openapi_without_a_warning(schema: Any):
    assert schema["openapi"].startswith("3.1")


def test_schema__evaluation__names_every_status_and_both_ways_to_send_a_token(schema: Any):
    single = schema["paths"]["/ofrep/v1/evaluate/flags/{key}"]["post"]
    bulk = schema["paths"]["/ofrep/v1/evaluate/flags"]["post"]

    refusals = {"401", "403", "405", "411", "413", "415", "429", "500", "503"}
    assert single["responses"].keys() == {"200", "400", "404"} | refusals
    assert bulk["responses"].keys() == {"200", "304", "400"} | refusals
    assert single["security"] == bulk["security"] == [{"apiKey": []}, {"bearer": []}]
    assert {"apiKey", "bearer"} <= schema["components"]["securitySchemes"].keys()


def test_schema__management__is_in_it(schema: Any):
    assert "/api/v1/audit-events" in schema["paths"]
    assert "/api/v1/audit-events/" not in schema["paths"]


def test_schema__value_that_is_null__is_valid_in_it(schema: Any, db: None):
    with time_machine.travel(NOW, tick=False):
        world = make_served_world()
        client = client_of(world, environment=world.development)
        answer = client.get(f"/api/v1/projects/{world.project.key}/flags/checkout-redesign/lifecycle").json()

    assert answer["forwardValue"]["value"] is None
    Draft202012Validator({**schema, "$ref": "#/components/schemas/Lifecycle"}).validate(answer)
    # A schema that takes anything takes null twice where null is an alternative to it, and `oneOf` refuses that.
    assert '"oneOf": [{}' not in json.dumps(schema)


def test_docs__page__has_no_inline_script_and_no_address_of_others(db: None):
    client = Client()
    page = client.get("/api/docs/")
    html = page.content.decode()

    assert page.status_code == 200
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html))
    assert not re.findall(r"https?://(?!testserver)[^\"' ]+", html)
    script = client.get("/api/docs/?script=")
    assert script.status_code == 200
    assert "javascript" in script.headers["Content-Type"]
    assert not re.findall(r"https?://(?!testserver)[^\"' ]+", script.content.decode())


def test_schema__address__needs_no_sign_in(db: None):
    assert Client().get("/api/schema/").status_code == 200


@pytest.mark.browser
def test_docs__in_a_browser__lists_every_operation_and_asks_nobody_else(live_server: Any, page: Any, schema: Any):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto(f"{live_server.url}/api/docs/")
    page.wait_for_selector(".opblock")

    assert page.locator(".opblock").count() == sum(len(methods) for methods in schema["paths"].values())
    assert all(url.startswith((live_server.url, "data:")) for url in asked), asked
