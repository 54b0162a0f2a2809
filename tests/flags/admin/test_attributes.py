"""The page of context attributes: who sees it, who declares, and that nothing typed is lost."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audits.models import AuditEvent
from flags.documents.schema import attribute_problem
from flags.models import ContextAttribute, Flag
from flags.permissions import Role
from flags.services.attributes import declare_attribute
from tests.factories import NOW, World, actor_of, make_world, percent_document
from tests.support.admin import HOSTILE, signed_in, text_of

READERS = {"ada": 200, "rita": 200, "abel": 200, "rolf": 200, "vera": 200, "otto": 404}
WRITERS = {"ada": 200, "rita": 403, "abel": 403, "rolf": 403, "vera": 403, "otto": 404}


def list_url(world: World) -> str:
    return reverse("admin:flags_contextattribute_changelist") + f"?project={world.project.key}"


def add_url(world: World) -> str:
    return reverse("admin:flags_contextattribute_add") + f"?project={world.project.key}"


def url_of(attribute: ContextAttribute, act: str = "change") -> str:
    return reverse(f"admin:flags_contextattribute_{act}", args=[attribute.pk])


def posted(**fields: Any) -> dict[str, Any]:
    return {"name": "plan", "value_type": "text", "description": "What they pay for", "grants_access": "on", **fields}


@pytest.fixture
def attribute(world: World) -> ContextAttribute:
    actor = actor_of(world.ada)
    return declare_attribute(world.project.pk, actor=actor, name="country", value_type="text", now=NOW)


@pytest.mark.parametrize("role", READERS)
def test_pages__every_role__shown_or_refused(world: World, attribute: ContextAttribute, role: str) -> None:
    client, events = signed_in(getattr(world, role)), AuditEvent.objects.count()

    assert client.get(list_url(world)).status_code == READERS[role]
    for address in (add_url(world), url_of(attribute), url_of(attribute, "remove")):
        assert client.get(address).status_code == WRITERS[role], address
    assert AuditEvent.objects.count() == events


@pytest.mark.parametrize("role", [role for role in WRITERS if role != "ada"])
def test_forms__anybody_but_administrators__change_nothing(
    world: World, attribute: ContextAttribute, role: str
) -> None:
    client = signed_in(getattr(world, role))

    for address in (add_url(world), url_of(attribute), url_of(attribute, "remove")):
        assert client.post(address, posted()).status_code == WRITERS[role], address
    assert list(ContextAttribute.objects.values_list("name", "description")) == [("country", "")]


def test_declare__administrator__is_listed_with_who_uses_it(world: World) -> None:
    flag = world.flag()
    rule = {"id": "r", "description": "", "condition": {"attribute": "plan", "operator": "equals", "value": "gold"}}
    document = percent_document(flag.key, 25)
    spread = {**document["rules"][0], "bucket_by": "company"}
    world.serve(flag, world.staging, {**document, "rules": [{**rule, "serve": {"variant": "on"}}, spread]})
    client = signed_in(world.ada)

    response = client.post(add_url(world), posted())
    text = text_of(client.get(list_url(world)))

    assert response.status_code == 302
    declared, _, others = text.partition("In use, not declared")
    assert "What they pay for" in declared
    assert "worth lying about" in declared
    assert flag.name in declared
    assert "company" in others
    assert f"{reverse('admin:flags_contextattribute_add')}?project={world.project.key}&amp;name=company" in others


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"name": ""}, "Fill this in."),
        ({"name": "targetingKey"}, "needs no declaration"),
        ({"name": "a\x00b"}, "ull"),
        ({"value_type": "colour"}, "colour is not one of the available choices"),
        ({"value_type": ""}, "Choose one."),
        ({"description": "x" * 201}, "at most 200 characters"),
    ],
)
def test_declare__something_wrong__is_said_and_nothing_is_lost(
    world: World, fields: dict[str, str], complaint: str
) -> None:
    response = signed_in(world.ada).post(add_url(world), posted(**fields))

    text = text_of(response)
    assert response.status_code == 200
    assert complaint in text
    assert 'role="alert"' in text
    if "description" not in fields:
        assert "What they pay for" in text
    assert not ContextAttribute.objects.exists()


def test_pages__hostile_text__is_escaped(world: World) -> None:
    client = signed_in(world.ada)

    client.post(add_url(world), posted(name=HOSTILE, description=HOSTILE))
    found = ContextAttribute.objects.get()
    texts = [text_of(client.get(address)) for address in (list_url(world), url_of(found), url_of(found, "remove"))]

    for text in texts:
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text


def test_change__declared_attribute__keeps_its_name_whatever_is_sent(world: World, attribute: ContextAttribute) -> None:
    response = signed_in(world.ada).post(url_of(attribute), posted(name="forged", grants_access=""))

    attribute.refresh_from_db()
    assert response.status_code == 302
    assert (attribute.name, attribute.description, attribute.grants_access) == ("country", "What they pay for", False)


def test_remove__twice__takes_the_declaration_back_once(world: World, attribute: ContextAttribute) -> None:
    client = signed_in(world.ada)

    answers = [client.post(url_of(attribute, "remove")).status_code for _ in range(2)]

    assert answers == [302, 404]
    assert not ContextAttribute.objects.exists()


def test_attribute__of_another_project__does_not_exist(world: World, attribute: ContextAttribute) -> None:
    other = make_world()
    client = signed_in(other.rita)

    for address in (list_url(world), add_url(world), url_of(attribute), url_of(attribute, "remove")):
        assert client.get(address).status_code == 404, address


def test_list__more_flags_and_attributes__same_number_of_queries(world: World, attribute: ContextAttribute) -> None:
    client = signed_in(world.ada)

    def use(number: int) -> None:
        flag: Flag = world.flag(f"flag-{number}")
        condition = {"attribute": f"a{number}", "operator": "is_set", "value": None}
        rule = {"id": "r", "description": "", "condition": condition, "serve": {"variant": "on"}}
        world.serve(flag, world.staging, {**percent_document(flag.key, 5), "rules": [rule]})
        actor = actor_of(world.ada)
        declare_attribute(world.project.pk, actor=actor, name=f"a{number}", value_type="text", now=NOW)

    use(0)
    client.get(list_url(world))
    with CaptureQueriesContext(connection) as few:
        client.get(list_url(world))
    for number in range(1, 8):
        use(number)
    with CaptureQueriesContext(connection) as many:
        client.get(list_url(world))

    assert len(many) == len(few) <= 20


def test_declare__harmless_by_an_administrator_of_an_open_environment__comes_back_with_what_it_takes(
    world: World, attribute: ContextAttribute
) -> None:
    world.grant(world.otto, world.development, Role.ADMINISTRATOR)
    client = signed_in(world.otto)
    fields = posted()
    del fields["grants_access"]

    refused = text_of(client.post(add_url(world), fields))

    assert "Ask an administrator of Production" in refused
    assert "What they pay for" in refused
    assert not ContextAttribute.objects.filter(name="plan").exists()
    assert client.post(add_url(world), posted()).status_code == 302
    assert url_of(attribute, "remove") not in text_of(client.get(list_url(world)))
    assert client.get(url_of(attribute, "remove")).status_code == 403


def test_declare__what_the_form_proposes__is_a_name_that_is_accepted(world: World) -> None:
    text = text_of(signed_in(world.ada).get(add_url(world)))

    (proposed,) = re.findall(r"such as (\w+) or (\w+)\.", text)
    assert [attribute_problem(name) for name in proposed] == ["", ""]
    assert "company.size" not in text
