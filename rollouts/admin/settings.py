"""Settings that take two people: what is proposed, confirming and declining it; the switches of environments."""

import uuid
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods, require_safe

from flags import permissions
from flags.admin.forms import ReasonForm
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, message_errors, signed_in
from flags.models import Environment
from flags.models.environments import EnvironmentKind
from rollouts.models import SettingsProposal
from rollouts.selectors.settings import (
    concerned,
    decided_proposals,
    open_proposals,
    possible_confirmers,
    view_of,
    visible_proposals,
)
from rollouts.services import settings
from rollouts.settings_kinds import Scope

LIST = "admin:rollouts_settingsproposal_changelist"
get_or_post = require_http_methods(["GET", "HEAD", "POST"])


@dataclass(frozen=True, slots=True)
class Switch:
    """A setting of environments that is on or off. The page says which way it goes in the words `on` and `off`."""

    kind: str
    field: str
    on: str
    off: str
    template: str
    title: str
    done_on: str
    done_off: str


PROTECTION = Switch(
    "protection",
    "is_protected",
    "protected",
    "open",
    "rollouts/setting_protection.html",
    "Protection",
    "is now protected: nothing changes there without approval.",
    "is no longer protected.",
)
STRICT_MODE = Switch(
    "strict_mode",
    "requires_targeting_key",
    "strict",
    "lenient",
    "rollouts/setting_strict_mode.html",
    "Strict mode",
    "is now strict: a split needs a targeting key.",
    "is not strict any more.",
)
CONTEXT_SAMPLING = Switch(
    "context_sampling",
    "samples_contexts",
    "sampling",
    "none",
    "rollouts/setting_context_sampling.html",
    "Sampled contexts",
    "now samples contexts. “Who will flip?” offers them once there are enough.",
    "samples no contexts any more, and those there were are deleted.",
)


