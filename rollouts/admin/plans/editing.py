"""The editor of plans: a form that loses nothing, a preview beside it, and one service call to save."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import AbstractUser
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from audits.errors import GovernanceError
from flags import permissions
from flags.admin.governed import GovernedAdmin, actor_of, signed_in
from flags.errors import PermissionMissing
from flags.models import Environment, Flag
from rollouts.admin.plans.form import flag_rows, form_context, known_values
from rollouts.admin.plans.posted import arms_of, definition_from, fields_of_definition
from rollouts.admin.plans.preview import Preview, preview_of, problems_in
from rollouts.admin.plans.shapes import chosen_strategy, shaped_stages, usual_fields
from rollouts.admin.plans.stage_rows import rows_of, with_row, without_row
from rollouts.admin.plans.template_choices import TemplateChoice, choices_for, filled_fields
from rollouts.admin.plans.typed import Typed
from rollouts.models import GuardMetric, RolloutPlan
from rollouts.plans.codec import from_json
from rollouts.plans.definition import PlanDefinition, Strategy
from rollouts.plans.transitions import PlanAct
from rollouts.selectors.plans.rights import possible_acts
from rollouts.services.plans.drafting import create_plan, edit_plan

LIST = "admin:rollouts_rolloutplan_changelist"
PLAN = "admin:rollouts_rolloutplan_change"
_METHODS = ["GET", "HEAD", "POST"]


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a plan is written: the environment, what there is to choose from, and the draft that is edited."""

    environment: Environment
    flags: list[Flag]
    metrics: list[GuardMetric]
    templates: list[TemplateChoice]
    plan: RolloutPlan | None = None
    stored: PlanDefinition | None = None


