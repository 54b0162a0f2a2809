"""The audit trail: a list to search and filter, and a page with the facts of each event. Nothing here writes."""

import json
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import BadRequest
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from audits.admin.filters import (
    SIMPLE_FILTERS,
    ActionFilter,
    ActorFilter,
    CorrelationFilter,
    EnvironmentFilter,
    FlagFilter,
    OccurredFilter,
    ProjectFilter,
)
from audits.models import AuditEvent
from audits.scope import scope_of
from audits.selectors import actor_ids_named, attach_names, events_matching
from audits.sentences import place_name, sentence_of

SAFE_METHODS = ("GET", "HEAD")
FILTER_PARAMETERS = frozenset(
    {each.parameter_name for each in SIMPLE_FILTERS}
    | {f"occurred_at_{end}_{part}" for end in ("from", "to") for part in (0, 1)}
)


class TrailChangeList(ChangeList):  # type: ignore[misc]
    """A page of the list with the names of all its actors: one query more, however many rows."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        attach_names(self.result_list)


@admin.register(AuditEvent)
class AuditEventAdmin(ModelAdmin):  # type: ignore[misc]
    """Read-only; shows what `settings.AUDIT_SCOPE` lets a person see."""

    list_display = ("what", "when", "place", "reason_given", "act")
    list_display_links = ("what",)
    list_filter = (
        ActionFilter,
        ProjectFilter,
        EnvironmentFilter,
        FlagFilter,
        ActorFilter,
        ("occurred_at", OccurredFilter),
        CorrelationFilter,
    )
    list_filter_submit = True
    list_per_page = 50
    list_max_show_all = 200
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    search_fields = ("target_label",)
    search_help_text = "A name, a flag key, a reason, or the id of an event or act"
    actions = None
    readonly_fields = (
        "what",
        "exact_time",
        "who",
        "reason_given",
        "act",
        "target",
        "project",
        "environment",
        "flag",
        "formatted_data",
        "place_in_chain",
        "event_id",
    )
    fieldsets = (
        (None, {"fields": ("what", "exact_time", "who", "reason_given", "act")}),
        ("What it was about", {"fields": ("target", "project", "environment", "flag")}),
        ("Details", {"fields": ("formatted_data",)}),
        ("Evidence", {"fields": ("place_in_chain", "event_id", "hash", "previous_hash")}),
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
        if (uuid := _uuid(term)) is not None:
            ids |= Q(correlation_id=uuid) | Q(pk=uuid)
        return queryset.filter(texts | ids), False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> AuditEvent | None:
        event: AuditEvent | None = super().get_object(request, object_id, from_field)
        return attach_names([event])[0] if event else None

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        if request.method not in SAFE_METHODS:
            return HttpResponseNotAllowed(SAFE_METHODS)
        if any("\x00" in value for values in request.GET.lists() for value in (values[0], *values[1])):
            raise BadRequest("The address holds a NUL character, which no audit event can hold.")
        response: HttpResponseBase = super().changelist_view(request, {"title": "Audit trail", **(extra_context or {})})
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
        now = timezone.now()
        is_new = (now - event.occurred_at).total_seconds() < 60
        words = "just now" if is_new else f"{timesince(event.occurred_at, now, depth=1)} ago"
        moment = event.occurred_at.isoformat()
        return format_html('<time datetime="{}" title="{}">{}</time>', moment, _exact(event), words)

    @admin.display(description="Where", empty_value="the whole site")
    def place(self, event: AuditEvent) -> str | None:
        parts = [event.project_key, place_name(event.environment_key)]
        return " / ".join(part for part in parts if part) or None

    @admin.display(description="Why", empty_value="–")
    def reason_given(self, event: AuditEvent) -> str | None:
        return event.reason or None

    @admin.display(description="Same act")
    def act(self, event: AuditEvent) -> SafeString:
        query = urlencode({"act": str(event.correlation_id)})
        address = f"{reverse('admin:audits_auditevent_changelist')}?{query}"
        return format_html(
            '<a class="text-primary-600 dark:text-primary-500" href="{}" title="Everything with correlation id {}">'
            "<code>{}</code></a>",
            address,
            event.correlation_id,
            str(event.correlation_id)[:8],
        )

    @admin.display(description="When")
    def exact_time(self, event: AuditEvent) -> SafeString:
        return format_html('<time datetime="{}">{}</time>', event.occurred_at.isoformat(), _exact(event))

    @admin.display(description="Who")
    def who(self, event: AuditEvent) -> str:
        via = f", via {event.via}" if event.via else ""
        return f"{event.actor_label} ({event.actor_kind} {event.actor_id}{via})"

    @admin.display(description="Target")
    def target(self, event: AuditEvent) -> str:
        return f"{event.target_name} ({event.target_type} {event.target_id})".strip()

    @admin.display(description="Project", empty_value="–")
    def project(self, event: AuditEvent) -> str | None:
        return event.project_key or None

    @admin.display(description="Environment", empty_value="–")
    def environment(self, event: AuditEvent) -> str | None:
        return event.environment_key or None

    @admin.display(description="Flag", empty_value="–")
    def flag(self, event: AuditEvent) -> str | None:
        return event.flag_key or None

    @admin.display(description="Data")
    def formatted_data(self, event: AuditEvent) -> SafeString:
        text = json.dumps(event.details, indent=2, ensure_ascii=False)
        return format_html('<pre class="fs-code" style="white-space: pre-wrap; overflow-wrap: anywhere">{}</pre>', text)

    @admin.display(description="Chain")
    def place_in_chain(self, event: AuditEvent) -> str:
        return f"{event.chain}, event {event.sequence}"

    @admin.display(description="Event id")
    def event_id(self, event: AuditEvent) -> str:
        return str(event.pk)


def _exact(event: AuditEvent) -> str:
    local = timezone.localtime(event.occurred_at)
    return f"{date_format(local, 'j M Y, H:i:s')} {local.tzname()}"


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
