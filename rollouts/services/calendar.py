"""Changing the calendar. What makes it stricter is one person's act; what could let something through takes two."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.errors import NotFound, PermissionMissing
from flags.models import Environment, Project
from flags.services.attempts import attempt
from flags.services.keys import problem
from flags.services.locks import lock_environments
from flags.services.tickets import governed_write
from flags.settings_authority import SettingsAuthority
from rollouts.errors import ConcurrentUpdate
from rollouts.models import CalendarWindow, SettingsProposal
from rollouts.schedules import (
    Recurrence,
    Span,
    UnusableSchedule,
    Window,
    is_looser,
    refuse_unusable,
    rule_in_words,
    window_as_json,
    window_from_json,
)
from rollouts.services.checks import checked_prose, checked_title
from rollouts.services.settings import propose_setting
from rollouts.services.writing import require_person
from rollouts.settings_kinds import Scope, register_kind

KIND = "calendar_window"
LONGEST_TITLE = 120
MOST_TAGS = 20
MOST_WINDOWS = 200


def set_window(
    project_id: uuid.UUID,
    *,
    window_id: uuid.UUID | None,
    document: Mapping[str, Any] | None,
    actor: Actor,
    reason: str,
    now: datetime,
) -> SettingsProposal | None:
    """Add a window (no id), change one, or remove it (no document); None when that is in force.

    A proposal comes back where it could let something through in a project with a protected environment: another
    administrator confirms it. Everything else takes the role administrator or, for adding a freeze or making it
    longer, release manager in every environment concerned. Raises PermissionMissing, InvalidInput, NotFound.
    """
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        raise NotFound("This project does not exist. It may have been mistyped.", project_id=str(project_id))
    scope = Scope(project, None, str(window_id or uuid.uuid4()))
    if window_id is not None and _row(scope) is None:
        raise NotFound("This window does not exist any more. It may have been removed.", window_id=str(window_id))
    return propose_setting(KIND, scope, document, actor=actor, reason=reason, now=now)


class CalendarWindowKind:
    """One freeze or allow window of a project; the subject is its id, None a window that is not there."""

    name = KIND

    def read(self, scope: Scope) -> Any:
        """The window as it is now."""
        row = _row(scope)
        return None if row is None else {**window_as_json(row.as_window()), "uid": row.uid}

    def clean(self, scope: Scope, after: Any) -> Any:
        """The wanted window in normal form. Raises InvalidInput."""
        return None if after is None else _checked(scope, after)

    def is_looser(self, before: Any, after: Any) -> bool:
        """Less time or fewer places frozen, or anything about allow windows."""
        return is_looser(_window(before), _window(after))

    def title(self, scope: Scope, before: Any, after: Any) -> str:
        """The change in a few words."""
        verb = "Add" if before is None else "Remove" if after is None else "Change"
        return f"{verb} the {_noun(after or before)} “{(after or before)['title']}” of {scope.project.name}"

    def describe(self, scope: Scope, before: Any, after: Any) -> Sequence[str]:
        """The change in sentences."""
        environments = Environment.objects.filter(project=scope.project).values_list("pk", "name")
        names = {str(pk): name for pk, name in environments}
        sentences = []
        if before is not None:
            sentences.append(f"Until now: {in_words(before, names)}")
        if after is not None:
            sentences.append(f"Then: {in_words(after, names)}")
        else:
            sentences.append("Then it is not in the calendar any more.")
        return sentences

    def apply(
        self, scope: Scope, after: Any, *, actor: Actor, authority: SettingsAuthority, now: datetime, reason: str
    ) -> None:
        """Write the window."""
        write_window(scope, after, actor=actor, authority=authority, now=now, reason=reason)


def write_window(
    scope: Scope, after: Any, *, actor: Actor, authority: SettingsAuthority, now: datetime, reason: str
) -> None:
    """Write one window as confirmed, and the event. A change that changes nothing records nothing.

    Locks every environment of the project first, so that an apply either comes before the freeze or meets it.
    """

    def act() -> None:
        environments = lock_environments(Environment.objects.filter(project=scope.project))
        kind = CalendarWindowKind()
        before, wanted = kind.read(scope), kind.clean(scope, after)
        why = checked_prose(reason, field="reason", required=True)
        looser = kind.is_looser(before, wanted)
        _require_role(actor, environments, [before, wanted], is_looser=looser)
        if before == wanted:
            return
        is_guarded = any(environment.is_guarded for environment in environments)
        authority.check(scope.change(KIND, before, wanted), is_looser=is_guarded and looser)
        _write(scope, wanted, actor=actor, now=now)
        _record(scope, before, wanted, actor=actor, authority=authority, now=now, reason=why)

    attempt(act)


def in_words(document: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """When and where a window runs, in one sentence. `names` are those of environments by id."""
    window = window_from_json("", document)
    where = ", ".join(names.get(place, "an environment that is gone") for place in sorted(window.environments))
    about = f" for flags tagged {' or '.join(sorted(window.tags))}" if window.tags else ""
    return f"{timing_in_words(window.timing)}, in {where or 'every environment'}{about}."


def timing_in_words(timing: Span | Recurrence) -> str:
    """Such as “every week on Friday from 18:00 for 62 hours, by the clocks of Europe/Berlin”."""
    if isinstance(timing, Span):
        return f"from {timing.starts_at:%d %B %Y %H:%M} to {timing.ends_at:%d %B %Y %H:%M} UTC"
    return (
        f"{rule_in_words(timing.rule)} from {timing.local_start:%H:%M} for {length_in_words(timing.duration)}, "
        f"by the clocks of {timing.zone}"
    )


def length_in_words(length: timedelta) -> str:
    """A length as people say it: 62 hours, 90 minutes, 3 days."""
    minutes = length // timedelta(minutes=1)
    for size, unit in ((24 * 60, "day"), (60, "hour")):
        if minutes % size == 0:
            return f"{minutes // size} {unit}{'' if minutes == size else 's'}"
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


def register_calendar_kind() -> None:
    """Know calendar windows as a setting that two people loosen."""
    register_kind(CalendarWindowKind())


def _row(scope: Scope) -> CalendarWindow | None:
    return CalendarWindow.objects.filter(pk=scope.subject, project=scope.project, removed_at=None).first()


def _window(document: Any) -> Window | None:
    return None if document is None else window_from_json("", document)


def _noun(document: Mapping[str, Any]) -> str:
    return "freeze" if document["kind"] == "freeze" else "allow window"


def _checked(scope: Scope, document: Any) -> dict[str, Any]:
    try:
        window = window_from_json(scope.subject, document)
        refuse_unusable(window.timing)
    except UnusableSchedule as error:
        raise problem("timing", str(error)) from None
    title = checked_title(window.title)
    if len(title) > LONGEST_TITLE:
        raise problem("title", f"Shorten the title to {LONGEST_TITLE} characters; it has {len(title)}.")
    places = {str(pk) for pk in Environment.objects.filter(project=scope.project).values_list("pk", flat=True)}
    if window.environments - places:
        raise problem("environments", f"Choose environments of {scope.project.name}.")
    if len(window.tags) > MOST_TAGS or any(not tag or len(tag) > 60 for tag in window.tags):
        raise problem("tags", f"Name {MOST_TAGS} tags at most, each of 1 to 60 characters.")
    uid = checked_prose(str(document.get("uid") or f"{scope.subject}@flagsite"), field="uid", longest=255)
    others = CalendarWindow.objects.filter(project=scope.project, removed_at=None).exclude(pk=scope.subject)
    if others.filter(uid=uid).exists():
        raise problem("uid", "Another window of this project has the same UID. Change that one instead.")
    if others.count() >= MOST_WINDOWS:
        raise problem("title", f"A project has {MOST_WINDOWS} windows at most. Remove some that are over.")
    if CalendarWindow.objects.filter(pk=scope.subject).exclude(removed_at=None, project=scope.project).exists():
        raise problem("title", "This window was removed. Add it as a new one.")
    reason = checked_prose(window.reason, field="reason", required=True)
    return {**window_as_json(window), "title": title, "reason": reason, "uid": uid}


def _require_role(
    actor: Actor, environments: Sequence[Environment], documents: Sequence[Any], *, is_looser: bool
) -> None:
    """Administrator, or for what only makes things stricter release manager, wherever the window applies."""
    require_person(actor)
    concerned = [place for place in environments if any(_is_about(place, document) for document in documents)]
    if is_looser:
        guarded = [place for place in environments if place.is_guarded]
        for place in guarded or concerned:
            permissions.require(actor, permissions.ADMINISTER, place)
        return
    for place in concerned:
        if not permissions.holds(actor, permissions.APPLY, place):
            _require_administrator(actor, place)


def _require_administrator(actor: Actor, place: Environment) -> None:
    if not permissions.holds(actor, permissions.ADMINISTER, place):
        raise PermissionMissing(
            f"Freezes in {place.name} are made by its release managers and administrators. Ask one of them.",
            permission=permissions.APPLY,
            environment=place.key,
        )


def _is_about(place: Environment, document: Any) -> bool:
    return document is not None and (not document["environments"] or str(place.pk) in document["environments"])


def _write(scope: Scope, wanted: Any, *, actor: Actor, now: datetime) -> None:
    row = _row(scope)
    with governed_write(scope.project.pk):
        if row is None:
            CalendarWindow.objects.create(
                pk=scope.subject,
                project=scope.project,
                created_by_id=require_person(actor),
                created_at=now,
                updated_at=now,
                **_columns(wanted),
            )
            return
        fields = {"removed_at": now} if wanted is None else _columns(wanted)
        same = CalendarWindow.objects.filter(pk=row.pk, lock_version=row.lock_version)
        if same.update(updated_at=now, lock_version=F("lock_version") + 1, **fields) != 1:
            raise ConcurrentUpdate("Somebody else changed this window at the same moment. Reload the page.")


def _columns(document: Mapping[str, Any]) -> dict[str, Any]:
    timing = window_from_json("", document).timing
    once = {"starts_at": None, "ends_at": None, "rrule": "", "zone": "", "local_start": "", "duration_minutes": None}
    if isinstance(timing, Span):
        times: dict[str, Any] = {"starts_at": timing.starts_at, "ends_at": timing.ends_at}
    else:
        times = {
            "rrule": timing.rule.text,
            "zone": timing.zone,
            "local_start": timing.local_start.isoformat(timespec="minutes"),
            "duration_minutes": timing.duration // timedelta(minutes=1),
        }
    return {
        **once,
        **times,
        "uid": document["uid"],
        "kind": document["kind"],
        "title": document["title"],
        "reason": document["reason"],
        "environment_ids": document["environments"],
        "flag_tags": document["tags"],
    }


def _record(
    scope: Scope, before: Any, after: Any, *, actor: Actor, authority: SettingsAuthority, now: datetime, reason: str
) -> None:
    action = Action.CALENDAR_WINDOW_CHANGED
    if before is None or after is None:
        action = Action.CALENDAR_WINDOW_ADDED if before is None else Action.CALENDAR_WINDOW_REMOVED
    trail.record(
        action,
        actor=actor,
        target=trail.Target("calendar_window", scope.subject, (after or before)["title"]),
        now=now,
        project_id=scope.project.pk,
        project_key=scope.project.key,
        reason=reason,
        data={"from": before, "to": after, **authority.evidence()},
    )
