"""Whatever the validator accepts can be posted, as every browser posts it: nobody is locked out of a large document."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.urls import reverse

from flags.documents import initial_document, validate_config
from flags.documents.schema import MAX_DOCUMENT_BYTES, MAX_TARGET_BYTES
from flags.models import Environment, Flag, FlagConfig
from rollouts.models import ChangeRequest
from tests.factories import World
from tests.support.admin import signed_in

URLENCODED = "application/x-www-form-urlencoded"
KEYS = {
    "addresses": lambda number: f"firstname.lastname+{number:05d}@example.com",
    "cyrillic": lambda number: f"пользователь-{number:05d}",
}


def large_document(kind: str) -> dict[str, Any]:
    keys = [KEYS[kind](number) for number in range(10_000)]
    condition = {"attribute": "plan", "operator": "in", "value": [f"план-{number:04d}" for number in range(9_000)]}
    rule = {"id": "r", "description": "", "condition": condition, "serve": {"variant": "on"}}
    document = {**initial_document("f", "boolean"), "enabled": True, "rules": [rule]}
    return {**document, "targets": [{"variant": "on", "keys": keys}]}


def post(client: Any, url: str, fields: dict[str, Any], encoding: str) -> Any:
    if encoding == "urlencoded":
        return client.post(url, urlencode(fields), content_type=URLENCODED)
    return client.post(url, fields)


def texts(document: dict[str, Any], encoding: str) -> str:
    """As the page posts it; by hand, without scripts, the form is multipart and the text has its blanks."""
    if encoding == "urlencoded":
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(document, ensure_ascii=False, indent=2).replace("\n", "\r\n")


def test_limit__largest_legal_document__fits_with_three_bytes_for_each() -> None:
    assert 3 * (MAX_DOCUMENT_BYTES + MAX_TARGET_BYTES) + 65_536 <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE


@pytest.mark.django_db
@pytest.mark.parametrize("encoding", ["urlencoded", "multipart"])
@pytest.mark.parametrize("kind", KEYS)
def test_editors__large_document__can_be_checked_proposed_revised_and_saved(
    world: World, flag: Flag, kind: str, encoding: str
) -> None:
    document = large_document(kind)
    assert validate_config(document, value_type="boolean", segment_keys=[]) == []
    world.serve(flag, world.production, document)
    world.serve(flag, world.development, document)
    off = {**document, "enabled": False}
    client = signed_in(world.rita)

    def fields(environment: Environment) -> dict[str, Any]:
        version = FlagConfig.objects.get(flag=flag, environment=environment).version
        return {"document": texts(off, encoding), "base_version": version, "reason": "Stop it", "title": "Off"}

    at = [flag.pk, world.production.pk]
    checked = post(client, reverse("admin:flags_config_validate", args=at), fields(world.production), encoding)
    proposed = post(
        client, reverse("admin:rollouts_changerequest_propose", args=at), fields(world.production), encoding
    )
    request = ChangeRequest.objects.get()
    again = {**fields(world.production), "digest": request.digest}
    revise = reverse("admin:rollouts_changerequest_revise", args=[request.pk, flag.key])
    revised = post(client, revise, again, encoding)
    here = reverse("admin:flags_config_edit", args=[flag.pk, world.development.pk])
    saved = post(client, here, fields(world.development), encoding)

    assert [answer.status_code for answer in (checked, proposed, revised, saved)] == [200, 302, 302, 302]
    assert checked.json()["problems"] == []
    assert request.content.edits[0].document["enabled"] is False
    assert FlagConfig.objects.get(flag=flag, environment=world.development).document["enabled"] is False


@pytest.mark.django_db
def test_editors__pages__post_in_parts(world: World, flag: Flag) -> None:
    client = signed_in(world.rita)
    pages = [
        reverse("admin:flags_config_edit", args=[flag.pk, world.production.pk]),
        f"{reverse('admin:flags_segment_add')}?environment={world.production.pk}",
    ]

    assert all(b'method="post" enctype="multipart/form-data"' in client.get(page).content for page in pages)
