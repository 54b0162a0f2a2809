"""What every page of the admin builds on: no stock door writes anything, domain errors become sentences on the page.

An admin here is a client of services: form -> service -> message. `GovernedAdmin` shuts every stock way to write, so a
page that changes something says so itself, with its own URL, its own POST and one service call.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from unfold.admin import ModelAdmin

from audits.context import Actor
from audits.errors import GovernanceError
from flags.errors import InvalidInput, PermissionMissing

STOCK_DOOR = (
    "Nothing is saved through this page. Use the page made for this change, so that it is checked and recorded."
)


def signed_in(request: HttpRequest) -> AbstractUser:
    """The person behind a request to an admin page, which the site has already checked."""
    return cast(AbstractUser, request.user)


def actor_of(request: HttpRequest) -> Actor:
    """The actor for a request to an admin page."""
    return Actor.person(signed_in(request), via="admin")


@contextmanager
def form_errors(form: forms.BaseForm) -> Iterator[None]:
    """Turn what a service refuses into errors of the form, so that the page comes back with everything that was typed.

    `facts["problems"]` (dicts with `path` and `message`) land on the fields they name. A missing permission passes
    through: the site answers it with its 403 page.
    """
    try:
        yield
    except PermissionMissing:
        raise
    except GovernanceError as error:
        add_problems(form, error)


@contextmanager
def message_errors(request: HttpRequest) -> Iterator[None]:
    """Turn what a service refuses into a message, for buttons without a form to go back to."""
    try:
        yield
    except PermissionMissing:
        raise
    except GovernanceError as error:
        messages.error(request, error.message)


def add_problems(form: forms.BaseForm, error: GovernanceError) -> None:
    """Put a domain error's problems on the fields they name, and its sentence on top of the form.

    What is wrong with fields alone is said at the fields alone: the sentence names them as services know them.
    """
    found = [_place_and_text(problem) for problem in error.facts.get("problems") or []]
    rest: list[str] = []
    for place, text in found:
        field = next((name for name in (place, f"{place}s") if _is_shown(form, name)), None)
        if field:
            form.add_error(field, text)
        else:
            rest.append(f"{place}: {text}" if place else text)
    if rest or not found or not isinstance(error, InvalidInput):
        form.add_error(None, [error.message, *[line for line in rest if line not in error.message]])


def _is_shown(form: forms.BaseForm, name: str) -> bool:
    return name in form.fields and not form.fields[name].widget.is_hidden


def _place_and_text(problem: Any) -> tuple[str, str]:
    if isinstance(problem, dict):
        return str(problem.get("path", "")), str(problem.get("message", ""))
    return str(getattr(problem, "path", "")), str(getattr(problem, "message", problem))


def admin_page(
    site: Any, request: HttpRequest, template: str, *, title: str, status: int = 200, **context: Any
) -> TemplateResponse:
    """One of our own pages inside the shell of an admin site. `now` is the instant the page speaks of."""
    request.current_app = site.name
    shell = {**site.each_context(request), "title": title, "now": timezone.now()}
    return TemplateResponse(request, template, {**shell, **context}, status=status)


class GovernedAdmin(ModelAdmin):  # type: ignore[misc]
    """A model's pages without any stock way to add, change or delete; subclasses say who sees which rows."""

    actions = None
    list_display_links: tuple[str, ...] | None = None
    show_add_link = False

    def visible_to(self, user: AbstractUser, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows a person may look at. Nobody but superusers unless a subclass says otherwise."""
        return queryset if user.is_superuser else queryset.none()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Only rows the person may look at, so a row of another project does not exist for them."""
        return self.visible_to(signed_in(request), super().get_queryset(request))

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the person may look at this row; the pages are open to everybody and show what each may see."""
        if obj is not None:
            return bool(self.get_queryset(request).filter(pk=obj.pk).exists())
        return request.user.is_active

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Follows the pages: model-level permissions mean nothing here."""
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never through the stock page."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never through the stock page."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never through the stock page."""
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Never: our own lists read their own parameters."""
        return False

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        """Never: rows are found by their id alone."""
        return False

    def save_model(self, *args: Any, **kwargs: Any) -> None:
        """Refused: only services write."""
        raise PermissionDenied(STOCK_DOOR)

    delete_model = delete_queryset = save_formset = save_related = save_model

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponseBase:
        """Reading only, at a place of the subclass's choice. Django's own log of admin acts is not evidence."""
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return HttpResponseRedirect(self.history_url(request, object_id))

    def history_url(self, request: HttpRequest, object_id: str) -> str:
        """Where the history of a row is told: its own page unless a subclass has a better place."""
        return "../"

    def row(self, request: HttpRequest, object_id: str) -> Any:
        """The row with that id if the person may look at it. Raises Http404, so that nobody learns what exists."""
        found = self.get_object(request, str(object_id))
        if found is None:
            raise Http404
        return found

    def page(
        self, request: HttpRequest, template: str, *, title: str, status: int = 200, **context: Any
    ) -> TemplateResponse:
        """One of our own pages inside the admin's shell."""
        return admin_page(self.admin_site, request, template, title=title, status=status, **context)

    def door(self, route: str, view: Callable[..., HttpResponseBase], name: str) -> URLPattern:
        """A URL of our own behind the site's sign-in; put it before the stock ones in `get_urls`."""
        pattern: URLPattern = path(route, self.admin_site.admin_view(view), name=name)
        return pattern
