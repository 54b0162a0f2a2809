"""Templates of plans: the list, saving a plan as one, a new version of one, and taking one out of the choice."""

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone

from flags import permissions
from flags.admin.forms import PlainForm
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, message_errors, signed_in
from flags.models import Environment
from flags.models.flags import FlagKind
from flags.services.keys import problem
from rollouts.admin.plans.bars import Column, stage_shares
from rollouts.admin.plans.posted import fields_of_definition
from rollouts.admin.plans.template_choices import TemplateChoice, choices_for
from rollouts.models import PlanTemplate, RolloutPlan
from rollouts.plans.codec import from_json
from rollouts.plans.definition import PlanDefinition
from rollouts.plans.templates import as_template
from rollouts.services.plans.templates import LONGEST_NAME, retire_template, save_template

TEMPLATES = "admin:rollouts_plantemplate_changelist"
_METHODS = ["GET", "HEAD", "POST"]


class TemplateForm(PlainForm):
    """What a template is called, and for which kinds of flags it is the first choice."""

    name = forms.CharField(max_length=LONGEST_NAME, help_text="What people choose by: “Careful, with guards”.")
    key = forms.CharField(
        max_length=100,
        help_text="Stays the same over all versions. An existing key makes its next version.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "data-fs-key-of": "id_name"}),
    )
    description = forms.CharField(
        max_length=4000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="When to take it.",
    )
    kinds = forms.MultipleChoiceField(
        choices=FlagKind.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="First choice for flags of these kinds",
    )


class TemplateViews(GovernedAdmin):
    """The views of `RolloutPlanAdmin` around templates."""

    def template_urls(self) -> list[URLPattern]:
        """Before the routes of single plans."""
        name = "rollouts_plantemplate"
        return [
            self.door("templates/", self.templates_view, f"{name}_changelist"),
            self.door("templates/add/", self.template_add_view, f"{name}_add"),
            self.door("templates/<uuid:template_id>/retire/", self.template_retire_view, f"{name}_retire"),
        ]

    def templates_view(self, request: HttpRequest) -> HttpResponseBase:
        """Every template of the projects that the person sees."""
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseNotAllowed(["GET", "HEAD"])
        user = signed_in(request)
        editing = permissions.environments_with(user, permissions.PROPOSE)
        projects = [
            {
                "project": project,
                "lines": [(one, columns_of_template(one.definition)) for one in choices_for(project.pk)],
                "may_edit": Environment.objects.filter(project=project, pk__in=editing).exists(),
            }
            for project in permissions.visible_projects(user).order_by("name")
        ]
        return self.page(
            request,
            "rollouts/plans/templates.html",
            title="Templates of plans",
            crumbs=[("Rollout plans", reverse("admin:rollouts_rolloutplan_changelist")), ("Templates", "")],
            projects=projects,
            kinds=dict(FlagKind.choices),
        )

    def template_add_view(self, request: HttpRequest) -> HttpResponseBase:
        """Save the stages of a plan as a template, or as the next version of one."""
        if request.method not in _METHODS:
            return HttpResponseNotAllowed(_METHODS)
        plan = _plan(self, request)
        permissions.require(actor_of(request), permissions.PROPOSE, plan.environment)
        own = [one for one in choices_for(plan.project_id) if one.template_id]
        form = TemplateForm(request.POST or None, initial=_initial(plan, own))
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                saved = _save(request, plan, form)
                words = f"“{saved.name}” is saved as version {saved.version}. New plans can start from it."
                messages.success(request, words)
                return HttpResponseRedirect(reverse(TEMPLATES))
        return self.page(
            request,
            "rollouts/plans/template_add.html",
            title=f"Save #{plan.number} as a template",
            status=400 if form.errors else 200,
            crumbs=[("Templates", reverse(TEMPLATES)), (f"From #{plan.number}", "")],
            plan=plan,
            form=form,
            own=own,
            columns=columns_of_template(from_json(plan.definition)),
        )

    def template_retire_view(self, request: HttpRequest, template_id: uuid.UUID) -> HttpResponseBase:
        """Offer a template no more."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        projects = permissions.visible_projects(signed_in(request))
        template = PlanTemplate.objects.filter(pk=template_id, project__in=projects).first()
        if template is None:
            raise Http404
        with message_errors(request):
            told: dict[str, Any] = {"actor": actor_of(request), "now": timezone.now()}
            retire_template(template.project_id, key=template.key, reason=request.POST.get("reason", ""), **told)
            messages.success(request, f"“{template.name}” is offered no more. Plans made of it keep what they have.")
        return HttpResponseRedirect(reverse(TEMPLATES))


def columns_of_template(definition: PlanDefinition) -> list[Column]:
    """The stages of a template for the small picture."""
    shares = stage_shares(definition.stages)
    return [
        Column(number, stage.name, words, weight, "next")
        for number, (stage, (weight, words)) in enumerate(zip(definition.stages, shares, strict=True), start=1)
    ]


def _plan(admin: GovernedAdmin, request: HttpRequest) -> RolloutPlan:
    found = admin.row(request, _id(request.GET.get("plan", "")))
    assert isinstance(found, RolloutPlan)  # noqa: S101 - for the type checker
    return found


def _id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise Http404 from None


def _initial(plan: RolloutPlan, own: list[TemplateChoice]) -> dict[str, Any]:
    """The plan's own template is proposed for a next version."""
    template = plan.template
    if template is None or all(one.template_id != template.pk for one in own):
        return {"name": plan.title}
    return {
        "name": template.name,
        "key": template.key,
        "description": template.description,
        "kinds": template.kinds,
    }


def _save(request: HttpRequest, plan: RolloutPlan, form: TemplateForm) -> PlanTemplate:
    definition = from_json(plan.definition)
    fields = fields_of_definition(definition)
    variant, against = fields.get("variant-0", ""), fields.get("against-0", "")
    if len(definition.flags) > 1:
        raise problem("name", "A template is for one flag; this plan has several. Make it from a plan with one flag.")
    key = form.cleaned_data["key"]
    last = PlanTemplate.objects.filter(project=plan.project_id, key=key).order_by("-version").first()
    return save_template(
        plan.project_id,
        key=key,
        name=form.cleaned_data["name"],
        definition=as_template(definition, flag_key=definition.flags[0], variant=variant, against=against),
        actor=actor_of(request),
        now=timezone.now(),
        description=form.cleaned_data["description"],
        kinds=form.cleaned_data["kinds"],
        seen_version=last.version if last else 0,
    )
