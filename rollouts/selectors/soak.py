"""How long what a request proposes has been live, without interruption, in the environment before."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from flags.aspects import Aspect, differing
from flags.changes import ConfigEdit, SegmentEdit, document_digest
from flags.documents.references import prerequisite_keys
from flags.models import Environment, FlagConfig, Segment
from rollouts.models import ChangeRequest, Incident

# Older versions are not read. That can only make a time shorter than it was.
LOOK_BACK = timedelta(days=366)
MOST_VERSIONS = 500
# What these serve are variants, so theirs are looked at too where one of them changes.
_SERVING = {Aspect.ON, Aspect.DEFAULT, Aspect.RULES, Aspect.TARGETS}
Document = Mapping[str, Any]
Moments = list[tuple[datetime, Document]]


@dataclass(frozen=True, slots=True)
class Soak:
    """Where the content soaks and since when it has been live and healthy there; `since` None: it is not live there.

    `missing` are the flags and segments that the environment before serves otherwise, `incidents` what is broken there.
    """

    environment: Environment
    since: datetime | None
    hours: int
    missing: tuple[str, ...] = ()
    incidents: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """How long, in hours, and in days once those are easier to read."""
        return f"{self.hours} h" if self.hours < 72 else f"{self.hours // 24} days"

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is broken there now."""
        return not self.incidents


def soak_of(request: ChangeRequest, *, now: datetime) -> Soak | None:
    """What stands above for the present content of a request: at most seven queries. None: no environment is before.

    An edit soaks while the environment before serves every aspect alike that the edit changes, with the flag switched
    on wherever it will be on, and with it all that it requires there. Where an edit changes who is served what, the
    values of the variants have to be alike; where it switches a flag on, everything. Whoever edits such an aspect
    there, or rolls it back, begins anew, and so does an incident there: time counts from the end of the last one.
    Segments that rules use are not looked into; those that the request itself changes have to be the same.
    """
    before = environment_before(request.environment)
    if before is None:
        return None
    edits = request.content.edits
    live = [*_configs_live(request, before, edits, now=now), *_segments_live(before, edits, now=now)]
    missing = tuple(key for key, since in live if since is None)
    dates = [since for _, since in live if since is not None]
    if missing or not dates:
        return Soak(before, None, 0, missing, _open_incidents(before, now=now))
    since, incidents = _healthy_since(before, max(dates), now=now)
    hours = 0 if incidents else int((now - since) / timedelta(hours=1))
    return Soak(before, since, max(hours, 0), incidents=incidents)


def environment_before(environment: Environment) -> Environment | None:
    """The neighbour further from customers, None for the first environment: one query."""
    earlier = Q(position__lt=environment.position) | Q(position=environment.position, key__lt=environment.key)
    rows = Environment.objects.filter(earlier, project=environment.project_id)
    return rows.order_by("position", "key").last()


def _configs_live(
    request: ChangeRequest, before: Environment, edits: Iterable[Any], *, now: datetime
) -> list[tuple[str, datetime | None]]:
    proposed = {edit.flag_key: edit.document for edit in edits if isinstance(edit, ConfigEdit)}
    if not proposed:
        return []
    present = dict(_rows(request.environment, proposed).values_list("flag__key", "document"))
    rows = FlagConfig.objects.filter(environment=before).values_list("flag__key", "updated_at", "document")
    there = {key: [(at, document)] for key, at, document in rows}
    required = {key: _required(key, there) if document["enabled"] else set() for key, document in proposed.items()}
    keys = set(proposed).union(*required.values())
    served = {key: there[key] for key in keys & there.keys()}
    recent = FlagConfig.history.filter(
        environment=before, flag__key__in=keys, flag__replaced_at=None, updated_at__gt=now - LOOK_BACK
    )
    _extend(served, recent.order_by("-version").values_list("flag__key", "updated_at", "document")[:MOST_VERSIONS])
    live = [
        (key, _since(served.get(key, []), _ConfigMatch(document, present.get(key), _needs(there.get(key)))))
        for key, document in proposed.items()
    ]
    parents = sorted(set().union(*required.values()) - proposed.keys())
    return live + [(key, _since(served.get(key, []), _is_on)) for key in parents]