class EditorViews(GovernedAdmin):
    """The views of `RolloutPlanAdmin` around the editor."""

    def add_plan_view(self, request: HttpRequest) -> HttpResponseBase:
        """A new plan. Without an environment the page asks for it first."""
        if request.method not in _METHODS:
            return HttpResponseNotAllowed(_METHODS)
        user = signed_in(request)
        wanted = request.GET.get("environment", "") or request.POST.get("environment", "")
        environment = _environment(user, wanted) if wanted else None
        if environment is None:
            return self._choose(request, user)
        permissions.require(actor_of(request), permissions.PROPOSE, environment)
        desk = _desk(environment)
        if request.method == "POST":
            return self._answer(request, desk)
        typed = Typed(_first_fields(request, desk))
        known = known_values(flag_rows(typed, environment, desk.flags))
        definition = definition_from(typed, desk.metrics, known=known) if typed.text("flag-0") else None
        typed.problems = {}
        preview = preview_of(definition, environment, now=timezone.now()) if definition else Preview()
        return self._editor(request, desk, typed, preview)

    def edit_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """A draft as it is, stage by stage."""
        if request.method not in _METHODS:
            return HttpResponseNotAllowed(_METHODS)
        user = signed_in(request)
        rows = RolloutPlan.objects.filter(environment__in=permissions.visible_environments(user))
        plan = rows.select_related("environment__project", "project", "request").filter(pk=object_id).first()
        if plan is None:
            raise Http404
        permissions.require(actor_of(request), permissions.PROPOSE, plan.environment)
        refusal = next(act.why_not for act in possible_acts(plan, user) if act.act is PlanAct.EDIT)
        if refusal:
            messages.error(request, refusal)
            return HttpResponseRedirect(reverse(PLAN, args=[plan.pk]))
        desk = _desk(plan.environment, plan)
        if request.method == "POST":
            return self._answer(request, desk)
        definition = from_json(plan.definition)
        fields = fields_of_definition(definition)
        typed = Typed({**fields, "title": plan.title, "reason": plan.reason, "digest": plan.digest})
        return self._editor(request, desk, typed, preview_of(definition, plan.environment, now=timezone.now()))

    def _answer(self, request: HttpRequest, desk: Desk) -> HttpResponseBase:
        """What was posted: saved, or shown again with what the pressed button does."""
        typed, now = Typed({name: str(value) for name, value in request.POST.dict().items()}), timezone.now()
        do = typed.text("do")
        _press(typed, do, desk)
        known = known_values(flag_rows(typed, desk.environment, desk.flags))
        definition = definition_from(typed, desk.metrics, desk.stored, known)
        if do != "save":
            preview = preview_of(definition, desk.environment, now=now) if definition else Preview()
            if do not in {"preview", "spell_out"}:
                typed.problems = {}
            return self._editor(request, desk, typed, preview)
        if not typed.text("title"):
            typed.problems["title"] = "Give the plan a title, such as “Checkout for everybody”."
        if definition is None or typed.problems:
            return self._editor(request, desk, typed, Preview(), status=400)
        return self._save(request, desk, typed, definition, now=now)

    def _save(
        self, request: HttpRequest, desk: Desk, typed: Typed, definition: PlanDefinition, *, now: datetime
    ) -> HttpResponseBase:
        try:
            plan = _saved(request, desk, typed, definition, now=now)
        except PermissionMissing:
            raise
        except GovernanceError as error:
            preview = preview_of(definition, desk.environment, now=now)
            return self._editor(request, desk, typed, preview, error=error, status=error.status)
        ahead = "propose it" if plan.environment.is_protected else "start it"
        messages.success(request, f"The draft is saved. Nothing has changed in {plan.environment.name}: {ahead} next.")
        return HttpResponseRedirect(reverse(PLAN, args=[plan.pk]))

    def _editor(
        self,
        request: HttpRequest,
        desk: Desk,
        typed: Typed,
        preview: Preview,
        *,
        error: GovernanceError | None = None,
        status: int = 200,
    ) -> HttpResponseBase:
        said = problems_in(error) if error else list(preview.problems)
        context = form_context(typed, desk.environment, desk.flags, desk.metrics, desk.stored, said)
        plan = desk.plan
        title = f"Edit #{plan.number} {plan.title}" if plan else f"New plan for {desk.environment.name}"
        return self.page(
            request,
            "rollouts/plans/edit.html",
            title=title,
            status=status,
            crumbs=[("Rollout plans", reverse(LIST)), (title, "")],
            environment=desk.environment,
            plan=plan,
            templates=desk.templates,
            preview=preview,
            error=error,
            said=[text for _, text in said],
            has_problems=bool(typed.problems),
            zone=timezone.get_current_timezone_name(),
            now=timezone.now(),
            **context,
        )

    def _choose(self, request: HttpRequest, user: AbstractUser) -> HttpResponseBase:
        places = permissions.visible_environments(user).filter(
            pk__in=permissions.environments_with(user, permissions.PROPOSE)
        )
        return self.page(
            request,
            "rollouts/plans/choose.html",
            title="New plan",
            crumbs=[("Rollout plans", reverse(LIST)), ("New plan", "")],
            environments=places.select_related("project").order_by("project__name", "-position"),
            flag=request.GET.get("flag", ""),
            chosen_template=request.GET.get("template", ""),
        )


def _environment(user: AbstractUser, text: str) -> Environment:
    """The environment with that id. Raises Http404 for what this person may not see."""
    try:
        found = permissions.visible_environments(user).select_related("project").filter(pk=uuid.UUID(text)).first()
    except ValueError:
        found = None
    if found is None:
        raise Http404
    return found


def _desk(environment: Environment, plan: RolloutPlan | None = None) -> Desk:
    flags = Flag.objects.filter(project=environment.project_id, archived_at=None).order_by("name")
    metrics = GuardMetric.objects.filter(project=environment.project_id, is_retired=False).order_by("name")
    stored = from_json(plan.definition) if plan else None
    return Desk(environment, list(flags), list(metrics), choices_for(environment.project_id), plan, stored)


