"""Requests for several environments: approved each for itself, live together or not at all."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audits.models import AuditEvent
from flags.changes import ChangeSet, ConfigEdit
from flags.errors import InvalidInput, NotFound, PermissionMissing, StaleChange
from flags.models import Environment, FlagConfig
from flags.permissions import Role
from rollouts.errors import ApprovalRefused, BundleNotReady, DigestMismatch
from rollouts.models import BundleMember, ChangeBundle, ChangeRequest
from rollouts.selectors.bundles import bundle_of, waited_for
from rollouts.selectors.due import due_changes
from rollouts.services import bundles
from rollouts.services import change_requests as acts
from rollouts.transitions import RequestState
from tests.factories import NOW, SOON, actor_of, make_person, make_world, percent_document
from tests.rollouts.support import Bench, state_of

APPROVED, IN_REVIEW, APPLIED = RequestState.APPROVED, RequestState.IN_REVIEW, RequestState.APPLIED


def _version(bench: Bench, environment: Environment) -> int:
    return FlagConfig.objects.get(flag=bench.flag, environment=environment).version


def _edit(bench: Bench, environment: Environment, share: int = 25) -> ChangeSet:
    edit = ConfigEdit(bench.flag.key, _version(bench, environment), percent_document(bench.flag.key, share))
    return ChangeSet(str(environment.pk), (edit,))


def _drafts(bench: Bench, **fields: Any) -> tuple[ChangeRequest, ChangeRequest]:
    """A bundle for staging and production, in this order."""
    staging, production = bench.world.staging, bench.production
    made = bundles.create_bundle(
        {staging.pk: _edit(bench, staging), production.pk: _edit(bench, production)},
        actor=actor_of(fields.pop("by", bench.world.rita)),
        title="Quarter of everyone",
        reason="Conversion is stable",
        apply_at=fields.pop("apply_at", None),
        now=NOW,
    )
    found = {request.environment_id: request for request in made}
    return found[staging.pk], found[production.pk]


def _submitted(bench: Bench, **fields: Any) -> tuple[ChangeRequest, ChangeRequest]:
    first, second = _drafts(bench, **fields)
    bundles.submit_bundle(_bundle_id(first), actor=actor_of(bench.world.rita), now=NOW)
    return first, second


def _bundle_id(request: ChangeRequest) -> uuid.UUID:
    return BundleMember.objects.get(request=request).bundle_id


def _approve_all(bench: Bench, *requests: ChangeRequest, by: Any = None) -> list[ChangeRequest]:
    rows = ChangeRequest.objects.filter(pk__in=[request.pk for request in requests])
    return bundles.approve_bundle(
        _bundle_id(requests[0]),
        actor=actor_of(by or bench.world.abel),
        digests={row.pk: row.digest for row in rows},
        comment="",
        now=NOW,
    )


def _states(*requests: ChangeRequest) -> tuple[RequestState, ...]:
    return tuple(state_of(request) for request in requests)


def test_bundle__one_member_approved__nothing_is_live(bench: Bench) -> None:
    staging, production = _submitted(bench)
    before = _version(bench, bench.world.staging)

    bench.approve(staging)

    assert _states(staging, production) == (APPROVED, IN_REVIEW)
    assert not due_changes(NOW).exists()
    assert _version(bench, bench.world.staging) == before
    with pytest.raises(BundleNotReady, match="which is in review"):
        bench.apply(staging)
    assert _states(staging, production) == (APPROVED, IN_REVIEW)


def test_bundle__last_approval__is_live_everywhere_at_once(bench: Bench) -> None:
    staging, production = _submitted(bench)
    before = _version(bench, bench.world.staging), bench.version()

    bench.approve(staging)
    bench.approve(production)

    assert _states(staging, production) == (APPLIED, APPLIED)
    assert (_version(bench, bench.world.staging), bench.version()) == (before[0] + 1, before[1] + 1)


def test_approve_bundle__one_press__approves_each_and_is_live(bench: Bench) -> None:
    staging, production = _submitted(bench)

    _approve_all(bench, staging, production)

    assert _states(staging, production) == (APPLIED, APPLIED)
    assert [request.approvals.count() for request in (staging, production)] == [1, 1]


def test_approve_bundle__one_content_changed_meanwhile__approves_none(bench: Bench) -> None:
    staging, production = _submitted(bench)
    seen = {staging.pk: staging.digest, production.pk: production.digest}
    bench.edit(production)

    with pytest.raises(DigestMismatch):
        bundles.approve_bundle(_bundle_id(staging), actor=actor_of(bench.world.abel), digests=seen, comment="", now=NOW)

    assert [request.approvals.count() for request in (staging, production)] == [0, 0]


def test_approve_bundle__no_right_in_one_environment__approves_none(bench: Bench) -> None:
    staging, production = _submitted(bench)
    bench.world.grant(bench.world.abel, bench.world.staging, Role.VIEWER)

    with pytest.raises(PermissionMissing):
        _approve_all(bench, staging, production)

    assert [request.approvals.count() for request in (staging, production)] == [0, 0]


def test_approve_bundle__own_proposal__is_refused(bench: Bench) -> None:
    for environment in (bench.world.staging, bench.production):
        bench.world.grant(bench.world.rita, environment, Role.EDITOR, Role.APPROVER)
    staging, production = _submitted(bench)

    with pytest.raises(ApprovalRefused):
        _approve_all(bench, staging, production, by=bench.world.rita)


def test_approve_bundle__request_of_another_bundle__is_refused(bench: Bench) -> None:
    staging, production = _submitted(bench)
    stranger = bench.submitted()
    digests = {staging.pk: staging.digest, stranger.pk: stranger.digest}

    for bundle_id, sent in ((_bundle_id(staging), digests), (uuid.uuid4(), {staging.pk: staging.digest})):
        with pytest.raises(NotFound):
            bundles.approve_bundle(bundle_id, actor=actor_of(bench.world.abel), digests=sent, comment="", now=NOW)

    assert not any(request.approvals.exists() for request in (staging, production, stranger))


def test_edit__one_member__voids_its_approvals_only(bench: Bench) -> None:
    staging, production = _submitted(bench)
    bench.approve(staging)

    bench.edit(production, change_set=_edit(bench, bench.production, 30))
    bench.approve(production)

    assert _states(staging, production) == (APPLIED, APPLIED)


def test_bundle__one_member_has_a_time__all_wait_for_it(bench: Bench) -> None:
    staging, production = _submitted(bench)
    bench.schedule(production, SOON)
    bench.approve(staging)
    bench.approve(production)
    assert _states(staging, production) == (APPROVED, APPROVED)
    with pytest.raises(BundleNotReady, match="not due yet"):
        bench.apply(staging)

    assert acts.apply_if_due(staging.pk, now=SOON)

    assert _states(staging, production) == (APPLIED, APPLIED)


def test_bundle__one_member_is_stale__none_is_applied_and_that_one_says_why(bench: Bench) -> None:
    staging, production = _submitted(bench)
    bench.move_on()
    before = _version(bench, bench.world.staging)

    _approve_all(bench, staging, production)

    assert _states(staging, production) == (APPROVED, APPROVED)
    assert _version(bench, bench.world.staging) == before
    rows = {row.pk: row.blocked_code for row in ChangeRequest.objects.all()}
    assert (rows[staging.pk], rows[production.pk]) == ("", "stale_change")
    assert not due_changes(NOW).exists()
    applied = AuditEvent.objects.filter(action="change_request.applied", target_id=str(staging.pk))
    assert not applied.exists()

    bench.edit(production, change_set=_edit(bench, bench.production, 30))
    bench.approve(production)
    assert _states(staging, production) == (APPLIED, APPLIED)


@pytest.mark.parametrize("ending", ["rejected", "withdrawn", "expired"])
def test_ending__of_one_member__ends_the_others_and_says_why(bench: Bench, ending: str) -> None:
    staging, production = _submitted(bench)
    bench.approve(production)

    match ending:
        case "rejected":
            acts.reject_change_request(staging.pk, actor=actor_of(bench.world.abel), reason="No", now=NOW)
        case "withdrawn":
            acts.withdraw_change_request(staging.pk, actor=actor_of(bench.world.rita), reason="", now=NOW)
        case _:
            assert acts.expire_if_due(staging.pk, now=NOW + timedelta(days=400))

    assert _states(staging, production) == (RequestState(ending), RequestState.WITHDRAWN)
    event = AuditEvent.objects.get(action="change_request.ended_together")
    assert event.target_id == str(production.pk)
    assert event.reason.startswith(f"#{staging.number} in Staging was {ending}.")


def test_submit_bundle__one_cannot_be__none_is(bench: Bench) -> None:
    staging, production = _drafts(bench)
    bench.move_on()

    with pytest.raises(StaleChange):
        bundles.submit_bundle(_bundle_id(staging), actor=actor_of(bench.world.rita), now=NOW)

    assert _states(staging, production) == (RequestState.DRAFT, RequestState.DRAFT)


def test_apply__no_right_in_one_environment__is_refused(bench: Bench) -> None:
    staging, production = _submitted(bench, apply_at=SOON)
    _approve_all(bench, staging, production)
    person = make_person("rolf")
    bench.world.grant(person, bench.world.staging, Role.RELEASE_MANAGER)

    with pytest.raises(PermissionMissing):
        bench.apply(staging, by=person, now=SOON)

    assert _states(staging, production) == (APPROVED, APPROVED)


def test_create_bundle__one_environment_or_two_projects__is_refused(bench: Bench) -> None:
    production, other = bench.production, make_world().staging
    content = _edit(bench, production)

    for sets in ({production.pk: content}, {production.pk: content, other.pk: ChangeSet(str(other.pk), content.edits)}):
        with pytest.raises(InvalidInput):
            bundles.create_bundle(sets, actor=actor_of(bench.world.rita), title="T", reason="R", apply_at=None, now=NOW)
    assert not ChangeRequest.objects.exists()


def test_create_bundle__no_right_in_one_environment__creates_nothing(bench: Bench) -> None:
    bench.world.grant(bench.world.rita, bench.world.staging, Role.VIEWER)

    with pytest.raises(PermissionMissing):
        _drafts(bench)

    assert not ChangeRequest.objects.exists()
    assert not ChangeBundle.objects.exists()


def test_waited_for__names_what_is_not_approved(bench: Bench) -> None:
    staging, production = _submitted(bench)
    alone = bench.submitted()
    bench.approve(staging)

    found = waited_for(ChangeRequest.objects.all())

    assert [other.pk for other in found[staging.pk]] == [production.pk]
    assert not found.get(production.pk)
    assert not found.get(alone.pk)
    assert [request.pk for request in bundle_of(staging).requests] == [staging.pk, production.pk]  # type: ignore[union-attr]
    assert bundle_of(alone) is None


def test_member__cannot_leave_or_join_another_bundle(bench: Bench) -> None:
    staging, _ = _drafts(bench)
    other, _ = _drafts(bench)
    member = BundleMember.objects.get(request=staging)

    for write in (
        member.delete,
        lambda: BundleMember.objects.filter(pk=member.pk).update(bundle=_bundle_id(other)),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            write()


def _prepare(bench: Bench, document: dict[str, Any]) -> bundles.Prepared:
    origin = bench.production
    edit = ConfigEdit(bench.flag.key, bench.version(), document)
    return bundles.prepare_elsewhere(bench.flag, edit, origin, bench.world.staging)


def test_prepare_elsewhere__other_settings_there__only_the_difference_is_taken(bench: Bench) -> None:
    world = bench.world
    world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 5))
    there = {**percent_document(bench.flag.key, 5), "default_variant": "on"}
    world.serve(bench.flag, world.staging, there)

    prepared = _prepare(bench, percent_document(bench.flag.key, 50))

    assert prepared.edit is not None
    assert prepared.edit.document == {**percent_document(bench.flag.key, 50), "default_variant": "on"}
    assert prepared.edit.base_version == _version(bench, world.staging)


def test_prepare_elsewhere__changed_differently_there__is_a_conflict_in_words(bench: Bench) -> None:
    world = bench.world
    world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 5))
    world.serve(bench.flag, world.staging, percent_document(bench.flag.key, 40))

    prepared = _prepare(bench, percent_document(bench.flag.key, 50))

    assert prepared.edit is None
    assert prepared.words.startswith("Staging differs in the rule “everyone”, so it was left out")


def test_prepare_elsewhere__served_there_already__is_left_out(bench: Bench) -> None:
    world = bench.world
    world.serve(bench.flag, world.staging, percent_document(bench.flag.key, 50))
    world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 5))

    prepared = _prepare(bench, percent_document(bench.flag.key, 50))

    assert (prepared.edit, prepared.conflicts) == (None, ())


def test_prepare_elsewhere__not_set_up_there__gets_the_whole_document(bench: Bench) -> None:
    fresh = bench.world.flag("fresh-flag")
    edit = ConfigEdit(fresh.key, 0, percent_document(fresh.key, 50))

    prepared = bundles.prepare_elsewhere(fresh, edit, bench.world.staging, bench.production)

    assert prepared.edit == edit
