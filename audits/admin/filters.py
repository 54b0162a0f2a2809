"""Filters of the audit trail's list. Choices come from the few events that created projects and environments."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.utils import timezone
from unfold.contrib.filters.admin import DropdownFilter, RangeDateTimeFilter, TextFilter

from audits.actions import Action
from audits.models import AuditEvent
from audits.scope import scope_of
from audits.selectors import actor_ids_named, events_about, known_places
from audits.sentences import action_title, place_name

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.db.models import QuerySet
    from django.http import HttpRequest

    Events = QuerySet[AuditEvent]


class ActionFilter(DropdownFilter):  # type: ignore[misc]
    """What was done."""

    title, parameter_name = "what was done", "action"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return sorted(((action.value, action_title(action)) for action in Action), key=lambda pair: pair[1])

    def queryset(self, request: HttpRequest, queryset: Events) -> Events:
        return queryset.filter(action=self.value()) if self.value() else queryset


class _PlaceFilter(DropdownFilter):  # type: ignore[misc]
    """A place in an address counts even where it is not among the choices; ignoring it would show too much."""

    def has_output(self) -> bool:
        return bool(self.lookup_choices or self.value())


class ProjectFilter(_PlaceFilter):
    """In which project."""

    title, parameter_name = "project", "project"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(key, key) for key in sorted({project for project, _ in _places(request)})]

    def queryset(self, request: HttpRequest, queryset: Events) -> Events:
        return queryset.filter(project_key=self.value()) if self.value() else queryset


class EnvironmentFilter(_PlaceFilter):
    """In which environment, of any project."""

    title, parameter_name = "environment", "environment"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(key, place_name(key)) for key in sorted({key for _, key in _places(request) if key})]

    def queryset(self, request: HttpRequest, queryset: Events) -> Events:
        return queryset.filter(environment_key=self.value()) if self.value() else queryset


class FlagFilter(TextFilter):  # type: ignore[misc]
    """About which flag."""

    title, parameter_name = "flag key", "flag"

    def queryset(self, request: HttpRequest, queryset: Events) -> Events:
        return queryset.filter(flag_key=self.value()) if self.value() else queryset


class ActorFilter(TextFilter):  # type: ignore[misc]
    """Who did it, by a part of the name. A list of all names would show people to those who may not see them."""

    title, parameter_name = "name of who did it", "actor"

    def queryset(self, request: HttpRequest, queryset: Events) -> Events:
        return queryset.filter(actor_id__in=actor_ids_named(self.value())) if self.value() else queryset


class OccurredFilter(RangeDateTimeFilter):  # type: ignore[misc]
    """When, in the zone the pages show: from the first instant on, before the second one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "time"

    def queryset(self, request: HttpRequest, queryset: Events) -> Events:
        for end, lookup in (("from", "gte"), ("to", "lt")):
            day, moment = (self.used_parameters.get(f"{self.parameter_name}_{end}_{part}") for part in (0, 1))
            instant = _instant(day, moment)
            if instant is not None:
                queryset = queryset.filter(**{f"occurred_at__{lookup}": instant})
        return queryset


class CorrelationFilter(TextFilter):  # type: ignore[misc]
    """Everything that belongs to one act."""

    title, parameter_name = "correlation id (one act)", "act"

    def queryset(self, request: HttpRequest, queryset: Events) -> Events:
        if not self.value():
            return queryset
        try:
            return queryset.filter(correlation_id=UUID(self.value()))
        except ValueError:
            return queryset.none()


class AboutFilter(TextFilter):  # type: ignore[misc]
    """Everything about one change request, plan or timeline, whichever act it belongs to."""

    title, parameter_name = "id of a request, plan or timeline (all about it)", "about"

    def queryset(self, request: HttpRequest, queryset: Events) -> Events:
        if not self.value():
            return queryset
        try:
            return events_about(UUID(self.value()), among=queryset)
        except ValueError:
            return queryset.none()


SIMPLE_FILTERS = (
    ActionFilter,
    ProjectFilter,
    EnvironmentFilter,
    FlagFilter,
    ActorFilter,
    CorrelationFilter,
    AboutFilter,
)


def _instant(day: str | None, moment: str | None) -> datetime | None:
    """What the two fields of the form say; a day without a time begins at midnight, nonsense is no limit."""
    try:
        return timezone.make_aware(datetime.fromisoformat(f"{day} {moment or '00:00'}")) if day else None
    except (ValueError, OverflowError):
        return None


def _places(request: HttpRequest) -> list[tuple[str, str]]:
    places: list[tuple[str, str]] | None = getattr(request, "_audit_places", None)
    if places is None:
        places = known_places(scope_of(request))
        request._audit_places = places  # type: ignore[attr-defined]
    return places
