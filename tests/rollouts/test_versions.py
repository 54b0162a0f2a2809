"""Going back: to a version, by one change, by one request, a whole environment; what happens at once and what waits."""

from datetime import timedelta
from typing import Any

import pytest

from audits.errors import GovernanceError
from audits.models import AuditEvent
from flags import snapshots
from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.documents import initial_document
from flags.errors import InvalidInput, NotFound, PermissionMissing, StaleChange
from flags.models import Environment, Flag, FlagConfig, Segment
from flags.selectors.versions import environment_at
from flags.services.configs import edit_config, edit_segment
from rollouts.errors import InvalidTransition, NothingToRestore, RestoreConflict
from rollouts.models import ChangeRequest
from rollouts.selectors.versions import Fate, plan_restore, plan_roll_back, plan_undo, plan_undo_request
from rollouts.services import versions
from rollouts.services.drafting import create_change_request
from rollouts.services.versions import Restoration
from rollouts.transitions import RequestState
from tests.factories import NOW, World, actor_of, percent_document
from tests.rollouts.support import Bench, state_of

WHY = "Errors went up"
BETA = {"attribute": "plan", "operator": "equals", "value": "beta"}


def config(flag: Flag, environment: Environment) -> FlagConfig:
    return FlagConfig.objects.select_related("flag", "environment").get(flag=flag, environment=environment)


def share(document: dict[str, Any]) -> int:
    return int(document["rules"][0]["serve"]["split"][0]["weight"] // 1000) if document["rules"] else 0


def save(world: World, flag: Flag, document: dict[str, Any], *, minutes: int = 0) -> None:
    """Rita's direct edit in development, so many minutes after noon."""
    edit_config(
        flag.pk,
        world.development.pk,
        actor=actor_of(world.rita),
        document=document,
        base_version=config(flag, world.development).version,
        reason="Test",
        now=NOW + timedelta(minutes=minutes),
    )


def back(bench: Bench, version: int, *, by: Any = None, reason: str = WHY, environment: Any = None) -> Restoration:
    environment = environment or bench.production
    actor = actor_of(by or bench.world.rita)
    return versions.roll_back_flag(environment.pk, bench.flag.pk, version=version, actor=actor, reason=reason, now=NOW)


def events(action: str) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=action).order_by("sequence"))


# What is served, version by version; to which version; and whether that happens at once in production.
DIRECTIONS = [
    ([25, 50], 2, True),
    ([50, 25], 2, False),
    ([25], 1, True),
]


@pytest.mark.parametrize(("shares", "version", "at_once"), DIRECTIONS)
def test_roll_back__protected__narrowing_at_once_and_widening_as_a_draft(
    bench: Bench, shares: list[int], version: int, at_once: bool
) -> None:
    for one in shares:
        bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, one))
    before = bench.version()

    done = back(bench, version)

    row = config(bench.flag, bench.production)
    if at_once:
        assert done.applied is not None
        assert done.request is None
        assert row.version == before + 1
        assert row.digest == row.history.get(version=version).digest
        assert done.verification is not None
        assert done.verification.is_good
    else:
        assert done.applied is None
        assert done.verification is None
        assert row.version == before
        request = done.request
        assert request is not None
        assert (request.state, request.reason, request.source["kind"]) == ("draft", WHY, "rollback")
        assert request.change_set["edits"][0]["document"] == row.history.get(version=version).document


def test_roll_back__unprotected__any_direction_at_once(bench: Bench) -> None:
    for one in (50, 10):
        save(bench.world, bench.flag, percent_document(bench.flag.key, one))

    done = back(bench, 2, environment=bench.world.development)

    assert done.applied is not None
    assert share(config(bench.flag, bench.world.development).document) == 50


@pytest.mark.parametrize(
    ("who", "allowed"),
    [("rita", True), ("rolf", True), ("abel", False), ("vera", False), ("otto", False), ("ada", False)],
)
def test_roll_back__every_role__editors_and_release_managers_only(bench: Bench, who: str, allowed: bool) -> None:
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 25))

    if allowed:
        assert back(bench, 1, by=getattr(bench.world, who)).applied
    else:
        with pytest.raises(PermissionMissing):
            back(bench, 1, by=getattr(bench.world, who))
        assert bench.version() == 2


@pytest.mark.parametrize(
    ("version", "reason", "error"),
    [(7, WHY, NotFound), (2, WHY, NothingToRestore), (1, "  ", InvalidInput)],
)
def test_roll_back__cannot_be__says_why_and_changes_nothing(
    bench: Bench, version: int, reason: str, error: type[GovernanceError]
) -> None:
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 25))

    with pytest.raises(error):
        back(bench, version, reason=reason)

    assert bench.version() == 2