def _required(key: str, there: Mapping[str, Moments]) -> set[str]:
    """The flags that must be on in the environment before for `key` to serve anything there, through all levels."""
    found: set[str] = set()
    pending = [key]
    while pending:
        for _, document in there.get(pending.pop(), [])[:1]:
            fresh = set(prerequisite_keys(document)) - found
            found |= fresh
            pending.extend(fresh)
    return found


def _needs(moments: Moments | None) -> Any:
    return moments[0][1].get("prerequisites", []) if moments else []


def _is_on(served: Document) -> bool:
    return bool(served["enabled"])


def _segments_live(before: Environment, edits: Iterable[Any], *, now: datetime) -> list[tuple[str, datetime | None]]:
    proposed = {edit.segment_key: edit.document for edit in edits if isinstance(edit, SegmentEdit)}
    if not proposed:
        return []
    rows = Segment.objects.filter(environment=before, key__in=proposed)
    served = {key: [(at, document)] for key, at, document in rows.values_list("key", "updated_at", "document")}
    recent = Segment.history.filter(environment=before, key__in=proposed, updated_at__gt=now - LOOK_BACK)
    _extend(served, recent.order_by("-version").values_list("key", "updated_at", "document")[:MOST_VERSIONS])
    return [(key, _since(served.get(key, []), _SegmentMatch(document))) for key, document in proposed.items()]


@dataclass(frozen=True, slots=True)
class _ConfigMatch:
    """Whether a document of the environment before serves what an edit brings, behind the prerequisites it has now."""

    proposed: Document
    present: Document | None
    needs: Any

    def __call__(self, served: Document) -> bool:
        if self.proposed["enabled"] and not (served["enabled"] and served.get("prerequisites", []) == self.needs):
            return False
        return self._changed().isdisjoint(differing(served, self.proposed))

    def _changed(self) -> set[Aspect]:
        """The aspects that count as changed: all of them where the edit switches on what is prepared."""
        if self.present is None or (self.proposed["enabled"] and not self.present["enabled"]):
            return set(Aspect)
        changed = set(differing(self.present, self.proposed))
        return changed | {Aspect.VARIANTS} if changed & _SERVING else changed


@dataclass(frozen=True, slots=True)
class _SegmentMatch:
    """Whether a segment of the environment before is the proposed one."""

    proposed: Document

    def __call__(self, served: Document) -> bool:
        return document_digest(served) == document_digest(self.proposed)


def _since(moments: Moments, matches: Any) -> datetime | None:
    """When the newest run of documents that match began; None where the newest does not match."""
    since = None
    for at, document in moments:
        if not matches(document):
            break
        since = at
    return since


def _extend(served: dict[str, Moments], rows: Iterable[tuple[str, datetime, Document]]) -> None:
    for key, at, document in rows:
        served.setdefault(key, []).append((at, document))


def _rows(environment: Environment, keys: Iterable[str]) -> Any:
    return FlagConfig.objects.filter(environment=environment, flag__key__in=list(keys))


def _open_incidents(before: Environment, *, now: datetime) -> tuple[str, ...]:
    return _healthy_since(before, now, now=now)[1]


def _healthy_since(before: Environment, since: datetime, *, now: datetime) -> tuple[datetime, tuple[str, ...]]:
    """`since`, or the end of the last incident after it, and the titles of those that are open: one query."""
    about = Q(environment=before) | Q(environment=None, project=before.project_id)
    rows = Incident.objects.filter(about, opened_at__lte=now).filter(Q(closed_at=None) | Q(closed_at__gt=since))
    ended, still_open = since, []
    for incident in rows.order_by("opened_at"):
        if incident.closed_at is None or incident.closed_at > now:
            still_open.append(incident.title)
        else:
            ended = max(ended, incident.closed_at)
    return ended, tuple(still_open)
