"""Filtered reads of the trail for people and programs. Verification reads for itself (`audits.chains`)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Self
from uuid import UUID

from django.db.models import BooleanField, Case, Q, QuerySet, Value, When

from audits.belonging import KINDS, matters_of, number_in
from audits.context import PERSON_TARGET, ActorKind
from audits.models import AuditActor, AuditEvent
from audits.scope import EVERYTHING, Scope

EXPORT_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """What to look for; None means any. The time is half-open: `occurred_from` <= occurred_at < `occurred_to`."""

    project_key: str | None = None
    environment_key: str | None = None
    flag_key: str | None = None
    actor_kind: str | None = None
    actor_id: str | None = None
    action: str | None = None
    occurred_from: datetime | None = None
    occurred_to: datetime | None = None
    correlation_id: UUID | None = None
    target_type: str | None = None
    target_id: str | None = None

    def given(self) -> dict[str, object]:
        """The fields that are not None, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


ANY = EventFilter()
_LOOKUPS = {"occurred_from": "occurred_at__gte", "occurred_to": "occurred_at__lt"}


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the order newest first: what follows it stays the same whatever is recorded meanwhile."""

    occurred_at: datetime
    sequence: int
    id: UUID

    @classmethod
    def of(cls, event: AuditEvent) -> Self:
        """The position of an event."""
        return cls(event.occurred_at, event.sequence, event.id)


@dataclass(frozen=True, slots=True)
class Page:
    """Some events, newest first, and the position after which the next page begins; None at the end."""

    events: list[AuditEvent]
    next: Position | None


def events_matching(filters: EventFilter = ANY, *, scope: Scope = EVERYTHING) -> QuerySet[AuditEvent]:
    """Events inside the scope that match, newest first. Names of actors are not filled in yet: see `attach_names`."""
    lookups = {_LOOKUPS.get(name, name): value for name, value in filters.given().items()}
    found = AuditEvent.objects.filter(_within(scope)).filter(**lookups)
    return found.order_by("-occurred_at", "-sequence", "-id")


def event_page(
    filters: EventFilter = ANY, *, scope: Scope = EVERYTHING, size: int, after: Position | None = None
) -> Page:
    """One page of `events_matching`, with names: two queries."""
    rows = list(_after(events_matching(filters, scope=scope), after)[: size + 1])
    events = attach_names(rows[:size])
    return Page(events, Position.of(events[-1]) if len(rows) > size else None)


def every_event(
    filters: EventFilter = ANY, *, scope: Scope = EVERYTHING, after: Position | None = None
) -> Iterator[AuditEvent]:
    """All matching events with names, read in chunks: no cursor or transaction stays open between them."""
    while True:
        page = event_page(filters, scope=scope, size=EXPORT_CHUNK, after=after)
        yield from page.events
        if page.next is None:
            return
        after = page.next


def events_about(thing: UUID, *, among: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
    """Of `among`, the events whose target is this thing, and those that name it among their facts.

    Whatever names a thing is recorded in one act with an event of the thing itself or of a plan or timeline that
    asked for it, so the indexes on targets and on acts find everything without a look at other events.
    """
    events = AuditEvent.objects.order_by()
    own = events.filter(target_id=str(thing))
    naming = events.filter(correlation_id__in=own.values("correlation_id"), data__contains=f'"{thing}"')
    askers = events.filter(target_id__in=naming.values("target_id"), target_type__in=KINDS)
    carried = events.filter(correlation_id__in=askers.values("correlation_id"), data__contains=f'"{thing}"')
    return among.filter(pk__in=own.values("pk").union(naming.values("pk"), carried.values("pk")))


def name_of_thing(thing: UUID, *, scope: Scope = EVERYTHING) -> tuple[str, str]:
    """Type and label of a thing as its newest event inside the scope has them, empty where there is none: one query."""
    found = AuditEvent.objects.filter(_within(scope), target_id=str(thing)).exclude(target_type=PERSON_TARGET)
    newest = found.order_by("-occurred_at").values_list("target_type", "target_label").first()
    return newest or ("", "")


def attach_matters(events: Iterable[AuditEvent], *, scope: Scope = EVERYTHING) -> None:
    """Fill `matters` of events in, with the numbers of those that other events tell: at most one query."""
    rows = list(events)
    for event in rows:
        event.matters = matters_of(event)
    unknown = {matter.id for event in rows for matter in event.matters if not matter.number}
    numbers = _numbers(unknown, scope) if unknown else {}
    for event in rows:
        event.matters = [replace(each, number=each.number or numbers.get(each.id, "")) for each in event.matters]


def flag_of(event: AuditEvent) -> str:
    """The id of the flag with the event's key, which was the newest at that time; empty where it is not known."""
    created = AuditEvent.objects.filter(
        action="flag.created",
        project_key=event.project_key,
        flag_key=event.flag_key,
        occurred_at__lte=event.occurred_at,
    )
    return created.order_by("-occurred_at").values_list("target_id", flat=True).first() or ""


