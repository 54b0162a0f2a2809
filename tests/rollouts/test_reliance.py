"""A change that refers to segments was approved for the segments as they were: one that moves holds it back."""

from datetime import timedelta
from typing import Any

import pytest

from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.errors import StaleChange
from flags.models import Environment, Segment
from flags.services.tickets import governed_write
from rollouts.models import ChangeRequest
from rollouts.selectors import verdict_of
from rollouts.selectors.reliance import STRICT_MODE, relied_segments
from rollouts.services.change_requests import apply_if_due
from rollouts.transitions import RequestState
from tests.factories import SOON, percent_document
from tests.rollouts.support import Bench, state_of


def _segment(bench: Bench, plan: str, *, key: str = "beta") -> SegmentEdit:
    segment = Segment.objects.filter(environment=bench.production, key=key).first()
    document = {"schema": 1, "condition": {"attribute": "plan", "operator": "equals", "value": plan}}
    return SegmentEdit(key, "Some customers", segment.version if segment else 0, document)


def _move_segment(bench: Bench, plan: str, *, key: str = "beta") -> None:
    edit = _segment(bench, plan, key=key)
    assert bench.approved(change_set=ChangeSet(str(bench.production.pk), (edit,))).current_state is RequestState.APPLIED


def _referring(bench: Bench, *more: SegmentEdit) -> ChangeSet:
    rule: dict[str, Any] = {"id": "r1", "condition": {"not": {"segment": "beta"}}, "serve": {"variant": "on"}}
    document = {**percent_document(bench.flag.key, 25), "rules": [rule]}
    return ChangeSet(str(bench.production.pk), (ConfigEdit(bench.flag.key, bench.version(), document), *more))


MOVED = {"key": "beta", "base_version": 1, "current_version": 2}


def test_apply__segment_it_refers_to_moved__is_held_back_and_says_which(bench: Bench) -> None:
    _move_segment(bench, "beta")
    request = bench.approved(change_set=_referring(bench), apply_at=SOON)
    assert request.relies_on == {"beta": 1}
    _move_segment(bench, "everyone")

    assert apply_if_due(request.pk, now=SOON) is False

    row = ChangeRequest.objects.get(pk=request.pk)
    assert (row.blocked_code, row.blocked_detail["moved"]) == ("stale_change", [MOVED])
    assert "beta (version 1 → 2)" in row.blocked_detail["message"]
    assert bench.version() == 1


def test_apply__another_segment_moved__goes_live(bench: Bench) -> None:
    _move_segment(bench, "beta")
    request = bench.approved(change_set=_referring(bench), apply_at=SOON)
    _move_segment(bench, "everyone", key="staff")

    assert apply_if_due(request.pk, now=SOON) is True


def test_apply__segment_edited_in_the_same_change__is_judged_by_its_base_version(bench: Bench) -> None:
    _move_segment(bench, "beta")
    request = bench.approved(change_set=_referring(bench, _segment(bench, "gold")), apply_at=SOON)

    assert request.relies_on == {}
    assert apply_if_due(request.pk, now=SOON) is True
    assert Segment.objects.get(environment=bench.production, key="beta").version == 2


def test_submit__segment_moved_since_the_draft__is_refused_until_saved_again(bench: Bench) -> None:
    _move_segment(bench, "beta")
    draft = bench.draft(change_set=_referring(bench))
    _move_segment(bench, "everyone")

    with pytest.raises(StaleChange) as refused:
        bench.submit(draft)

    assert refused.value.facts["moved"] == [MOVED]
    assert bench.edit(draft, change_set=_referring(bench)).relies_on == {"beta": 2}
    assert bench.submit(draft).current_state is RequestState.IN_REVIEW


def test_edit__same_content_after_the_segment_moved__asks_for_new_approvals(bench: Bench) -> None:
    _move_segment(bench, "beta")
    request = bench.approved(change_set=_referring(bench), apply_at=SOON)
    _move_segment(bench, "everyone")

    edited = bench.edit(request, change_set=_referring(bench))

    assert (edited.current_state, edited.relies_on) == (RequestState.IN_REVIEW, {"beta": 2})
    assert verdict_of(edited).counted == ()
    bench.approve(request)
    assert apply_if_due(request.pk, now=SOON) is True


def test_schedule__segment_moved__is_refused_because_only_the_content_can_take_it_up(bench: Bench) -> None:
    _move_segment(bench, "beta")
    request = bench.approved(change_set=_referring(bench), apply_at=SOON)
    _move_segment(bench, "everyone")

    with pytest.raises(StaleChange):
        bench.schedule(request, SOON + timedelta(hours=1))

    assert state_of(request) is RequestState.APPROVED


def _nest(bench: Bench, outer: str, inner: str) -> SegmentEdit:
    edit = _segment(bench, "gold", key=outer)
    document = {"schema": 1, "condition": {"or": [edit.document["condition"], {"not": {"segment": inner}}]}}
    return SegmentEdit(outer, "Some customers", edit.base_version, document)


