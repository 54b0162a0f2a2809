"""Timelines where people approve: what approval begins, what is judged again at every milestone, and who goes back."""

from typing import Any

import pytest

from audits.errors import GovernanceError
from audits.models import AuditEvent
from flags.errors import InvalidInput
from flags.models import FlagConfig
from flags.permissions import Role
from flags.services.tickets import governed_write
from rollouts.deprecations.transitions import TimelineState
from rollouts.errors import PartOfPlan
from rollouts.models import ChangeRequest, DeprecationTimeline
from rollouts.services import narrowing, versions
from rollouts.services.timelines import acting, drafting
from rollouts.services.timelines.consent import digest_of
from rollouts.services.timelines.engine import advance_due
from rollouts.services.timelines.successors import propose_successor
from rollouts.transitions import RequestState
from tests.factories import NOW, actor_of, percent_document
from tests.rollouts.calendars import freeze
from tests.rollouts.timelines.support import (
    ANNOUNCED,
    MINUTE,
    RAMPED_DOWN,
    SUNSET,
    WARNED,
    TimelineBench,
    at_day,
    brought_to,
    reloaded,
)

pytestmark = pytest.mark.django_db


def authorities(bench: TimelineBench) -> list[str]:
    """The authorities of what production got, in no order, without that of the bench's own set-up."""
    events = AuditEvent.objects.filter(action="flag_config.applied", environment_key="production")
    return sorted(event.details["authority"] for event in events.exclude(reason="Set up for a test"))


def test_approval__starts_the_timeline__and_writes_nothing_yet(bench: TimelineBench) -> None:
    before = bench.served(bench.production)
    timeline = bench.proposed()
    request = timeline.request
    assert request is not None
    assert (request.plan_digest, request.asks_for_timeline) == (timeline.digest, True)
    [edit] = request.content.edits
    assert edit.document["deprecation"]["withdrawal"] == {"weight": 100_000, "serves": "off"}

    bench.approve(request)

    found = reloaded(timeline)
    assert (found.current_state, found.milestone) == (TimelineState.RUNNING, 0)
    assert ChangeRequest.objects.get(pk=request.pk).current_state is RequestState.APPLIED
    assert bench.served(bench.production) == before
    brought_to(timeline, SUNSET)
    assert bench.ending(bench.production)["withdrawal"] == {"weight": 100_000, "serves": "off"}
    assert authorities(bench) == ["milestone"] * 5


def test_shapers__do_not_approve(bench: TimelineBench) -> None:
    bench.world.grant(bench.world.rita, bench.production, Role.EDITOR, Role.APPROVER)
    timeline = bench.proposed()
    assert timeline.request is not None

    with pytest.raises(GovernanceError) as refused:
        bench.approve(timeline.request, by=bench.world.rita)
    assert refused.value.code == "approval_refused"


def test_draft__in_a_protected_environment__is_not_started(bench: TimelineBench) -> None:
    draft = bench.draft_in(bench.production)

    for person in (bench.world.rita, bench.world.rolf):
        with pytest.raises(GovernanceError) as refused:
            acting.start_timeline(draft.pk, actor=actor_of(person), now=NOW, digest=draft.digest)
        assert refused.value.code == "protected_environment"


def test_request__of_a_timeline__is_neither_edited_nor_applied_in_another_way(bench: TimelineBench) -> None:
    timeline = bench.proposed()
    request = timeline.request
    assert request is not None

    with pytest.raises(InvalidInput, match="deprecation timeline"):
        bench.edit(request)
    with pytest.raises(PartOfPlan, match="milestone by milestone"):
        narrowing.apply_request_at_once(
            request.pk, actor=actor_of(bench.world.rita), digest=request.digest, reason="At once", now=NOW
        )
    bench.approve(request)
    with pytest.raises(PartOfPlan):
        versions.roll_back_request(request.pk, actor=actor_of(bench.world.rolf), reason="Back", now=NOW)


def test_request__approved_when_dates_are_past__is_held_back(bench: TimelineBench) -> None:
    timeline = bench.proposed()
    assert timeline.request is not None

    bench.approve(timeline.request, now=at_day(8))

    request = ChangeRequest.objects.get(pk=timeline.request.pk)
    assert (request.current_state, request.blocked_code) == (RequestState.APPROVED, "timeline_outdated")
    assert reloaded(timeline).current_state is TimelineState.PROPOSED


def test_recalled_timeline__withdraws_its_request__and_is_a_draft(bench: TimelineBench) -> None:
    timeline = bench.proposed()
    assert timeline.request is not None

    drafting.recall_timeline(timeline.pk, actor=actor_of(bench.world.rita), now=NOW)

    assert reloaded(timeline).current_state is TimelineState.DRAFT
    assert ChangeRequest.objects.get(pk=timeline.request.pk).current_state is RequestState.WITHDRAWN


def test_approver__who_lost_the_role__holds_the_next_milestone_until_it_is_back(bench: TimelineBench) -> None:
    timeline = brought_to(bench.approved_and_started(), ANNOUNCED)
    bench.world.grant(bench.world.abel, bench.production, Role.VIEWER)

    advance_due(at_day(7))
    assert (reloaded(timeline).milestone, reloaded(timeline).blocked_code) == (ANNOUNCED, "approval_missing")

    bench.world.grant(bench.world.abel, bench.production, Role.APPROVER)
    advance_due(at_day(7) + MINUTE)
    assert (reloaded(timeline).milestone, reloaded(timeline).blocked_code) == (WARNED, "")


