"""What environments of a project serve differently, flag by flag, and which of it nobody has explained.

Pages compare what is served now. Since when two environments differ is kept in `Drift` rows, which a sweeper brings up
to date: reading four environments with a thousand flags for every look at the desk would be slow, and a date taken from
the latest version would begin anew with every edit.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db.models import Q

from flags import permissions
from flags.aspects import Aspect
from flags.models import Environment, Flag, FlagConfig, Project
from flags.permissions import visible_environments
from flags.selectors.teams import teams_of
from rollouts.models import ChangeRequest, Drift, IntendedDifference
from rollouts.selectors.lists import open_requests_by_flag
from rollouts.selectors.unlike import Configs, Pair, configs_in, read_documents

Place = tuple[uuid.UUID, uuid.UUID, uuid.UUID]


class DriftState(StrEnum):
    """How one flag, or one aspect of it, stands in two environments."""

    SAME = "same"
    DIFFERS = "differs"
    INTENDED = "intended"
    UNEXPLAINED = "unexplained"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class AspectLine:
    """One aspect that differs, since when, and who said that it is meant to."""

    aspect: Aspect
    state: DriftState
    since: datetime
    intended: IntendedDifference | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One flag in two environments; a config is None where the flag is not set up.

    `segments` are those that its rules name and that do not hold the same people in both.
    """

    flag: Flag
    upstream: Environment
    downstream: Environment
    state: DriftState
    upper: FlagConfig | None
    lower: FlagConfig | None
    lines: tuple[AspectLine, ...] = ()
    requests: tuple[ChangeRequest, ...] = ()
    segments: tuple[str, ...] = ()

    @property
    def unexplained(self) -> tuple[AspectLine, ...]:
        """The aspects that nobody has explained for too long."""
        return tuple(line for line in self.lines if line.state is DriftState.UNEXPLAINED)


@dataclass(frozen=True, slots=True)
class Known:
    """What explains differences or dates them: three queries for as many flags as there are."""

    since: Mapping[Place, Mapping[str, str]]
    intended: Mapping[Place, Sequence[IntendedDifference]]
    requests: Mapping[tuple[uuid.UUID, str], Sequence[ChangeRequest]]


def drift_after() -> timedelta:
    """How long environments may differ before somebody has to say why."""
    return timedelta(hours=settings.DRIFT_AFTER_HOURS)


def neighbours(environments: Iterable[Environment]) -> list[Pair]:
    """Each environment with the next one on the way to customers."""
    return list(pairwise(sorted(environments, key=lambda one: (one.position, one.key))))


def compare(project: Project, pairs: Sequence[Pair], *, now: datetime, flag_key: str = "") -> list[list[Comparison]]:
    """Every flag of a project that is not archived, or the one named, in each pair of environments: seven queries."""
    rows = Flag.objects.filter(project=project, archived_at=None)
    flags = rows.select_related("owner", "owner_team").order_by("key")
    flags = flags.filter(key=flag_key) if flag_key else flags
    configs = configs_in(pairs, flags)
    read_documents(configs, [flag.pk for flag in flags], pairs)
    known = known_about(project, {environment.pk for pair in pairs for environment in pair}, now=now)
    return [[_compared(flag, pair, configs, known, now=now) for pair in pairs] for flag in flags]


def drift_page(
    environment: Environment, *, after: str, most: int, now: datetime
) -> tuple[list[Comparison], str | None]:
    """What an environment and its neighbours do not serve alike, and the flag key after which the next page begins.

    Digests choose the flags of a page, at most so many, and only these are read: eight queries.
    """
    project = environment.project
    pairs = [pair for pair in neighbours(Environment.objects.filter(project=project)) if environment in pair]
    flags = Flag.objects.filter(project=project, archived_at=None, key__gt=after).order_by("key")
    configs = configs_in(pairs, flags)
    found = [flag for flag in flags if any(configs.may_differ(flag.pk, pair) for pair in pairs)]
    page = found[:most]
    read_documents(configs, [flag.pk for flag in page], pairs)
    known = known_about(project, {one.pk for pair in pairs for one in pair}, now=now)
    cells = [_compared(flag, pair, configs, known, now=now) for flag in page for pair in pairs]
    following = page[-1].key if len(found) > most else None
    return [cell for cell in cells if cell.state is not DriftState.SAME], following


def known_about(project: Project, environments: Collection[uuid.UUID], *, now: datetime) -> Known:
    """What is known about the differences between these environments of a project: three queries."""
    since = {
        (flag, upstream, downstream): aspects
        for flag, upstream, downstream, aspects in Drift.objects.filter(project=project).values_list(
            "flag_id", "upstream_id", "downstream_id", "aspects"
        )
    }
    return Known(since, active_differences([project.pk], now=now), open_requests_by_flag(environments))


