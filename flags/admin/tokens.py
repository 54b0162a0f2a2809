"""Tokens: how services identify themselves. A secret is shown once, on the answer to the form that issued it."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from flags.admin.forms import PlainForm, ReasonForm
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, signed_in
from flags.models import Environment, EnvironmentToken
from flags.models.tokens import TokenScope
from flags.selectors.environments import administered_environments
from flags.services.tokens import IssuedToken, issue_token, revoke_token

LIFETIMES = {"30": "30 days", "90": "90 days", "365": "One year", "": "Never (revoke it by hand)"}
SCOPE_WORDS = {
    TokenScope.EVALUATE: "Asks what flags serve (OFREP). This is what a service needs.",
    TokenScope.CLIENT: "For browsers and apps, where anybody can read it: sees flags marked client-visible only.",
    TokenScope.FLAGD: "Reads every rule of the environment as a flagd definition. Never for browsers.",
    TokenScope.MANAGE: "Reads change requests, drift and the calendar, asks who flips, declares incidents, explains "
    "answers. Shows rules, so keep it with people and tools.",
    TokenScope.TELEMETRY: "Reports how often flags were evaluated and how metrics fare; reads nothing.",
    TokenScope.REFERENCES: "Reports where code names flags; reads the keys of the project's flags and nothing else.",
    TokenScope.AUDIT: "Reads audit events of this environment through the API.",
}
get_or_post = require_http_methods(["GET", "HEAD", "POST"])


class EnvironmentChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Environments with their project."""

    def label_from_instance(self, obj: Any) -> str:
        """Project and environment."""
        return f"{obj.project.name} · {obj.name}"


class TokenForm(PlainForm):
    """A token to issue."""

    environment = EnvironmentChoice(
        queryset=Environment.objects.none(), help_text="The token works here and nowhere else."
    )
    name = forms.CharField(max_length=120, help_text="Which service will hold it: “checkout service, EU”.")
    scope = forms.ChoiceField(label="What may it do?", choices=TokenScope.choices, widget=forms.RadioSelect)
    lifetime = forms.ChoiceField(
        label="Expires after", choices=list(LIFETIMES.items()), required=False, initial="90",
        help_text="Services are refused from then on, so note down when to replace it.",
    )  # fmt: skip

    def __init__(self, *args: Any, environments: QuerySet[Environment], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = self.fields["environment"]
        assert isinstance(choice, EnvironmentChoice)  # noqa: S101 - for the type checker
        choice.queryset = environments

    def expires_at(self, now: datetime) -> datetime | None:
        """The chosen end, None for never."""
        days = self.cleaned_data["lifetime"]
        return now + timedelta(days=int(days)) if days else None


@admin.register(EnvironmentToken)
class EnvironmentTokenAdmin(GovernedAdmin):
    """Tokens of the environments a person administers."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[EnvironmentToken]) -> QuerySet[EnvironmentToken]:
        mine = queryset.filter(environment__in=administered_environments(user))
        return mine.select_related("environment__project", "created_by")

    def get_urls(self) -> list[URLPattern]:
        revoke = self.door("<uuid:object_id>/revoke/", self.revoke_view, "flags_environmenttoken_revoke")
        return [revoke, *super().get_urls()]

    @method_decorator(require_safe)
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        self._require_administrator(request)
        now = timezone.now()
        order = ("environment__project__name", "environment__position", "-created_at")
        rows = [(token, token_state(token, now)) for token in self.get_queryset(request).order_by(*order)]
        return self.page(
            request,
            "flags/tokens.html",
            title="Tokens",
            subtitle="How services identify themselves. Only a fingerprint is stored; nobody can read a secret again.",
            alive=[row for row in rows if row[1] == "active"],
            gone=[row for row in rows if row[1] != "active"],
            crumbs=[("Tokens", "")],
        )

    @method_decorator(get_or_post)
    @method_decorator(sensitive_variables("issued"))
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponseBase:
        self._require_administrator(request)
        environments = administered_environments(signed_in(request)).order_by("project__name", "position")
        initial = {"environment": request.GET.get("environment"), "scope": TokenScope.EVALUATE, "lifetime": "90"}
        form = TokenForm(request.POST or None, environments=environments, initial=initial)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                now, data = timezone.now(), form.cleaned_data
                issued = issue_token(
                    data["environment"].pk,
                    actor=actor_of(request),
                    name=data["name"],
                    scope=data["scope"],
                    expires_at=form.expires_at(now),
                    now=now,
                )
                return self._secret_page(request, issued)
        return self.page(
            request,
            "flags/token_add.html",
            title="Issue a token",
            form=form,
            scope_words=SCOPE_WORDS,
            crumbs=[*_crumbs(), ("Issue", "")],
        )

    def _secret_page(self, request: HttpRequest, issued: IssuedToken) -> HttpResponseBase:
        """The only page a secret is ever on: no cache keeps it, and reloading it does not send the form again."""
        response = self.page(
            request,
            "flags/token_issued.html",
            title="Copy the secret now",
            token=issued.token,
            secret=issued.secret,
            crumbs=[*_crumbs(), (issued.token.name, "")],
        )
        add_never_cache_headers(response)
        return response

    @method_decorator(get_or_post)
    def revoke_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Revoke a token, with a reason."""
        token = self.row(request, str(object_id))
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                reason = form.cleaned_data["reason"]
                revoke_token(token.pk, actor=actor_of(request), now=timezone.now(), reason=reason)
                messages.success(request, f"{token.name} was revoked. Services that use it are refused within seconds.")
                return HttpResponseRedirect(reverse("admin:flags_environmenttoken_changelist"))
        return self.page(
            request,
            "flags/token_revoke.html",
            title=f"Revoke {token.name}",
            token=token,
            state=token_state(token, timezone.now()),
            form=form,
            crumbs=[*_crumbs(), ("Revoke", "")],
        )

    @method_decorator(require_safe)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        self.row(request, object_id)
        return HttpResponseRedirect(reverse("admin:flags_environmenttoken_changelist"))

    def history_url(self, request: HttpRequest, object_id: str) -> str:
        self.row(request, object_id)
        return reverse("admin:flags_environmenttoken_changelist")

    def _require_administrator(self, request: HttpRequest) -> None:
        if not administered_environments(signed_in(request)).exists():
            raise PermissionDenied(
                "Tokens are seen and issued by administrators of an environment. Ask one of them for a token; "
                "the page Access shows who they are."
            )


def token_state(token: EnvironmentToken, now: datetime) -> str:
    """active, expired or revoked."""
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "active"


def _crumbs() -> list[tuple[str, str]]:
    return [("Tokens", reverse("admin:flags_environmenttoken_changelist"))]