@pytest.mark.parametrize(
    "smuggled",
    [
        {"definition__final_variant": "on"},
        {"base__document": percent_document("checkout-redesign", 100)},
        {"postponed": {"4": "2026-03-03T09:00:00Z"}},
    ],
)
def test_timeline__stored_otherwise_than_approved__goes_no_further(
    bench: TimelineBench, smuggled: dict[str, Any]
) -> None:
    timeline = brought_to(bench.approved_and_started(), WARNED)
    with governed_write(bench.production.pk):
        row = DeprecationTimeline.objects.filter(pk=timeline.pk)
        [(name, value)] = smuggled.items()
        column, _, part = name.partition("__")
        stored = {**getattr(timeline, column), part: value} if part else value
        row.update(**{column: stored})
    before = bench.served(bench.production)

    advance_due(at_day(21))

    found = reloaded(timeline)
    assert bench.served(bench.production) == before
    assert found.blocked_code in ("consent_mismatch", "timeline_unreadable")


def test_way_back__with_a_base_that_nobody_approved__leaves_the_flag_alone(bench: TimelineBench) -> None:
    timeline = brought_to(bench.approved_and_started(), SUNSET)
    with governed_write(bench.production.pk):
        base = {**timeline.base, "document": percent_document("checkout-redesign", 100)}
        DeprecationTimeline.objects.filter(pk=timeline.pk).update(base=base)
    before = bench.served(bench.production)

    acting.undo(
        timeline.pk,
        to_milestone=0,
        actor=actor_of(bench.world.rolf),
        now=at_day(29),
        sequence=timeline.sequence,
        reason="Too early",
    )

    assert bench.served(bench.production) == before


def test_way_back__in_a_protected_environment__takes_a_release_manager_and_passes_freezes(
    bench: TimelineBench,
) -> None:
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 100))
    before = bench.served(bench.production)
    timeline = brought_to(bench.approved_and_started(), SUNSET)
    freeze(bench.world, at_day(28), at_day(30))
    told: dict[str, Any] = {"to_milestone": 0, "now": at_day(29), "sequence": timeline.sequence, "reason": "Too early"}

    with pytest.raises(GovernanceError, match="Or ask a release manager") as refused:
        acting.undo(timeline.pk, actor=actor_of(bench.world.rita), **told)
    assert refused.value.code == "not_narrowing"
    acting.undo(timeline.pk, actor=actor_of(bench.world.rolf), **told)

    assert bench.served(bench.production) == before


def test_postponing__in_a_protected_environment__keeps_the_approval(bench: TimelineBench) -> None:
    timeline = brought_to(bench.approved_and_started(), RAMPED_DOWN)

    acting.postpone(
        timeline.pk,
        SUNSET,
        to=at_day(35),
        actor=actor_of(bench.world.rita),
        now=at_day(22),
        sequence=timeline.sequence,
        reason="A customer asked for a week",
    )

    found = reloaded(timeline)
    assert digest_of(found) == found.digest == timeline.digest
    assert bench.ending(bench.production)["sunset_at"] == "2026-04-06T09:00:00Z"
    assert bench.ending(bench.production)["withdrawal"] == {"weight": 25_000, "serves": "off"}
    advance_due(at_day(28))
    assert reloaded(timeline).milestone == RAMPED_DOWN
    advance_due(at_day(35))
    assert reloaded(timeline).milestone == SUNSET


def test_environment__protected_since__holds_a_timeline_that_nobody_approved(bench: TimelineBench) -> None:
    timeline = brought_to(bench.started(), WARNED)
    with governed_write(bench.staging.pk):
        type(bench.staging).objects.filter(pk=bench.staging.pk).update(is_protected=True)

    advance_due(at_day(21))

    assert reloaded(timeline).blocked_code == "timeline_without_consent"


@pytest.mark.parametrize("is_protected", [False, True])
def test_people__moved_to_the_successor__keep_what_stands_for_theirs(bench: TimelineBench, is_protected: bool) -> None:
    successor = bench.world.flag("new-checkout")
    place = bench.production if is_protected else bench.staging
    bench.world.serve(bench.flag, place, percent_document(bench.flag.key, 30))
    mapping = {"on": "off", "off": "on"}
    timeline = bench.draft_in(place, successor="new-checkout", mapping=mapping)

    told: dict[str, Any] = {"actor": actor_of(bench.world.rita), "now": NOW, "reason": "Everybody moves"}
    request = propose_successor(timeline.pk, **told)
    if is_protected:
        assert request is not None
        bench.approve(request)

    document = FlagConfig.objects.get(flag=successor, environment=place).document
    [rule] = document["rules"]
    assert rule["serve"]["split"] == [{"variant": "off", "weight": 30_000}, {"variant": "on", "weight": 70_000}]
    assert document["salt"] == bench.served(place)["salt"]
    with pytest.raises(InvalidInput, match="nothing to change"):
        propose_successor(timeline.pk, **told)
