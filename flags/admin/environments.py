"""Environments: what is protected, who works there, and switching protection."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods, require_safe

from flags import permissions
from flags.admin.forms import ReasonForm
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, signed_in
from flags.admin.panels import panels
from flags.models import Environment, Project
from flags.models.environments import BucketingGeneration, EnvironmentKind
from flags.permissions import Role
from flags.selectors.environments import environment_lines
from flags.services.environments import set_targeting_key_mode
from flags.services.projects import set_protection

GENERATION_WORDS = {
    BucketingGeneration.FLAGD_V2: "MurmurHash3 of salt and targeting key, as flagd does it today.",
    BucketingGeneration.FLAGD_V3: "MurmurHash3 of the type-safe encoding that flagd has introduced since.",
}


class ProtectionForm(ReasonForm):
    """Switching protection: a reason, and for production its name typed by hand."""

    name = forms.CharField(required=False, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    field_order = ("name", "reason")

    def __init__(self, *args: Any, environment: Environment, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._expected = environment.name if environment.kind == EnvironmentKind.PRODUCTION else ""
        if self._expected:
            self.fields["name"].label = f"Type {environment.name} to confirm"
            self.fields["name"].required = True
        else:
            del self.fields["name"]

    def clean_name(self) -> str:
        """The environment's name, letter for letter."""
        name: str = self.cleaned_data["name"]
        if name.strip() != self._expected:
            raise forms.ValidationError(f"Type the name exactly: {self._expected}.")
        return name


@admin.register(Environment)
class EnvironmentAdmin(GovernedAdmin):
    """Environments are created with their project; here they are looked at and protected."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[Environment]) -> QuerySet[Environment]:
        return queryset.filter(pk__in=permissions.visible_environments(user).values("pk")).select_related("project")

    def get_urls(self) -> list[URLPattern]:
        protect = self.door("<uuid:object_id>/protection/", self.protection_view, "flags_environment_protection")
        strict = self.door("<uuid:object_id>/strict-mode/", self.strict_mode_view, "flags_environment_strict_mode")
        return [protect, strict, *super().get_urls()]

    @method_decorator(require_safe)
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        lines = environment_lines(signed_in(request), timezone.now())
        policies = panels.policies([line.environment.pk for line in lines])
        bare = Project.objects.filter(environments=None) if signed_in(request).is_superuser else ()
        return self.page(
            request,
            "flags/environments.html",
            title="Environments",
            subtitle="Where flags live. Each environment has its own settings of every flag, and its own people.",
            lines=lines,
            bare=bare,
            policies=policies,
            crumbs=[("Environments", "")],
        )

    @method_decorator(require_safe)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        user, environment = signed_in(request), self.row(request, object_id)
        lines = environment_lines(user, timezone.now())
        line = next(line for line in lines if line.environment.pk == environment.pk)
        people = [(role, permissions.people_with(environment, permissions.ROLE_PERMISSION[role])) for role in Role]
        return self.page(
            request,
            "flags/environment.html",
            title=environment.name,
            subtitle=f"Environment of {environment.project.name}",
            environment=environment,
            line=line,
            policy=panels.policies([environment.pk]).get(environment.pk),
            opened_it=environment.unprotected_by_id == user.pk,
            people=[(role, members) for role, members in people if role is not Role.VIEWER],
            generation_words=GENERATION_WORDS[BucketingGeneration(environment.generation)],
            crumbs=[("Environments", reverse("admin:flags_environment_changelist")), (_label(environment), "")],
        )

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def protection_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Protect an environment, or stop protecting it, with a reason."""
        environment = self.row(request, str(object_id))
        permissions.require(actor_of(request), permissions.ADMINISTER, environment)
        form = ProtectionForm(request.POST or None, environment=environment)
        address = reverse("admin:flags_environment_change", args=[environment.pk])
        wanted = not environment.is_protected
        if request.method == "POST" and form.is_valid():
            # The page says which way it switches, so that two people clicking at once do not undo each other.
            wanted = request.POST.get("wanted") == "protected"
            reason = form.cleaned_data["reason"]
            with form_errors(form):
                set_protection(
                    environment.pk, actor=actor_of(request), is_protected=wanted, now=timezone.now(), reason=reason
                )
                state = "protected: nothing changes there without approval" if wanted else "no longer protected"
                messages.success(request, f"{_label(environment)} is now {state}.")
                return HttpResponseRedirect(address)
        return self.page(
            request,
            "flags/protection.html",
            title=f"{'Protect' if wanted else 'Stop protecting'} {environment.name}",
            environment=environment,
            wanted=wanted,
            form=form,
            address=address,
            crumbs=[
                ("Environments", reverse("admin:flags_environment_changelist")),
                (_label(environment), address),
                ("Protection", ""),
            ],
        )

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def strict_mode_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Turn strict mode on or off, with a reason. The service refuses it to one person alone."""
        environment = self.row(request, str(object_id))
        permissions.require(actor_of(request), permissions.ADMINISTER, environment)
        form = ReasonForm(request.POST or None)
        address = reverse("admin:flags_environment_change", args=[environment.pk])
        wanted = not environment.requires_targeting_key
        if request.method == "POST" and form.is_valid():
            # The page says which way it switches, so that two people clicking at once do not undo each other.
            wanted = request.POST.get("wanted") == "strict"
            reason = form.cleaned_data["reason"]
            with form_errors(form):
                set_targeting_key_mode(
                    environment.pk, actor=actor_of(request), is_required=wanted, now=timezone.now(), reason=reason
                )
                state = "strict: a split needs a targeting key" if wanted else "not strict any more"
                messages.success(request, f"{_label(environment)} is now {state}.")
                return HttpResponseRedirect(address)
        return self.page(
            request,
            "flags/strict_mode.html",
            title=f"{'Turn on' if wanted else 'Turn off'} strict mode in {environment.name}",
            environment=environment,
            wanted=wanted,
            form=form,
            address=address,
            crumbs=[
                ("Environments", reverse("admin:flags_environment_changelist")),
                (_label(environment), address),
                ("Strict mode", ""),
            ],
        )

    def history_url(self, request: HttpRequest, object_id: str) -> str:
        return reverse("admin:flags_environment_change", args=[self.row(request, object_id).pk])


def _label(environment: Environment) -> str:
    return f"{environment.project.name} · {environment.name}"
