"""Shaping a plan: create, edit, put it on how flags are now, ask for its approval, take that back."""

import uuid
from datetime import datetime
from typing import Any

from audits.actions import Action
from audits.context import Actor, correlation, current_correlation_id
from flags import permissions
from flags.errors import NotFound
from flags.models import Environment, Flag, Project
from flags.services.attempts import attempt
from flags.services.keys import problem
from flags.services.locks import lock_environment
from flags.services.tickets import governed_write
from rollouts.errors import PlanMovedGround, PlanMovedOn
from rollouts.models import PlanFlag, PlanTemplate, RolloutPlan
from rollouts.plans.codec import from_json
from rollouts.plans.copying import rest_of
from rollouts.plans.definition import PlanDefinition
from rollouts.plans.transitions import PlanAct, PlanState, next_plan_state
from rollouts.selectors.plans.ground import ground_of
from rollouts.selectors.plans.rights import require_right
from rollouts.services.checks import checked_prose, checked_title
from rollouts.services.drafting import create_change_request, submit_change_request
from rollouts.services.numbering import insert_numbered
from rollouts.services.plans.preparing import end_state, prepare, refuse_unconfirmed
from rollouts.services.plans.writing import lock_plan, record, step
from rollouts.services.proposing import end_request, shapers
from rollouts.services.writing import require_person

SOURCE_KIND = "plan"


def create_plan(
    environment_id: uuid.UUID,
    *,
    actor: Actor,
    now: datetime,
    title: str,
    definition: PlanDefinition,
    reason: str = "",
    template_id: uuid.UUID | None = None,
    is_confirmed: bool = False,
) -> RolloutPlan:
    """A new draft, prepared on how its flags are now. `is_confirmed`: what it takes away on its way is meant.

    Raises PermissionMissing (role editor), InvalidPlan, ConfirmationMissing, InvalidInput, NotFound.
    """

    def act() -> RolloutPlan:
        environment = _lock_for_number(environment_id)
        permissions.require(actor, permissions.PROPOSE, environment)
        author, prepared = require_person(actor), prepare(definition, environment)
        refuse_unconfirmed(prepared, is_confirmed=is_confirmed)
        plan = RolloutPlan(
            project=environment.project,
            environment=environment,
            title=checked_title(title),
            reason=checked_prose(reason, field="reason"),
            template=_template(template_id, environment),
            state=PlanState.DRAFT.value,
            created_by_id=author,
            contributors=[str(author)],
            created_at=now,
            correlation_id=current_correlation_id(),
            **prepared.columns(),
        )
        insert_numbered(plan, noun="plans")
        _name_flags(plan, prepared.flags)
        with correlation(plan.correlation_id):
            record(Action.PLAN_CREATED, plan, actor=actor, now=now, reason=plan.reason, to_state=plan.state)
        return plan

    return attempt(act)


def edit_plan(
    plan_id: uuid.UUID,
    *,
    actor: Actor,
    now: datetime,
    digest: str,
    title: str | None = None,
    reason: str | None = None,
    definition: PlanDefinition | None = None,
    is_confirmed: bool = False,
) -> RolloutPlan:
    """Change a draft; None leaves a thing as it is. With a definition it is prepared anew, on how its flags are now.

    Raises as `create_plan`, InvalidPlanTransition, and PlanMovedOn for a draft that is not the one with `digest`.
    """

    def act() -> RolloutPlan:
        plan = _locked_draft(plan_id, PlanAct.EDIT, actor, digest)
        fields: dict[str, Any] = {}
        if title is not None:
            fields["title"] = checked_title(title)
        if reason is not None:
            fields["reason"] = checked_prose(reason, field="reason")
        if definition is not None:
            prepared = prepare(definition, plan.environment)
            refuse_unconfirmed(prepared, is_confirmed=is_confirmed)
            fields |= prepared.columns()
            _name_flags(plan, prepared.flags)
        _shape(plan, PlanAct.EDIT, actor=actor, now=now, fields=fields)
        return plan

    return attempt(act)


def rebase_plan(
    plan_id: uuid.UUID, *, actor: Actor, now: datetime, digest: str, is_confirmed: bool = False
) -> RolloutPlan:
    """Prepare a draft anew, with the same stages, on how its flags are now. A plan that was started is ended instead,
    and a new one made of it with `copy_plan`: what was approved stands on other ground.

    Raises as `edit_plan`.
    """

    def act() -> RolloutPlan:
        plan = _locked_draft(plan_id, PlanAct.REBASE, actor, digest)
        prepared = prepare(from_json(plan.definition), plan.environment)
        refuse_unconfirmed(prepared, is_confirmed=is_confirmed)
        _shape(plan, PlanAct.REBASE, actor=actor, now=now, fields=prepared.columns())
        return plan

    return attempt(act)


def copy_plan(plan_id: uuid.UUID, *, actor: Actor, now: datetime, is_confirmed: bool = False) -> RolloutPlan:
    """A new draft with the stages that another plan has not reached, whatever became of it, on how flags are now.

    One that went back to how it was before, or all the way, is copied whole. Raises as `create_plan`.
    """
    source = RolloutPlan.objects.filter(pk=plan_id).first()
    if source is None:
        raise NotFound("This plan does not exist. It may have been mistyped.", plan_id=str(plan_id))
    base = {key: known["document"] for key, known in source.base.items()}
    return create_plan(
        source.environment_id,
        actor=actor,
        now=now,
        title=source.title,
        definition=rest_of(from_json(source.definition), base, reached=source.stage),
        reason=source.reason,
        template_id=source.template_id,
        is_confirmed=is_confirmed,
    )


