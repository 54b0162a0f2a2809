"""The audit trail: a list to search and filter, and a page with the facts of each event. Nothing here writes."""

import re
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import BadRequest
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from audits.admin import cells
from audits.admin.filters import (
    SIMPLE_FILTERS,
    AboutFilter,
    ActionFilter,
    ActorFilter,
    CorrelationFilter,
    EnvironmentFilter,
    FlagFilter,
    OccurredFilter,
    ProjectFilter,
)
from audits.belonging import KINDS, Matter, number_in
from audits.models import AuditEvent
from audits.scope import scope_of
from audits.selectors import actor_ids_named, attach_matters, attach_names, events_matching, name_of_thing
from audits.sentences import actor_name, place_name, sentence_of

SAFE_METHODS = ("GET", "HEAD")
FILTER_PARAMETERS = frozenset(
    {each.parameter_name for each in SIMPLE_FILTERS}
    | {f"occurred_at_{end}_{part}" for end in ("from", "to") for part in (0, 1)}
)


# What the list shows of an id are its first eight digits.
ID_BEGINS = re.compile(r"[0-9a-f]{8,32}")


class TrailChangeList(ChangeList):  # type: ignore[misc]
    """A page of the list with names and what each event belongs to: two queries more, however many rows."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        attach_names(self.result_list)
        attach_matters(self.result_list, scope=scope_of(request))


@admin.register(AuditEvent)
class AuditEventAdmin(ModelAdmin):  # type: ignore[misc]
    """Read-only; shows what `settings.AUDIT_SCOPE` lets a person see."""

    list_display = ("what", "when", "place", "reason_given", "act", "belongs_to")
    list_display_links = ("what",)
    list_filter = (
        ActionFilter,
        ProjectFilter,
        EnvironmentFilter,
        FlagFilter,
        ActorFilter,
        ("occurred_at", OccurredFilter),
        CorrelationFilter,
        AboutFilter,
    )
    list_filter_submit = True
    list_per_page = 50
    list_max_show_all = 200
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    search_fields = ("target_label",)
    search_help_text = "A name, a flag key, a reason, or the id of an event or act (its first eight digits will do)"
    actions = None
    readonly_fields = (
        "what",
        "when",
        "who",
        "reason_given",
        "act",
        "everything",
        "target",
        "project",
        "environment",
        "flag",
        "facts",
        "place_in_chain",
        "event_id",
        "actor_reference",
        "target_reference",
        "own_hash",
        "hash_before",
    )
    fieldsets = (
        (None, {"fields": ("what", "when", "who", "reason_given", "act", "everything")}),
        ("What it was about", {"fields": ("target", "project", "environment", "flag")}),
        ("Details", {"fields": ("facts",)}),
        (
            "Evidence",
            {
                "fields": (
                    "place_in_chain",
                    "event_id",
                    "actor_reference",
                    "target_reference",
                    "own_hash",
                    "hash_before",
                )
            },
        ),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TrailChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Only what the filters offer: a lookup of the caller's choice can run for hours or end in an error."""
        return lookup in FILTER_PARAMETERS

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        """Never: events are found by their id alone."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        return events_matching(scope=scope_of(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent], search_term: str
    ) -> tuple[QuerySet[AuditEvent], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        texts = Q(target_label__icontains=term) | Q(flag_key__icontains=term) | Q(reason__icontains=term)
        ids = Q(actor_id__in=actor_ids_named(term)) | Q(target_id=term)
        if (ends := _ids_beginning(term)) is not None:
            ids |= Q(correlation_id__range=ends) | Q(pk__range=ends)
        return queryset.filter(texts | ids), False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> AuditEvent | None:
        event: AuditEvent | None = super().get_object(request, object_id, from_field)
        if event is None:
            return None
        attach_matters([event], scope=scope_of(request))
        return attach_names([event])[0]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        if request.method not in SAFE_METHODS:
            return HttpResponseNotAllowed(SAFE_METHODS)
        if any("\x00" in value for values in request.GET.lists() for value in (values[0], *values[1])):
            raise BadRequest("The address holds a NUL character, which no audit event can hold.")
        context = {"title": "Audit trail", "about": _about(request), **(extra_context or {})}
        response: HttpResponseBase = super().changelist_view(request, context)
        return response

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        if request.method not in SAFE_METHODS:
            return HttpResponseNotAllowed(SAFE_METHODS)
        if object_id and "\x00" in object_id:
            raise BadRequest("The address holds a NUL character, which no audit event can hold.")
        context = {"title": "Audit event", "subtitle": None, **(extra_context or {})}
        response: HttpResponseBase = super().changeform_view(request, object_id, form_url, context)
        return response

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponseBase:
        """Events have no history: they never change."""
        return self.changeform_view(request, object_id)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return not scope_of(request).is_empty

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return not scope_of(request).is_empty

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.display(description="What happened")
    def what(self, event: AuditEvent) -> str:
        return sentence_of(event)

    @admin.display(description="When")
    def when(self, event: AuditEvent) -> SafeString:
        return cells.when(event)

    @admin.display(description="Where", empty_value="the whole site")
    def place(self, event: AuditEvent) -> str | None:
        parts = [event.project_key, place_name(event.environment_key)]
        return " / ".join(part for part in parts if part) or None

    @admin.display(description="Why", empty_value="–")
    def reason_given(self, event: AuditEvent) -> str | None:
        return event.reason or None

    @admin.display(description="Same act")
    def act(self, event: AuditEvent) -> SafeString:
        return cells.same_act(event)

    @admin.display(description="Everything about", empty_value="–")
    def belongs_to(self, event: AuditEvent) -> SafeString | None:
        return cells.everything_about(event)

    @admin.display(description="Belongs to", empty_value="–")
    def everything(self, event: AuditEvent) -> SafeString | None:
        return cells.pages_of(event.matters) if event.matters else None

    @admin.display(description="Who")
    def who(self, event: AuditEvent) -> str:
        via = f", via {event.via}" if event.via else ""
        return f"{actor_name(event.actor_label)} ({event.actor_kind}{via})"

    @admin.display(description="Target")
    def target(self, event: AuditEvent) -> SafeString | str:
        return cells.target_link(event)

    @admin.display(description="Project", empty_value="–")
    def project(self, event: AuditEvent) -> str | None:
        return event.project_key or None

    @admin.display(description="Environment", empty_value="–")
    def environment(self, event: AuditEvent) -> str | None:
        return event.environment_key or None

    @admin.display(description="Flag", empty_value="–")
    def flag(self, event: AuditEvent) -> SafeString | str | None:
        return cells.flag_link(event)

    @admin.display(description="Data")
    def facts(self, event: AuditEvent) -> SafeString:
        return cells.facts_of(event)

    @admin.display(description="Chain")
    def place_in_chain(self, event: AuditEvent) -> str:
        return f"{event.chain}, event {event.sequence}"

    @admin.display(description="Event id")
    def event_id(self, event: AuditEvent) -> str:
        return str(event.pk)

    @admin.display(description="Id of who")
    def actor_reference(self, event: AuditEvent) -> str:
        return f"{event.actor_kind} {event.actor_id}"

    @admin.display(description="Id of the target")
    def target_reference(self, event: AuditEvent) -> str:
        return f"{event.target_type} {event.target_id}".strip()

    @admin.display(description="Hash")
    def own_hash(self, event: AuditEvent) -> SafeString:
        return cells.digest_of(event.hash)

    @admin.display(description="Previous hash")
    def hash_before(self, event: AuditEvent) -> SafeString:
        return cells.digest_of(event.previous_hash)


def _ids_beginning(text: str) -> tuple[UUID, UUID] | None:
    """The first and the last id that begin like this: a range, which an index finds."""
    digits = text.replace("-", "").lower()
    if not ID_BEGINS.fullmatch(digits):
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


def _about(request: HttpRequest) -> dict[str, str]:
    """What the list is about where it is narrowed to one thing: its name, and the address of its page."""
    thing = _uuid(request.GET.get(AboutFilter.parameter_name, ""))
    kind, label = name_of_thing(thing, scope=scope_of(request)) if thing else ("", "")
    if not kind:
        return {}
    words = Matter(kind, str(thing), number_in(label)).words if kind in KINDS else kind.replace("_", " ")
    return {"words": words, "label": label, "page": cells.page_of(kind, str(thing))}


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
