"""Ways around a review that stay shut: settings of an opened environment, one's own token, one's own incident."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audits.context import Actor
from flags.changes import change_digest
from flags.errors import InvalidInput, PermissionMissing
from flags.models import Environment
from flags.permissions import Role
from flags.services.projects import set_protection
from flags.services.tickets import governed_write
from flags.services.tokens import issue_token
from flags.settings_authority import SecondPersonNeeded
from rollouts.errors import ApprovalMissing, ApprovalRefused, ChangesRequested
from rollouts.models import BreakGlassOutcome, BreakGlassUse, CalendarWindow, ChangeRequest, Incident, Judgement
from rollouts.policies import Effect
from rollouts.selectors.rules import service_approvals
from rollouts.services import change_requests as acts
from rollouts.services.calendar import set_window
from rollouts.services.emergencies import break_glass, review_break_glass
from rollouts.services.incidents import close_incident, open_incident
from rollouts.services.narrowing import apply_request_at_once
from rollouts.services.policies import set_approval_policy
from rollouts.services.service_approvals import approve_as_service
from rollouts.services.settings import propose_setting
from rollouts.settings_kinds import Scope
from rollouts.transitions import RequestState
from tests.factories import NOW, SOON, World, actor_of, percent_document
from tests.rollouts.calendars import freeze
from tests.rollouts.rule_support import condition, rule
from tests.rollouts.support import Bench, state_of
from tests.rollouts.test_rule_service import REFUSES, SERVICE, TWO, WIDENS, put
from tests.support.agreed import unprotected

HOUR = timedelta(hours=1)


@pytest.fixture
def opened(bench: Bench) -> World:
    """Ada and Otto, who administer production, took its protection off."""
    world = bench.world
    world.grant(world.otto, world.production, Role.ADMINISTRATOR)
    put(world, TWO)
    freeze(world)
    set_protection(
        world.production.pk,
        actor=actor_of(world.otto),
        is_protected=False,
        now=NOW,
        reason="Migration night",
        authority=unprotected(world.production, by=world.ada, confirmed_by=world.otto),
    )
    return world


def looser_settings(world: World) -> dict[str, Any]:
    """What would loosen something, each by Otto alone."""
    production = Environment.objects.get(pk=world.production.pk)
    project, otto = world.project, actor_of(world.otto)
    place = Scope.of_environment(production)
    longer = {"required_approvals": 1, "named_approvers": None, "expires_after_hours": 999}
    window = CalendarWindow.objects.get()
    by: dict[str, Any] = {"actor": otto, "reason": "x", "now": NOW}
    return {
        "rule": lambda: put(world, dataclasses.replace(TWO, is_active=False), by=world.otto),
        "window": lambda: set_window(project.pk, window_id=window.pk, document=None, **by),
        "approval_policy": lambda: propose_setting("approval_policy", place, longer, **by),
        "strict_mode": lambda: propose_setting("strict_mode", place, {"requires_targeting_key": True}, **by),
    }


@pytest.mark.parametrize("name", ["rule", "window", "approval_policy", "strict_mode"])
def test_setting__looser_while_the_protection_is_off__still_takes_two(opened: World, name: str) -> None:
    assert looser_settings(opened)[name]() is not None


def test_set_approval_policy__looser_while_the_protection_is_off__is_refused_by_the_service(opened: World) -> None:
    with pytest.raises(SecondPersonNeeded):
        set_approval_policy(
            opened.production.pk,
            actor=actor_of(opened.otto),
            required_approvals=1,
            named_approvers=[],
            expires_after_hours=999,
            now=NOW,
            reason="x",
        )


def token_of(bench: Bench, person: Any, **fields: Any) -> Any:
    fields = {"actor": actor_of(person), "name": "CI", "scope": "manage", "expires_at": None, "now": NOW, **fields}
    return issue_token(bench.production.pk, **fields).token


def say_yes(request: ChangeRequest, token: Any) -> ChangeRequest:
    return approve_as_service(request.pk, token_id=token.pk, digest=request.digest, comment="", now=NOW)


@pytest.mark.parametrize("issued_after", [False, True])
def test_service__token_issued_by_the_requester__is_refused(bench: Bench, issued_after: bool) -> None:
    world = bench.world
    world.grant(world.rita, world.production, Role.EDITOR, Role.ADMINISTRATOR)
    put(world, SERVICE)
    token = None if issued_after else token_of(bench, world.rita)
    request = bench.submitted()

    with pytest.raises(ApprovalRefused, match="issued by somebody who shaped"):
        say_yes(request, token or token_of(bench, world.rita))

    assert say_yes(request, token_of(bench, world.ada)).current_state is RequestState.IN_REVIEW


def test_service__whoever_issued_the_token_shapes_the_request_later__its_yes_counts_no_more(bench: Bench) -> None:
    world = bench.world
    put(world, SERVICE)
    request = bench.submitted(apply_at=SOON)
    say_yes(request, token_of(bench, world.ada))
    assert service_approvals([request], now=NOW)[request.pk]

    request.contributors = [*request.contributors, str(world.ada.pk)]

    assert request.pk not in service_approvals([request], now=NOW)


def test_service__token_expires_before_the_apply__does_not_count(bench: Bench) -> None:
    put(bench.world, SERVICE)
    request = bench.submitted(apply_at=SOON)
    say_yes(request, token_of(bench, bench.world.ada, expires_at=NOW + HOUR / 2))
    assert bench.approve(request).current_state is RequestState.APPROVED

    with pytest.raises(ApprovalMissing):
        bench.apply(request, now=SOON)

    assert bench.version() == 1


def declared(world: World, by: Actor) -> Incident:
    return open_incident(
        world.project.pk,
        environment_id=world.production.pk,
        title="Checkout is down",
        severity="critical",
        link="",
        actor=by,
        now=NOW,
    )


INCIDENT = rule("calm", effect=Effect.WARN, conditions=(*WIDENS, condition("incident")))


@pytest.mark.parametrize(
    ("declarer", "has_rule", "has_request", "may"),
    [
        ("ada", True, True, False),
        ("rolf", True, True, True),
        ("ada", False, True, True),
        ("ada", True, False, True),
    ],
    ids=["somebody else's", "his own", "no rule asks", "no request waits"],
)
def test_close_incident__by_whoever_has_a_request_there(
    bench: Bench, declarer: str, has_rule: bool, has_request: bool, may: bool
) -> None:
    world = bench.world
    world.grant(world.rolf, world.production, Role.EDITOR, Role.RELEASE_MANAGER)
    if has_rule:
        put(world, INCIDENT)
    if has_request:
        bench.submitted(by=world.rolf)
    incident = declared(world, actor_of(getattr(world, declarer)))

    def close() -> Incident:
        return close_incident(incident.pk, actor=actor_of(world.rolf), reason="Fixed", now=NOW)

    if may:
        assert close().closed_at == NOW
    else:
        with pytest.raises(PermissionMissing, match="Ask another release manager"):
            close()


@pytest.mark.parametrize("is_own", [True, False])
def test_close_incident__with_a_token_of_the_requester__only_what_it_declared(bench: Bench, is_own: bool) -> None:
    world = bench.world
    put(world, INCIDENT)
    pager, second = (Actor.service(token_of(bench, world.ada, name=name).pk, name) for name in ("Pager", "Second"))
    bench.world.grant(world.ada, world.production, Role.EDITOR, Role.ADMINISTRATOR)
    bench.submitted(by=world.ada)
    incident = declared(world, pager)

    if is_own:
        assert close_incident(incident.pk, actor=pager, reason="Green again", now=NOW).closed_at == NOW
    else:
        with pytest.raises(PermissionMissing):
            close_incident(incident.pk, actor=second, reason="Green again", now=NOW)


def test_close_incident__without_a_reason__is_refused(world: World) -> None:
    incident = declared(world, actor_of(world.ada))

    with pytest.raises(InvalidInput):
        close_incident(incident.pk, actor=actor_of(world.ada), reason=" ", now=NOW)


def served(bench: Bench, share: int = 80) -> None:
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, share))


def at_once(request: ChangeRequest, who: Any) -> ChangeRequest:
    digest = ChangeRequest.objects.get(pk=request.pk).digest
    return apply_request_at_once(request.pk, actor=actor_of(who), digest=digest, reason="Cannot wait", now=NOW)


def test_apply_request_at_once__somebody_asks_for_changes__is_for_others_only(bench: Bench) -> None:
    served(bench)
    request = bench.submitted(change_set=bench.content(20))
    abel = actor_of(bench.world.abel)
    acts.request_changes(request.pk, actor=abel, digest=request.digest, text="Wrong flag", now=NOW)

    with pytest.raises(ChangesRequested):
        at_once(request, bench.world.rita)

    assert at_once(request, bench.world.rolf).current_state is RequestState.APPLIED


def test_apply_request_at_once__rules_speak_up__is_kept_and_refuses_nothing(bench: Bench) -> None:
    served(bench)
    warns = rule("look", effect=Effect.WARN, conditions=(WIDENS[0],))
    for subject in (warns, REFUSES):
        put(bench.world, subject)
    request = bench.submitted(change_set=bench.content(20))

    at_once(request, bench.world.rita)

    kept = Judgement.objects.filter(request=request).latest("created_at", "occasion")
    assert {item.occasion for item in Judgement.objects.filter(request=request)} == {"submit", "apply_at_once"}
    assert [finding["rule_key"] for finding in kept.findings] == ["look"]


def test_apply_request_at_once__draft_that_takes_something_back__that_is_rolled_back(bench: Bench) -> None:
    served(bench, 20)
    done = bench.approved(change_set=bench.content(80))
    undo = bench.content(20)
    digest = change_digest(undo, apply_at=None)
    draft = acts.create_change_request(
        bench.production.pk,
        actor=actor_of(bench.world.rita),
        title="Take it back",
        reason="Errors",
        change_set=undo,
        apply_at=None,
        now=NOW,
        source={"kind": "rollback", "what": "request", "request_id": str(done.pk), "digest": digest, "is_whole": True},
    )

    at_once(draft, bench.world.rita)

    assert state_of(done) is RequestState.ROLLED_BACK


def test_break_glass__past_the_service__is_final_in_the_database(bench: Bench) -> None:
    world = bench.world
    world.grant(world.rolf, world.production, Role.BREAK_GLASS)
    use = break_glass(
        world.production.pk, change_set=bench.content(), actor=actor_of(world.rolf), reason="Down", now=NOW
    )
    refused(use, movement=[])
    refused(use, correlation_id=use.pk)

    review_break_glass(
        use.pk, actor=actor_of(world.abel), outcome=BreakGlassOutcome.NOT_JUSTIFIED, comment="No", now=NOW
    )

    refused(use, outcome="justified")
    refused(use, reviewer=world.ada)
    refused(use, comment="Yes")
    refused(use, escalated_at=NOW)
    kept = BreakGlassUse.objects.get(pk=use.pk)
    assert (kept.outcome, kept.comment, kept.reviewer) == (BreakGlassOutcome.NOT_JUSTIFIED, "No", world.abel)


def refused(use: BreakGlassUse, **fields: Any) -> None:
    with pytest.raises(IntegrityError), transaction.atomic(), governed_write(use.environment_id):
        BreakGlassUse.objects.filter(pk=use.pk).update(**fields)
