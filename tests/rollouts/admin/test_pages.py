"""The list and the page of a request: what each person is shown, in every state, and at what price."""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audits.models import AuditEvent
from flags.changes import ChangeSet, ConfigEdit
from flags.permissions import Role
from rollouts.selectors.verdicts import name_of
from rollouts.services.change_requests import apply_if_due
from rollouts.transitions import RequestState
from tests.factories import SOON, World, make_world, percent_document
from tests.rollouts.admin.support import page_url
from tests.rollouts.support import Bench, bring_to
from tests.support.admin import HOSTILE, signed_in, text_of

STATES = [state for state in RequestState if state is not RequestState.ROLLED_BACK]
LIST = "admin:rollouts_changerequest_changelist"
STATUS = {"rita": 200, "abel": 200, "rolf": 200, "vera": 200, "ada": 200, "otto": 404}


@pytest.mark.parametrize("state", STATES)
def test_page__every_role_in_every_state__is_shown_and_changes_nothing(bench: Bench, state: RequestState) -> None:
    request = bring_to(bench, state)
    events = AuditEvent.objects.count()

    statuses = {role: signed_in(getattr(bench.world, role)).get(page_url(request)).status_code for role in STATUS}

    assert statuses == STATUS
    assert AuditEvent.objects.count() == events


@pytest.mark.parametrize("tab", ["", "review", "mine", "open", "finished", "nonsense"])
def test_list__every_role__is_shown_what_it_may_see(bench: Bench, tab: str) -> None:
    request = bench.submitted()

    for role in STATUS:
        response = signed_in(getattr(bench.world, role)).get(reverse(LIST), {"tab": tab})

        assert response.status_code == 200
        assert (request.title in text_of(response)) <= (role != "otto")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_pages__anything_but_reading__is_refused(bench: Bench, method: str) -> None:
    client = signed_in(bench.world.rita)

    for address in (reverse(LIST), page_url(bench.submitted())):
        assert getattr(client, method)(address).status_code == 405


@pytest.mark.parametrize(
    ("tab", "shown"),
    [("review", {"Reviewed"}), ("mine", set()), ("open", {"Reviewed", "Drafted"}), ("finished", {"Done"})],
)
def test_list__tab__shows_its_requests(bench: Bench, tab: str, shown: set[str]) -> None:
    bench.approved(title="Done")
    bench.submitted(title="Reviewed")
    bench.draft(title="Drafted")

    text = text_of(signed_in(bench.world.abel).get(reverse(LIST), {"tab": tab}))

    assert {title for title in ("Reviewed", "Drafted", "Done") if title in text} == shown


def test_list__approver_with_something_waiting__sees_it_first(bench: Bench) -> None:
    bench.submitted(title="Please look")

    text = text_of(signed_in(bench.world.abel).get(reverse(LIST)))

    assert "Please look" in text
    assert '<span class="rq-count">1</span>' in text


@pytest.mark.parametrize("tab", ["review", "mine", "open", "finished"])
def test_list__empty__says_what_to_do(world: World, tab: str) -> None:
    assert "fs-empty-title" in text_of(signed_in(world.abel).get(reverse(LIST), {"tab": tab}))


def test_list__more_requests__same_number_of_queries(bench: Bench) -> None:
    client = signed_in(bench.world.abel)
    for _ in range(2):
        bench.submitted()
    client.get(reverse(LIST), {"tab": "open"})
    with CaptureQueriesContext(connection) as few:
        client.get(reverse(LIST), {"tab": "open"})

    for _ in range(12):
        bench.submitted()
    with CaptureQueriesContext(connection) as many:
        client.get(reverse(LIST), {"tab": "open"})

    assert len(many) == len(few)
    assert len(many) <= 30


def test_page__longer_story__same_number_of_queries(bench: Bench) -> None:
    request = bench.submitted()
    client, address = signed_in(bench.world.abel), page_url(request)
    client.get(address)
    with CaptureQueriesContext(connection) as few:
        client.get(address)

    bench.require(2)
    bench.approve(request, by=bench.world.anna)
    for _ in range(5):
        bench.submitted()
    with CaptureQueriesContext(connection) as many:
        client.get(address)

    assert len(many) == len(few)
    assert len(many) <= 60


def test_page__request_of_another_project__does_not_exist(bench: Bench) -> None:
    other = make_world()

    response = signed_in(other.rita).get(page_url(bench.submitted()))

    assert response.status_code == 404
    assert "Widen the checkout" not in text_of(response)


def test_page__in_review__says_what_changes_and_who_can_approve(bench: Bench) -> None:
    request = bench.submitted(change_set=bench.content(25))

    text = text_of(signed_in(bench.world.rita).get(page_url(request))).replace("\u00a0", " ")

    assert "PRODUCTION" in text
    assert "Rule 1 “Everyone” added. Everyone: 25 % on, 75 % off" in text
    assert "Needs <b>1 approval</b> from any of:" in text
    assert "Abel Test" in text
    assert "Anna Test" in text
    assert "You asked for this, so somebody else must approve it." in text
    assert 'data-opens="approve"' not in text


def test_page__people_who_only_look__are_not_named_as_approvers(bench: Bench) -> None:
    text = text_of(signed_in(bench.world.abel).get(page_url(bench.submitted())))

    people = text.partition('<ul class="rq-people">')[2].partition("</ul>")[0]
    assert "Abel Test" in people
    assert "Vera Test" not in people
    assert "Rita Test" not in people


