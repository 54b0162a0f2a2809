"""The releases of a flag and the strip of its life through HTTP, and that both are read in few queries."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from audits.people import ERASED_LABEL, erase_label
from flags.authority import Retirement
from flags.changes import ChangeSet, ConfigEdit
from flags.lifecycle.stages import LifecycleStage
from flags.models import Flag, FlagConfig
from flags.selectors import flag_history as kept
from flags.selectors.flag_history import flag_history
from flags.selectors.release_notes import told_releases, visible_releases
from flags.services.configs import apply_change_set, edit_config
from flags.services.flags import update_flag
from tests.factories import NOW, SOON, World, actor_of, make_served_world, percent_document
from tests.rollouts.support import Bench
from tests.support.admin import HOSTILE, signed_in, text_of


@pytest.fixture
def world(db: Any) -> World:
    return make_served_world()


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    kept._kept.clear()


def page(world: World, who: Any = None, **given: str) -> str:
    address = reverse("admin:flags_flag_releases", args=[world.first_flag.pk])
    return text_of(signed_in(who or world.vera).get(address, given))


def edit(world: World, fields: dict[str, Any], *, hours: int = 1, reason: str = "Because", by: Any = None) -> None:
    """A direct edit in staging."""
    config = FlagConfig.objects.get(flag=world.first_flag, environment=world.staging)
    edit_config(
        world.first_flag.pk,
        world.staging.pk,
        actor=actor_of(by or world.rita),
        document={**config.document, **fields},
        base_version=config.version,
        reason=reason,
        now=NOW + timedelta(hours=hours),
    )


def archive(world: World, *, hours: int) -> None:
    """The flag is archived in staging, as its page does it."""
    config = FlagConfig.objects.get(flag=world.first_flag, environment=world.staging)
    document = {**config.document, "deprecation": {**config.document["deprecation"], "is_archived": True}}
    change_set = ChangeSet(str(world.staging.pk), (ConfigEdit(world.first_flag.key, config.version, document),))
    now = NOW + timedelta(hours=hours)
    apply_change_set(change_set, actor=actor_of(world.rita), authority=Retirement(), now=now, reason="Over")


def describe(world: World, hours: int = 1, **fields: Any) -> None:
    """An edit of the flag itself."""
    update_flag(world.first_flag.pk, actor=actor_of(world.rita), now=NOW + timedelta(hours=hours), **fields)


def numbers(flag: Flag) -> list[str]:
    return [str(release.number) for release in flag_history(flag, now=timezone.now()).releases]


def test_releases__of_a_flag__say_what_changed_for_whom(world: World) -> None:
    edit(world, {"enabled": True}, reason="Staging first")
    describe(world, hours=2, name="Checkout")

    shown = page(world)

    # Set up in development and staging, switched off; switched on in production; staging; its name.
    assert numbers(world.first_flag) == ["0.1.0", "0.2.0", "1.0.0", "1.1.0", "1.1.1"]
    assert "1.1.1 is the newest" in shown
    assert "What changed for people" in shown
    assert "Switched on" in shown
    assert "“Staging first”" in shown
    assert "Rita Test" in shown
    assert "Name: “Checkout redesign” → “Checkout”" in shown
    assert "## 1.1.0 · Staging" in shown


def test_releases__of_one_environment__are_chosen_by_its_key(world: World) -> None:
    describe(world, name="Checkout")

    shown = page(world, environment="production")

    assert 'id="v1.0.0"' in shown
    assert 'id="v0.1.0"' not in shown
    assert 'id="v1.0.1"' not in shown
    assert signed_in(world.vera).get(_address(world), {"environment": "nowhere"}).status_code == 404


def _address(world: World) -> str:
    return reverse("admin:flags_flag_releases", args=[world.first_flag.pk])


def test_releases__of_environments_one_may_not_see__are_left_out_and_counted(world: World) -> None:
    world.grant(world.vera, world.production)

    shown = page(world)

    assert 'id="v0.1.0"' in shown
    assert 'id="v1.0.0"' not in shown
    assert "1 version of environments that you may not see is left out" in shown
    assert signed_in(world.otto).get(_address(world)).status_code == 404


def test_releases__of_hostile_words__write_no_markup(world: World) -> None:
    edit(world, {"enabled": True}, reason=HOSTILE)
    describe(world, hours=2, name=HOSTILE)

    shown = page(world)

    assert "<script>alert(1)" not in shown
    assert "<img src=x" not in shown
    assert "49" not in shown.partition("releases-markdown")[2]


def test_releases__of_an_approved_change__name_its_request(world: World) -> None:
    bench = Bench(world, world.first_flag)
    request = bench.approved(now=SOON)

    assert f"Change request #{request.number}" in page(world)


def test_releases__of_an_erased_person__name_nobody(world: World) -> None:
    edit(world, {"enabled": True})
    erase_label(str(world.rita.pk), actor=actor_of(world.ada), now=SOON)

    assert ERASED_LABEL in page(world, environment="staging")
    assert "Rita Test" not in page(world, environment="staging")


def test_releases__twice_looked_at__are_the_same(world: World) -> None:
    for hours in range(1, 6):
        edit(world, {"enabled": bool(hours % 2)}, hours=hours)
    first = flag_history(world.first_flag, now=SOON)

    again = flag_history(world.first_flag, now=SOON)

    assert again == first
    assert kept._kept


def test_releases__more_versions__same_number_of_queries(world: World) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            history = flag_history(world.first_flag, now=SOON)
            told_releases(visible_releases(history.releases, world.environments), world.environments)
        return len(found)

    edit(world, {"enabled": True})
    describe(world, hours=1, owner_id=world.rita.pk)
    few = queries()
    for hours in range(2, 8):
        edit(world, {"enabled": not hours % 2}, hours=hours)
        describe(world, hours=hours, name=f"Name {hours}")

    assert queries() <= few <= 10


def test_releases__of_a_document_that_is_not_kept_any_longer__still_count(world: World) -> None:
    row = kept._Row(1, world.staging.pk, NOW, "x")
    found = kept._remembered([(row, {})], NOW)[row.id]

    assert found.shape is None
    assert found.change is not None
    assert found.change.part == "minor"


def test_flag_page__shows_newest_version_and_life(world: World) -> None:
    client = signed_in(world.vera)
    shown = text_of(client.get(reverse("admin:flags_flag_change", args=[world.first_flag.pk])))

    assert "Its life" in shown
    assert "1.0.0 settled" in shown
    assert 'class="ls-block ls-settled"' in shown
    assert "Stages in Production" in shown


def test_flag_page__before_anything_is_set_up__has_no_strip(world: World) -> None:
    empty = Flag.objects.create(
        project=world.project, key="empty", name="Empty", kind="release", value_type="boolean", created_at=NOW
    )

    shown = text_of(signed_in(world.vera).get(reverse("admin:flags_flag_change", args=[empty.pk])))

    assert "Its life" not in shown
    assert "No version yet" in text_of(signed_in(world.vera).get(reverse("admin:flags_flag_releases", args=[empty.pk])))


def test_history__of_a_share_and_an_end__goes_through_its_stages(world: World) -> None:
    edit(world, percent_document(world.first_flag.key, 25), hours=1)
    end = {"deprecated_at": "2026-03-02T12:00:00Z", "withdrawal": {"weight": 100_000, "serves": None}}
    edit(world, {"deprecation": end}, hours=2)
    archive(world, hours=3)

    segments = flag_history(world.first_flag, now=SOON + timedelta(days=1)).segments(
        world.staging, "release", SOON + timedelta(days=1)
    )

    stage = LifecycleStage
    assert [each.stage for each in segments] == [stage.DRAFT, stage.ROLLING_OUT, stage.SUNSET, stage.ARCHIVED]
    assert numbers(world.first_flag)[-3:] == ["1.1.0", "2.0.0", "2.1.0"]
