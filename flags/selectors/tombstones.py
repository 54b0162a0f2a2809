"""Keys that archived flags keep back: who still asks for them, where code names them, and who may let them go."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractUser

from flags import permissions
from flags.models import CodeReference, Environment, Flag, FlagUse, Project, Tombstone
from flags.selectors.references import live_references
from flags.selectors.residual import covered, last_use
from flags.selectors.scanned import code_knowledge

QUIET_FOR = timedelta(days=30)
MOST_NAMED = 5
RELEASING = (permissions.ADMINISTER, permissions.APPROVE)


@dataclass(frozen=True, slots=True)
class KeptBack:
    """Why the key of an archived flag is not free: uses of the last 30 days, lines of default branches, and what nobody
    can know, in sentences.
    """

    uses: tuple[FlagUse, ...]
    references: tuple[CodeReference, ...]
    unknowns: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.uses or self.references or self.unknowns)

    @property
    def sentences(self) -> list[str]:
        """Who asks for it and where it is named."""
        found = []
        if self.uses:
            latest = {use.service: use for use in reversed(self.uses)}
            named = [f"{use.service} (last on {use.last_at:%d %B %Y})" for use in list(latest.values())[:MOST_NAMED]]
            found.append(f"Services still ask for it: {', '.join(named)}{_more(len(latest))}.")
        if self.references:
            named = [f"{row.path}:{row.line} in {row.repository.name}" for row in self.references[:MOST_NAMED]]
            found.append(f"Code still names it: {', '.join(named)}{_more(len(self.references))}.")
        return [*found, *self.unknowns]


def kept_back(flag: Flag, *, now: datetime) -> KeptBack:
    """Who still asks for an archived flag, or names it in code. Missing figures are not taken for nobody."""
    environments = Environment.objects.filter(project=flag.project_id).values_list("pk", flat=True)
    uses = last_use(flag.key, list(environments), since=now - QUIET_FOR)
    return KeptBack(tuple(uses), tuple(live_references(flag)), tuple(_unknowns(flag, now)))


def _unknowns(flag: Flag, now: datetime) -> list[str]:
    found = []
    if flag.archived_at is not None and now < flag.archived_at + QUIET_FOR:
        found.append(f"It has been archived for less than {QUIET_FOR.days} days.")
    served = Environment.objects.filter(configs__flag=flag).order_by("position", "key")
    known = covered([environment.pk for environment in served], days=QUIET_FOR.days, now=now)
    silent = [environment.name for environment in served if environment.pk not in known]
    if silent:
        found.append(
            f"Services did not report evaluations in {', '.join(silent)} all through the last {QUIET_FOR.days} days, "
            "so nobody can say whether it is still asked for."
        )
    doubts = code_knowledge(flag.project_id, now=now).doubts
    if doubts:
        found.append(f"{' '.join(doubts)} So nobody can say where it is named.")
    return found


def tombstone_of(flag: Flag) -> Tombstone | None:
    """The tombstone of the present life of a flag, whether or not its key was let go."""
    return Tombstone.objects.filter(flag=flag, lifecycle=flag.lifecycle).select_related("released_by").first()


def may_release(user: AbstractUser, project: Project) -> bool:
    """Whether somebody approves or administers in every protected environment, or anywhere where none is protected."""
    return not lacking_for_release(user, project)


def lacking_for_release(user: AbstractUser, project: Project) -> list[Environment]:
    """The environments in which somebody would need the role approver or administrator to let a key go."""
    environments = list(Environment.objects.filter(project=project).order_by("position", "key"))
    held = {pk for permission in RELEASING for pk in permissions.environments_with(user, permission)}
    guarded = [each for each in environments if each.is_guarded]
    if guarded:
        return [each for each in guarded if each.pk not in held]
    return [] if held & {each.pk for each in environments} else environments


def people_who_release(project: Project) -> list[AbstractUser]:
    """Who may let a key go, by name."""
    environments = list(Environment.objects.filter(project=project))
    found: dict[uuid.UUID, AbstractUser] = {}
    for environment in environments:
        for permission in RELEASING:
            found |= {person.pk: person for person in permissions.people_with(environment, permission)}
    return [person for person in found.values() if may_release(person, project)]


def _more(number: int) -> str:
    return f" and {number - MOST_NAMED} more" if number > MOST_NAMED else ""
