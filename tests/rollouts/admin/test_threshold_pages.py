"""The pages that say when flags count as stale, and change it."""

import pytest
from django.urls import reverse

from flags.permissions import Role
from rollouts.models import StaleThresholds
from tests.factories import World, make_world
from tests.support.admin import HOSTILE, signed_in, text_of

pytestmark = pytest.mark.django_db
LIST = "admin:rollouts_stalethresholds_changelist"
USUAL = {"lifetime": "40", "unused": "30", "one_variant": "30", "settled": "30", "partial": "30", "no_rules": "30"}


@pytest.fixture
def world() -> World:
    return make_world()


def form_of(world: World, kind: str = "release") -> str:
    return reverse("admin:rollouts_stale_thresholds_of", args=[world.project.pk, kind])


def test_list__viewer__reads_and_has_no_button(world):
    text = text_of(signed_in(world.vera).get(reverse(LIST)))

    assert "40 days" in text
    assert "Kill switch and Permission" in text
    assert "takes the role administrator in every protected environment" in text
    assert form_of(world) not in text


def test_list__without_a_role__shows_no_project(world):
    assert "You see no project yet" in text_of(signed_in(world.otto).get(reverse(LIST)))
    assert signed_in(world.otto).get(reverse(LIST), {"project": world.project.key}).status_code == 404


def test_edit__administrator__sets_days_and_never(world):
    client = signed_in(world.ada)

    answer = client.post(form_of(world), {**USUAL, "settled": "120", "lifetime": "", "reason": "Long releases"})

    assert answer.status_code == 302
    assert StaleThresholds.objects.get().values == {"settled": 120, "lifetime": None}
    text = text_of(client.get(answer["Location"]))
    assert "120 days" in text
    assert "usual: 30 days" in text
    assert 'value="120"' in text_of(client.get(form_of(world)))


@pytest.mark.parametrize(("field", "value"), [("settled", "6"), ("settled", "366"), ("unused", "soon"), ("reason", "")])
def test_edit__refused__keeps_what_was_typed(field, value, world):
    answer = signed_in(world.ada).post(form_of(world), {**USUAL, "partial": "77", "reason": HOSTILE, field: value})

    text = text_of(answer)
    assert answer.status_code == 400
    assert 'value="77"' in text
    assert "<script>alert(1)" not in text
    assert not StaleThresholds.objects.exists()


@pytest.mark.parametrize("who", ["rita", "vera", "rolf"])
def test_edit__nobody_but_administrators__may(who, world):
    world.grant(getattr(world, who), world.development, Role.ADMINISTRATOR)
    client = signed_in(getattr(world, who))

    answers = [client.get(form_of(world)), client.post(form_of(world), {**USUAL, "reason": "Why", "unused": "60"})]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert not StaleThresholds.objects.exists()


@pytest.mark.parametrize("kind", ["kill_switch", "permission", "nonsense"])
def test_edit__kind_without_thresholds__does_not_exist(kind, world):
    assert signed_in(world.ada).get(form_of(world, kind)).status_code == 404


def test_edit__without_a_role__does_not_exist(world):
    assert signed_in(world.otto).get(form_of(world)).status_code == 404
