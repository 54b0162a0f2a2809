"""Everything is judged again when a change is applied: approvals, roles, policy, time, base versions."""

from datetime import timedelta
from typing import Any

import pytest

from audits.models import AuditEvent
from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.errors import PermissionMissing, StaleChange
from flags.models import Environment, FlagConfig, Segment
from flags.permissions import Role
from flags.services.projects import set_protection
from flags.services.tickets import governed_write
from rollouts.errors import ApprovalMissing, InvalidTransition, NotDueYet, RequestExpired
from rollouts.models import ChangeRequest
from rollouts.selectors import verdict_of
from rollouts.services.change_requests import apply_if_due, expire_if_due, pass_review_if_due
from rollouts.transitions import RequestState
from tests.factories import NOW, SOON, actor_of, percent_document
from tests.rollouts.support import Bench, state_of
from tests.support.agreed import unprotected

BETA = {"attribute": "plan", "operator": "equals", "value": "beta"}


def _events(request: ChangeRequest, action: str) -> int:
    return AuditEvent.objects.filter(target_id=str(request.pk), action=f"change_request.{action}").count()


def _row(request: ChangeRequest) -> ChangeRequest:
    return ChangeRequest.objects.get(pk=request.pk)


def test_approve__nothing_scheduled__applies_at_once(bench: Bench) -> None:
    done = bench.approved()

    assert done.current_state is RequestState.APPLIED
    assert done.applied_at == NOW
    assert done.applied_revision == Environment.objects.get(pk=bench.production.pk).revision
    assert bench.version() == 2


def test_approve__after_the_scheduled_time__applies_at_once(bench: Bench) -> None:
    request = bench.submitted(apply_at=SOON)

    assert bench.approve(request, now=SOON + timedelta(hours=1)).current_state is RequestState.APPLIED


@pytest.mark.parametrize(("offset", "applied"), [(-1, False), (0, True), (1, True), (86_400, True)])
def test_apply_if_due__around_its_time__applies_from_that_instant_on(bench: Bench, offset: int, applied: bool) -> None:
    request = bench.approved(apply_at=SOON)

    assert apply_if_due(request.pk, now=SOON + timedelta(seconds=offset)) is applied

    assert state_of(request) is (RequestState.APPLIED if applied else RequestState.APPROVED)
    assert bench.version() == (2 if applied else 1)


def test_apply_if_due__twice__applies_once(bench: Bench) -> None:
    request = bench.approved(apply_at=SOON)

    assert [apply_if_due(request.pk, now=SOON) for _ in range(3)] == [True, False, False]
    assert _events(request, "applied") == 1
    assert bench.version() == 2


def test_apply__evidence__names_rule_request_and_one_correlation(bench: Bench) -> None:
    request = bench.approved(apply_at=SOON)
    apply_if_due(request.pk, now=SOON)

    event = AuditEvent.objects.get(action="change_request.applied")
    config = AuditEvent.objects.filter(action="flag_config.applied").latest("sequence")
    version = FlagConfig.history.filter(flag=bench.flag, version=2).get(environment=bench.production)
    assert (event.actor_kind, event.actor_id) == ("system", "rollouts.apply_due_changes")
    assert event.correlation_id == config.correlation_id == version.correlation_id == request.correlation_id
    assert event.details["counted_approver_ids"] == [str(bench.world.abel.pk)]
    assert (event.details["from_state"], event.details["to_state"]) == ("approved", "applied")


def test_apply__person_before_the_time__is_refused_and_not_blocked(bench: Bench) -> None:
    request = bench.approved(apply_at=SOON)

    with pytest.raises(NotDueYet, match="approved for 02 March 2026 at 10:00 UTC"):
        bench.apply(request)

    assert not _row(request).is_blocked
    assert bench.apply(request, now=SOON).current_state is RequestState.APPLIED


def test_apply__expired__is_refused_by_every_door(bench: Bench) -> None:
    request = bench.approved(apply_at=SOON)
    late = SOON + timedelta(hours=336)

    with pytest.raises(RequestExpired):
        bench.apply(request, now=late)
    assert apply_if_due(request.pk, now=late) is False
    assert expire_if_due(request.pk, now=late) is True
    assert expire_if_due(request.pk, now=late) is False
    assert state_of(request) is RequestState.EXPIRED
    assert bench.version() == 1


@pytest.mark.parametrize(
    ("offset", "expired"), [(timedelta(seconds=-1), False), (timedelta(0), True), (timedelta(days=9), True)]
)
def test_expire_if_due__around_the_end__ends_from_that_instant_on(
    bench: Bench, offset: timedelta, expired: bool
) -> None:
    bench.require(1, hours=24)
    request = bench.submitted()

    assert expire_if_due(request.pk, now=NOW + timedelta(hours=24) + offset) is expired
    assert _events(request, "expired") == expired


