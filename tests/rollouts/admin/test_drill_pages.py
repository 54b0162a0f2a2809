"""The pages of rollback drills."""

import re
from typing import Any

import pytest
from django.urls import reverse

from rollouts.models import DrillRun, RollbackDrill
from rollouts.services.drills import DrillPlan, add_drill
from tests.factories import NOW, actor_of, percent_document
from tests.rollouts.support import Bench
from tests.support.admin import signed_in, text_of

LIST = "admin:rollouts_rollbackdrill_changelist"


def fields(bench: Bench, **changed: Any) -> dict[str, Any]:
    return {
        "title": "Checkout goes back",
        "flag": str(bench.flag.pk),
        "target": "previous",
        "target_hours": "",
        "target_version": "",
        "limit_seconds": "5",
        "interval_days": "30",
        "is_active": "on",
        **changed,
    }


@pytest.fixture
def drill(bench: Bench) -> RollbackDrill:
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 25))
    plan = DrillPlan("Checkout goes back", bench.flag.pk, "previous", None, None, limit_seconds=5, interval_days=30)
    return add_drill(bench.production.pk, plan, actor=actor_of(bench.world.rolf), now=NOW)


def test_drill__set_up_run_and_looked_at__shows_that_it_passed(bench: Bench) -> None:
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 25))
    client = signed_in(bench.world.rolf)

    added = client.post(
        reverse("admin:rollouts_rollbackdrill_add", args=[bench.production.pk]), fields(bench), follow=True
    )
    made = RollbackDrill.objects.get()
    ran = text_of(client.post(reverse("admin:rollouts_rollbackdrill_run", args=[made.pk]), follow=True))
    listed = client.get(reverse(LIST))

    assert "due now" in text_of(added)
    assert re.search(r"Passed: it would be served again after \d+\.\d s", ran)
    assert "200 evaluations compared" in ran
    assert "flag checkout-redesign version 1" in ran
    assert 'class="vs-spark"' in listed.content.decode()
    assert bench.version() == 2


def test_drill__failed_run__says_why_on_its_page_and_in_the_list(bench: Bench, drill: RollbackDrill) -> None:
    client = signed_in(bench.world.rolf)
    edited = fields(bench, target="version", target_version="7", title="Back to seven")
    client.post(reverse("admin:rollouts_rollbackdrill_edit", args=[drill.pk]), edited)

    ran = text_of(client.post(reverse("admin:rollouts_rollbackdrill_run", args=[drill.pk]), follow=True))

    why = "There is no version 7 of checkout-redesign, so there is nothing to go back to."
    assert f"Failed: {why}" in ran
    assert "Going back would not work." in ran
    assert why in text_of(client.get(reverse(LIST)))
    assert not DrillRun.objects.get().has_passed


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"flag": ""}, "it has no version of its own"),
        ({"target": "version"}, "Give a version from 1"),
        ({"limit_seconds": "0"}, "greater than or equal to 1"),
        ({"flag": "someone-else"}, "Select a valid choice"),
    ],
)
def test_add__what_cannot_be__comes_back_with_a_sentence(bench: Bench, changed: dict[str, str], words: str) -> None:
    url = reverse("admin:rollouts_rollbackdrill_add", args=[bench.production.pk])

    response = signed_in(bench.world.rolf).post(url, fields(bench, **changed))

    assert response.status_code == 400
    assert words in text_of(response)
    assert not RollbackDrill.objects.exists()


@pytest.mark.parametrize(
    ("who", "list_names_it", "statuses"),
    [
        ("rolf", True, {"change": 200, "edit": 200, "run": 302}),
        ("rita", True, {"change": 200, "edit": 403, "run": 302}),
        ("vera", True, {"change": 200, "edit": 403, "run": 403}),
        ("otto", False, {"change": 404, "edit": 404, "run": 404}),
    ],
)
def test_doors__every_role__open_or_shut(
    bench: Bench, drill: RollbackDrill, who: str, list_names_it: bool, statuses: dict[str, int]
) -> None:
    client = signed_in(getattr(bench.world, who))

    found = {
        "change": client.get(reverse("admin:rollouts_rollbackdrill_change", args=[drill.pk])).status_code,
        "edit": client.get(reverse("admin:rollouts_rollbackdrill_edit", args=[drill.pk])).status_code,
        "run": client.post(reverse("admin:rollouts_rollbackdrill_run", args=[drill.pk])).status_code,
    }

    assert found == statuses
    assert (drill.title in text_of(client.get(reverse(LIST)))) is list_names_it
    assert client.get(reverse("admin:rollouts_rollbackdrill_run", args=[drill.pk])).status_code == 405


def test_list__many_drills__constant_number_of_queries(
    bench: Bench, drill: RollbackDrill, django_assert_max_num_queries: Any
) -> None:
    plan = DrillPlan("Everything", None, "instant", None, 24, limit_seconds=5, interval_days=7)
    for _ in range(5):
        add_drill(bench.production.pk, plan, actor=actor_of(bench.world.rolf), now=NOW)
    client = signed_in(bench.world.rolf)
    client.get(reverse(LIST))

    with django_assert_max_num_queries(30):
        client.get(reverse(LIST))
