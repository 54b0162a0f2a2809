"""The pages of people's accounts, for site administrators, and one's own password."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from flags.admin.forms import REASON_HELP, PlainForm
from flags.admin.governed import GovernedAdmin, actor_of, admin_page, form_errors, signed_in
from flags.models import EnvironmentUserGrant
from flagsite.models import User
from flagsite.people import change_password, change_person, create_person

get_or_post = require_http_methods(["GET", "HEAD", "POST"])


def _password_field(label: str, name: str = "new-password") -> forms.CharField:
    return forms.CharField(
        label=label, strip=False, max_length=4096, widget=forms.PasswordInput(attrs={"autocomplete": name})
    )


class PersonForm(PlainForm):
    """Who somebody is, and whether they may sign in."""

    first_name = forms.CharField(max_length=150, required=False)
    last_name = forms.CharField(max_length=150, required=False)
    email = forms.EmailField(max_length=254, required=False, label="E-mail")
    is_active = forms.BooleanField(required=False, label="May sign in")
    reason = forms.CharField(max_length=4000, required=False, label="Why?", help_text=REASON_HELP)


class NewPersonForm(PlainForm):
    """An account to create."""

    username = forms.CharField(max_length=150, label="User name", help_text="What they sign in with. It never changes.")
    first_name = forms.CharField(max_length=150, required=False)
    last_name = forms.CharField(max_length=150, required=False)
    email = forms.EmailField(max_length=254, required=False, label="E-mail")
    password = _password_field("First password")


class PasswordForm(PlainForm):
    """A new password."""

    password = _password_field("New password")


class OwnPasswordForm(PasswordForm):
    """A new password for oneself."""

    current = _password_field("Current password", "current-password")
    field_order = ("current", "password")

    def __init__(self, *args: Any, user: AbstractUser, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user

    def clean_current(self) -> str:
        """The password must be the one in use."""
        current: str = self.cleaned_data["current"]
        if not self._user.check_password(current):
            raise forms.ValidationError("This is not your current password.")
        return current


class PersonAdmin(GovernedAdmin):
    """Accounts. Rights are not given here: roles on the page Access, site administrators by the command line."""

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_active and signed_in(request).is_superuser

    def visible_to(self, user: AbstractUser, queryset: QuerySet[User]) -> QuerySet[User]:
        return queryset if user.is_superuser else queryset.none()

    def get_urls(self) -> list[URLPattern]:
        password = self.door("<uuid:object_id>/password/", self.password_view, "flagsite_user_password")
        return [password, *super().get_urls()]

    @method_decorator(require_safe)
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        self._require_superuser(request)
        people = self.get_queryset(request).order_by("-is_active", "first_name", "last_name", "username")
        grants = EnvironmentUserGrant.objects.order_by().values_list("user_id", "content_object__project__name")
        projects: dict[Any, list[str]] = {}
        for person_id, name in grants.distinct():
            projects.setdefault(person_id, []).append(name)
        return self.page(
            request,
            "flagsite/people.html",
            title="People",
            subtitle="Who can sign in. What they may do is decided on the page Access, environment by environment.",
            people=[(person, sorted(projects.get(person.pk, []))) for person in people],
            crumbs=[("People", "")],
        )

    @method_decorator(sensitive_post_parameters("password"))
    @method_decorator(get_or_post)
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponseBase:
        self._require_superuser(request)
        form = NewPersonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                person = create_person(actor=actor_of(request), now=timezone.now(), **form.cleaned_data)
                text = f"{_name(person)} can sign in now and sees nothing yet. Give roles on the page Access."
                messages.success(request, text)
                return HttpResponseRedirect(reverse("admin:flagsite_user_changelist"))
        crumbs = [*_crumbs(), ("New account", "")]
        return self.page(request, "flagsite/person_add.html", title="New account", form=form, crumbs=crumbs)

    @method_decorator(get_or_post)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        self._require_superuser(request)
        person = self.row(request, object_id)
        initial = {name: getattr(person, name) for name in ("first_name", "last_name", "email", "is_active")}
        form = PersonForm(request.POST or None, initial=initial)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                change_person(person.pk, actor=actor_of(request), now=timezone.now(), **form.cleaned_data)
                messages.success(request, f"The account of {_name(person)} was saved.")
                return HttpResponseRedirect(reverse("admin:flagsite_user_changelist"))
        crumbs = [*_crumbs(), (_name(person), "")]
        return self.page(request, "flagsite/person.html", title=_name(person), person=person, form=form, crumbs=crumbs)

    @method_decorator(sensitive_post_parameters("password"))
    @method_decorator(get_or_post)
    def password_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Set somebody's password."""
        self._require_superuser(request)
        person = self.row(request, str(object_id))
        address = reverse("admin:flagsite_user_change", args=[person.pk])
        form = PasswordForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                password = form.cleaned_data["password"]
                change_password(person.pk, actor=actor_of(request), password=password, now=timezone.now())
                messages.success(request, f"{_name(person)} has a new password. Their other sessions have ended.")
                return HttpResponseRedirect(address)
        crumbs = [
            *_crumbs(),
            (_name(person), reverse("admin:flagsite_user_change", args=[person.pk])),
            ("Password", ""),
        ]
        title = f"New password for {_name(person)}"
        return self.page(request, "flagsite/password.html", title=title, form=form, crumbs=crumbs)

    def history_url(self, request: HttpRequest, object_id: str) -> str:
        self._require_superuser(request)
        return reverse("admin:flagsite_user_change", args=[self.row(request, object_id).pk])

    def _require_superuser(self, request: HttpRequest) -> None:
        if not signed_in(request).is_superuser:
            raise PermissionDenied("Accounts are managed by site administrators. Ask one of them.")


@sensitive_post_parameters("current", "password")
@get_or_post
def own_password(request: HttpRequest, site: Any) -> HttpResponseBase:
    """Everybody's own password, with the same evidence as anybody else's."""
    user = signed_in(request)
    form = OwnPasswordForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        with form_errors(form):
            password = form.cleaned_data["password"]
            person = change_password(user.pk, actor=actor_of(request), password=password, now=timezone.now())
            update_session_auth_hash(request, person)
            messages.success(request, "Your password was changed. Your other sessions have ended.")
            return HttpResponseRedirect(reverse("admin:index"))
    crumbs = [("Your password", "")]
    return admin_page(site, request, "flagsite/password.html", title="Your password", form=form, crumbs=crumbs)


def _name(person: Any) -> str:
    return str(person.get_full_name() or person.get_username())


def _crumbs() -> list[tuple[str, str]]:
    return [("People", reverse("admin:flagsite_user_changelist"))]