def propose_plan(
    plan_id: uuid.UUID,
    *,
    actor: Actor,
    now: datetime,
    digest: str,
    reason: str = "",
    apply_at: datetime | None = None,
    ticket_url: str = "",
) -> RolloutPlan:
    """Ask for the approval of a draft: a change request whose digest binds the whole plan, submitted at once.

    With the last approval the plan starts, at `apply_at` where that lies ahead. Nobody who shaped the plan may approve.
    Raises PlanMovedGround where flags moved since it was prepared, and what submitting a request raises.
    """

    def act() -> RolloutPlan:
        plan = _locked_draft(plan_id, PlanAct.PROPOSE, actor, digest)
        _refuse_moved(plan)
        why = checked_prose(reason or plan.reason, field="reason", required=True)
        with correlation(plan.correlation_id):
            request = create_change_request(
                plan.environment_id,
                actor=actor,
                title=plan.title,
                reason=why,
                change_set=end_state(plan),
                apply_at=apply_at,
                now=now,
                source={"kind": SOURCE_KIND, "plan_id": str(plan.pk), "number": plan.number},
                ticket_url=ticket_url,
                plan_digest=plan.digest,
                also_by=plan.contributors,
            )
            submit_change_request(request.pk, actor=actor, now=now)
            told = {"request_id": str(request.pk), "request_number": request.number}
            asked: dict[str, Any] = {"request": request, "contributors": shapers(plan, actor)}
            step(plan, PlanAct.PROPOSE, actor=actor, now=now, reason=why, evidence=told, **asked)
        return plan

    return attempt(act)


def recall_plan(plan_id: uuid.UUID, *, actor: Actor, now: datetime, reason: str = "") -> RolloutPlan:
    """Make a proposed plan a draft again. Its request is withdrawn where it is open, which takes the right to do so.

    Raises PermissionMissing, InvalidPlanTransition.
    """

    def act() -> RolloutPlan:
        plan = lock_plan(plan_id)
        require_right(plan, PlanAct.RECALL, actor)
        next_plan_state(plan.current_state, PlanAct.RECALL)
        why = checked_prose(reason, field="reason")
        with correlation(plan.correlation_id):
            end_request(plan, actor=actor, now=now, reason=why or f"Plan {plan.number} was taken back.")
            step(plan, PlanAct.RECALL, actor=actor, now=now, reason=why, request=None)
        return plan

    return attempt(act)


def refuse_other_plan_digest(plan: RolloutPlan, digest: str) -> None:
    """Raise PlanMovedOn unless `digest` is that of the plan's present content."""
    if digest != plan.digest:
        raise PlanMovedOn(
            f"Plan {plan.number} was changed since the page was opened. Nothing was done: reload the page and look at "
            "it again.",
            seen_digest=digest[:64],
            current_digest=plan.digest,
        )


def _locked_draft(plan_id: uuid.UUID, act: PlanAct, actor: Actor, digest: str) -> RolloutPlan:
    plan = lock_plan(plan_id)
    require_right(plan, act, actor)
    next_plan_state(plan.current_state, act)
    refuse_other_plan_digest(plan, digest)
    return plan


def _shape(plan: RolloutPlan, act: PlanAct, *, actor: Actor, now: datetime, fields: dict[str, Any]) -> None:
    """Write new content of a draft with the person who shaped it; nothing where nothing is different."""
    if all(getattr(plan, name) == value for name, value in fields.items()):
        return
    evidence, by = {"former_digest": plan.digest}, shapers(plan, actor)
    with correlation(plan.correlation_id):
        why = fields.get("reason", "")
        step(plan, act, actor=actor, now=now, reason=why, evidence=evidence, contributors=by, draft=fields)


def _refuse_moved(plan: RolloutPlan) -> None:
    ground = ground_of(plan)
    if ground.moved:
        names = ", ".join(sorted(ground.moved_keys))
        raise PlanMovedGround(
            f"Changed in {plan.environment.name} since this plan was prepared: {names}. Put the plan on how they are "
            "now, look at its stages again, and then propose it.",
            moved=list(ground.moved),
        )


def _name_flags(plan: RolloutPlan, flags: tuple[Flag, ...]) -> None:
    with governed_write(plan.environment_id):
        PlanFlag.objects.filter(plan=plan).delete()
        PlanFlag.objects.bulk_create(PlanFlag(plan=plan, environment=plan.environment, flag=flag) for flag in flags)


def _template(template_id: uuid.UUID | None, environment: Environment) -> PlanTemplate | None:
    if template_id is None:
        return None
    template = PlanTemplate.objects.filter(pk=template_id, project=environment.project_id).first()
    if template is None:
        raise problem("template", "There is no such template in this project. Choose another one.")
    return template


def _lock_for_number(environment_id: uuid.UUID) -> Environment:
    """The environment, locked after its project: numbers count per project."""
    project = Project.objects.select_for_update(of=("self",), no_key=True).filter(environments=environment_id).first()
    if project is None:
        raise NotFound("This environment does not exist. It may have been mistyped.", environment=str(environment_id))
    return lock_environment(environment_id)
