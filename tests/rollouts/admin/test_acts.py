"""Every act on a request through HTTP: who may, when, and what becomes of what was typed."""

from datetime import UTC, datetime

import pytest
import time_machine
from django.test import Client

from audits.models import AuditEvent
from flags.models import FlagConfig
from flags.permissions import Role
from rollouts.admin.acting import ACTS as OFFERED
from rollouts.models import ChangeRequest
from rollouts.selectors import request_page
from rollouts.transitions import Act, RequestState
from tests.factories import NOW, SOON
from tests.rollouts.admin.support import ROLES, act_url, facts, fields_for, page_url, taken_back
from tests.rollouts.support import Bench, bring_to, state_of
from tests.support.admin import HOSTILE, signed_in, text_of

ACTS = (
    "edit",
    "submit",
    "approve",
    "request_changes",
    "abstain",
    "reject",
    "withdraw",
    "comment",
    "schedule",
    "apply",
)
STATES = [state for state in RequestState if state is not RequestState.ROLLED_BACK]


@pytest.mark.parametrize("state", STATES)
def test_act__every_role_in_every_state__is_done_exactly_where_the_page_offers_it(
    bench: Bench, state: RequestState
) -> None:
    request = bring_to(bench, state)
    before = facts(request)

    for role in ROLES:
        person = getattr(bench.world, role)
        client = signed_in(person)
        allowed = set() if role == "otto" else request_page(request.pk, person, now=NOW).allowed
        for act in ACTS:
            with taken_back():
                status = client.post(act_url(request, act), fields_for(request, act)).status_code
                changed = facts(request) != before
            assert changed == (act in allowed), (role, act, status)
            assert (status == 302) == (act in allowed), (role, act, status)
            assert act in allowed or status in {403, 404, 409}, (role, act, status)


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
def test_act__any_method_but_post__is_refused_and_changes_nothing(bench: Bench, method: str) -> None:
    request = bench.submitted()
    before, events = facts(request), AuditEvent.objects.count()
    send = getattr(signed_in(bench.world.abel), method)

    statuses = {send(act_url(request, act), fields_for(request, act)).status_code for act in ACTS}

    assert statuses == {405}
    assert facts(request) == before
    assert AuditEvent.objects.count() == events


def test_act__without_csrf_token__is_refused(bench: Bench) -> None:
    request = bench.submitted()
    client = Client(enforce_csrf_checks=True)
    client.force_login(bench.world.abel, backend="django.contrib.auth.backends.ModelBackend")

    response = client.post(act_url(request, "approve"), fields_for(request, "approve"))

    assert response.status_code == 403
    assert state_of(request) is RequestState.IN_REVIEW


def test_act__unknown__does_not_exist(bench: Bench) -> None:
    request = bench.submitted()

    assert signed_in(bench.world.abel).post(act_url(request, "pass_review")).status_code == 404
    assert signed_in(bench.world.abel).post(act_url(request, "expire")).status_code == 404
    assert state_of(request) is RequestState.IN_REVIEW


def test_approve__last_one__is_live_and_says_so(bench: Bench) -> None:
    request = bench.submitted()

    response = signed_in(bench.world.abel).post(
        act_url(request, "approve"), fields_for(request, "approve"), follow=True
    )

    text = text_of(response)
    assert state_of(request) is RequestState.APPLIED
    assert bench.version() == 2
    assert "It is live in Production now" in text
    assert "Live in Production since 2 Mar 2026, 09:00 UTC" in text
    assert "as version 2" in text


def test_approve__content_changed_since_the_page__is_refused_and_the_comment_kept(bench: Bench) -> None:
    request = bench.submitted()
    seen = fields_for(request, "approve") | {"comment": "Fine by me"}
    bench.edit(request)

    response = signed_in(bench.world.abel).post(act_url(request, "approve"), seen)

    text = text_of(response)
    assert response.status_code == 409
    assert state_of(request) is RequestState.IN_REVIEW
    assert ChangeRequest.objects.get(pk=request.pk).approvals.count() == 0
    assert "changed since the page was opened" in text
    assert "Fine by me" in text
    assert "data-open" not in text.replace("data-opens", "")


@pytest.mark.parametrize("digest", ["", "x" * 64, "0" * 10_000, "é"])
def test_approve__forged_digest__is_refused(bench: Bench, digest: str) -> None:
    request = bench.submitted()

    response = signed_in(bench.world.abel).post(act_url(request, "approve"), {"digest": digest})

    assert response.status_code == 409
    assert state_of(request) is RequestState.IN_REVIEW


def test_approve__pressed_twice__counts_once(bench: Bench) -> None:
    bench.require(2)
    request = bench.submitted()
    client, fields = signed_in(bench.world.abel), fields_for(request, "approve")

    answers = [client.post(act_url(request, "approve"), fields).status_code for _ in range(2)]

    assert answers == [302, 403]
    assert ChangeRequest.objects.get(pk=request.pk).approvals.count() == 1


@pytest.mark.parametrize("act", ["submit", "reject", "withdraw"])
def test_act__pressed_twice__is_done_once(bench: Bench, act: str) -> None:
    request = bench.draft() if act == "submit" else bench.submitted()
    client = signed_in(bench.world.abel if act == "reject" else bench.world.rita)
    fields = fields_for(request, act)

    first = client.post(act_url(request, act), fields).status_code
    before = facts(request)
    second = client.post(act_url(request, act), fields).status_code

    assert (first, second) == (302, 409)
    assert facts(request) == before