def test_apply__base_moved__blocks_and_says_what_moved(bench: Bench) -> None:
    request = bench.approved(apply_at=SOON)
    bench.move_on()

    assert apply_if_due(request.pk, now=SOON) is False
    assert apply_if_due(request.pk, now=SOON) is False

    row = _row(request)
    assert (row.current_state, row.blocked_code) == (RequestState.APPROVED, "stale_change")
    assert row.blocked_detail["moved"] == [{"key": bench.flag.key, "base_version": 1, "current_version": 2}]
    assert "version 1 → 2" in row.blocked_detail["message"]
    assert _events(request, "apply_refused") == 1
    assert bench.version() == 2
    with pytest.raises(StaleChange):
        bench.apply(request, now=SOON)
    assert _events(request, "apply_refused") == 2


def test_edit__on_top_of_the_present__clears_the_block(bench: Bench) -> None:
    request = bench.approved(apply_at=SOON)
    bench.move_on()
    apply_if_due(request.pk, now=SOON)

    rebased = bench.edit(request, change_set=bench.content(50), apply_at=None, now=SOON)

    assert (rebased.current_state, rebased.is_blocked) == (RequestState.IN_REVIEW, False)
    assert bench.approve(rebased, now=SOON).current_state is RequestState.APPLIED
    assert bench.version() == 3


def test_two_requests_for_one_flag__second_is_blocked_and_nothing_is_lost(bench: Bench) -> None:
    first = bench.submitted(change_set=bench.content(20))
    second = bench.submitted(change_set=bench.content(60))

    bench.approve(second)
    bench.approve(first)

    assert (state_of(second), state_of(first)) == (RequestState.APPLIED, RequestState.APPROVED)
    assert _row(first).blocked_code == "stale_change"
    config = FlagConfig.objects.get(flag=bench.flag, environment=bench.production)
    assert config.document["rules"][0]["serve"]["split"][0]["weight"] == 60_000


def test_apply__content_became_invalid__blocks(bench: Bench) -> None:
    segment = SegmentEdit("beta", "Beta", 0, {"schema": 1, "condition": BETA})
    only_segment = ChangeSet(str(bench.production.pk), (segment,))
    bench.approve(bench.submitted(change_set=only_segment))
    rule = {"id": "r1", "condition": {"segment": "beta"}, "serve": {"variant": "on"}}
    document = {**percent_document(bench.flag.key, 25), "rules": [rule]}
    edit = ConfigEdit(bench.flag.key, 1, document)
    request = bench.approved(change_set=ChangeSet(str(bench.production.pk), (edit,)), apply_at=SOON)
    _remove_segment(bench)

    assert apply_if_due(request.pk, now=SOON) is False

    assert _row(request).blocked_code == "invalid_document"
    assert bench.version() == 1


def _remove_segment(bench: Bench) -> None:
    with governed_write(bench.production.pk):
        Segment.objects.filter(environment=bench.production)._raw_delete("default")


# What happens between the approval and its time, and whether the approval is still enough then.
def _nothing(bench: Bench) -> None: ...


def _role_taken(bench: Bench) -> None:
    bench.world.grant(bench.world.abel, bench.production, Role.VIEWER)


def _role_taken_and_given_back(bench: Bench) -> None:
    _role_taken(bench)
    bench.world.grant(bench.world.abel, bench.production, Role.APPROVER)


def _account_closed(bench: Bench) -> None:
    bench.world.abel.is_active = False
    bench.world.abel.save()


def _two_required(bench: Bench) -> None:
    bench.require(2)


def _somebody_else_named(bench: Bench) -> None:
    bench.require(1, bench.world.anna)


def _made_editor(bench: Bench) -> None:
    bench.world.grant(bench.world.abel, bench.production, Role.EDITOR, Role.APPROVER)


def _protection_taken(bench: Bench) -> None:
    ada, abel = bench.world.ada, bench.world.abel
    set_protection(
        bench.production.pk,
        actor=actor_of(ada),
        is_protected=False,
        now=NOW,
        reason="For a moment",
        authority=unprotected(bench.production, by=abel, confirmed_by=ada),
    )


def _requester_gone(bench: Bench) -> None:
    bench.world.grant(bench.world.rita, bench.production)
    bench.world.rita.is_active = False
    bench.world.rita.save()


