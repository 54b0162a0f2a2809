"""Context attributes of a project: the list, declaring one, and taking a declaration back."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods, require_safe

from flags import permissions
from flags.admin.forms import PlainForm
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, message_errors, signed_in
from flags.errors import PermissionMissing
from flags.models import ContextAttribute, Environment, Project
from flags.models.attributes import AttributeType
from flags.selectors.declarations import attribute_lines
from flags.selectors.environments import shown_project
from flags.services.attributes import declare_attribute, remove_attribute

VOUCHING = (
    "Declaring an attribute harmless, or removing a declaration, needs the role administrator in every protected "
    "environment of the project: reviewers there rely on it."
)
get_or_post = require_http_methods(["GET", "HEAD", "POST"])


class AttributeForm(PlainForm):
    """What people say about an attribute."""

    name = forms.CharField(
        max_length=100,
        strip=False,
        help_text="As services send it, letter for letter, such as plan or companySize. Without dots: rules look at "
        "attributes themselves, not at parts of objects.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )
    value_type = forms.ChoiceField(label="What does it hold?", choices=AttributeType.choices, widget=forms.RadioSelect)
    description = forms.CharField(
        max_length=200, required=False, help_text="Who sets it, and what the usual values are."
    )
    grants_access = forms.BooleanField(required=False, label="Worth lying about")


@admin.register(ContextAttribute)
class ContextAttributeAdmin(GovernedAdmin):
    """Everybody with a role in a project reads its attributes; administrators of it declare them."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[ContextAttribute]) -> QuerySet[ContextAttribute]:
        return queryset.filter(project__in=permissions.visible_projects(user)).select_related("project")

    def get_urls(self) -> list[URLPattern]:
        remove = self.door("<uuid:object_id>/remove/", self.remove_view, "flags_contextattribute_remove")
        return [remove, *super().get_urls()]

    @method_decorator(require_safe)
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        user, asked = signed_in(request), request.GET.get("project", "")
        projects, project = shown_project(user, asked)
        if project is None and asked:
            raise Http404
        environments = permissions.visible_environments(user).filter(project=project).values_list("pk", flat=True)
        lines = attribute_lines(project, list(environments)) if project else []
        return self.page(
            request,
            "flags/attributes.html",
            title="Attributes",
            projects=projects,
            project=project,
            declared=[line for line in lines if line.declared],
            others=[line for line in lines if not line.declared],
            may_declare=project is not None and may_declare(user, project),
            may_remove=project is not None and may_vouch(user, project),
            crumbs=[("Attributes", "")],
        )

    @method_decorator(get_or_post)
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponseBase:
        project = shown_project(signed_in(request), request.GET.get("project", ""))[1]
        if project is None:
            raise Http404
        initial = {"name": request.GET.get("name", "")[:100], "value_type": AttributeType.TEXT, "grants_access": True}
        return self._declare(request, project, None, initial)

    @method_decorator(get_or_post)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        attribute = self.row(request, object_id)
        initial = {name: getattr(attribute, name) for name in AttributeForm.base_fields}
        return self._declare(request, attribute.project, attribute, initial)

    @method_decorator(get_or_post)
    def remove_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Take a declaration back, after saying what that means."""
        attribute = self.row(request, str(object_id))
        _require_administrator(request, attribute.project)
        if not may_vouch(signed_in(request), attribute.project):
            raise PermissionDenied(VOUCHING)
        address = _address(attribute.project)
        if request.method == "POST":
            with message_errors(request):
                remove_attribute(attribute.pk, actor=actor_of(request), now=timezone.now())
                text = f"{attribute.name} is not declared any more. Rules that use it go on working."
                messages.success(request, text)
            return HttpResponseRedirect(address)
        return self.page(
            request,
            "flags/attribute_remove.html",
            title=f"Remove the declaration of {attribute.name}",
            attribute=attribute,
            address=address,
            crumbs=[("Attributes", address), (attribute.name, "")],
        )

    def history_url(self, request: HttpRequest, object_id: str) -> str:
        return _address(self.row(request, object_id).project)

    def _declare(
        self, request: HttpRequest, project: Project, attribute: ContextAttribute | None, initial: dict[str, Any]
    ) -> HttpResponseBase:
        _require_administrator(request, project)
        form = AttributeForm(request.POST or None, initial=initial)
        if attribute:
            # The name is what services send: another name is another attribute.
            del form.fields["name"]
        if request.method == "POST" and form.is_valid():
            values = {"name": attribute.name if attribute else "", **form.cleaned_data}
            try:
                with form_errors(form):
                    declare_attribute(project.pk, actor=actor_of(request), now=timezone.now(), **values)
                    messages.success(request, f"{values['name']} is declared. The editor offers it in rules.")
                    return HttpResponseRedirect(_address(project))
            except PermissionMissing as error:
                # Declaring is allowed here, only not as harmless: everything else that was typed is of use.
                form.add_error(None, error.message)
        name = attribute.name if attribute else ""
        return self.page(
            request,
            "flags/attribute_edit.html",
            title=f"Attribute {name}" if attribute else "Declare an attribute",
            subtitle=f"Of {project.name}. Nothing that is served changes by this.",
            form=form,
            attribute=attribute,
            vouching="" if may_vouch(signed_in(request), project) else VOUCHING,
            address=_address(project),
            crumbs=[("Attributes", _address(project)), (name or "Declare", "")],
        )


def may_declare(user: AbstractUser, project: Project) -> bool:
    """Whether somebody administers an environment of the project."""
    administers = permissions.environments_with(user, permissions.ADMINISTER)
    return user.is_superuser or Environment.objects.filter(project=project, pk__in=administers).exists()


def may_vouch(user: AbstractUser, project: Project) -> bool:
    """Whether somebody who may declare attributes may also declare them harmless, and take declarations back."""
    if user.is_superuser:
        return True
    administers = permissions.environments_with(user, permissions.ADMINISTER)
    protected = Environment.objects.filter(project=project, is_protected=True)
    return may_declare(user, project) and not protected.exclude(pk__in=administers).exists()


def _require_administrator(request: HttpRequest, project: Project) -> None:
    if not may_declare(signed_in(request), project):
        raise PermissionDenied(
            f"Declaring attributes needs the role administrator in one environment of {project.name}. "
            "Ask an administrator to do it."
        )


def _address(project: Project) -> str:
    return f"{reverse('admin:flags_contextattribute_changelist')}?project={project.key}"