def names_of_people(ids: Iterable[str]) -> dict[str, str]:
    """The names the trail knows of these people."""
    known = AuditActor.objects.filter(kind=ActorKind.PERSON, id__in=set(ids))
    return dict(known.values_list("id", "label"))


def timeline_of(target_type: str, target_id: object, *, scope: Scope = EVERYTHING) -> list[AuditEvent]:
    """Every event about one target, oldest first, with names: two queries."""
    filters = EventFilter(target_type=target_type, target_id=str(target_id))
    return attach_names(list(events_matching(filters, scope=scope).order_by("occurred_at", "sequence", "id")))


def timeline_of_flag(project_key: str, flag_key: str, *, limit: int, scope: Scope = EVERYTHING) -> list[AuditEvent]:
    """The newest events about a flag in all its environments, newest first, with names: two queries."""
    filters = EventFilter(project_key=project_key, flag_key=flag_key)
    return attach_names(list(events_matching(filters, scope=scope)[:limit]))


def attach_names(events: Iterable[AuditEvent]) -> list[AuditEvent]:
    """Fill `actor_label` and `target_name` of events in: one query. Erased people are called what the eraser left."""
    rows = list(events)
    wanted = {event.actor_id for event in rows}
    wanted |= {event.target_id for event in rows if event.target_type == PERSON_TARGET}
    names = {(actor.kind, actor.id): actor.label for actor in AuditActor.objects.filter(id__in=wanted)} if rows else {}
    for event in rows:
        event.actor_label = names.get((event.actor_kind, event.actor_id), "") or _unnamed(event.actor_kind)
        event.target_name = event.target_label
        if event.target_type == PERSON_TARGET:
            event.target_name = names.get((ActorKind.PERSON, event.target_id), "") or _unnamed(ActorKind.PERSON)
    return rows


def actor_ids_named(text: str, *, limit: int = 200) -> list[str]:
    """Ids of actors whose name contains the text."""
    named = AuditActor.objects.filter(label__icontains=text).order_by("label")
    return list(named.values_list("id", flat=True)[:limit])


def known_places(scope: Scope = EVERYTHING) -> list[tuple[str, str]]:
    """Pairs of project and environment key that the trail saw being created; the environment is empty for a project."""
    created = AuditEvent.objects.filter(_within(scope), action__in=["project.created", "environment.created"])
    return sorted(set(created.order_by().values_list("project_key", "environment_key")))


def _numbers(ids: Iterable[str], scope: Scope) -> dict[str, str]:
    created = [f"{kind}.created" for kind in KINDS]
    found = AuditEvent.objects.filter(_within(scope), target_id__in=ids, target_type__in=KINDS, action__in=created)
    return {thing: number_in(label) for thing, label in found.order_by().values_list("target_id", "target_label")}


def _unnamed(kind: str) -> str:
    return {"person": "someone", "service": "a service", "system": "the system"}.get(kind, "someone")


def _within(scope: Scope) -> Q:
    inside = Q() if scope.project_keys is None else Q(project_key__in=scope.project_keys)
    if scope.project_keys is not None and len(scope.project_keys) > 1:
        # Said this way the database walks the index on time and stops after a page; else SQLite would collect and
        # sort every event of all the projects first.
        inside = Q(Case(When(inside, then=Value(True)), default=Value(False), output_field=BooleanField()))
    if scope.environment_key is not None:
        inside &= Q(environment_key=scope.environment_key)
    if scope.environments is not None:
        places = Q(environment_key="")
        for project_key in {project for project, _ in scope.environments}:
            keys = [environment for project, environment in scope.environments if project == project_key]
            places |= Q(project_key=project_key, environment_key__in=keys)
        inside &= places
    return inside


def _after(events: QuerySet[AuditEvent], position: Position | None) -> QuerySet[AuditEvent]:
    if position is None:
        return events
    same_moment = Q(occurred_at=position.occurred_at)
    later = Q(sequence__lt=position.sequence) | Q(sequence=position.sequence, id__lt=position.id)
    # The first condition repeats what the second says, in a form that the index on time can use.
    return events.filter(
        Q(occurred_at__lte=position.occurred_at), Q(occurred_at__lt=position.occurred_at) | (same_moment & later)
    )