def test_apply__segment_deep_inside_moved__is_held_back_and_says_which(bench: Bench) -> None:
    for edit in (_segment(bench, "a", key="deep"), _nest(bench, "middle", "deep"), _nest(bench, "beta", "middle")):
        assert bench.approved(change_set=ChangeSet(str(bench.production.pk), (edit,))).current_state
    request = bench.approved(change_set=_referring(bench), apply_at=SOON)
    assert request.relies_on == {"beta": 1, "deep": 1, "middle": 1}
    _move_segment(bench, "everyone", key="deep")

    assert apply_if_due(request.pk, now=SOON) is False

    row = ChangeRequest.objects.get(pk=request.pk)
    assert row.blocked_detail["moved"] == [MOVED | {"key": "deep"}]


def test_relies_on__edited_segment__brings_what_it_now_uses_and_not_what_it_used(bench: Bench) -> None:
    for edit in (_segment(bench, "a", key="old"), _segment(bench, "a", key="new"), _nest(bench, "beta", "old")):
        bench.approved(change_set=ChangeSet(str(bench.production.pk), (edit,)))

    request = bench.draft(change_set=_referring(bench, _nest(bench, "beta", "new")))

    assert request.relies_on == {"new": 1}


def test_apply__parent_moved__goes_live_all_the_same(bench: Bench) -> None:
    parent = bench.world.flag("parent")
    bench.world.serve(parent, bench.production)
    document = percent_document(bench.flag.key, 25) | {"prerequisites": [{"flag": "parent", "variants": ["on"]}]}
    edit = ConfigEdit(bench.flag.key, bench.version(), document)
    request = bench.approved(change_set=ChangeSet(str(bench.production.pk), (edit,)), apply_at=SOON)
    bench.world.serve(parent, bench.production, percent_document("parent", 10))

    assert apply_if_due(request.pk, now=SOON) is True


def test_relied_segments__without_any__asks_nothing(bench: Bench, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert relied_segments(bench.content(base=1), bench.production) == {}
    _move_segment(bench, "beta")
    with django_assert_num_queries(1):
        assert relied_segments(_with_base(bench), bench.production) == {"beta": 1}


def _with_base(bench: Bench) -> ChangeSet:
    rule: dict[str, Any] = {"id": "r1", "condition": {"segment": "beta"}, "serve": {"variant": "on"}}
    edit = ConfigEdit(bench.flag.key, 1, {**percent_document(bench.flag.key, 25), "rules": [rule]})
    return ChangeSet(str(bench.production.pk), (edit,))


def test_digest__covers_the_segments_relied_on(bench: Bench) -> None:
    _move_segment(bench, "beta")
    first = bench.draft(change_set=_referring(bench))
    _move_segment(bench, "everyone")

    second = bench.draft(change_set=_referring(bench))

    assert first.change_set == second.change_set
    assert first.digest != second.digest


def _strict(bench: Bench, is_on: bool) -> None:
    with governed_write(bench.production.pk):
        Environment.objects.filter(pk=bench.production.pk).update(requires_targeting_key=is_on)


@pytest.mark.parametrize("is_on", [True, False])
def test_apply__strict_mode_switched__is_held_back_until_saved_and_approved_again(bench: Bench, is_on: bool) -> None:
    _strict(bench, not is_on)
    request = bench.approved(apply_at=SOON)
    assert request.relies_on == ({} if is_on else {STRICT_MODE: 1})
    _strict(bench, is_on)

    assert apply_if_due(request.pk, now=SOON) is False

    row = ChangeRequest.objects.get(pk=request.pk)
    moved = {"key": STRICT_MODE, "base_version": int(not is_on), "current_version": int(is_on)}
    assert (row.blocked_code, row.blocked_detail["moved"]) == ("stale_change", [moved])
    assert f"Strict mode was turned {'on' if is_on else 'off'}" in row.blocked_detail["message"]
    edited = bench.edit(request, change_set=row.content)
    assert (edited.current_state, verdict_of(edited).counted) == (RequestState.IN_REVIEW, ())
    bench.approve(request)
    assert apply_if_due(request.pk, now=SOON) is True


def test_apply__strict_mode_and_a_segment_moved__names_both(bench: Bench) -> None:
    _move_segment(bench, "beta")
    edit = _referring(bench).edits[0]
    assert isinstance(edit, ConfigEdit)
    rules = [*edit.document["rules"], *percent_document(bench.flag.key, 25)["rules"]]
    content = ChangeSet(str(bench.production.pk), (ConfigEdit(edit.flag_key, 1, {**edit.document, "rules": rules}),))
    request = bench.approved(change_set=content, apply_at=SOON)
    _move_segment(bench, "everyone")
    _strict(bench, True)

    assert apply_if_due(request.pk, now=SOON) is False

    message = ChangeRequest.objects.get(pk=request.pk).blocked_detail["message"]
    assert "beta (version 1 → 2)" in message
    assert "Strict mode was turned on" in message
    assert STRICT_MODE + " (version" not in message


def test_apply__strict_mode_switched_without_a_split_by_key__goes_live(bench: Bench) -> None:
    document = percent_document(bench.flag.key, 25)
    by_company = {**document["rules"][0], "bucket_by": "company"}
    everyone = {**document["rules"][0], "id": "all", "serve": {"variant": "on"}}
    content = ChangeSet(
        str(bench.production.pk), (ConfigEdit(bench.flag.key, 1, {**document, "rules": [by_company, everyone]}),)
    )
    request = bench.approved(change_set=content, apply_at=SOON)
    _strict(bench, True)

    assert request.relies_on == {}
    assert apply_if_due(request.pk, now=SOON) is True
