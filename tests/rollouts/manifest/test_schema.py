"""The published JSON Schema: one text in the documentation, the command and the API, and manifests are of its shape."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from rollouts.manifest.nodes import compose
from rollouts.manifest.schema import json_schema
from rollouts.manifest.writing import write_manifest
from rollouts.selectors.manifests import present_state
from tests.factories import World
from tests.rollouts.manifest.shapes import manifests

DOCS = Path(__file__).parents[3] / "docs"
PUBLISHED = (DOCS / "manifest.schema.json").read_bytes()
VALIDATOR: Any = Draft202012Validator(json_schema())
EXAMPLES = [
    (page.name, text)
    for page in sorted(DOCS.glob("*.md"))
    for text in re.findall(r"```ya?ml\n(version: .*?)```", page.read_text(), re.DOTALL)
]
HEAD: dict[str, Any] = {"version": 1, "project": {"key": "shop"}}


def test_published_schema__is_that_of_this_version_and_a_schema() -> None:
    out = io.StringIO()
    call_command("manifest", "schema", stdout=out)

    Draft202012Validator.check_schema(json_schema())
    assert out.getvalue().encode() == PUBLISHED
    assert json.loads(PUBLISHED) == json_schema()


@pytest.mark.django_db
def test_schema__asked_for_by_anybody__is_the_published_one_and_can_be_kept(django_assert_num_queries: Any) -> None:
    address = reverse("manifest-schema")

    with django_assert_num_queries(0):
        answer = Client().get(address)
        again = Client(headers={"If-None-Match": answer["ETag"]}).get(address)
        changed = Client(headers={"If-None-Match": '"other"'}).get(address)

    assert (answer.status_code, answer["Content-Type"], answer.content) == (200, "application/schema+json", PUBLISHED)
    assert (answer["Cache-Control"], again.status_code, again.content) == ("public, max-age=3600", 304, b"")
    assert (changed.status_code, Client().post(address).status_code) == (200, 405)


def test_documentation__holds_manifests() -> None:
    assert "manifest.md" in {name for name, _ in EXAMPLES}


@pytest.mark.parametrize(("page", "text"), EXAMPLES)
def test_manifest_in_the_documentation__is_of_the_shape(page: str, text: str) -> None:
    VALIDATOR.validate(compose(text).plain())


@settings(max_examples=25)
@given(manifest=manifests())
def test_any_manifest__is_of_the_shape(manifest: dict[str, Any]) -> None:
    VALIDATOR.validate(compose(write_manifest(manifest)).plain())


@pytest.mark.django_db
def test_export__is_of_the_shape(world: World) -> None:
    world.flag("banner", tags=["web"], owner_id=world.rita.pk)

    VALIDATOR.validate(compose(write_manifest(present_state(world.project).manifest)).plain())


@pytest.mark.parametrize(
    "more",
    [
        {"flagz": {}},
        {"version": 2},
        {"project": {}},
        {"flags": {"checkout": {"nam": "Checkout"}}},
        {"flags": {"no key": {}}},
        {"flags": {"\N{CYRILLIC SMALL LETTER ES}heckout": {}}},
        {"environments": {"production": {"segments": {"a b": {"name": "A", "condition": {}}}}}},
        {"environments": {"production": {"position": "first"}}},
        {"environments": {"production": {"plans": [{"title": "A"}]}}},
        {"plan_templates": {"slow": {"name": "Slow", "definition": {"stages": 1}}}},
    ],
)
def test_manifest_of_another_shape__is_told_by_the_schema(more: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(HEAD)
    assert not VALIDATOR.is_valid({**HEAD, **more})