def active_differences(projects: Iterable[uuid.UUID], *, now: datetime) -> Mapping[Place, Sequence[IntendedDifference]]:
    """The intended differences that count now, by flag and pair: one query."""
    rows = IntendedDifference.objects.filter(project__in=list(projects), ended_at=None, expires_at__gt=now)
    found: dict[Place, list[IntendedDifference]] = {}
    for row in rows.select_related("owner"):
        found.setdefault((row.flag_id, row.upstream_id, row.downstream_id), []).append(row)
    return found


def differences_of(project: Project) -> list[IntendedDifference]:
    """Every intended difference of a project, the newest first, ended ones included: one query."""
    rows = IntendedDifference.objects.filter(project=project)
    return list(rows.select_related("flag", "upstream", "downstream", "owner", "created_by", "ended_by"))


def _compared(
    flag: Flag,
    pair: Pair,
    configs: Configs,
    known: Known,
    *,
    now: datetime,
) -> Comparison:
    upper, lower = configs.of(flag.pk, pair)
    requests = tuple(request for one in pair for request in known.requests.get((one.pk, flag.key), ()))
    if upper is None or lower is None:
        state = DriftState.SAME if upper is lower else DriftState.MISSING
        return Comparison(flag, *pair, state, upper, lower, requests=requests)
    place = (flag.pk, pair[0].pk, pair[1].pk)
    dates = known.since.get(place, {})
    aspects, segments = configs.unlike(upper, lower) if configs.may_differ(flag.pk, pair) else ({}, [])
    since = {one: datetime.fromisoformat(dates[one]) if one in dates else at for one, at in aspects.items()}
    lines = tuple(
        explained(one, moment, known.intended.get(place, ()), is_proposed=bool(requests), now=now)
        for one, moment in since.items()
    )
    return Comparison(flag, *pair, _worst(lines), upper, lower, lines, requests, tuple(segments))


def explained(
    aspect: Aspect, since: datetime, intended: Iterable[IntendedDifference], *, is_proposed: bool, now: datetime
) -> AspectLine:
    """How one aspect that differs stands. `is_proposed`: an open request is about the flag in one of the two."""
    reason = next((one for one in intended if aspect.value in one.aspects), None)
    if reason is not None:
        return AspectLine(aspect, DriftState.INTENDED, since, reason)
    is_old = since <= now - drift_after() and not is_proposed
    return AspectLine(aspect, DriftState.UNEXPLAINED if is_old else DriftState.DIFFERS, since)


def _worst(lines: Sequence[AspectLine]) -> DriftState:
    states = {line.state for line in lines}
    for state in (DriftState.UNEXPLAINED, DriftState.DIFFERS, DriftState.INTENDED):
        if state in states:
            return state
    return DriftState.SAME


@dataclass(frozen=True, slots=True)
class OldDrift:
    """A flag with aspects that nobody has explained, from `Drift` rows alone."""

    flag: Flag
    upstream: Environment
    downstream: Environment
    aspects: tuple[Aspect, ...]
    since: datetime


def drift_for(user: AbstractUser, *, now: datetime) -> list[OldDrift]:
    """The unexplained drift that a person answers for, the oldest first: six queries, however many flags there are.

    The owner of a flag answers for it, or the team that owns it; where nobody does, the administrators.
    """
    if not user.is_active:
        return []
    rows = list(
        Drift.objects.filter(_answered_by(user), since__lte=now - drift_after())
        .filter(upstream__in=visible_environments(user), downstream__in=visible_environments(user))
        .select_related("flag__project", "upstream", "downstream")
        .order_by("since", "flag__key", "upstream__position")
    )
    if not rows:
        return []
    intended = active_differences({row.project_id for row in rows}, now=now)
    requests = open_requests_by_flag({one for row in rows for one in (row.upstream_id, row.downstream_id)})
    found = []
    for row in rows:
        place = (row.flag_id, row.upstream_id, row.downstream_id)
        is_proposed = any((one, row.flag.key) in requests for one in place[1:])
        lines = [
            explained(
                Aspect(name), datetime.fromisoformat(moment), intended.get(place, ()), is_proposed=is_proposed, now=now
            )
            for name, moment in row.aspects.items()
        ]
        old = [line for line in lines if line.state is DriftState.UNEXPLAINED]
        if old:
            aspects = tuple(line.aspect for line in old)
            found.append(OldDrift(row.flag, row.upstream, row.downstream, aspects, min(line.since for line in old)))
    return found


def _answered_by(user: AbstractUser) -> Q:
    nobody = (Q(flag__owner=None) | Q(flag__owner__is_active=False)) & Q(flag__owner_team=None)
    administered = Q() if user.is_superuser else Q(downstream__in=_administered(user))
    return Q(flag__owner=user) | Q(flag__owner_team__in=teams_of(user.pk)) | (nobody & administered)


def _administered(user: AbstractUser) -> set[uuid.UUID]:
    return permissions.environments_with(user, permissions.ADMINISTER)
