"""The admin site: one shell for every page, and nobody's pages but our own."""

from collections.abc import Callable, Iterable
from functools import update_wrapper
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.sites import UnfoldAdminSite

from audits.errors import GovernanceError
from flags.admin.access import AccessPage
from flags.admin.playground import PlaygroundPage
from flags.admin.role_grants import WhyPage
from flagsite import palette
from flagsite.demo.cast import CAST

OWN_APPS = frozenset({"audits", "flags", "rollouts", "flagsite"})
View = Callable[..., HttpResponseBase]


class FlagsiteAdminSite(UnfoldAdminSite):  # type: ignore[misc]
    """The one admin site. Pages of other packages (groups, lockouts, object permissions) do not exist here."""

    site_title = site_header = "Flagsite"
    index_title = "Desk"

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self.disable_action("delete_selected")

    def register(
        self, model_or_iterable: type[Model] | Iterable[type[Model]], admin_class: Any = None, **options: Any
    ) -> None:
        """Register our own pages and ignore everybody else's: each of them would be a door around the services."""
        models = [model_or_iterable] if isinstance(model_or_iterable, type) else list(model_or_iterable)
        own = [model for model in models if model._meta.app_label in OWN_APPS]
        super().register(own, admin_class, **options)

    def extra_urls(self) -> list[URLPattern]:
        """Pages that belong to no single model."""
        return [
            path("access/", self.admin_view(AccessPage(self)), name="flags_access"),
            path("access/why/", self.admin_view(WhyPage(self)), name="flags_access_why"),
            path("playground/", self.admin_view(PlaygroundPage(self)), name="flags_playground"),
        ]

    def get_urls(self) -> list[Any]:
        """Django's addresses without "view on site", which reads rows of any model by any id for anybody signed in."""
        return [pattern for pattern in super().get_urls() if getattr(pattern, "name", "") != "view_on_site"]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """What the shell needs on every page."""
        return {**super().each_context(request), "is_demo": settings.DEMO}

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Nothing: the sidebar is `flagsite.navigation`, and asking every page for its permissions costs queries."""
        return []

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Sign-in as always; what the rules refuse becomes a page in the shell that says what to do next."""

        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                return view(request, *args, **kwargs)
            except GovernanceError as error:
                return self.problem_page(request, error.status, error.title, error.message)
            except PermissionDenied as error:
                return self.problem_page(request, 403, "You may not do this", str(error) or _NO_RIGHT)
            except Http404:
                return self.problem_page(request, 404, "There is nothing here", _NOTHING)

        guard: View = super().admin_view(update_wrapper(guarded, view), cacheable)
        return guard

    def problem_page(self, request: HttpRequest, status: int, title: str, message: str) -> HttpResponse:
        """A page in the shell that says what happened, why, and what to do next."""
        context = {**self.each_context(request), "title": title, "message": message, "status": status}
        response = TemplateResponse(request, "admin/problem.html", context, status=status)
        response.render()
        return response

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        """The sign-in page; in demo mode with the accounts whose passwords are public anyway."""
        accounts = CAST if settings.DEMO else ()
        response: HttpResponseBase = super().login(request, {**(extra_context or {}), "demo_accounts": accounts})
        return response

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        """One's own password, through the audited service."""
        from flagsite.admin.people import own_password

        return own_password(request, self)

    def search(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        """The command palette."""
        return palette.answer(request)

    def app_index(self, request: HttpRequest, app_label: str, extra_context: Any = None) -> HttpResponseBase:
        """There are no per-app lists of models; the desk is where everything starts."""
        return HttpResponseRedirect(reverse("admin:index"))


_NO_RIGHT = "Your roles do not cover this page. Ask an administrator of the environment for the role you need."
_NOTHING = "This page does not exist, or it belongs to a project you cannot see. Go back to the desk and follow a link."
