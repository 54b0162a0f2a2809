"""Whatever meets an archived payload says where it is, and nothing goes back to it."""

from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from flags.errors import PayloadArchived
from flags.models import FlagConfig, Segment
from flags.selectors.flag_history import flag_history
from flags.selectors.release_notes import told_releases, visible_releases
from flags.selectors.versions import document_at
from rollouts.models import GuardVerdict, ImpactRun, Look
from rollouts.retention.classes import PayloadClass
from rollouts.selectors.contents import edits_of
from rollouts.selectors.rounds import since_looked
from rollouts.selectors.versions import Fate, plan_restore, plan_roll_back, plan_undo
from rollouts.services.drills import DrillPlan, add_drill, run_drill
from rollouts.services.versions import roll_back_flag
from tests.factories import NOW, actor_of
from tests.rollouts.retention.support import LATER, Old, archive, config_in_production, everything, old_world
from tests.support.admin import signed_in, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.engines]
WORDS = "Archived on 15 July 2027; ask for the file"


@pytest.fixture
def old(tmp_path: Path) -> Old:
    """Every class is archived."""
    old = old_world()
    for kind in PayloadClass:
        assert archive(old, kind, tmp_path)
    return old


def test_going_back__to_an_archived_version__is_refused_and_says_where_it_is(old):
    config, before = config_in_production(old), everything()

    for plan in (lambda: plan_roll_back(config, 1), lambda: plan_undo(config, 2), lambda: plan_undo(config, 3)):
        with pytest.raises(PayloadArchived, match=WORDS):
            plan()
    with pytest.raises(PayloadArchived, match=WORDS):
        roll_back_flag(
            old.world.production.pk, old.gone.pk, version=1, actor=actor_of(old.world.rolf), reason="Back", now=LATER
        )
    assert everything() == before


def test_roll_back_page__to_an_archived_version__says_where_it_is(old):
    url = reverse("admin:rollouts_changerequest_rollback", args=[old.gone.pk, old.world.production.pk, 1])
    response = signed_in(old.world.rolf).get(url)

    assert response.status_code == 409
    assert WORDS in text_of(response)


def test_restore__segment_of_which_the_version_is_archived__stays_as_it_is_and_says_so(old):
    plan = plan_restore(old.world.development, NOW - timedelta(hours=12))
    [segment] = [line for line in plan.lines if line.kind == "segment"]

    assert segment.fate is Fate.KEPT
    assert segment.edit is None
    assert WORDS in segment.note


def test_history_pages__two_archived_versions__list_them_and_say_where_they_are(old):
    client, segment = signed_in(old.world.vera), Segment.objects.get()
    pages = [
        client.get(reverse("admin:flags_config_history", args=[old.gone.pk, old.world.production.pk])),
        client.get(reverse("admin:flags_segment_history", args=[segment.pk])),
    ]

    for page in pages:
        assert page.status_code == 200
        assert WORDS in text_of(page)


def test_editor__opened_with_an_archived_version__says_where_it_is(old):
    url = reverse("admin:flags_config_edit", args=[old.gone.pk, old.world.production.pk])
    response = signed_in(old.world.rita).get(url, {"from": "1"})

    assert response.status_code in {200, 409}
    with pytest.raises(PayloadArchived):
        document_at(config_in_production(old), 1)


def test_flag_history__of_archived_versions__still_has_them_in_order(old):
    releases = flag_history(old.gone, now=LATER).releases
    told = told_releases(visible_releases(releases, old.world.environments), old.world.environments)

    assert len(releases) >= 3
    assert any("no longer" in words for one in told for group in one.note.groups.values() for words in group)


def test_request__based_on_an_archived_version__says_so_instead_of_a_difference(old):
    edit = {**old.request.change_set["edits"][0], "flag_key": "gone", "base_version": 1}
    old.request.change_set = {**old.request.change_set, "edits": [edit]}
    [view] = edits_of(old.request)

    assert view.before is None
    [difference] = view.differences
    assert "version 1 is no longer in the database" in difference.sentence
    assert WORDS in difference.sentence


def test_request_page__of_archived_rounds_and_impact__shows_where_they_are(old):
    url = reverse("admin:rollouts_changerequest_change", args=[old.request.pk])
    page = text_of(signed_in(old.world.vera).get(url))

    assert WORDS in page
    assert "came to no result" not in page
    Look.objects.create(request=old.request, person=old.world.anna, digest="0" * 64, round=1, seen_at=NOW)
    assert since_looked(old.request, old.world.anna) is None


def test_impact_api__of_an_archived_result__says_where_it_is(old):
    from rollouts.api.impact import ImpactRunSerializer

    data: Any = ImpactRunSerializer(ImpactRun.objects.get()).data

    assert data["headline"].startswith(WORDS)
    assert set(data["result"]) == {"archived"}


def test_drill_page_and_run__of_what_is_archived__say_where_it_is(old):
    page = text_of(signed_in(old.world.rolf).get(reverse("admin:rollouts_rollbackdrill_change", args=[old.drill.pk])))
    wanted = DrillPlan("To one", old.gone.pk, "version", 1, None, limit_seconds=60, interval_days=1)
    rolf = actor_of(old.world.rolf)

    assert "The evidence was archived on" in page
    drill = add_drill(old.world.production.pk, wanted, actor=rolf, now=NOW)
    run = run_drill(drill.pk, actor=rolf, now=LATER)
    assert not run.has_passed
    assert WORDS in run.problem


def test_plan_page_and_replay__of_archived_counts__say_where_they_are(old):
    page = text_of(signed_in(old.world.rolf).get(reverse("admin:rollouts_rolloutplan_change", args=[old.plan.pk])))
    verdict = GuardVerdict.objects.first()
    assert verdict is not None

    assert WORDS in page
    with pytest.raises(CommandError, match=WORDS):
        call_command("replay_verdict", str(verdict.pk), stdout=StringIO())


def test_all_configs__of_live_flags__still_compare(old):
    config = FlagConfig.objects.select_related("flag", "environment").get(
        flag=old.world.first_flag, environment=old.world.production
    )

    assert all(document_at(config, number) for number in range(1, config.version + 1))
