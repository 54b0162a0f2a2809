"""Consent is to one content: any edit gives another digest, and the approvals of the former one are void."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.utils.timezone import override

from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.errors import InvalidDocument, InvalidInput, StaleChange
from rollouts.admin.schedules import ScheduleFields, instant_of
from rollouts.errors import DigestMismatch, RequestExpired
from rollouts.models import Approval, ChangeRequest
from rollouts.selectors import verdict_of
from rollouts.services import change_requests as acts
from rollouts.services.change_requests import UNCHANGED
from rollouts.transitions import RequestState
from tests.factories import NOW, SOON, actor_of, percent_document
from tests.rollouts.support import Bench, state_of


def _document(bench: Bench, **fields: Any) -> ChangeSet:
    document = {**percent_document(bench.flag.key, 25), **fields}
    return ChangeSet(str(bench.production.pk), (ConfigEdit(bench.flag.key, 1, document),))


def _with_segment(bench: Bench) -> ChangeSet:
    condition = {"attribute": "plan", "operator": "equals", "value": "beta"}
    segment = SegmentEdit("beta", "Beta customers", 0, {"schema": 1, "condition": condition})
    return ChangeSet(str(bench.production.pk), (*bench.content(25).edits, segment))


EDITS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "share": lambda bench: {"change_set": bench.content(26)},
    "switched off": lambda bench: {"change_set": _document(bench, enabled=False)},
    "salt": lambda bench: {"change_set": _document(bench, salt="another/")},
    "off variant": lambda bench: {"change_set": _document(bench, off_variant=None)},
    "default variant": lambda bench: {"change_set": _document(bench, default_variant="on")},
    "rules": lambda bench: {"change_set": _document(bench, rules=[])},
    "a segment more": lambda bench: {"change_set": _with_segment(bench)},
    "later": lambda bench: {"apply_at": SOON + timedelta(microseconds=1)},
    "no time": lambda bench: {"apply_at": None},
}


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("required", [1, 2])
def test_edit__of_anything__voids_every_approval(bench: Bench, name: str, required: int) -> None:
    bench.require(required)
    request = bench.submitted(change_set=bench.content(25), apply_at=SOON)
    bench.approve(request)
    assert state_of(request) is (RequestState.APPROVED if required == 1 else RequestState.IN_REVIEW)
    assert len(verdict_of(request).counted) == 1

    edited = bench.edit(request, **EDITS[name](bench))

    assert edited.digest != request.digest
    assert edited.current_state is RequestState.IN_REVIEW
    assert verdict_of(edited).counted == ()
    assert Approval.objects.count() == 1
    assert "no longer counts" in " ".join(verdict_of(edited).sentences)


@pytest.mark.parametrize("is_scheduled", [False, True])
def test_edit__there_and_back_again__former_approvals_stay_void(bench: Bench, is_scheduled: bool) -> None:
    bench.require(2)
    request = bench.submitted(change_set=bench.content(25), apply_at=SOON)
    bench.approve(request)
    steps: list[dict[str, Any]] = [{"change_set": bench.content(share)} for share in (26, 25)]
    if is_scheduled:
        steps = [{"apply_at": None}, {"apply_at": SOON}]

    for fields in steps:
        edited = bench.edit(request, **fields)

    assert (edited.change_set, edited.apply_at) == (request.change_set, request.apply_at)
    assert (edited.round, edited.digest != request.digest) == (3, True)
    assert verdict_of(edited).counted == ()
    assert bench.approve(request, by=bench.world.anna).current_state is RequestState.IN_REVIEW
    assert bench.approve(request).current_state is RequestState.APPROVED


def test_schedule__there_and_back_again__former_approvals_stay_void(bench: Bench) -> None:
    request = bench.approved(apply_at=SOON)

    bench.schedule(request, SOON + timedelta(hours=1), by=bench.world.rolf)
    back = bench.schedule(request, SOON, by=bench.world.rolf)

    assert verdict_of(back).counted == ()
    assert back.current_state is RequestState.IN_REVIEW


@pytest.mark.parametrize("name", ["title", "reason"])
@pytest.mark.parametrize("more", [{}, {"apply_at": None}])
def test_edit__of_texts_under_review__is_refused(bench: Bench, name: str, more: dict[str, Any]) -> None:
    request = bench.submitted(apply_at=SOON)
    fields: dict[str, Any] = {name: "Something else", **more}

    with pytest.raises(InvalidInput, match="add a comment instead") as refused:
        bench.edit(request, **fields)

    assert refused.value.facts["problems"][0]["path"] == name
    row = ChangeRequest.objects.get(pk=request.pk)
    assert (row.title, row.reason, row.digest) == (request.title, request.reason, request.digest)


def test_edit__of_a_draft__stays_in_the_first_round(bench: Bench) -> None:
    draft = bench.draft(change_set=bench.content(25))

    bench.edit(draft, change_set=bench.content(26))

    assert bench.edit(draft, change_set=bench.content(25)).digest == draft.digest


BOUNDS = (
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-12))),
)


@pytest.mark.parametrize("apply_at", BOUNDS)
def test_time__beyond_the_calendar_in_utc__is_refused_for_apply_at(bench: Bench, apply_at: datetime) -> None:
    draft = bench.draft()

    for act in (
        lambda: bench.draft(apply_at=apply_at),
        lambda: bench.edit(draft, apply_at=apply_at),
        lambda: bench.schedule(draft, apply_at),
    ):
        with pytest.raises(InvalidInput) as refused:
            act()
        assert refused.value.facts["problems"][0]["path"] == "apply_at"


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12", "UTC"])
@pytest.mark.parametrize("typed", ["0001-01-01T00:00", "9999-12-31T23:59", "0001-01-01T00:00+14:00"])
def test_time__typed_at_either_end_of_the_calendar__is_an_instant_or_refused(
    bench: Bench, zone: str, typed: str
) -> None:
    with override(zone), pytest.raises(InvalidInput) as refused:
        bench.draft(apply_at=instant_of(ScheduleFields("time", typed)))

    assert refused.value.facts["problems"][0]["path"] == "apply_at"


def test_schedule__voids_approvals_like_any_edit(bench: Bench) -> None:
    request = bench.approved(apply_at=SOON)

    scheduled = bench.schedule(request, SOON + timedelta(hours=1), by=bench.world.rolf)

    assert scheduled.current_state is RequestState.IN_REVIEW
    assert verdict_of(scheduled).counted == ()
    assert str(bench.world.rolf.pk) in scheduled.contributor_ids


def test_edit__rewritten_but_equal_content__is_refused_and_keeps_approvals(bench: Bench) -> None:
    request = bench.approved(change_set=bench.content(25), apply_at=SOON)
    same_instant = SOON.astimezone(timezone(timedelta(hours=5)))

    for fields in ({"change_set": bench.content(25)}, {"apply_at": same_instant}, {"title": "Another title"}):
        with pytest.raises(InvalidInput, match="add a comment instead"):
            bench.edit(request, **fields)

    assert state_of(request) is RequestState.APPROVED


def test_edit__of_a_draft__changes_what_was_given_and_nothing_else(bench: Bench) -> None:
    draft = bench.draft(apply_at=SOON)

    edited = bench.edit(draft, title="Better title", apply_at=UNCHANGED)

    assert (edited.title, edited.reason, edited.digest) == ("Better title", draft.reason, draft.digest)
    assert edited.apply_at == SOON
    assert bench.edit(draft, apply_at=None).apply_at is None


@pytest.mark.parametrize("seen", ["", "0" * 64, "not a digest", "\ud800"])
def test_acts__other_digest_than_seen__are_refused_with_409(bench: Bench, seen: str) -> None:
    request = bench.submitted()
    rita = actor_of(bench.world.rita)

    with pytest.raises(DigestMismatch) as refused:
        bench.approve(request, digest=seen)
    with pytest.raises(DigestMismatch):
        acts.edit_change_request(request.pk, actor=rita, now=NOW, expected_digest=seen, title="x")
    with pytest.raises(DigestMismatch):
        acts.schedule_change_request(request.pk, actor=rita, apply_at=SOON, now=NOW, expected_digest=seen)

    assert refused.value.status == 409
    assert "changed since the page was opened" in refused.value.message
    assert state_of(request) is RequestState.IN_REVIEW


def test_approve__edited_between_look_and_click__is_refused(bench: Bench) -> None:
    request = bench.submitted()
    seen = request.digest
    bench.edit(request)

    with pytest.raises(DigestMismatch):
        bench.approve(request, digest=seen)

    assert not Approval.objects.exists()


def test_submit__base_moved__is_refused_and_says_what_moved(bench: Bench) -> None:
    draft = bench.draft()
    bench.move_on()

    with pytest.raises(StaleChange) as refused:
        bench.submit(draft)

    moved = {"key": bench.flag.key, "base_version": 1, "current_version": 2}
    assert refused.value.facts["moved"] == [moved]
    assert state_of(draft) is RequestState.DRAFT


def test_edit__under_review_on_a_base_that_moved__is_refused(bench: Bench) -> None:
    request = bench.submitted()
    stale = bench.content(77)
    bench.move_on()

    with pytest.raises(StaleChange):
        bench.edit(request, change_set=stale)

    assert bench.edit(request, change_set=bench.content(77)).current_state is RequestState.IN_REVIEW


BAD_CONTENT: dict[str, Callable[[Bench], ChangeSet]] = {
    "other environment": lambda bench: ChangeSet(str(bench.world.staging.pk), bench.content().edits),
    "no environment": lambda bench: ChangeSet("production", bench.content().edits),
    "empty": lambda bench: ChangeSet(str(bench.production.pk), ()),
    "unknown flag": lambda bench: ChangeSet(str(bench.production.pk), (ConfigEdit("no-such-flag", 0, {}),)),
    "weights of 99 %": lambda bench: _document(
        bench, rules=[{"id": "r", "condition": None, "serve": {"split": [{"variant": "on", "weight": 99_000}]}}]
    ),
    "unknown segment": lambda bench: _document(
        bench, rules=[{"id": "r", "condition": {"segment": "nobody"}, "serve": {"variant": "on"}}]
    ),
    "not a number": lambda bench: _document(bench, salt=float("nan")),
    "lone surrogate": lambda bench: _document(bench, salt="\ud800"),
    "twice the same flag": lambda bench: ChangeSet(str(bench.production.pk), bench.content(1).edits * 2),
    "too many": lambda bench: ChangeSet(str(bench.production.pk), bench.content(1).edits * 51),
}


@pytest.mark.parametrize("name", BAD_CONTENT)
def test_create_and_edit__unusable_content__is_refused(bench: Bench, name: str) -> None:
    draft = bench.draft()

    with pytest.raises((InvalidInput, InvalidDocument)):
        bench.draft(change_set=BAD_CONTENT[name](bench))
    with pytest.raises((InvalidInput, InvalidDocument)):
        bench.edit(draft, change_set=BAD_CONTENT[name](bench))

    assert ChangeRequest.objects.get().digest == draft.digest


UNUSABLE = ["a\x00b", "a\x1bb", "a\u202eb", "\ud800", "x" * 4001]


@pytest.mark.parametrize("text", ["", "   ", "two\nlines", *UNUSABLE])
def test_create__unusable_title__is_refused(bench: Bench, text: str) -> None:
    with pytest.raises(InvalidInput):
        bench.draft(title=text)

    assert not ChangeRequest.objects.exists()


@pytest.mark.parametrize("text", UNUSABLE)
def test_create__unusable_reason__is_refused(bench: Bench, text: str) -> None:
    with pytest.raises(InvalidInput):
        bench.draft(reason=text)

    assert not ChangeRequest.objects.exists()


def test_submit__without_a_reason__is_refused(bench: Bench) -> None:
    draft = bench.draft(reason="  ")

    with pytest.raises(InvalidInput, match="Fill in reason"):
        bench.submit(draft)

    assert state_of(draft) is RequestState.DRAFT
    bench.edit(draft, reason="Now there is one")
    assert bench.submit(draft).current_state is RequestState.IN_REVIEW


@pytest.mark.parametrize("text", ["a\x00b", "a\u2066b", "x" * 4001])
def test_acts__unusable_words__are_refused(bench: Bench, text: str) -> None:
    request = bench.submitted()
    abel = actor_of(bench.world.abel)

    with pytest.raises(InvalidInput):
        acts.approve_change_request(request.pk, actor=abel, digest=request.digest, comment=text, now=NOW)
    with pytest.raises(InvalidInput):
        acts.reject_change_request(request.pk, actor=abel, reason=text, now=NOW)
    with pytest.raises(InvalidInput):
        acts.comment_on_change_request(request.pk, actor=abel, body=text, now=NOW)
    with pytest.raises(InvalidInput):
        acts.withdraw_change_request(request.pk, actor=actor_of(bench.world.rita), reason=text, now=NOW)

    assert state_of(request) is RequestState.IN_REVIEW


@pytest.mark.parametrize("reason", ["", "  \n "])
def test_reject__without_a_reason__is_refused(bench: Bench, reason: str) -> None:
    request = bench.submitted()

    with pytest.raises(InvalidInput, match="Fill in reason"):
        acts.reject_change_request(request.pk, actor=actor_of(bench.world.abel), reason=reason, now=NOW)


@pytest.mark.parametrize(
    "apply_at",
    [
        NOW,
        NOW - timedelta(seconds=1),
        NOW + timedelta(days=367),
        datetime(2026, 3, 3, 9, 0),  # noqa: DTZ001
        datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
    ],
)
def test_schedule__unusable_time__is_refused(bench: Bench, apply_at: datetime) -> None:
    draft = bench.draft()

    with pytest.raises(InvalidInput):
        bench.draft(apply_at=apply_at)
    with pytest.raises(InvalidInput):
        bench.schedule(draft, apply_at)


def test_submit__time_of_the_draft_has_passed__is_refused(bench: Bench) -> None:
    draft = bench.draft(apply_at=SOON)

    with pytest.raises(InvalidInput, match="has passed"):
        bench.submit(draft, now=SOON)


def test_expiry__counts_from_submit_or_the_time_and_edits_renew_it(bench: Bench) -> None:
    bench.require(1, hours=24)

    assert bench.submitted().expires_at == NOW + timedelta(hours=24)
    request = bench.submitted(apply_at=SOON)
    assert request.expires_at == SOON + timedelta(hours=24)
    assert bench.edit(request, apply_at=None, now=SOON).expires_at == SOON + timedelta(hours=24)


def test_acts__expired_but_not_yet_swept__are_refused(bench: Bench) -> None:
    request = bench.submitted()
    late = NOW + timedelta(hours=336)

    with pytest.raises(RequestExpired, match="expired on 16 March 2026 at 09:00 UTC"):
        bench.approve(request, now=late)
    with pytest.raises(RequestExpired):
        bench.edit(request, now=late)
    with pytest.raises(RequestExpired):
        bench.schedule(request, late + timedelta(hours=1), now=late)