def test_roll_back__evidence__one_correlation_for_act_and_check(bench: Bench) -> None:
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 25))

    back(bench, 1)

    applied, checked = events("flag_config.applied")[-1], events("rollback.verified")[-1]
    assert applied.correlation_id == checked.correlation_id
    assert applied.details["authority"] == "reversal"
    assert applied.details["target"] == "version 1"
    assert applied.reason == f"Roll back {bench.flag.key} to version 1: {WHY}"
    assert (checked.details["checked"], checked.details["mismatches"]) == (1, [])


def test_roll_back__served_state_is_another__is_recorded_as_a_mismatch(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 25))
    stuck = snapshots.build(bench.production.pk)
    monkeypatch.setattr(snapshots, "build", lambda _: stuck)

    done = back(bench, 1)

    assert done.verification is not None
    assert done.verification.mismatches == (f"flag {bench.flag.key}",)
    assert events("rollback.mismatch")[-1].details["mismatches"] == [f"flag {bench.flag.key}"]
    assert events("rollback.verified") == []


@pytest.mark.parametrize("is_stuck", [False, True])
def test_roll_back__widening__is_checked_once_its_request_is_applied(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any, is_stuck: bool
) -> None:
    for one in (50, 25):
        bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, one))
    stuck = snapshots.build(bench.production.pk)
    request = back(bench, 2).request
    assert request is not None
    assert events("rollback.verified") == []
    if is_stuck:
        monkeypatch.setattr(snapshots, "build", lambda _: stuck)

    with django_capture_on_commit_callbacks(execute=True):
        bench.approve(bench.submit(request))

    assert state_of(request) is RequestState.APPLIED
    [checked] = events("rollback.mismatch" if is_stuck else "rollback.verified")
    assert checked.correlation_id == request.correlation_id == events("flag_config.applied")[-1].correlation_id
    assert (checked.details["target"], checked.details["checked"], checked.flag_key) == ("version 2", 1, bench.flag.key)


def test_roll_back__plan_is_another_than_the_one_seen__is_stale(bench: Bench) -> None:
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 25))
    seen = back_plan_digest(bench)
    bench.move_on()

    with pytest.raises(StaleChange):
        versions.roll_back_flag(
            bench.production.pk,
            bench.flag.pk,
            version=1,
            actor=actor_of(bench.world.rita),
            reason=WHY,
            now=NOW,
            seen=seen,
        )


def back_plan_digest(bench: Bench) -> str:
    return plan_roll_back(config(bench.flag, bench.production), 1).digest


def ruled(flag: Flag, *names: str, **fields: Any) -> dict[str, Any]:
    rules = [{"id": name, "description": "", "condition": BETA, "serve": {"variant": "on"}} for name in names]
    return {**initial_document(flag.key, "boolean"), "enabled": True, "rules": rules, **fields}


def undo(world: World, flag: Flag, version: int) -> Restoration:
    return versions.undo_version(
        world.development.pk, flag.pk, version=version, actor=actor_of(world.rita), reason=WHY, now=NOW
    )


def test_undo__later_edit_elsewhere__is_kept(bench: Bench) -> None:
    world, flag = bench.world, bench.flag
    for document in (ruled(flag, "a"), ruled(flag, "a", "b"), ruled(flag, "a", "b", client_visible=True)):
        save(world, flag, document)

    done = undo(world, flag, 3)

    assert done.applied is not None
    assert config(flag, world.development).document == ruled(flag, "a", client_visible=True)


def test_undo__later_edit_of_the_same__is_listed_and_nothing_is_overwritten(bench: Bench) -> None:
    world, flag = bench.world, bench.flag
    for one in (10, 20, 30):
        save(world, flag, percent_document(flag.key, one))

    assert [line.fate for line in plan_undo(config(flag, world.development), 3).lines] == [Fate.CONFLICT]
    with pytest.raises(RestoreConflict) as refused:
        undo(world, flag, 3)

    assert refused.value.facts["conflicts"] == [{"key": flag.key, "paths": ["rules.everyone"]}]
    assert share(config(flag, world.development).document) == 30


def test_undo__version_that_set_the_flag_up__switches_it_off(bench: Bench) -> None:
    done = versions.undo_version(
        bench.production.pk, bench.flag.pk, version=1, actor=actor_of(bench.world.rita), reason=WHY, now=NOW
    )

    assert done.applied is not None
    assert config(bench.flag, bench.production).document["enabled"] is False
    assert "switched off" in done.plan.lines[0].note


