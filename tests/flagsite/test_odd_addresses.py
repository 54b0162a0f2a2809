"""Addresses and parameters that pages of the framework would answer with a server error."""

from itertools import product
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.test import Client

from flags.models import Flag
from tests.factories import World, make_world
from tests.support.admin import signed_in

pytestmark = pytest.mark.django_db

STOCK_PAGES = ("flags_flag", "flags_segment", "flags_environment", "rollouts_changerequest", "audits_auditevent")


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.mark.parametrize("row", ["abc", "00000000-0000-4000-8000-000000000000", "1"])
def test_view_on_site__any_model__does_not_exist(world: World, row: str) -> None:
    content_type = ContentType.objects.get_for_model(Flag)
    assert signed_in(world.ada).get(f"/admin/r/{content_type.pk}/{row}/").status_code == 404


@pytest.mark.parametrize("page", STOCK_PAGES)
def test_stock_page__to_field__is_never_an_error(world: World, page: str) -> None:
    client = signed_in(world.ada)
    for act, field in product(
        ("delete", "change", "history"), ("id", "chain", "key", "sequence", "nothing", "project")
    ):
        for method in (client.get, client.post):
            response: Any = method(f"/admin/{page.replace('_', '/')}/abc/{act}/?_to_field={field}")
            assert response.status_code in {302, 400, 403, 404, 405}


@pytest.mark.parametrize("address", ["/api/docs/", "/api/schema/", "/api/v1/audit-events"])
@pytest.mark.parametrize("method", ["options", "trace", "put", "delete", "patch", "post", "head"])
def test_api__any_method__is_never_an_error(world: World, address: str, method: str) -> None:
    for client in (signed_in(world.ada), Client()):
        assert getattr(client, method)(address).status_code < 500


def test_api_docs__signed_in__is_shown(world: World) -> None:
    assert signed_in(world.ada).get("/api/docs/").status_code == 200
