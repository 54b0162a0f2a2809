"""Pages about the end of a flag: who uses it, archiving, reviving, keys kept back."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from flags.models import Flag, FlagUse, Tombstone
from flags.services.service_owners import set_service_owner
from flags.services.telemetry import accept
from flags.services.telemetry_ages import roll_up
from flags.services.tombstones import override_tombstone
from flags.telemetry.labels import ALL_AT_ONCE
from flags.telemetry.reading import read_batch
from rollouts.models import ChangeRequest
from rollouts.services.retirement import archive_flag
from tests.factories import World, actor_of, make_world
from tests.support.admin import signed_in, text_of

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def world() -> World:
    return make_world()


def page(name: str, flag: Flag) -> str:
    return reverse(f"admin:rollouts_flag_{name}", args=[flag.pk])


def report(world: World, flag: Flag, *, service: str = "billing-api", ago: timedelta = DAY, count: int = 1234) -> None:
    at = timezone.now() - ago
    row = {"flag": flag.key, "variant": "on", "reason": "STATIC", "minute": at.isoformat(), "count": count}
    document = {"batch_id": uuid.uuid4().hex, "service": service, "version": "7", "evaluations": [row]}
    accept(read_batch(document, known={flag.key: ("on",)}, now=at), world.production.pk, None, now=at)
    roll_up(now=at + timedelta(hours=1))


def archived(world: World) -> Flag:
    flag = world.flag()
    archive_flag(flag.pk, actor=actor_of(world.rita), reason="Nobody needs it", now=timezone.now())
    flag.refresh_from_db()
    return flag


def test_use__services_that_evaluate_it__are_named_with_owner_and_counts(world):
    flag, now = world.flag(), timezone.now()
    report(world, flag)
    report(world, flag, service="shop", ago=12 * DAY, count=9)
    set_service_owner(
        world.project.pk, "shop", actor=actor_of(world.rita), person_id=world.abel.pk, team_id=None, now=now
    )

    answer = signed_in(world.vera).get(page("use", flag))
    told = text_of(answer)

    assert "1,234 in the last 7 days" in told
    assert "Nobody answers for billing-api" in told
    assert "Abel Test" in told
    assert answer.content.decode().count('<rect class="us-') == 2
    assert "Archive…" not in told
    # Development and staging reported nothing at all.
    assert "Missing figures are not zero" in told


def test_use__in_bulk__is_named_and_said_to_prove_nothing(world):
    flag, now = world.flag(), timezone.now()
    seen = {"environment": world.production, "flag_key": flag.key, "first_at": now, "last_at": now}
    FlagUse.objects.create(service=ALL_AT_ONCE, version="", **seen)

    told = text_of(signed_in(world.rita).get(page("use", flag)))

    assert "Whether they use this one does not show" in told
    assert "Nobody answers for" not in told


def test_use__nobody__says_so(world, django_assert_max_num_queries):
    flag = world.flag()
    client = signed_in(world.rita)
    client.get(page("use", flag))

    with django_assert_max_num_queries(40):
        told = text_of(client.get(page("use", flag)))

    assert "No evaluation in the last 30 days" in told
    assert "Archive…" in told


def test_archive_page__says_what_services_get_and_asks_for_a_reason(world):
    flag = world.flag()
    report(world, flag)
    client = signed_in(world.rita)

    told = text_of(client.get(page("archive", flag)))
    assert "billing-api" in told
    assert "“on”" in told
    assert "1,234×" in told
    assert "its code default" in told

    assert client.post(page("archive", flag), {"reason": ""}).status_code == 400
    assert not Tombstone.objects.exists()
    assert client.post(page("archive", flag), {"reason": "Nobody needs it"}).status_code == 302
    assert Tombstone.objects.get().flag == flag


def test_archive_page__in_use__says_why_and_has_no_button(world):
    flag = world.flag()
    world.serve(flag, world.production)
    report(world, flag)
    client = signed_in(world.rita)

    told = text_of(client.get(page("archive", flag)))
    assert "This flag cannot be archived at once." in told
    assert "billing-api evaluated it there in the last 30 days" in told
    assert client.post(page("archive", flag), {"reason": "Away"}).status_code == 400
    assert not ChangeRequest.objects.exists()


@pytest.mark.parametrize("name", ["archive", "revive"])
def test_pages__viewer_and_outsider__change_nothing(world, name):
    flag = archived(world) if name == "revive" else world.flag()
    before = Flag.objects.values_list("archived_at", "lifecycle").get(pk=flag.pk)

    assert signed_in(world.vera).post(page(name, flag), {"reason": "Away"}).status_code == 403
    assert signed_in(world.otto).post(page(name, flag), {"reason": "Away"}).status_code == 404

    assert Flag.objects.values_list("archived_at", "lifecycle").get(pk=flag.pk) == before


def test_archived_flag__is_shown_only_when_asked_for_and_is_not_edited(world):
    flag = archived(world)
    client, matrix = signed_in(world.rita), reverse("admin:flags_flag_changelist")

    assert flag.name not in text_of(client.get(matrix))
    assert flag.name in text_of(client.get(matrix, {"state": "archived"}))
    told = text_of(client.get(reverse("admin:flags_flag_change", args=[flag.pk])))
    assert "services are told that there is no such flag" in told
    assert told.count("Archived. Revive the flag to change it.") == 3


def test_revive_page__brings_it_back_switched_off(world):
    flag = archived(world)

    assert signed_in(world.rita).post(page("revive", flag), {"reason": "Needed"}).status_code == 302

    flag.refresh_from_db()
    assert (flag.archived_at, flag.lifecycle) == (None, 2)


def test_key__still_asked_for__is_let_go_by_an_approver(world):
    flag = archived(world)
    now = timezone.now()
    FlagUse.objects.create(
        environment=world.production, flag_key=flag.key, service="billing-api", version="", first_at=now, last_at=now
    )
    tombstone = Tombstone.objects.get()
    address = reverse("admin:flags_tombstone_change", args=[tombstone.pk])
    assert flag.key in text_of(signed_in(world.vera).get(reverse("admin:flags_tombstone_changelist")))
    assert "Services still ask for it: billing-api" in text_of(signed_in(world.rita).get(address))
    assert signed_in(world.rita).post(address, {"reason": "Gone"}).status_code == 403

    assert signed_in(world.abel).post(address, {"reason": "The service is gone"}).status_code == 302

    tombstone.refresh_from_db()
    assert tombstone.released_by == world.abel


def test_replaced_flag__page_keeps_its_history(world):
    old = archived(world)
    tombstone = Tombstone.objects.get()
    override_tombstone(tombstone.pk, actor=actor_of(world.abel), reason="Nobody asks", now=tombstone.archived_at)
    world.flag(name="The new one")

    told: Any = text_of(signed_in(world.rita).get(reverse("admin:flags_flag_change", args=[old.pk])))

    assert "its key belongs to another flag since" in told
