"""Environments: what is protected, who works there, and switching protection."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_safe

from flags import permissions
from flags.admin.governed import GovernedAdmin, signed_in
from flags.admin.panels import panels
from flags.models import Environment, Project
from flags.models.environments import BucketingGeneration
from flags.permissions import Role
from flags.selectors.environments import environment_lines

GENERATION_WORDS = {
    BucketingGeneration.FLAGD_V2: "MurmurHash3 of salt and targeting key, as flagd does it today.",
    BucketingGeneration.FLAGD_V3: "MurmurHash3 of the type-safe encoding that flagd has introduced since.",
}


@admin.register(Environment)
class EnvironmentAdmin(GovernedAdmin):
    """Environments are created with their project; here they are looked at and protected."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[Environment]) -> QuerySet[Environment]:
        return queryset.filter(pk__in=permissions.visible_environments(user).values("pk")).select_related("project")

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
            may_restore=any(
                permissions.user_holds(user, one, environment) for one in (permissions.PROPOSE, permissions.APPLY)
            ),
            people=[(role, members) for role, members in people if role is not Role.VIEWER],
            generation_words=GENERATION_WORDS[BucketingGeneration(environment.generation)],
            crumbs=[("Environments", reverse("admin:flags_environment_changelist")), (_label(environment), "")],
        )

    def history_url(self, request: HttpRequest, object_id: str) -> str:
        return reverse("admin:flags_environment_change", args=[self.row(request, object_id).pk])


def _label(environment: Environment) -> str:
    return f"{environment.project.name} · {environment.name}"