@pytest.mark.parametrize(
    ("meanwhile", "suffices"),
    [
        (_nothing, True),
        (_role_taken, False),
        (_role_taken_and_given_back, True),
        (_account_closed, False),
        (_two_required, False),
        (_somebody_else_named, False),
        (_made_editor, True),
        (_protection_taken, True),
        (_requester_gone, True),
    ],
)
def test_apply__something_happened_since_approval__is_judged_again(
    bench: Bench, meanwhile: Any, suffices: bool
) -> None:
    request = bench.approved(apply_at=SOON)
    meanwhile(bench)

    assert apply_if_due(request.pk, now=SOON) is suffices

    assert bench.version() == (2 if suffices else 1)
    assert _row(request).blocked_code == ("" if suffices else "approval_missing")
    if not suffices:
        assert state_of(request) is RequestState.APPROVED
        assert "its approvals do not suffice any more" in _row(request).blocked_detail["message"]
        with pytest.raises(ApprovalMissing):
            bench.apply(request, now=SOON)


def test_apply__unprotected_environment_without_approvals__is_refused(bench: Bench) -> None:
    request = bench.submitted()
    _protection_taken(bench)

    with pytest.raises(InvalidTransition):
        bench.apply(request)


def test_approve__when_approvals_lapsed__clears_the_block_and_applies(bench: Bench) -> None:
    request = bench.approved(apply_at=SOON)
    _role_taken(bench)
    apply_if_due(request.pk, now=SOON)

    done = bench.approve(request, by=bench.world.anna, now=SOON)

    assert (done.current_state, done.is_blocked) == (RequestState.APPLIED, False)


def test_approve__does_not_clear_a_block_it_cannot_cure(bench: Bench) -> None:
    request = bench.approved(apply_at=SOON)
    bench.move_on()
    apply_if_due(request.pk, now=SOON)

    done = bench.approve(request, by=bench.world.anna, now=SOON)

    assert (done.current_state, done.blocked_code) == (RequestState.APPROVED, "stale_change")


@pytest.mark.parametrize(("at_submit", "now_required"), [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_approve__policy_changed_under_review__goes_by_the_stricter(
    bench: Bench, at_submit: int, now_required: int
) -> None:
    bench.require(at_submit)
    request = bench.submitted()
    bench.require(now_required)
    needed = max(at_submit, now_required)

    first = bench.approve(request)
    assert first.current_state is (RequestState.APPLIED if needed == 1 else RequestState.IN_REVIEW)
    if needed == 2:
        assert bench.version() == 1
        assert bench.approve(request, by=bench.world.anna).current_state is RequestState.APPLIED


def test_pass_review_if_due__policy_eased_again__approves_without_a_new_click(bench: Bench) -> None:
    request = bench.submitted(apply_at=SOON)
    bench.require(2)
    bench.approve(request)
    assert pass_review_if_due(request.pk, now=NOW) is False

    bench.require(1)

    assert pass_review_if_due(request.pk, now=NOW) is True
    assert pass_review_if_due(request.pk, now=NOW) is False
    assert state_of(request) is RequestState.APPROVED
    assert _events(request, "approved") == 2


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR, Role.APPROVER, Role.ADMINISTRATOR])
def test_apply__person_without_release_manager__is_refused_and_not_blocked(bench: Bench, role: Role) -> None:
    request = bench.approved(apply_at=SOON)
    bench.world.grant(bench.world.otto, bench.production, role)

    with pytest.raises(PermissionMissing):
        bench.apply(request, by=bench.world.otto, now=SOON)

    assert not _row(request).is_blocked
    assert _events(request, "apply_refused") == 0


def test_apply__stored_content_was_tampered_with__is_refused(bench: Bench) -> None:
    request = bench.approved(apply_at=SOON)
    other = bench.content(90).as_json()
    with governed_write(bench.production.pk):
        ChangeRequest.objects.filter(pk=request.pk).update(change_set=other)

    assert apply_if_due(request.pk, now=SOON) is False

    assert _row(request).blocked_code == "consent_mismatch"
    assert bench.version() == 1


def test_verdict__of_a_refused_request__names_who_can_help(bench: Bench) -> None:
    request = bench.approved(apply_at=SOON)
    _role_taken(bench)

    sentences = verdict_of(_row(request)).sentences

    assert sentences[0] == "Needs 1 more approval. Can approve: Anna Test."
    assert sentences[1] == "May not approve this any more, so does not count: Abel Test."


def test_apply_refused__event__holds_no_names(bench: Bench) -> None:
    request = bench.approved(apply_at=SOON)
    _role_taken(bench)
    apply_if_due(request.pk, now=SOON)

    event = AuditEvent.objects.get(action="change_request.apply_refused")

    assert event.details["code"] == "approval_missing"
    assert "Abel" not in event.data
    assert "Anna" not in event.data