def test_roll_back_request__narrowing__request_is_rolled_back_in_the_same_act(bench: Bench) -> None:
    request = bench.approved()

    done = versions.roll_back_request(request.pk, actor=actor_of(bench.world.rolf), reason=WHY, now=NOW)

    assert done.applied is not None
    assert state_of(request) is RequestState.ROLLED_BACK
    row = config(bench.flag, bench.production)
    assert row.document == row.history.get(version=1).document
    told = events("change_request.rolled_back")
    assert [(event.target_id, event.reason) for event in told] == [(str(request.pk), WHY)]
    assert told[0].correlation_id == events("flag_config.applied")[-1].correlation_id


def test_roll_back_request__widening__is_rolled_back_when_its_draft_is_applied(bench: Bench) -> None:
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 50))
    narrowed = bench.approved(change_set=bench.content(5))

    done = versions.roll_back_request(narrowed.pk, actor=actor_of(bench.world.rita), reason=WHY, now=NOW)

    assert done.request is not None
    assert state_of(narrowed) is RequestState.APPLIED
    bench.approve(bench.submit(done.request))
    assert state_of(done.request) is RequestState.APPLIED
    assert state_of(narrowed) is RequestState.ROLLED_BACK
    assert share(config(bench.flag, bench.production).document) == 50


def test_roll_back_request__its_draft_was_edited__is_not_called_rolled_back(bench: Bench) -> None:
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 50))
    narrowed = bench.approved(change_set=bench.content(5))
    done = versions.roll_back_request(narrowed.pk, actor=actor_of(bench.world.rita), reason=WHY, now=NOW)
    assert done.request is not None

    edited = bench.edit(done.request, change_set=bench.content(40))
    bench.approve(bench.submit(edited))

    assert share(config(bench.flag, bench.production).document) == 40
    assert state_of(narrowed) is RequestState.APPLIED


def test_roll_back_request__taken_back_by_hand__is_marked_and_nothing_is_written(bench: Bench) -> None:
    request = bench.approved()
    back(bench, 1)
    before = bench.version()

    done = versions.roll_back_request(request.pk, actor=actor_of(bench.world.rolf), reason=WHY, now=NOW)

    assert (done.applied, done.request, bench.version()) == (None, None, before)
    assert state_of(request) is RequestState.ROLLED_BACK
    assert [event.reason for event in events("change_request.rolled_back")] == [WHY]


def test_restore__before_anything_existed__says_what_can_be_done(bench: Bench) -> None:
    with pytest.raises(NothingToRestore, match="Nothing existed then"):
        versions.restore_environment(
            bench.production.pk,
            instant=NOW - timedelta(days=9),
            actor=actor_of(bench.world.rita),
            reason=WHY,
            now=NOW + timedelta(minutes=1),
        )


def test_roll_back_request__one_edit_in_conflict__others_go_back_when_it_is_left(bench: Bench) -> None:
    other = bench.world.flag("search")
    bench.world.serve(other, bench.production)
    edits = tuple(ConfigEdit(flag.key, 1, percent_document(flag.key, 40)) for flag in (bench.flag, other))
    request = bench.approved(change_set=ChangeSet(str(bench.production.pk), edits))
    bench.world.serve(other, bench.production, percent_document(other.key, 60))
    act: Any = {"actor": actor_of(bench.world.rolf), "reason": WHY, "now": NOW}

    with pytest.raises(RestoreConflict):
        versions.roll_back_request(request.pk, **act)
    assert config(bench.flag, bench.production).version == 2

    versions.roll_back_request(request.pk, leave=["flag:search"], **act)

    assert share(config(bench.flag, bench.production).document) == 0
    assert share(config(other, bench.production).document) == 60
    # Part of what it changed is still live.
    assert state_of(request) is RequestState.APPLIED


def test_roll_back_request__not_live__is_refused(bench: Bench) -> None:
    request = bench.submitted()

    with pytest.raises(InvalidTransition):
        versions.roll_back_request(request.pk, actor=actor_of(bench.world.rolf), reason=WHY, now=NOW)


def test_plan_undo_request__many_edits__constant_number_of_queries(
    bench: Bench, django_assert_num_queries: Any
) -> None:
    flags = [bench.flag, *(bench.world.flag(f"flag-{number}") for number in range(3))]
    for flag in flags[1:]:
        bench.world.serve(flag, bench.production)
    edits = tuple(ConfigEdit(flag.key, 1, percent_document(flag.key, 40)) for flag in flags)
    request = bench.approved(change_set=ChangeSet(str(bench.production.pk), edits))
    request = ChangeRequest.objects.select_related("environment__project").get(pk=request.pk)

    with django_assert_num_queries(5):
        plan = plan_undo_request(request)

    assert [line.fate for line in plan.lines] == [Fate.CHANGES] * 4


