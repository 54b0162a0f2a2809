"""Changes put together: what only one side changed comes along, what both changed is for a person."""

from typing import Any

import pytest

from audits.models import AuditEvent
from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.errors import InvalidInput, NotFound, PermissionMissing
from flags.permissions import Role
from rollouts.errors import ApprovalRefused, DigestMismatch, InvalidTransition, MergeConflict
from rollouts.models import Approval, ChangeRequest
from rollouts.services import change_requests as acts
from rollouts.services.merging import MINE, THEIRS, bring_up_to_date, merge_request_into
from rollouts.transitions import RequestState
from tests.factories import NOW, SOON, actor_of, make_person, make_world, percent_document
from tests.rollouts.support import Bench, state_of

RULE = ("flag", "checkout-redesign", "rules.everyone")


def _document(bench: Bench, share: int, **fields: Any) -> dict[str, Any]:
    return {**percent_document(bench.flag.key, share), **fields}


def _serve(bench: Bench, document: dict[str, Any]) -> None:
    bench.world.serve(bench.flag, bench.production, document)


def _asking(bench: Bench, document: dict[str, Any], **fields: Any) -> ChangeRequest:
    edit = ConfigEdit(bench.flag.key, bench.version(), document)
    return bench.submitted(change_set=ChangeSet(str(bench.production.pk), (edit,)), **fields)


def _update(bench: Bench, request: ChangeRequest, *, by: Any = None, now: Any = NOW, side: str = "") -> ChangeRequest:
    return bring_up_to_date(
        request.pk,
        actor=actor_of(by or bench.world.rita),
        digest=ChangeRequest.objects.get(pk=request.pk).digest,
        decisions={RULE: side} if side else {},
        now=now,
    )


def _content(request: ChangeRequest) -> dict[str, Any]:
    return dict(ChangeRequest.objects.get(pk=request.pk).content.edits[0].document)


@pytest.fixture
def stale(bench: Bench) -> ChangeRequest:
    """Asks for 25 % while somebody else's default variant went live."""
    _serve(bench, _document(bench, 5))
    request = _asking(bench, _document(bench, 25))
    _serve(bench, _document(bench, 5, default_variant="on"))
    return request


def test_update__changes_do_not_meet__holds_both_and_asks_again(bench: Bench, stale: ChangeRequest) -> None:
    bench.require(2)
    bench.approve(stale)

    done = _update(bench, stale)

    assert _content(stale) == _document(bench, 25, default_variant="on")
    assert (done.round, done.content.edits[0].base_version) == (2, bench.version())
    assert state_of(stale) is RequestState.IN_REVIEW
    assert Approval.objects.filter(request=stale, digest=done.digest).count() == 0
    event = AuditEvent.objects.get(target_id=str(stale.pk), action="change_request.edited")
    assert event.details["merged"] == {"with": "live", "decided": []}


@pytest.mark.parametrize(("side", "share"), [(MINE, 25), (THEIRS, 40)])
def test_update__both_changed_the_same__the_person_decides(bench: Bench, side: str, share: int) -> None:
    _serve(bench, _document(bench, 5))
    request = _asking(bench, _document(bench, 25, default_variant="on"))
    _serve(bench, _document(bench, 40))

    with pytest.raises(MergeConflict, match="the rule “everyone” of checkout-redesign") as undecided:
        _update(bench, request)
    assert undecided.value.facts["conflicts"] == [{"kind": "flag", "key": bench.flag.key, "path": "rules.everyone"}]
    assert ChangeRequest.objects.get(pk=request.pk).round == 1

    _update(bench, request, side=side)

    assert _content(request) == _document(bench, share, default_variant="on")
    event = AuditEvent.objects.get(target_id=str(request.pk), action="change_request.edited")
    assert event.details["merged"]["decided"] == [
        {"kind": "flag", "key": bench.flag.key, "path": "rules.everyone", "side": side}
    ]


@pytest.mark.parametrize("side", ["ours", "both"])
def test_update__decision_nobody_knows__is_none(bench: Bench, side: str) -> None:
    _serve(bench, _document(bench, 5))
    request = _asking(bench, _document(bench, 25))
    _serve(bench, _document(bench, 40))

    with pytest.raises(MergeConflict):
        _update(bench, request, side=side)


def test_update__everything_is_live_already__says_to_withdraw(bench: Bench) -> None:
    _serve(bench, _document(bench, 5))
    request = _asking(bench, _document(bench, 25))
    _serve(bench, _document(bench, 25))

    with pytest.raises(InvalidInput, match="live already"):
        _update(bench, request)


def test_update__nothing_moved__is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidInput, match="up to date"):
        _update(bench, bench.submitted())


def test_update__segment_moved__its_document_is_merged_too(bench: Bench) -> None:
    bench.move_on()
    beta = {"schema": 1, "condition": {"attribute": "beta", "operator": "is_true", "value": None}}
    segment = SegmentEdit("beta", "Beta", 0, beta)
    request = bench.submitted(change_set=ChangeSet(str(bench.production.pk), (segment, *bench.content(20).edits)))
    bench.move_on()

    done = _update(bench, request, side=MINE)

    assert done.content.edits[0] == segment
    assert done.content.edits[1].base_version == bench.version()