def _first_fields(request: HttpRequest, desk: Desk) -> dict[str, str]:
    """What a new plan begins with; a link from a flag or a template has it filled in."""
    wanted = request.GET.get("flag", "")
    flag = next((one for one in desk.flags if wanted in {str(one.pk), one.key}), None)
    fields = {**usual_fields(), "flags": "1", "flag-0": flag.key if flag else ""}
    if flag:
        fields["title"] = f"{flag.name} for everybody"
    chosen, typed = request.GET.get("template", ""), Typed(fields)
    flag_rows(typed, desk.environment, desk.flags)
    if flag and not chosen:
        usual = next((one for one in desk.templates if flag.kind in one.kinds), None)
        if usual and usual.template_id is None:
            return {**typed.fields, "strategy": usual.definition.strategy.value, **rows_of(usual.definition.stages)}
        chosen = usual.key if usual else ""
    return _filled(typed, desk, chosen) if flag else {**typed.fields, "template": chosen}


def _filled(typed: Typed, desk: Desk, chosen: str) -> dict[str, str]:
    """The fields with the stages of a template for the first chosen flag."""
    template = next((one for one in desk.templates if one.key == chosen), None)
    arms = arms_of(typed)
    if template is None or not arms:
        return typed.fields
    return {**typed.fields, **filled_fields(template, arms[0]), "template": chosen}


def _press(typed: Typed, do: str, desk: Desk) -> None:
    """What a button of the form does to its fields."""
    fields = typed.fields
    name, _, number = do.partition("-")
    place = int(number) if number.isdecimal() and number.isascii() and len(number) < 3 else -1
    if do == "add_stage":
        typed.fields = with_row({**fields, "strategy": Strategy.CUSTOM.value})
    elif name == "remove_stage" and 0 <= place < typed.count("rows"):
        typed.fields = without_row({**fields, "rows": str(typed.count("rows"))}, place)
    elif do == "add_flag":
        typed.fields = {**fields, "flags": str(typed.count("flags", 1) + 1)}
    elif name == "remove_flag" and place > 0:
        typed.fields = _without_flag(fields, place, typed.count("flags", 1))
    elif do == "template":
        typed.fields = _filled(typed, desk, typed.text("template"))
    elif do == "spell_out":
        _spell_out(typed, desk)


def _spell_out(typed: Typed, desk: Desk) -> None:
    """Turn the stages of a shape into rows to adjust."""
    known = known_values(flag_rows(typed, desk.environment, desk.flags))
    arms, strategy = arms_of(typed), chosen_strategy(typed)
    if not arms or strategy is Strategy.CUSTOM or any(not variant for _, variant, _ in arms):
        return
    stages = shaped_stages(typed, strategy, arms, known)
    if not typed.problems:
        former = {name: value for name, value in typed.fields.items() if not name.startswith("row-")}
        typed.fields = {**former, **rows_of(stages), "strategy": Strategy.CUSTOM.value, "shape": strategy.value}


def _without_flag(fields: dict[str, str], gone: int, total: int) -> dict[str, str]:
    kept = {
        name: value for name, value in fields.items() if name.partition("-")[0] not in {"flag", "variant", "against"}
    }
    left = [number for number in range(total) if number != gone]
    for place, number in enumerate(left):
        for name in ("flag", "variant", "against"):
            kept[f"{name}-{place}"] = fields.get(f"{name}-{number}", "")
    return {**kept, "flags": str(len(left))}


def _saved(request: HttpRequest, desk: Desk, typed: Typed, definition: PlanDefinition, *, now: datetime) -> RolloutPlan:
    told: dict[str, Any] = {
        "actor": actor_of(request),
        "now": now,
        "title": typed.text("title"),
        "reason": typed.fields.get("reason", ""),
        "definition": definition,
        "is_confirmed": typed.is_ticked("is_confirmed"),
    }
    if desk.plan is not None:
        return edit_plan(desk.plan.pk, digest=typed.text("digest"), **told)
    template = next((one for one in desk.templates if one.key == typed.text("template")), None)
    return create_plan(desk.environment.pk, template_id=template.template_id if template else None, **told)