@pytest.mark.parametrize(
    ("role", "state", "button"),
    [
        ("rita", RequestState.DRAFT, "Submit for review"),
        ("abel", RequestState.IN_REVIEW, "Approve…"),
        ("rolf", RequestState.APPROVED, ""),
        ("rita", RequestState.IN_REVIEW, ""),
        ("vera", RequestState.IN_REVIEW, ""),
        ("abel", RequestState.APPLIED, ""),
    ],
)
def test_page__one_obvious_button_for_this_person(bench: Bench, role: str, state: RequestState, button: str) -> None:
    request = bring_to(bench, state)

    text = text_of(signed_in(getattr(bench.world, role)).get(page_url(request)))

    head = text.partition('<header class="fs-page-head">')[2].partition("</header>")[0]
    primary = [word for word in ("Submit for review", "Approve…", "Apply now…", "up to date") if word in head]
    assert primary == ([button] if button else [])
    assert ('class="rq-thumb"' in text) == bool(button)


def test_page__draft__says_who_decides_before_it_is_submitted(bench: Bench) -> None:
    text = text_of(signed_in(bench.world.rita).get(page_url(bench.draft())))

    assert "After you submit it, this needs <b>1 approval</b>" in text
    assert "Submitting asks Abel Test or Anna Test." in text


def test_page__nobody_can_approve__warns_before_the_submit(bench: Bench) -> None:
    bench.world.grant(bench.world.abel, bench.production, Role.VIEWER)
    bench.world.grant(bench.world.anna, bench.production, Role.VIEWER)

    text = text_of(signed_in(bench.world.rita).get(page_url(bench.draft())))

    assert "this request cannot be approved as things stand" in text


def test_page__dialog_for_approving__repeats_environment_and_difference(bench: Bench) -> None:
    request = bench.submitted(change_set=bench.content(25))

    text = text_of(signed_in(bench.world.abel).get(page_url(request))).replace("\u00a0", " ")

    dialog = text.partition('id="dialog-approve"')[2].partition("</dialog>")[0]
    assert "PRODUCTION" in dialog
    assert "25 % on, 75 % off" in dialog
    assert "it goes live in Production at once" in dialog
    assert request.digest in dialog


def test_page__two_requests_for_one_flag__warn_each_other(bench: Bench) -> None:
    first, second = bench.submitted(title="First"), bench.submitted(title="Second")
    client = signed_in(bench.world.abel)

    assert f"#{second.number} Second" in text_of(client.get(page_url(first)))
    assert f"#{first.number} First" in text_of(client.get(page_url(second)))


def test_page__something_moved__says_what_from_where_and_by_whom(bench: Bench) -> None:
    request = bench.submitted(change_set=bench.content(25))
    bench.move_on()

    text = text_of(signed_in(bench.world.rita).get(page_url(request))).replace("\u00a0", " ")

    assert "has moved on since this was prepared" in text
    assert "based on <b>version 1</b>; <b>version 2</b> is live now" in text
    assert "Rolf Test" in text
    assert "99 % on, 1 % off" in text
    assert "Decide and bring up to date" in text


def test_page__scheduled__names_time_and_zone(bench: Bench) -> None:
    request = bring_to(bench, RequestState.APPROVED)

    text = text_of(signed_in(bench.world.rita).get(page_url(request)))

    assert "Scheduled" in text
    assert f"on {SOON:%-d %b %Y at %H:%M} UTC" in text
    assert "in 1 hour" in text


def test_page__hostile_text_everywhere__is_escaped_and_hidden_characters_shown(bench: Bench) -> None:
    document = percent_document(bench.flag.key, 25)
    document["rules"][0]["description"] = HOSTILE + "\u202e\u200b"
    change_set = ChangeSet(str(bench.production.pk), (ConfigEdit(bench.flag.key, 1, document),))
    bench.world.rita.first_name = "<i>Rita</i>"
    bench.world.rita.save()
    request = bench.submitted(title=HOSTILE, reason=HOSTILE, change_set=change_set)
    client = signed_in(bench.world.abel)

    page, listing = text_of(client.get(page_url(request))), text_of(client.get(reverse(LIST)))

    for text in (page, listing):
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "<i>Rita" not in text
    assert "U+200B" in page
    assert "U+202E" in page


def test_page__rejected__says_by_whom_and_why(bench: Bench) -> None:
    text = text_of(signed_in(bench.world.rita).get(page_url(bring_to(bench, RequestState.REJECTED))))

    assert "Too wide" in text
    assert "rq-stage-bad" in text
    assert "Abel Test" in text


def test_page__approval_of_earlier_content__is_shown_as_void(bench: Bench) -> None:
    bench.require(2)
    request = bench.submitted()
    bench.approve(request)
    bench.edit(request)

    text = text_of(signed_in(bench.world.abel).get(page_url(request)))

    assert "approved before the last edit, does not count" in text
    assert "0 of 2 approvals" in text


def test_page__expired_but_not_swept__offers_nothing(bench: Bench) -> None:
    request = bench.submitted()

    with time_machine.travel(SOON + timedelta(days=30), tick=False):
        text = text_of(signed_in(bench.world.abel).get(page_url(request)))

    assert 'data-opens="approve"' not in text


def test_page__applied_with_the_last_approval__names_who_gave_it(bench: Bench) -> None:
    request = bench.submitted()
    bench.approve(request)

    text = text_of(signed_in(bench.world.rita).get(page_url(request)))

    assert f"applied with the approval of {name_of(bench.world.abel)}" in text
    assert "made it live with that approval as revision" in text
    assert "The schedule" not in text


def test_page__applied_later_by_the_schedule__says_so(bench: Bench) -> None:
    request = bench.approved(apply_at=SOON)
    assert apply_if_due(request.pk, now=SOON)

    text = text_of(signed_in(bench.world.rita).get(page_url(request)))

    assert "The schedule" in text
    assert "with that approval" not in text
