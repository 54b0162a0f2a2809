"""The desk: what waits for me, what I asked for, what happens next; and what the pages of flags show of requests."""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from flags import permissions
from flags.admin.panels import OpenRequest, PolicyFacts
from flags.changes import ConfigEdit, SegmentEdit, diff_configs, diff_segments
from flags.documents import summarise
from flags.models import Flag, FlagConfig, LocalKill, Segment
from flags.selectors.kills import open_kills
from rollouts import selectors
from rollouts.models import ApprovalPolicy, ChangeRequest
from rollouts.policies import Policy
from rollouts.selectors import RequestCard
from rollouts.selectors.desk_tasks import DeskTask, desk_tasks
from rollouts.selectors.emergencies import open_count
from rollouts.selectors.incidents import open_incidents_for

SHOWN_CHANGES = 3
EXPIRES_SOON = timedelta(days=3)
RECENTLY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Line:
    """One request on the desk: its card, and in words what it does to which flag. `more` counts what is not shown."""

    card: RequestCard
    changes: Sequence[tuple[str, str]]
    more: int
    address: str

    @property
    def request(self) -> ChangeRequest:
        """The request itself."""
        return self.card.request


@dataclass(frozen=True, slots=True)
class Tile:
    """A number on top of the desk with what follows from it. `target` is a place on the desk or an address."""

    title: str
    count: int
    consequence: str
    tone: str
    target: str


@dataclass(frozen=True, slots=True)
class _Present:
    """What is served now for everything that open requests touch, and what flags are called."""

    names: Mapping[tuple[uuid.UUID, str], str]
    configs: Mapping[tuple[uuid.UUID, str], dict[str, Any]]
    segments: Mapping[tuple[uuid.UUID, str], tuple[str, dict[str, Any]]]


def waiting_count(user: AbstractUser) -> int:
    """How many requests wait for this person's approval."""
    return len(selectors.waiting_ids(user, now=timezone.now()))


