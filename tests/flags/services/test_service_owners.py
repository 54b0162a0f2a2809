"""Who answers for a service."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from audits.models import AuditEvent
from flags.errors import InvalidInput, PermissionMissing
from flags.models import FlagUse, ServiceOwner
from flags.selectors.service_owners import owners_of, service_lines
from flags.services.service_owners import set_service_owner
from tests.factories import NOW, SOON, World, actor_of, make_world
from tests.support.admin import signed_in, text_of

pytestmark = pytest.mark.django_db
LIST = "admin:flags_serviceowner_changelist"


@pytest.fixture
def world() -> World:
    return make_world()


def give(world: World, *, by: Any = None, service: str = "billing-api", **owner: Any) -> ServiceOwner | None:
    wanted = {"person_id": None, "team_id": None, **owner}
    return set_service_owner(world.project.pk, service, actor=actor_of(by or world.rita), now=SOON, **wanted)


def seen(world: World, service: str, flag_key: str = "a", *, ago: int = 0) -> None:
    at = NOW - timedelta(days=ago)
    FlagUse.objects.create(
        environment=world.production, flag_key=flag_key, service=service, version="", first_at=at, last_at=at
    )


def events() -> int:
    return AuditEvent.objects.filter(action="service_owner.set").count()


def test_owner__set_changed_and_taken_away__records_each_once(world):
    give(world, person_id=world.abel.pk)
    give(world, person_id=world.abel.pk)
    assert (ServiceOwner.objects.get().person, events()) == (world.abel, 1)

    give(world, person_id=world.anna.pk)
    assert owners_of(world.project.pk, ["billing-api", "shop"])["billing-api"].person == world.anna

    assert give(world) is None
    assert not ServiceOwner.objects.exists()
    assert events() == 3


@pytest.mark.parametrize("who", ["vera", "otto", "abel", "rolf"])
def test_owner__not_an_editor__is_refused(world, who):
    with pytest.raises(PermissionMissing):
        give(world, by=getattr(world, who), person_id=world.abel.pk)

    assert not ServiceOwner.objects.exists()


@pytest.mark.parametrize("case", ["name", "closed account", "person", "team"])
def test_owner__cannot_be_used__says_what(world, case):
    world.anna.is_active = False
    world.anna.save()
    wanted: dict[str, Any] = {
        "name": {"service": "<script>", "person_id": world.abel.pk},
        "closed account": {"person_id": world.anna.pk},
        "person": {"person_id": world.otto.pk},
        "team": {"team_id": uuid4()},
    }[case]

    with pytest.raises(InvalidInput):
        give(world, **wanted)


def test_service_lines__seen_or_owned__those_of_nobody_first(world, django_assert_num_queries):
    give(world, person_id=world.abel.pk, service="Shop")
    give(world, person_id=world.abel.pk, service="gone")
    for service, key in (
        ("Shop", "a"),
        ("Shop", "b"),
        ("billing-api", "a"),
        ("(evaluated here)", "a"),
        ("(all flags at once)", "a"),
        ("(other)", "a"),
    ):
        seen(world, service, key)
    seen(world, "long ago", ago=91)

    with django_assert_num_queries(2):
        lines = service_lines(world.project.pk, [world.production.pk], now=NOW)

    assert [(line.service, line.flags, line.owner is not None) for line in lines] == [
        ("billing-api", 1, False),
        ("gone", 0, True),
        ("Shop", 2, True),
    ]


def test_page__unowned_service__says_so_and_an_editor_sets_the_owner(world):
    FlagUse.objects.create(
        environment=world.production,
        flag_key="a",
        service="billing-api",
        version="",
        first_at=NOW,
        last_at=timezone.now(),
    )
    client = signed_in(world.rita)
    assert "Nobody answers for 1 service." in text_of(client.get(reverse(LIST)))

    form = reverse("admin:flags_serviceowner_add") + f"?project={world.project.key}&service=billing-api"
    answer = client.post(form, {"person": str(world.abel.pk), "team": ""})

    assert answer.status_code == 302
    assert ServiceOwner.objects.get().person == world.abel
    assert "Abel Test" in text_of(client.get(reverse(LIST)))


def test_page__person_without_a_role__is_no_choice(world):
    form = reverse("admin:flags_serviceowner_add") + f"?project={world.project.key}&service=billing-api"

    text = text_of(signed_in(world.rita).get(form))

    assert "Abel Test" in text
    assert "Otto Test" not in text


def test_page__viewer__looks_and_may_not_edit(world):
    client = signed_in(world.vera)

    assert "Set owner" not in text_of(client.get(reverse(LIST)))
    form = reverse("admin:flags_serviceowner_add") + f"?project={world.project.key}&service=billing-api"
    assert client.post(form, {"person": str(world.abel.pk)}).status_code == 403
    assert not ServiceOwner.objects.exists()


def test_page__name_that_is_no_service__is_not_found(world):
    form = reverse("admin:flags_serviceowner_add") + f"?project={world.project.key}&service=%3Cscript%3E"

    assert signed_in(world.rita).get(form).status_code == 404
