"""What people see: desk, lists and the page of a request, in a constant number of queries."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.errors import NotFound
from flags.permissions import Role
from rollouts.models import ChangeRequest
from rollouts.selectors import (
    RequestFilter,
    Whose,
    conflicts_of,
    desk,
    open_requests_by_flag,
    open_requests_for,
    request_list,
    request_page,
    waiting_for,
)
from rollouts.services import change_requests as acts
from rollouts.transitions import Act, RequestState
from tests.factories import NOW, SOON, actor_of, make_world, percent_document
from tests.rollouts.support import Bench, bring_to

BETA = {"attribute": "plan", "operator": "equals", "value": "beta"}
PAGE_QUERIES = 20
DESK_QUERIES = 16


def _numbers(requests: Any) -> list[int]:
    return [request.number for request in requests]


def test_request_page__differences__say_what_changes(bench: Bench) -> None:
    bench.approve(bench.submitted(change_set=bench.content(5)))
    page = request_page(bench.submitted(change_set=bench.content(25)).pk, bench.world.abel, now=NOW)

    (edit,) = page.edits
    assert [difference.sentence for difference in edit.differences] == ["Rule 1 “Everyone”: on 5 % → 25 %"]
    assert (edit.kind, edit.key, edit.target_id) == ("flag", bench.flag.key, bench.flag.pk)
    assert (edit.base_version, edit.current_version, edit.has_moved) == (2, 2, False)
    assert (edit.meanwhile, edit.effect) == ((), ())
    assert page.sentence == "Needs 1 more approval. Can approve: Abel Test, Anna Test."
    assert page.may(Act.APPROVE)
    assert page.refusals["apply"].startswith("You do not have the role release manager")


def test_request_page__base_moved__shows_meanwhile_and_effect(bench: Bench) -> None:
    bench.approve(bench.submitted(change_set=bench.content(5)))
    request = bench.submitted(change_set=bench.content(25))
    bench.approve(bench.submitted(change_set=bench.content(40)))

    page = request_page(request.pk, bench.world.abel, now=NOW)

    (edit,) = page.edits
    assert page.has_moved
    assert (edit.base_version, edit.current_version) == (2, 3)
    assert [difference.sentence for difference in edit.differences] == ["Rule 1 “Everyone”: on 5 % → 25 %"]
    assert [difference.sentence for difference in edit.meanwhile] == ["Rule 1 “Everyone”: on 5 % → 40 %"]
    assert [difference.sentence for difference in edit.effect] == ["Rule 1 “Everyone”: on 40 % → 25 %"]


def test_request_page__applied__still_shows_what_it_changed(bench: Bench) -> None:
    done = bench.approve(bench.submitted(change_set=bench.content(5)))
    bench.move_on()

    page = request_page(done.pk, bench.world.vera, now=NOW)

    assert not page.has_moved
    assert page.edits[0].differences
    assert [event.action.split(".")[1] for event in page.timeline] == ["created", "submitted", "approved", "applied"]
    assert page.timeline[2].actor_label == "Abel Test"
    assert page.allowed == {"comment", "resolve", "reopen"}


def test_request_page__first_configuration__has_no_before(bench: Bench) -> None:
    flag = bench.world.flag("fresh-flag")
    page = request_page(bench.draft(change_set=bench.content(25, flag=flag)).pk, bench.world.rita, now=NOW)

    assert (page.edits[0].before, page.edits[0].base_version, page.edits[0].has_moved) == (None, 0, False)
    assert page.edits[0].differences[0].sentence.startswith("First configuration here.")


def test_request_page__approvals_and_comments__are_listed_with_what_counts(bench: Bench) -> None:
    bench.require(2)
    request = bench.approve(bench.submitted())
    bench.edit(request)
    bench.approve(request, by=bench.world.anna, now=SOON)
    acts.comment_on_change_request(request.pk, actor=actor_of(bench.world.vera), body="Why?", now=NOW)

    page = request_page(request.pk, bench.world.abel, now=NOW)

    assert [(view.name, view.counts) for view in page.approvals] == [("Abel Test", False), ("Anna Test", True)]
    assert [thread.root.body for thread in page.threads] == ["Why?"]
    assert page.verdict.sentences == (
        "Needs 1 more approval. Can approve: Abel Test.",
        "Approved before the last edit, which no longer counts: Abel Test.",
    )


def test_request_page__blocked__says_why(bench: Bench) -> None:
    request = bench.approved(apply_at=SOON)
    bench.move_on()
    acts.apply_if_due(request.pk, now=SOON)

    page = request_page(request.pk, bench.world.rita, now=SOON)

    assert page.sentence.startswith("Approved, but held back. Changed in Production since this was prepared")


@pytest.mark.parametrize("name", ["otto", "stranger"])
def test_request_page__no_role_in_the_environment__is_not_found(bench: Bench, name: str) -> None:
    person = bench.world.otto if name == "otto" else make_world().rita

    with pytest.raises(NotFound):
        request_page(bench.submitted().pk, person, now=NOW)


def _busy(bench: Bench, rounds: int) -> ChangeRequest:
    """Many flags and a segment in one request, and much talk, approvals and other requests around it."""
    world = bench.world
    flags = [world.flag(f"flag-{number}") for number in range(rounds)]
    segment = SegmentEdit("beta", "Beta", 0, {"schema": 1, "condition": BETA})
    configs = [ConfigEdit(flag.key, 0, percent_document(flag.key, 20)) for flag in flags]
    edits: tuple[ConfigEdit | SegmentEdit, ...] = (segment, *configs)
    bench.require(2)
    request = bench.submitted(change_set=ChangeSet(str(bench.production.pk), edits), apply_at=SOON)
    bench.approve(request)
    for _ in range(rounds):
        acts.comment_on_change_request(request.pk, actor=actor_of(world.vera), body="Why?", now=NOW)
        bench.submitted()
        bench.approve(bench.submitted(change_set=ChangeSet(str(bench.production.pk), edits)))
    return request


@pytest.mark.parametrize("rounds", [1, 6])
def test_request_page__whatever_the_size__asks_the_same_number_of_queries(bench: Bench, rounds: int) -> None:
    request = _busy(bench, rounds)

    with CaptureQueriesContext(
        connection,
    ) as captured:
        page = request_page(request.pk, bench.world.anna, now=NOW)

    assert len(page.edits) == rounds + 1
    assert len(page.conflicts) == rounds
    assert len(captured) == PAGE_QUERIES


@pytest.mark.parametrize("rounds", [1, 6])
def test_desk__whatever_the_size__asks_the_same_number_of_queries(bench: Bench, rounds: int) -> None:
    _busy(bench, rounds)

    with CaptureQueriesContext(connection) as captured:
        found = desk(bench.world.anna, now=NOW)

    assert found.waiting_count == 1 + 2 * rounds
    assert len(captured) == DESK_QUERIES


def test_desk__four_lists__hold_what_concerns_the_person(bench: Bench) -> None:
    draft, review = bench.draft(), bench.submitted()
    coming, done = bench.approved(apply_at=SOON), bench.approved()

    mine, theirs = desk(bench.world.rita, now=NOW), desk(bench.world.abel, now=NOW)

    assert _numbers(card.request for card in mine.asked_by_me) == _numbers([coming, review, draft])
    assert mine.waiting_for_me == ()
    assert _numbers(card.request for card in theirs.waiting_for_me) == _numbers([review])
    assert theirs.asked_by_me == ()
    assert _numbers(card.request for card in theirs.happening_next) == _numbers([coming])
    assert theirs.happening_next[0].sentence == "Approved. It is applied on 02 March 2026 at 10:00 UTC."
    assert _numbers(card.request for card in theirs.recently_applied) == _numbers([done])
    assert desk(bench.world.otto, now=NOW).recently_applied == ()


def test_waiting_for__approved_but_lapsed__asks_for_another_approval(bench: Bench) -> None:
    request = bench.approved(apply_at=SOON)
    assert waiting_for(bench.world.anna, now=NOW) == []

    bench.world.grant(bench.world.abel, bench.production, Role.VIEWER)

    assert waiting_for(bench.world.anna, now=NOW) == [request]


def test_waiting_for__not_named__waits_for_others(bench: Bench) -> None:
    bench.require(1, bench.world.anna)
    request = bench.submitted()

    assert waiting_for(bench.world.abel, now=NOW) == []
    assert waiting_for(bench.world.anna, now=NOW) == [request]


def test_request_list__filters__narrow_what_is_visible(bench: Bench) -> None:
    other = make_world()
    everything = {state: bring_to(bench, state) for state in RequestState if state is not RequestState.ROLLED_BACK}
    rita, abel = bench.world.rita, bench.world.abel

    def numbers(user: Any, **fields: Any) -> set[int]:
        return set(_numbers(request_list(user, RequestFilter(**fields), now=NOW)))

    every = {request.number for request in everything.values()}
    still_open = {
        everything[state].number for state in (RequestState.DRAFT, RequestState.IN_REVIEW, RequestState.APPROVED)
    }
    assert numbers(rita) == numbers(rita, whose=Whose.MINE) == every
    assert numbers(abel, whose=Whose.MINE) == set()
    assert numbers(abel, whose=Whose.REVIEW) == {everything[RequestState.IN_REVIEW].number}
    assert numbers(abel, state="open") == still_open
    assert numbers(abel, state="applied") == {everything[RequestState.APPLIED].number}
    assert numbers(abel, environment_id=bench.production.pk) == every
    assert numbers(abel, environment_id=bench.world.staging.pk) == set()
    assert numbers(abel, project_key=bench.world.project.key) == every
    assert numbers(abel, project_key=other.project.key) == set()
    assert numbers(other.abel) == numbers(bench.world.otto) == set()
    assert numbers(bench.world.ada) == every


def test_open_requests__by_flag__leave_ended_and_other_ones_out(bench: Bench) -> None:
    flag = bench.world.flag("other-flag")
    first, second = bench.draft(), bench.submitted()
    elsewhere = bench.draft(change_set=bench.content(20, flag=flag))
    bring_to(bench, RequestState.REJECTED)

    assert _numbers(open_requests_for(bench.flag, bench.production)) == _numbers([second, first])
    assert open_requests_for(bench.flag, bench.world.staging) == []
    found = open_requests_by_flag([bench.production.pk])
    assert _numbers(found[bench.production.pk, flag.key]) == _numbers([elsewhere])
    assert _numbers(conflicts_of(first)) == _numbers([second])
