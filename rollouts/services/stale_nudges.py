"""Telling owners of their stale flags, once a month each."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.urls import reverse

from flags.models import TeamMember
from flags.permissions import visible_projects
from rollouts.models import OwnerNudge, StaleVerdict
from rollouts.services.mails import tell

_NAMED = 20
_REST = timedelta(days=28)


def nudge_owners(*, now: datetime) -> int:
    """Mail everybody who owns stale flags, alone or with a team, once a month and 28 days apart; how many were told.

    Nobody is told of flags of a project he may not look at. Of two that tell the same person one wins.
    """
    month = now.date().replace(day=1)
    told = OwnerNudge.objects.filter(Q(month=month) | Q(told_at__gt=now - _REST)).values("person")
    people = get_user_model().objects.filter(is_active=True).exclude(pk__in=told)
    owned = _owned({person.pk for person in people})
    found = ((person, _seen_by(person, owned[person.pk])) for person in people if person.pk in owned)
    return sum(_nudge(person, verdicts, month, now) for person, verdicts in found if verdicts)


def _seen_by(person: Any, verdicts: Sequence[StaleVerdict]) -> list[StaleVerdict]:
    """Those about projects the person may look at."""
    seen = set(visible_projects(person).values_list("pk", flat=True))
    return [verdict for verdict in verdicts if verdict.project_id in seen]


def _owned(people: set[Any]) -> dict[Any, list[StaleVerdict]]:
    """Stale flags by owner, those stale for longest first."""
    members: dict[Any, list[Any]] = {}
    for team_id, person_id in TeamMember.objects.filter(removed_at=None).values_list("team", "person"):
        members.setdefault(team_id, []).append(person_id)
    found: dict[Any, list[StaleVerdict]] = {}
    verdicts = StaleVerdict.objects.filter(is_stale=True, flag__replaced_at=None)
    for verdict in verdicts.select_related("flag", "project").order_by("stale_since", "flag__key"):
        flag = verdict.flag
        for person_id in {flag.owner_id} if flag.owner_id else set(members.get(flag.owner_team_id, ())):
            if person_id in people:
                found.setdefault(person_id, []).append(verdict)
    return found


def _nudge(person: Any, verdicts: Sequence[StaleVerdict], month: date, now: datetime) -> int:
    try:
        with transaction.atomic():
            OwnerNudge.objects.create(person=person, month=month, told_at=now, flags=len(verdicts))
            number = "1 flag of yours is" if len(verdicts) == 1 else f"{len(verdicts)} flags of yours are"
            tell(
                [person],
                subject=f"{number} past their life" if len(verdicts) > 1 else f"{number} past its life",
                lines=_lines(verdicts),
                address=reverse("admin:flags_flag_changelist"),
            )
    except IntegrityError:
        return 0
    return 1


def _lines(verdicts: Sequence[StaleVerdict]) -> Iterable[str]:
    yield "Flags that nobody needs any more make code harder to change. Plan their end, or snooze them."
    for verdict in verdicts[:_NAMED]:
        reason = verdict.reasons[0]["sentence"] if verdict.reasons else ""
        yield f"{verdict.flag.name} ({verdict.flag.key}, {verdict.project.name}): {reason}"
    if len(verdicts) > _NAMED:
        yield f"And {len(verdicts) - _NAMED} more."