def add_desk(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Fill the start page of the admin in: a constant number of queries."""
    now, user = timezone.now(), request.user
    assert isinstance(user, AbstractUser)  # noqa: S101 - the site lets nobody else in
    desk = selectors.desk(user, now=now)
    lists = (desk.waiting_for_me, desk.asked_by_me, desk.happening_next, desk.recently_applied)
    present = _present([card.request for cards in lists for card in cards])
    waiting, asked, coming, applied = ([_line(card, present) for card in cards] for cards in lists)
    expiring = [line for line in asked if _expires_soon(line.request, now)]
    return {
        **context,
        "title": "Desk",
        "now": now,
        "tiles": [
            _waiting_tile(waiting, desk.waiting_count, now),
            _asked_tile(asked),
            _next_tile(coming),
            _past_tile(applied, now),
            *_bypass_tile(open_count(user)),
        ],
        "waiting": waiting,
        "asked": asked,
        "coming": coming,
        "expiring": expiring,
        "kills": _kills(user),
        "incidents": open_incidents_for(user, now=now),
        "tasks": [(task, _task_address(task)) for task in desk_tasks(user, now=now)],
        "applied": applied[:8],
        "waiting_more": desk.waiting_count - len(waiting),
        "crumbs": [("Desk", "")],
    }


def _kills(user: AbstractUser) -> list[tuple[LocalKill, str]]:
    """What kill lists force where the person may look, with the address of the flag's page: two queries at most."""
    kills = list(open_kills(list(permissions.visible_environments(user).values_list("pk", flat=True))))
    projects = {kill.environment.project_id for kill in kills}
    flags = Flag.objects.filter(project__in=projects, key__in={kill.flag_key for kill in kills})
    known = {(flag.project_id, flag.key): flag.pk for flag in flags} if kills else {}
    return [(kill, _flag_address(known.get((kill.environment.project_id, kill.flag_key)))) for kill in kills]


def _task_address(task: DeskTask) -> str:
    return reverse(task.route, args=task.arguments) + task.query


def _flag_address(flag_id: uuid.UUID | None) -> str:
    return reverse("admin:flags_flag_change", args=[flag_id]) if flag_id else ""


def _expires_soon(request: ChangeRequest, now: datetime) -> bool:
    return request.state == "in_review" and request.expires_at is not None and request.expires_at - now < EXPIRES_SOON


def _present(requests: Iterable[ChangeRequest]) -> _Present:
    places = {(row.project_id, row.environment_id, key) for row in requests for _, key in selectors.touched_keys(row)}
    keys, environments = {key for _, _, key in places}, {environment for _, environment, _ in places}
    flags = Flag.objects.filter(project__in={project for project, _, _ in places}, key__in=keys)
    configs = FlagConfig.objects.filter(environment__in=environments, flag__key__in=keys)
    segments = Segment.objects.filter(environment__in=environments, key__in=keys)
    return _Present(
        {(project, key): name for project, key, name in flags.values_list("project_id", "key", "name")},
        {(place, key): held for place, key, held in configs.values_list("environment_id", "flag__key", "document")},
        {(row.environment_id, row.key): (row.name, row.document) for row in segments},
    )


def _line(card: RequestCard, present: _Present) -> Line:
    changes = [change for edit in card.request.content.edits for change in _changes(card.request, edit, present)]
    address = reverse("admin:rollouts_changerequest_change", args=[card.request.pk])
    return Line(card, changes[:SHOWN_CHANGES], max(0, len(changes) - SHOWN_CHANGES), address)


def _changes(request: ChangeRequest, edit: ConfigEdit | SegmentEdit, present: _Present) -> list[tuple[str, str]]:
    """Pairs of what is touched and what happens to it, against what is served now."""
    if isinstance(edit, SegmentEdit):
        _, held = present.segments.get((request.environment_id, edit.segment_key), ("", None))
        return [(f"Segment {edit.name}", found.sentence) for found in diff_segments(held, edit.document)]
    name = present.names.get((request.project_id, edit.flag_key), edit.flag_key)
    if request.plan_digest:
        # What it says is the end of a plan; what is served now is the plan's page to tell.
        steps = "milestone by milestone" if request.asks_for_timeline else "stage by stage"
        return [(name, f"{steps}, in the end “{summarise(edit.document).headline}”")]
    if request.state in {"applied", "rolled_back"}:
        return [(name, summarise(edit.document).headline)]
    held = present.configs.get((request.environment_id, edit.flag_key))
    return [(name, found.sentence) for found in diff_configs(held, edit.document)]


def _waiting_tile(lines: Sequence[Line], count: int, now: datetime) -> Tile:
    if not count:
        return Tile("Waits for you", 0, "Nobody is waiting for you.", "good", "#waiting")
    old = sum(1 for line in lines if (line.request.submitted_at or now) < now - timedelta(days=1))
    production = sum(1 for line in lines if line.request.environment.kind == "production")
    parts = [f"{production} for production" if production else "", f"{old} older than a day" if old else ""]
    people = sorted({_short_name(line.request.requester) for line in lines})
    waiting = f"{people[0]} waits" if len(people) == 1 else f"{len(people)} people wait"
    return Tile(
        "Waits for you", count, ", ".join([*filter(None, parts), waiting]), "bad" if old else "wait", "#waiting"
    )


def _short_name(person: Any) -> str:
    return str(person.get_short_name() or person.get_username())


def _asked_tile(lines: Sequence[Line]) -> Tile:
    stuck = sum(1 for line in lines if line.request.is_blocked or not line.card.verdict.is_reachable)
    drafts = sum(1 for line in lines if line.request.state == "draft")
    review = sum(1 for line in lines if line.request.state == "in_review")
    approved = sum(1 for line in lines if line.request.state == "approved")
    counts = ((stuck, "stuck"), (review, "in review"), (approved, "approved"), (drafts, "not submitted yet"))
    words = ", ".join(f"{count} {what}" for count, what in counts if count) or "Nothing of yours is under way."
    return Tile("You asked for", len(lines), words, "bad" if stuck else "quiet", "#asked")


def _next_tile(lines: Sequence[Line]) -> Tile:
    held = sum(1 for line in lines if line.request.is_blocked)
    production = sum(1 for line in lines if line.request.environment.kind == "production")
    parts = [f"{production} in production" if production else "", f"{held} held back" if held else ""]
    words = ", ".join(filter(None, parts)) or ("approved and on its way" if lines else "Nothing is scheduled.")
    return Tile("Happens next", len(lines), words, "bad" if held else "quiet", "#next")


def _bypass_tile(count: int) -> list[Tile]:
    """Nothing where everything has been reviewed, as it should be."""
    words = "Somebody changed a protected environment without approval."
    address = reverse("admin:rollouts_breakglassuse_changelist")
    return [Tile("Not reviewed", count, words, "bad", address)] if count else []


def _past_tile(lines: Sequence[Line], now: datetime) -> Tile:
    recent = [line for line in lines if line.request.applied_at and line.request.applied_at > now - RECENTLY]
    production = sum(1 for line in recent if line.request.environment.kind == "production")
    words = f"{production} in production" if production else ("none in production" if recent else "A quiet week.")
    return Tile("Applied in 7 days", len(recent), words, "quiet", "#applied")


def open_requests(environment_ids: Collection[uuid.UUID], flag_keys: Collection[str]) -> list[OpenRequest]:
    """What the pages of flags show of requests: one query."""
    wanted = set(flag_keys)
    return [
        OpenRequest(
            flag_key=key,
            environment_id=environment_id,
            label=row.label,
            state=row.state,
            requester=row.requester,
            asked_at=row.submitted_at or row.created_at,
            apply_at=row.apply_at,
            address=reverse("admin:rollouts_changerequest_change", args=[row.pk]),
        )
        for (environment_id, key), rows in selectors.open_requests_by_flag(environment_ids).items()
        for row in rows
        if key in wanted and row.state != "draft"
    ]


def policies(environment_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, PolicyFacts]:
    """What the pages of environments show of approval policies: one query. Without a policy the default is in force."""
    rows = ApprovalPolicy.objects.filter(environment__in=environment_ids)
    in_force = {row.environment_id: row.as_policy() for row in rows}
    return {pk: _policy_facts(pk, in_force.get(pk, Policy())) for pk in environment_ids}


def _policy_facts(environment_id: uuid.UUID, policy: Policy) -> PolicyFacts:
    address = reverse("admin:rollouts_approvalpolicy_change", args=[environment_id])
    return PolicyFacts(policy.required_approvals, policy.named_approvers, address)


def find(user: AbstractUser, text: str, *, limit: int = 12) -> tuple[list[Flag], list[ChangeRequest]]:
    """Flags and requests for the command palette, only what the person may look at: two queries."""
    words = text.split()[:8]
    flags = Flag.objects.filter(project__in=permissions.visible_projects(user)).select_related("project")
    requests = selectors.visible_requests(user)
    for word in words:
        flags = flags.filter(Q(key__icontains=word) | Q(name__icontains=word))
        number = word.removeprefix("#")
        by_number = Q(number=int(number)) if number.isascii() and number.isdigit() and len(number) < 9 else Q()
        requests = requests.filter(Q(title__icontains=word) | by_number if by_number else Q(title__icontains=word))
    return list(flags.order_by("name")[:limit]), list(requests[:limit])