def test_update__time_has_passed__goes_live_as_soon_as_approved(bench: Bench) -> None:
    _serve(bench, _document(bench, 5))
    request = _asking(bench, _document(bench, 25), apply_at=SOON)
    _serve(bench, _document(bench, 5, default_variant="on"))

    assert _update(bench, request, now=SOON).apply_at is None


@pytest.mark.parametrize(("name", "error"), [("abel", PermissionMissing), ("otto", PermissionMissing)])
def test_update__without_the_role_editor__is_refused(
    bench: Bench, stale: ChangeRequest, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        _update(bench, stale, by=getattr(bench.world, name))


def test_update__page_was_of_other_content__is_refused(bench: Bench, stale: ChangeRequest) -> None:
    with pytest.raises(DigestMismatch):
        bring_up_to_date(stale.pk, actor=actor_of(bench.world.rita), digest="0" * 64, decisions={}, now=NOW)


def test_update__request_has_ended__is_not_possible(bench: Bench, stale: ChangeRequest) -> None:
    acts.withdraw_change_request(stale.pk, actor=actor_of(bench.world.rita), reason="", now=NOW)

    with pytest.raises(InvalidTransition):
        _update(bench, stale)


def test_update__whoever_merges__worked_on_it(bench: Bench, stale: ChangeRequest) -> None:
    cora = make_person("cora")
    bench.world.grant(cora, bench.production, Role.EDITOR, Role.APPROVER)

    _update(bench, stale, by=cora)

    with pytest.raises(ApprovalRefused, match="You edited this change"):
        bench.approve(stale, by=cora)


def _merge(
    bench: Bench, request: ChangeRequest, other: ChangeRequest, *, by: Any = None, side: str = ""
) -> ChangeRequest:
    return merge_request_into(
        request.pk,
        other_id=other.pk,
        actor=actor_of(by or bench.world.rita),
        digest=ChangeRequest.objects.get(pk=request.pk).digest,
        decisions={RULE: side} if side else {},
        now=NOW,
    )


def test_merge_request__different_fields__holds_both_and_ends_the_other(bench: Bench) -> None:
    _serve(bench, _document(bench, 5))
    request = _asking(bench, _document(bench, 25))
    other = _asking(bench, _document(bench, 5, default_variant="on"))

    _merge(bench, request, other)

    assert _content(request) == _document(bench, 25, default_variant="on")
    assert state_of(other) is RequestState.WITHDRAWN
    event = AuditEvent.objects.get(target_id=str(other.pk), action="change_request.withdrawn")
    assert event.reason == f"Merged into #{request.number}."


def test_merge_request__another_flag__comes_along(bench: Bench) -> None:
    flag = bench.world.flag("other-flag")
    request, other = bench.submitted(), bench.submitted(change_set=bench.content(30, flag=flag))

    done = _merge(bench, request, other)

    assert [edit.flag_key for edit in done.content.edits] == ["checkout-redesign", "other-flag"]  # type: ignore[union-attr]


@pytest.mark.parametrize(("side", "share"), [(MINE, 25), (THEIRS, 40)])
def test_merge_request__same_field__the_person_decides(bench: Bench, side: str, share: int) -> None:
    _serve(bench, _document(bench, 5))
    request, other = _asking(bench, _document(bench, 25)), _asking(bench, _document(bench, 40, default_variant="on"))

    with pytest.raises(MergeConflict):
        _merge(bench, request, other)
    assert state_of(other) is RequestState.IN_REVIEW

    _merge(bench, request, other, side=side)
    assert _content(request) == _document(bench, share, default_variant="on")


def test_merge_request__somebody_elses__stays_open_and_its_people_cannot_approve(bench: Bench) -> None:
    cora = make_person("cora")
    bench.world.grant(cora, bench.production, Role.EDITOR, Role.APPROVER)
    _serve(bench, _document(bench, 5))
    request = _asking(bench, _document(bench, 25))
    other = _asking(bench, _document(bench, 5, default_variant="on"), by=cora)

    _merge(bench, request, other)

    assert state_of(other) is RequestState.IN_REVIEW
    with pytest.raises(ApprovalRefused, match="You edited this change"):
        bench.approve(request, by=cora)


def test_merge_request__that_has_ended_or_is_elsewhere__is_refused(bench: Bench) -> None:
    request, ended = bench.submitted(), bench.submitted()
    acts.withdraw_change_request(ended.pk, actor=actor_of(bench.world.rita), reason="", now=NOW)
    stranger = Bench(world := make_world(), world.flag())

    with pytest.raises(InvalidInput, match="not open any more"):
        _merge(bench, request, ended)
    for other in (request, stranger.draft(change_set=stranger.content(20, base=0))):
        with pytest.raises(NotFound):
            _merge(bench, request, other)
