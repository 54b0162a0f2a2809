"""Disagreeing: what holds a request back, what counts all the same, and what is told again later."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from audits.models import AuditEvent
from flags.errors import InvalidInput
from flags.permissions import Role
from rollouts.errors import ApprovalRefused, DigestMismatch, InvalidTransition, RequestExpired
from rollouts.models import ChangeRequest, Dissent
from rollouts.selectors import request_page, verdict_of
from rollouts.selectors.dissents import dissents_by_request, dissents_of, said_before
from rollouts.services import change_requests as acts
from rollouts.transitions import Act, RequestState
from tests.factories import NOW, SOON, actor_of
from tests.rollouts.support import Bench, bring_to, perform, state_of


def _object(bench: Bench, request: ChangeRequest, *, by: Any = None, text: str = "Smaller steps") -> ChangeRequest:
    actor = actor_of(by or bench.world.anna)
    digest = ChangeRequest.objects.get(pk=request.pk).digest
    return acts.request_changes(request.pk, actor=actor, digest=digest, text=text, now=NOW)


def _lift(bench: Bench, request: ChangeRequest, *, by: Any = None) -> ChangeRequest:
    return acts.lift_changes(request.pk, actor=actor_of(by or bench.world.anna), text="", now=NOW)


def _abstain(bench: Bench, request: ChangeRequest, *, by: Any = None) -> ChangeRequest:
    perform(bench, request, Act.ABSTAIN, by=by or bench.world.anna)
    return request


def _kinds(request: ChangeRequest) -> list[str]:
    return list(Dissent.objects.filter(request=request).order_by("sequence").values_list("kind", flat=True))


def test_request_changes__approvals_suffice__it_waits_all_the_same(bench: Bench) -> None:
    request = _object(bench, bench.submitted())

    bench.approve(request)

    assert state_of(request) is RequestState.IN_REVIEW
    assert bench.version() == 1
    assert verdict_of(request).sentences[0] == (
        "Anna Test asked for changes: it waits until somebody edits it or Anna Test takes that back."
    )


def test_request_changes__approved_and_waiting_for_its_time__goes_back_into_review(bench: Bench) -> None:
    request = bring_to(bench, RequestState.APPROVED)

    _object(bench, request)

    assert state_of(request) is RequestState.IN_REVIEW
    assert not acts.apply_if_due(request.pk, now=SOON)
    assert not acts.pass_review_if_due(request.pk, now=SOON)
    assert bench.version() == 1


def test_request_changes__somebody_edits__the_new_round_is_free(bench: Bench) -> None:
    request = _object(bench, bench.submitted())

    bench.edit(request)
    bench.approve(request)

    assert state_of(request) is RequestState.APPLIED


def test_request_changes__former_content_returns__stays_answered(bench: Bench) -> None:
    request = bench.submitted(change_set=bench.content(20))
    _object(bench, request)
    bench.edit(request, change_set=bench.content(30))

    bench.edit(request, change_set=bench.content(20))

    assert verdict_of(ChangeRequest.objects.get(pk=request.pk)).objectors == ()


def test_lift_changes__approvals_there_already__is_live(bench: Bench) -> None:
    request = _object(bench, bench.submitted())
    bench.approve(request)

    done = _lift(bench, request)

    assert done.current_state is RequestState.APPLIED
    assert bench.version() == 2


def test_lift_changes__approvals_missing__stays_in_review(bench: Bench) -> None:
    request = _object(bench, bench.submitted())

    assert _lift(bench, request).current_state is RequestState.IN_REVIEW
    assert verdict_of(request).objectors == ()


@pytest.mark.parametrize("name", ["abel", "rita"])
def test_lift_changes__of_somebody_else__is_refused(bench: Bench, name: str) -> None:
    bench.world.grant(bench.world.rita, bench.production, Role.EDITOR, Role.APPROVER)
    request = _object(bench, bench.submitted())

    with pytest.raises(ApprovalRefused):
        _lift(bench, request, by=getattr(bench.world, name))

    assert [person.name for person in verdict_of(request).objectors] == ["Anna Test"]


def test_approve__by_who_asked_for_changes__takes_that_back(bench: Bench) -> None:
    request = _object(bench, bench.submitted())

    bench.approve(request, by=bench.world.anna)

    assert state_of(request) is RequestState.APPLIED
    assert _kinds(request) == ["changes_requested", "changes_lifted"]


def test_approve__one_of_two_objectors__the_other_still_holds_it(bench: Bench) -> None:
    request = _object(bench, _object(bench, bench.submitted()), by=bench.world.abel)

    bench.approve(request, by=bench.world.anna)

    assert state_of(request) is RequestState.IN_REVIEW
    assert [person.name for person in verdict_of(request).objectors] == ["Abel Test"]


def test_objector__without_the_role_any_more__holds_nothing_back(bench: Bench) -> None:
    request = _object(bench, bench.submitted())
    bench.world.grant(bench.world.anna, bench.production, Role.VIEWER)

    bench.approve(request)

    assert state_of(request) is RequestState.APPLIED


def test_request_changes__twice__is_refused(bench: Bench) -> None:
    request = _object(bench, bench.submitted())

    with pytest.raises(ApprovalRefused, match="already"):
        _object(bench, request)

    assert _kinds(request) == ["changes_requested"]


@pytest.mark.parametrize("deed", [Act.REQUEST_CHANGES, Act.ABSTAIN])
def test_dissent__content_was_another__is_refused(bench: Bench, deed: Act) -> None:
    request = bench.submitted()
    bench.edit(request)
    ways = {Act.REQUEST_CHANGES: acts.request_changes, Act.ABSTAIN: acts.abstain_from_change_request}

    with pytest.raises(DigestMismatch):
        ways[deed](request.pk, actor=actor_of(bench.world.anna), digest=request.digest, text="No", now=NOW)

    assert _kinds(request) == []


@pytest.mark.parametrize("deed", [Act.REQUEST_CHANGES, Act.ABSTAIN])
def test_dissent__after_expiry__is_refused(bench: Bench, deed: Act) -> None:
    request = bench.submitted()

    with pytest.raises(RequestExpired):
        perform(bench, request, deed, by=bench.world.anna, now=NOW + timedelta(hours=336))


def test_abstain__is_asked_no_more_until_the_next_round(bench: Bench) -> None:
    request = _abstain(bench, bench.submitted())

    with pytest.raises(ApprovalRefused, match="abstained"):
        bench.approve(request, by=bench.world.anna)
    assert [person.name for person in verdict_of(request).may_still_approve] == ["Abel Test"]

    bench.edit(request)
    assert bench.approve(request, by=bench.world.anna).current_state is RequestState.APPLIED


def test_abstain__everybody__says_that_nobody_is_left(bench: Bench) -> None:
    request = _abstain(bench, _abstain(bench, bench.submitted()), by=bench.world.abel)

    verdict = verdict_of(request)

    assert not verdict.is_reachable
    assert "Nobody can give it" in verdict.sentences[0]


def test_abstain__having_asked_for_changes__asks_to_take_that_back(bench: Bench) -> None:
    request = _object(bench, bench.submitted())

    with pytest.raises(ApprovalRefused, match="Take that back first"):
        _abstain(bench, request)


def test_abstain__approved_request__is_not_possible(bench: Bench) -> None:
    with pytest.raises(InvalidTransition):
        _abstain(bench, bring_to(bench, RequestState.APPROVED))


def _with_reservation(bench: Bench, request: ChangeRequest, text: str = "Watch the load") -> ChangeRequest:
    digest = ChangeRequest.objects.get(pk=request.pk).digest
    return acts.approve_change_request(
        request.pk, actor=actor_of(bench.world.abel), digest=digest, comment=text, now=NOW, has_reservation=True
    )


def test_reservation__counts_and_stays_with_what_became_of_it(bench: Bench) -> None:
    request = _with_reservation(bench, bench.submitted())

    assert request.current_state is RequestState.APPLIED
    assert [(view.words, view.text) for view in dissents_by_request([str(request.pk)])[str(request.pk)]] == [
        ("approved with reservation", "Watch the load")
    ]
    event = AuditEvent.objects.get(target_id=str(request.pk), action="change_request.approved")
    assert event.details["has_reservation"] is True


def test_reservation__without_saying_which__is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidInput):
        _with_reservation(bench, bench.submitted(), " ")

    assert not Dissent.objects.exists()


def test_said_before__next_request_for_the_same_flag__is_told(bench: Bench) -> None:
    other = bench.world.flag("other-flag")
    acts.reject_change_request(bench.submitted().pk, actor=actor_of(bench.world.abel), reason="Too wide", now=NOW)
    _with_reservation(bench, bench.submitted())
    _object(bench, bench.submitted())
    same = bench.draft()
    different = bench.draft(change_set=bench.content(5, flag=other))

    assert [(view.words, view.text) for view in said_before(same)] == [
        ("approved with reservation", "Watch the load"),
        ("rejected", "Too wide"),
    ]
    assert said_before(different) == []


def test_said_before__is_not_told_to_earlier_requests(bench: Bench) -> None:
    early, late = bench.submitted(), bench.submitted()
    acts.reject_change_request(late.pk, actor=actor_of(bench.world.abel), reason="Too wide", now=NOW)

    assert said_before(early) == []


def test_dissents_of__shows_what_stands_and_what_is_over(bench: Bench) -> None:
    request = _object(bench, bench.submitted(), text="First")
    bench.edit(request)
    _object(bench, request, text="Second")
    page = request_page(request.pk, bench.world.vera, now=NOW)

    views = dissents_of(page.request, objector_ids=page.case.objector_ids)

    assert [(view.text, view.is_standing, view.round) for view in views] == [("First", False, 1), ("Second", True, 2)]


@pytest.mark.parametrize("statement", ["UPDATE rollouts_dissent SET text = 'x'", "DELETE FROM rollouts_dissent"])
def test_dissent__is_evidence(bench: Bench, statement: str) -> None:
    _object(bench, bench.submitted())

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
