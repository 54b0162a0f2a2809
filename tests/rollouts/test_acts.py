"""Who may do what in which state: every state x act and every role x act, through the services and on the page."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from audits.context import Actor
from audits.errors import GovernanceError
from audits.models import AuditEvent
from flags.changes import ChangeSet
from flags.errors import NotFound, PermissionMissing
from flags.permissions import Role
from rollouts.errors import ApprovalRefused, InvalidTransition
from rollouts.models import ChangeRequest
from rollouts.selectors import request_page
from rollouts.selectors.rights import PEOPLES_ACTS
from rollouts.services import change_requests as acts
from rollouts.services import versions
from rollouts.transitions import Act, RequestState, is_possible, next_state
from tests.factories import NOW, SOON, World, actor_of, make_person, make_served_world
from tests.rollouts.admin.support import taken_back
from tests.rollouts.support import Bench, perform, standing, state_of
from tests.support.remembered import remembered

REACHABLE = [state for state in RequestState if state is not RequestState.ROLLED_BACK]
# Somebody whose role and distance allow the act, so that only the state can refuse it.
RIGHT_PERSON = {
    Act.EDIT: "rita",
    Act.SCHEDULE: "rita",
    Act.SUBMIT: "rita",
    Act.APPROVE: "anna",
    Act.REJECT: "anna",
    Act.REQUEST_CHANGES: "anna",
    Act.ABSTAIN: "anna",
    Act.WITHDRAW: "rita",
    Act.COMMENT: "vera",
    Act.APPLY: "rolf",
    Act.ROLL_BACK: "rita",
}

# These need something to be done before: `tests/rollouts/test_dissent.py` and `test_discussions.py` do it.
SECOND_ACTS = {Act.LIFT_CHANGES, Act.RESOLVE, Act.REOPEN}
FIRST_ACTS = [act for act in PEOPLES_ACTS if act not in SECOND_ACTS]


def _facts(request: ChangeRequest) -> tuple[Any, ...]:
    row = ChangeRequest.objects.get(pk=request.pk)
    events = AuditEvent.objects.filter(target_id=str(request.pk)).count()
    return row.state, row.lock_version, row.digest, events, row.approvals.count(), row.comments.count()


@pytest.mark.parametrize(("state", "act"), list(itertools.product(REACHABLE, FIRST_ACTS)))
def test_act__in_every_state__follows_the_table(db: None, state: RequestState, act: Act) -> None:
    bench, request = standing(state)
    person = getattr(bench.world, RIGHT_PERSON[act])
    now = SOON if act is Act.APPLY else NOW
    page = request_page(request.pk, person, now=now)
    before = _facts(request)

    if is_possible(state, act):
        perform(bench, request, act, by=person, now=now)
        expected = next_state(state, act)
        if (state, act) == (RequestState.IN_REVIEW, Act.APPROVE):
            expected = next_state(expected, Act.PASS_REVIEW)
        after = _facts(request)
        assert after[0] == expected.value
        assert after[3] == before[3] + 1
        assert page.may(act)
    else:
        with pytest.raises(InvalidTransition) as refused:
            perform(bench, request, act, by=person, now=now)
        assert page.refusals[act.value] == refused.value.message
        assert _facts(request) == before


# The situations in which each act is possible, and the people who may do it there.
ROLES = [
    (Act.SUBMIT, RequestState.DRAFT, {"rita", "eddie", "cora"}),
    (Act.EDIT, RequestState.DRAFT, {"rita", "eddie", "cora"}),
    (Act.EDIT, RequestState.IN_REVIEW, {"rita", "eddie", "cora"}),
    (Act.EDIT, RequestState.APPROVED, {"rita", "eddie", "cora"}),
    (Act.SCHEDULE, RequestState.DRAFT, {"rita", "cora", "rolf"}),
    (Act.SCHEDULE, RequestState.IN_REVIEW, {"rita", "cora", "rolf"}),
    (Act.SCHEDULE, RequestState.APPROVED, {"rita", "cora", "rolf"}),
    (Act.APPROVE, RequestState.IN_REVIEW, {"abel", "anna"}),
    (Act.APPROVE, RequestState.APPROVED, {"anna"}),
    (Act.REQUEST_CHANGES, RequestState.IN_REVIEW, {"abel", "anna"}),
    (Act.REQUEST_CHANGES, RequestState.APPROVED, {"abel", "anna"}),
    (Act.ABSTAIN, RequestState.IN_REVIEW, {"abel", "anna"}),
    (Act.REJECT, RequestState.IN_REVIEW, {"abel", "anna", "cora"}),
    (Act.REJECT, RequestState.APPROVED, {"abel", "anna", "cora"}),
    (Act.WITHDRAW, RequestState.DRAFT, {"rita", "rolf"}),
    (Act.WITHDRAW, RequestState.IN_REVIEW, {"rita", "rolf"}),
    (Act.WITHDRAW, RequestState.APPROVED, {"rita", "rolf"}),
    (Act.APPLY, RequestState.APPROVED, {"rolf"}),
    (Act.ROLL_BACK, RequestState.APPLIED, {"rita", "eddie", "cora", "rolf"}),
    (Act.COMMENT, RequestState.IN_REVIEW, {"rita", "eddie", "cora", "abel", "anna", "rolf", "vera", "ada"}),
]
# Eddie is another editor; Cora edited the request and is an approver too; Ada is a superuser without any grant.
CAST = ("rita", "eddie", "cora", "abel", "anna", "rolf", "vera", "ada", "otto", "gone")


def _cast(world: World) -> dict[str, Any]:
    people = {name: getattr(world, name) for name in ("rita", "abel", "anna", "rolf", "vera", "ada", "otto")}
    for name, roles in {"eddie": [Role.EDITOR], "cora": [Role.EDITOR, Role.APPROVER], "gone": list(Role)}.items():
        people[name] = make_person(name)
        world.grant(people[name], world.production, *roles)
    people["gone"].is_active = False
    people["gone"].save()
    return people


@pytest.mark.parametrize(("act", "state", "allowed"), ROLES)
def test_act__every_role__is_allowed_or_refused_by_the_table(
    db: None, act: Act, state: RequestState, allowed: set[str]
) -> None:
    bench, people, request = remembered(f"request {state.value} and a cast", lambda: _make_cast_and_request(state))
    now = SOON if act is Act.APPLY else NOW
    before = _facts(request)

    for name in CAST:
        person = people[name]
        page_says = _page_says(request, person, act, now)
        with taken_back():
            if name in allowed:
                perform(bench, request, act, by=person, now=now)
                assert page_says is None, (name, page_says)
                assert _facts(request)[3] > before[3]
            else:
                with pytest.raises((PermissionMissing, ApprovalRefused)) as refused:
                    perform(bench, request, act, by=person, now=now)
                assert refused.value.status == 403
                assert page_says, name
                assert _facts(request) == before


def _make_cast_and_request(state: RequestState) -> tuple[Bench, dict[str, Any], ChangeRequest]:
    world = make_served_world()
    bench, people = Bench(world, world.first_flag), _cast(world)
    return bench, people, _edited_by(bench, people["cora"], state)


def _edited_by(bench: Bench, editor: Any, state: RequestState) -> ChangeRequest:
    """A request in `state` that `editor` worked on when it was a draft."""
    draft = bench.edit(bench.draft(apply_at=SOON), by=editor)
    if state is RequestState.DRAFT:
        return draft
    submitted = bench.submit(draft)
    if state is RequestState.IN_REVIEW:
        return submitted
    approved = bench.approve(submitted)
    return approved if state is RequestState.APPROVED else bench.apply(approved, now=SOON)


def _page_says(request: ChangeRequest, person: Any, act: Act, now: Any) -> str | None:
    try:
        return request_page(request.pk, person, now=now).refusals.get(act.value)
    except NotFound as error:
        return error.message


MACHINES = (
    Actor.service("a token", "Checkout service"),
    Actor.system("rollouts.apply_due_changes"),
    Actor.system("rollouts.expire_old_requests"),
    Actor.system("somebody.else"),
)


@pytest.mark.parametrize("act", [act for act in PEOPLES_ACTS if act is not Act.APPLY])
def test_act__services_and_rules__do_nothing_that_people_decide(db: None, act: Act) -> None:
    _, request = standing(RequestState.DRAFT if act is Act.SUBMIT else RequestState.IN_REVIEW)
    before = _facts(request)

    for actor in MACHINES:
        with pytest.raises(PermissionMissing):
            _perform_as(actor, request, act)
        assert _facts(request) == before, actor


def _perform_as(actor: Actor, request: ChangeRequest, act: Act) -> None:
    calls: dict[Act, Callable[[], object]] = {
        Act.EDIT: lambda: acts.edit_change_request(
            request.pk, actor=actor, now=NOW, expected_digest=request.digest, title="x"
        ),
        Act.SCHEDULE: lambda: acts.schedule_change_request(
            request.pk, actor=actor, apply_at=None, now=NOW, expected_digest=request.digest
        ),
        Act.SUBMIT: lambda: acts.submit_change_request(request.pk, actor=actor, now=NOW),
        Act.APPROVE: lambda: acts.approve_change_request(
            request.pk, actor=actor, digest=request.digest, comment="", now=NOW
        ),
        Act.ROLL_BACK: lambda: versions.roll_back_request(request.pk, actor=actor, reason="x", now=NOW),
        Act.REJECT: lambda: acts.reject_change_request(request.pk, actor=actor, reason="x", now=NOW),
        Act.WITHDRAW: lambda: acts.withdraw_change_request(request.pk, actor=actor, reason="x", now=NOW),
        Act.REQUEST_CHANGES: lambda: acts.request_changes(
            request.pk, actor=actor, digest=request.digest, text="x", now=NOW
        ),
        Act.LIFT_CHANGES: lambda: acts.lift_changes(request.pk, actor=actor, text="x", now=NOW),
        Act.ABSTAIN: lambda: acts.abstain_from_change_request(
            request.pk, actor=actor, digest=request.digest, text="x", now=NOW
        ),
        Act.COMMENT: lambda: acts.comment_on_change_request(request.pk, actor=actor, body="x", now=NOW),
        Act.RESOLVE: lambda: acts.mark_thread(
            request.pk, actor=actor, comment_id=request.pk, is_resolved=True, now=NOW
        ),
        Act.REOPEN: lambda: acts.mark_thread(
            request.pk, actor=actor, comment_id=request.pk, is_resolved=False, now=NOW
        ),
    }
    calls[act]()


def test_create__people_without_the_role_editor__are_refused(bench: Bench) -> None:
    for person in (bench.world.abel, bench.world.rolf, bench.world.vera, bench.world.ada, bench.world.otto):
        with pytest.raises(PermissionMissing):
            bench.draft(by=person)

    assert not ChangeRequest.objects.exists()


def test_act__request_does_not_exist__is_not_found(bench: Bench) -> None:
    stranger = bench.production

    with pytest.raises(NotFound):
        acts.submit_change_request(stranger.pk, actor=actor_of(bench.world.rita), now=NOW)


def test_requester_without_editor_role__may_not_withdraw_any_more(bench: Bench) -> None:
    request = bench.submitted()
    bench.world.grant(bench.world.rita, bench.production, Role.VIEWER)

    with pytest.raises(GovernanceError):
        perform(bench, request, Act.WITHDRAW, by=bench.world.rita)

    assert state_of(request) is RequestState.IN_REVIEW


def test_number__counts_per_project_over_its_environments(bench: Bench) -> None:
    first = bench.draft()
    staging = bench.world.staging
    other = acts.create_change_request(
        staging.pk,
        actor=actor_of(bench.world.rita),
        title="In staging",
        reason="Also there",
        change_set=ChangeSet(str(staging.pk), bench.content(30).edits),
        apply_at=None,
        now=NOW,
    )

    assert (first.number, other.number) == (1, 2)