def segment(world: World, condition: dict[str, Any], *, minutes: int, name: str = "Beta") -> None:
    found = Segment.objects.filter(environment=world.development, key="beta").first()
    edit_segment(
        world.development.pk,
        actor=actor_of(world.rita),
        key="beta",
        name=name,
        document={"schema": 1, "condition": condition},
        base_version=found.version if found else 0,
        reason="Test",
        now=NOW + timedelta(minutes=minutes),
    )


def test_restore__whole_environment__serves_what_it_served_then(bench: Bench) -> None:
    world, flag = bench.world, bench.flag
    save(world, flag, percent_document(flag.key, 10), minutes=1)
    segment(world, BETA, minutes=2)
    then = environment_at(world.development, NOW + timedelta(minutes=3))
    save(world, flag, percent_document(flag.key, 90), minutes=4)
    segment(world, {**BETA, "value": "gold"}, minutes=5, name="Gold")
    later = world.flag("search")

    done = versions.restore_environment(
        world.development.pk,
        instant=NOW + timedelta(minutes=3),
        actor=actor_of(world.rita),
        reason=WHY,
        now=NOW + timedelta(minutes=10),
        leave=["flag:search"],
    )

    now_served = environment_at(world.development, NOW + timedelta(minutes=11))
    assert done.verification is not None
    assert done.verification.is_good
    assert {key: past.digest for key, past in now_served.configs.items() if key != later.key} == {
        key: past.digest for key, past in then.configs.items() if key != later.key
    }
    beta = Segment.objects.get(environment=world.development, key="beta")
    assert (beta.digest, beta.name, beta.version) == (then.segments["beta"].digest, "Beta", 3)
    assert (
        len({event.correlation_id for event in events("flag_config.applied")[-1:] + events("rollback.verified")}) == 1
    )


# When a change was made, in minutes; when we go back to; and the share that is served then.
INSTANTS = [(0, 0), (9, 0), (10, 10), (11, 10), (20, 20), (59, 20)]


@pytest.mark.parametrize(("minute", "expected"), INSTANTS)
def test_environment_at__around_the_instant_of_a_change__a_change_counts_from_its_own_instant(
    bench: Bench, minute: int, expected: int
) -> None:
    for number in (10, 20):
        save(bench.world, bench.flag, percent_document(bench.flag.key, number), minutes=number)

    past = environment_at(bench.world.development, NOW + timedelta(minutes=minute))

    assert share(past.configs[bench.flag.key].document) == expected


def test_environment_at__before_anything__is_empty(bench: Bench) -> None:
    past = environment_at(bench.world.development, NOW - timedelta(seconds=1))

    assert (dict(past.configs), dict(past.segments)) == ({}, {})


@pytest.mark.parametrize("minutes", [0, 5])
def test_restore__instant_that_has_not_passed__is_refused(bench: Bench, minutes: int) -> None:
    with pytest.raises(InvalidInput):
        versions.restore_environment(
            bench.world.development.pk,
            instant=NOW + timedelta(minutes=minutes),
            actor=actor_of(bench.world.rita),
            reason=WHY,
            now=NOW,
        )


def test_plan_restore__flags_younger_than_the_instant__stay_unless_switched_off(bench: Bench) -> None:
    world = bench.world
    save(world, bench.flag, ruled(bench.flag), minutes=5)
    instant = NOW - timedelta(minutes=1)

    listed = plan_restore(world.development, instant)
    chosen = plan_restore(world.development, instant, switch_off=[bench.flag.key])

    assert [line.fate for line in listed.lines] == [Fate.NEWER]
    assert listed.change_set.edits == ()
    assert [line.fate for line in chosen.lines] == [Fate.SWITCHED_OFF]
    assert [edit.document["enabled"] for edit in chosen.change_set.edits] == [False]


def test_plan_restore__open_requests_about_what_moves__are_named(bench: Bench) -> None:
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 25))
    request = bench.submitted()

    plan = plan_roll_back(config(bench.flag, bench.production), 1)

    assert plan.open_requests == {("flag", bench.flag.key): (request,)}


def test_restore__more_edits_than_people_write__fit_into_one_draft(bench: Bench) -> None:
    edits = tuple(SegmentEdit(f"s{number}", "S", 0, {"schema": 1, "condition": BETA}) for number in range(60))
    change_set = ChangeSet(str(bench.production.pk), edits)

    with pytest.raises(InvalidInput):
        bench.draft(change_set=change_set)
    draft = create_change_request(
        bench.production.pk,
        actor=actor_of(bench.world.rita),
        title="Restore",
        reason=WHY,
        change_set=change_set,
        apply_at=None,
        now=NOW,
        source={"kind": "restore"},
    )

    assert bench.submit(draft).current_state is RequestState.IN_REVIEW