def test_approve__own_request_by_somebody_who_may_otherwise__is_refused(bench: Bench) -> None:
    bench.world.grant(bench.world.rita, bench.production, Role.EDITOR, Role.APPROVER)
    request = bench.submitted()

    response = signed_in(bench.world.rita).post(act_url(request, "approve"), fields_for(request, "approve"))

    assert response.status_code == 403
    assert "somebody else has to approve it" in text_of(response)
    assert state_of(request) is RequestState.IN_REVIEW


def test_reject__without_a_reason__asks_for_one_in_the_dialog(bench: Bench) -> None:
    request = bench.submitted()

    response = signed_in(bench.world.abel).post(act_url(request, "reject"), {"reason": "  "})

    text = text_of(response)
    assert response.status_code == 400
    assert state_of(request) is RequestState.IN_REVIEW
    assert 'id="dialog-reject" aria-labelledby="reject-title" data-open' in text


def test_reject__text_that_cannot_be_used__is_kept(bench: Bench) -> None:
    request = bench.submitted()

    response = signed_in(bench.world.abel).post(act_url(request, "reject"), {"reason": "Too \u202ewide" + HOSTILE})

    assert response.status_code == 400
    assert "U+202E" not in text_of(response).partition("reject-reason")[2].partition("</textarea>")[0]
    assert "\u202ewide" in text_of(response)
    assert "<script>alert" not in text_of(response)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"when": "time", "apply_at": ""}, "Choose the day and time"),
        ({"when": "time", "apply_at": "soon"}, "Choose the day and time"),
        ({"when": "time", "apply_at": "2026-02-31T10:00"}, "Choose the day and time"),
        ({"when": "time", "apply_at": "2026-03-02T08:59"}, "has passed"),
        ({"when": "time", "apply_at": "2099-01-01T00:00"}, "within the next 366 days"),
    ],
)
def test_schedule__impossible_time__is_said_and_kept(bench: Bench, fields: dict[str, str], complaint: str) -> None:
    request = bench.submitted()

    response = signed_in(bench.world.rita).post(act_url(request, "schedule"), {"digest": request.digest, **fields})

    text = text_of(response)
    assert response.status_code == 400
    assert complaint in text
    assert 'id="dialog-schedule" aria-labelledby="schedule-title" data-open' in text
    assert ChangeRequest.objects.get(pk=request.pk).apply_at is None


def test_schedule__time_in_a_zone_of_its_own__is_stored_in_utc(bench: Bench, settings) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    request = bench.submitted()
    fields = {"digest": request.digest, "when": "time", "apply_at": "2026-03-05T10:00"}

    response = signed_in(bench.world.rita).post(act_url(request, "schedule"), fields, follow=True)

    assert ChangeRequest.objects.get(pk=request.pk).apply_at == datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
    assert "5 Mar 2026, 10:00 CET" in text_of(response)


def test_schedule__hour_the_clocks_skip__is_refused(bench: Bench, settings) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    request = bench.submitted()
    fields = {"digest": request.digest, "when": "time", "apply_at": "2026-03-29T02:30"}

    response = signed_in(bench.world.rita).post(act_url(request, "schedule"), fields)

    assert response.status_code == 400
    assert "clocks skip this time" in text_of(response)


def test_submit__with_the_drafts_form__saves_what_was_typed_first(bench: Bench) -> None:
    request = bench.draft()
    fields = {**fields_for(request, "edit"), "title": "Half of everyone"}

    response = signed_in(bench.world.rita).post(act_url(request, "submit"), fields)

    row = ChangeRequest.objects.get(pk=request.pk)
    assert response.status_code == 302
    assert (row.state, row.title) == ("in_review", "Half of everyone")


def test_submit__with_an_empty_reason__keeps_the_form(bench: Bench) -> None:
    request = bench.draft()
    fields = {**fields_for(request, "edit"), "title": "Half of everyone", "reason": ""}

    response = signed_in(bench.world.rita).post(act_url(request, "submit"), fields)

    assert response.status_code == 400
    assert 'value="Half of everyone"' in text_of(response)
    assert state_of(request) is RequestState.DRAFT


def test_comment__hostile__is_escaped_in_the_discussion(bench: Bench) -> None:
    request = bench.submitted()

    text = text_of(signed_in(bench.world.vera).post(act_url(request, "comment"), {"body": HOSTILE}, follow=True))

    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "&lt;script&gt;alert" in text


def test_act__forged_fields__change_nothing_else(bench: Bench) -> None:
    request = bench.submitted()
    forged = {
        "state": "approved",
        "approver": str(bench.world.anna.pk),
        "actor": str(bench.world.anna.pk),
        "environment": str(bench.world.staging.pk),
        "change_set": "{}",
        "contributors": "[]",
        "required_approvals": "0",
        "title": "Forged",
        "body": "A comment",
    }

    response = signed_in(bench.world.vera).post(act_url(request, "comment"), forged)

    row = ChangeRequest.objects.get(pk=request.pk)
    assert response.status_code == 302
    assert (row.state, row.title, row.approvals.count()) == ("in_review", "Widen the checkout", 0)
    assert row.environment_id == bench.production.pk


def test_apply__something_moved__blocks_and_says_so(bench: Bench) -> None:
    request = bring_to(bench, RequestState.APPROVED)
    bench.move_on()
    with time_machine.travel(SOON, tick=False):
        response = signed_in(bench.world.rolf).post(act_url(request, "apply"))
        page = text_of(signed_in(bench.world.rita).get(page_url(request)))

    assert response.status_code == 409
    assert FlagConfig.objects.get(flag=bench.flag, environment=bench.production).version == 2
    assert "has moved on since this was prepared" in text_of(response)
    assert "Decide and bring up to date" in page


def test_acts__are_those_of_the_table() -> None:
    people = {act.value for act in Act} - {"pass_review", "expire", "refuse_apply", "end_together", "roll_back"}
    assert set(OFFERED) == people
