"""The panel “Who will flip?”: asking, waiting, reading, and what is never shown."""

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from rollouts.admin.flow import WIDTH, flow_of
from rollouts.models import ChangeRequest, ImpactRun, ImpactState
from tests.rollouts.admin.support import page_url
from tests.rollouts.impact.support import PEOPLE, asked, counted
from tests.rollouts.support import Bench
from tests.support.admin import signed_in


@pytest.fixture
def request_(bench: Bench) -> ChangeRequest:
    """A request in review that widens the flag to 40 percent."""
    return bench.submitted(change_set=bench.content(40))


def _ask(bench: Bench, request: ChangeRequest, fields: dict[str, Any], *, who: str = "rita") -> Any:
    address = reverse("admin:rollouts_changerequest_impact", args=[request.pk])
    return signed_in(getattr(bench.world, who)).post(address, fields)


def _page(bench: Bench, request: ChangeRequest, *, who: str = "rita") -> str:
    response = signed_in(getattr(bench.world, who)).get(page_url(request))
    assert response.status_code == 200
    return str(response.content.decode())


def test_page__before_any_run__offers_one_to_those_who_may_ask(bench: Bench, request_: ChangeRequest) -> None:
    assert "Who will flip?" in _page(bench, request_)
    assert "&quot;size&quot;: 20000" in _page(bench, request_, who="abel")
    assert "Who will flip?" not in _page(bench, request_, who="vera")


def test_page__run_under_way__shows_progress_and_the_state_as_json(bench: Bench, request_: ChangeRequest) -> None:
    run = asked(bench, request_)
    address = reverse("admin:rollouts_changerequest_impactstate", args=[request_.pk, run.pk])

    assert f'data-impact="{address}"' in _page(bench, request_)
    answer = signed_in(bench.world.vera).get(address)
    assert answer.json() == {"state": "queued", "progress": 0, "total": 500, "hasEnded": False}
    assert signed_in(bench.world.otto).get(address).status_code == 404


def test_page__finished_run__says_who_flips_and_when_it_is_stale(bench: Bench, request_: ChangeRequest) -> None:
    run = counted(bench, request_)
    assert run.result is not None
    page = _page(bench, request_, who="vera")

    assert "of the people in this population gain" in page
    assert page.count("im-band-gained") >= 1
    assert f"{run.result['gained']} from off to on" in page
    assert "Run it again" not in page
    assert "Run again" not in page

    bench.edit(request_)
    assert "edited since" in _page(bench, request_)


def test_page__environment_moved_on__says_that_numbers_may_differ(bench: Bench, request_: ChangeRequest) -> None:
    counted(bench, request_)
    bench.move_on()

    assert "has changed since this was counted" in _page(bench, request_)


def test_page__ended_request__keeps_the_run_as_evidence(bench: Bench, request_: ChangeRequest) -> None:
    counted(bench, request_)
    bench.approve(request_)

    page = _page(bench, request_)
    assert "of the people in this population gain" in page
    assert "counted who will flip" in page
    assert "Run again" not in page
    assert "has changed since" not in page


def test_page__failed_run__says_why(bench: Bench, request_: ChangeRequest) -> None:
    run = asked(bench, request_)
    edited = bench.edit(request_)
    from rollouts.tasks import run_waiting_impacts

    run_waiting_impacts()
    run.refresh_from_db()

    assert run.current_state is ImpactState.FAILED
    assert run.problem in _page(bench, edited)


def test_ask__description__is_queued_and_leads_back(bench: Bench, request_: ChangeRequest) -> None:
    response = _ask(bench, request_, {"population": json.dumps(PEOPLE)})

    assert response.status_code == 302
    assert response["Location"] == f"{page_url(request_)}#impact"
    assert ImpactRun.objects.get().population == {"kind": "synthetic", "missing": {}, **PEOPLE}


def test_ask__file__is_queued(bench: Bench, request_: ChangeRequest) -> None:
    upload = SimpleUploadedFile("people.csv", b"targetingKey,plan\nMARKER,gold\n")

    assert _ask(bench, request_, {"population": "{}", "contexts": upload}).status_code == 302
    assert ImpactRun.objects.get().population == {"kind": "upload", "size": 1}


@pytest.mark.parametrize("typed", ["{", '{"size": 0}', "[]", "x" * 70_000])
def test_ask__unusable_description__comes_back_as_typed(bench: Bench, request_: ChangeRequest, typed: str) -> None:
    response = _ask(bench, request_, {"population": typed})

    assert response.status_code == 400
    assert "Some values cannot be used" in response.content.decode()
    assert not ImpactRun.objects.exists()


@pytest.mark.parametrize(("who", "status"), [("vera", 403), ("otto", 404)])
def test_ask__without_a_role__is_refused(bench: Bench, request_: ChangeRequest, who: str, status: int) -> None:
    assert _ask(bench, request_, {"population": json.dumps(PEOPLE)}, who=who).status_code == status
    assert not ImpactRun.objects.exists()


def test_page__uploaded_contexts__shows_masked_keys_and_no_values(bench: Bench, request_: ChangeRequest) -> None:
    contexts = "\n".join(json.dumps({"targetingKey": f"user-MARKER{n:03}", "mail": "MARKER@x"}) for n in range(200))
    counted(bench, request_, contexts=contexts.encode())
    page = _page(bench, request_)

    assert "MARKER" not in page
    assert "user-…" in page
    assert "context_json" not in page


def test_flow__bands__start_and_end_where_the_bars_do() -> None:
    rows: list[dict[str, Any]] = [
        {"from": "off", "to": "off", "kind": "same", "people": 60},
        {"from": "off", "to": "on", "kind": "gained", "people": 39},
        {"from": None, "to": "on", "kind": "gained", "people": 1},
    ]
    flow = flow_of(rows, people=100)

    assert [(node.label, node.people) for node in flow.left] == [("off", 99), ("code default", 1)]
    assert [(node.label, node.people) for node in flow.right] == [("off", 60), ("on", 40)]
    assert [band.words for band in flow.bands] == ["60 keep off", "39 from off to on", "1 from code default to on"]
    assert flow.bands[0].path.startswith("M10 4.0C")
    assert f" {WIDTH - 10} 4.0V106.0C" in flow.bands[0].path
    assert all(node.y + node.height <= flow.height for node in [*flow.left, *flow.right])


def test_flow__many_variants__become_a_few_and_the_rest() -> None:
    rows = [{"from": "off", "to": f"v{n}", "kind": "gained", "people": 20 - n} for n in range(20)]
    flow = flow_of(rows, people=210)

    assert [node.label for node in flow.right][-5:] != []
    assert len(flow.right) == 6
    assert sum(node.people for node in flow.right) == 210