class SwitchForm(ReasonForm):
    """Switching a setting: a reason, and for the protection of production its name typed by hand."""

    name = forms.CharField(required=False, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    field_order = ("name", "reason")

    def __init__(self, *args: Any, expected: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._expected = expected
        if expected:
            self.fields["name"].label = f"Type {expected} to confirm"
            self.fields["name"].required = True
        else:
            del self.fields["name"]

    def clean_name(self) -> str:
        """The environment's name, letter for letter."""
        name: str = self.cleaned_data["name"]
        if name.strip() != self._expected:
            raise forms.ValidationError(f"Type the name exactly: {self._expected}.")
        return name


@admin.register(SettingsProposal)
class SettingsProposalAdmin(GovernedAdmin):
    """What is proposed, one proposal, and the pages that switch protection, strict mode and sampling."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[SettingsProposal]) -> QuerySet[SettingsProposal]:
        return queryset.filter(pk__in=visible_proposals(user).values("pk"))

    def get_urls(self) -> list[URLPattern]:
        return [
            self.door("", self.list_view, "rollouts_settingsproposal_changelist"),
            self.door("<uuid:object_id>/", self.proposal_view, "rollouts_settingsproposal_change"),
            self.door("protection/<uuid:object_id>/", self.protection_view, "rollouts_setting_protection"),
            self.door("strict-mode/<uuid:object_id>/", self.strict_mode_view, "rollouts_setting_strict_mode"),
            self.door("context-sampling/<uuid:object_id>/", self.sampling_view, "rollouts_setting_context_sampling"),
        ]

    @method_decorator(require_safe)
    def list_view(self, request: HttpRequest) -> HttpResponseBase:
        """What waits for a second administrator, and what became of the latest."""
        user, now = signed_in(request), timezone.now()
        return self.page(
            request,
            "rollouts/setting_list.html",
            title="Settings to confirm",
            open=open_proposals(user, now=now),
            decided=decided_proposals(user, now=now),
            crumbs=[("Settings to confirm", "")],
        )

    @method_decorator(get_or_post)
    def proposal_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """One proposal: the difference in words; confirm, decline or withdraw it."""
        user, now = signed_in(request), timezone.now()
        proposal = visible_proposals(user).filter(pk=object_id).first()
        if proposal is None:
            raise Http404
        decline_form = ReasonForm(request.POST if request.POST.get("act") == "decline" else None)
        if request.method == "POST":
            if _act(request, proposal, decline_form):
                return HttpResponseRedirect(reverse("admin:rollouts_settingsproposal_change", args=[proposal.pk]))
            proposal = visible_proposals(user).get(pk=object_id)
        return self.page(
            request,
            "rollouts/setting_proposal.html",
            title=proposal.title,
            proposal=proposal,
            view=view_of(proposal, user, now=now),
            form=decline_form,
            crumbs=[("Settings to confirm", reverse(LIST)), (proposal.title, "")],
        )

    def protection_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """Protect an environment, or stop protecting it."""
        return self._switch_view(request, object_id, PROTECTION)

    def strict_mode_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """Turn strict mode on or off."""
        return self._switch_view(request, object_id, STRICT_MODE)

    def sampling_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """Begin to sample contexts, or stop and delete them."""
        return self._switch_view(request, object_id, CONTEXT_SAMPLING)

    @method_decorator(get_or_post)
    def _switch_view(self, request: HttpRequest, object_id: uuid.UUID, switch: Switch) -> HttpResponseBase:
        environment = _environment(signed_in(request), object_id)
        permissions.require(actor_of(request), permissions.ADMINISTER, environment)
        is_named = switch is PROTECTION and environment.kind == EnvironmentKind.PRODUCTION
        form = SwitchForm(request.POST or None, expected=environment.name if is_named else "")
        address = reverse("admin:flags_environment_change", args=[environment.pk])
        wanted = not getattr(environment, switch.field)
        if request.method == "POST" and form.is_valid():
            # The page says which way it switches, so that two people clicking at once do not undo each other.
            wanted = request.POST.get("wanted") == switch.on
            with form_errors(form):
                return HttpResponseRedirect(_propose(request, environment, switch, wanted, form) or address)
        return self.page(
            request,
            switch.template,
            title=f"{switch.title} of {environment.name}",
            environment=environment,
            wanted=wanted,
            takes_two=environment.is_guarded and (switch is STRICT_MODE or wanted is (switch is CONTEXT_SAMPLING)),
            confirmers=possible_confirmers(concerned(Scope.of_environment(environment)), but=signed_in(request).pk),
            declared=environment.project.context_attributes.all(),
            form=form,
            address=address,
            crumbs=[
                ("Environments", reverse("admin:flags_environment_changelist")),
                (f"{environment.project.name} · {environment.name}", address),
                (switch.title, ""),
            ],
        )


def _environment(user: AbstractUser, object_id: uuid.UUID) -> Environment:
    environment = permissions.visible_environments(user).select_related("project").filter(pk=object_id).first()
    if environment is None:
        raise Http404
    return environment


def _propose(request: HttpRequest, environment: Environment, switch: Switch, wanted: bool, form: SwitchForm) -> str:
    """Switch, or propose to; the address of the proposal, "" where the setting is in force."""
    proposal = settings.propose_setting(
        switch.kind,
        Scope.of_environment(environment),
        {switch.field: wanted},
        actor=actor_of(request),
        reason=form.cleaned_data["reason"],
        now=timezone.now(),
    )
    if proposal is not None:
        return say_proposed(request, proposal)
    words = switch.done_on if wanted else switch.done_off
    messages.success(request, f"{environment.project.name} · {environment.name} {words}")
    return ""


def say_proposed(request: HttpRequest, proposal: SettingsProposal) -> str:
    """Tell the person that somebody else has to confirm; the address of the proposal."""
    messages.info(
        request, "Nothing has changed yet: another administrator has to confirm this. It waits on their desk."
    )
    return reverse("admin:rollouts_settingsproposal_change", args=[proposal.pk])


def _act(request: HttpRequest, proposal: SettingsProposal, form: ReasonForm) -> bool:
    """Do what the pressed button says; whether it was done."""
    actor, now, act = actor_of(request), timezone.now(), request.POST.get("act")
    with message_errors(request):
        if act == "confirm":
            settings.confirm(proposal.pk, actor=actor, digest=request.POST.get("digest", ""), now=now)
            messages.success(request, f"{proposal.title}: confirmed, and in force.")
            return True
        if act == "withdraw":
            settings.withdraw(proposal.pk, actor=actor, now=now)
            messages.success(request, "Withdrawn. Nothing was changed.")
            return True
        if act == "decline" and form.is_valid():
            settings.decline(proposal.pk, actor=actor, reason=form.cleaned_data["reason"], now=now)
            messages.success(request, "Declined. Nothing was changed.")
            return True
    return False
