"""What archiving a flag would do: what services get now, that they get their code default then, and what forbids it."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Sum

from flags.documents.deprecation import is_archived
from flags.lifecycle.shapes import shape_of
from flags.lifecycle.stages import outcome_words
from flags.models import CodeReference, Environment, Flag, FlagConfig, FlagUse
from flags.selectors.prerequisites import Dependent, dependents_by_place
from flags.selectors.references import live_references
from flags.selectors.residual import covered, each_once
from flags.telemetry.labels import said
from rollouts.deprecations.transitions import ENDED_STATES as ENDED_TIMELINES
from rollouts.models import ChangeRequest, DeprecationTimeline, PlanFlag
from rollouts.plans.transitions import ENDED_STATES as ENDED_PLANS
from rollouts.selectors.contents import touched_keys
from rollouts.transitions import OPEN_STATES

LOOKED_BACK = timedelta(days=30)
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class ServiceNow:
    """A service in one environment: how often it got which variant in 30 days ("" is its code default)."""

    service: str
    versions: tuple[str, ...]
    last_at: datetime
    variants: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class PlacePreview:
    """The flag in one environment. `serves` says in words what people get there, empty where everybody gets the code
    default already; `is_on` is whether it is switched on. `has_figures`: services reported all through 30 days.
    """

    environment: Environment
    config: FlagConfig | None
    serves: str
    is_on: bool
    services: tuple[ServiceNow, ...]
    dependents: tuple[Dependent, ...]
    has_figures: bool

    @property
    def is_archived(self) -> bool:
        """Whether it is left out there already."""
        return self.config is not None and is_archived(self.config.document)

    @property
    def needs_approval(self) -> bool:
        """Whether archiving it there takes a change request."""
        return self.config is not None and not self.is_archived and self.environment.is_protected

    @property
    def blocker(self) -> str:
        """Why it cannot be archived there at once, in a sentence; empty where it can."""
        name = self.environment.name
        if self.config is None or self.is_archived:
            return ""
        if self.dependents:
            keys = ", ".join(f"“{one.key}”" for one in self.dependents[:MOST_NAMED])
            needs = "needs" if len(self.dependents) == 1 else "need"
            return f"{keys} {needs} it in {name} as a prerequisite. Take that prerequisite out first."
        if not self.serves:
            return ""
        state = "on" if self.is_on else f"switched off and serves {self.serves}"
        if self.services:
            named = ", ".join(said(one.service) for one in self.services[:MOST_NAMED])
            instead = "Plan its ending instead." if self.is_on else "Let it serve the code default while off first."
            return f"It is {state} in {name}, and {named} evaluated it there in the last 30 days. {instead}"
        if self.is_on and not self.has_figures:
            return (
                f"It is on in {name}, and services did not report evaluations there all through the last 30 days, so "
                "nobody can say who uses it. Switch it off first, or plan its ending."
            )
        return ""


@dataclass(frozen=True, slots=True)
class ArchivePreview:
    """The whole flag. `held_by` names plans, timelines and open requests that stand on it."""

    flag: Flag
    places: tuple[PlacePreview, ...]
    references: tuple[CodeReference, ...]
    held_by: tuple[str, ...]

    @property
    def blockers(self) -> list[str]:
        """Why it cannot be archived at once; none where it can."""
        found = [place.blocker for place in self.places if place.blocker]
        if self.flag.archived_at is not None:
            return ["It is archived already."]
        if self.held_by:
            found.append(f"{', '.join(self.held_by)} {_about(self.held_by)} it. End or withdraw that first.")
        return found

    @property
    def to_archive(self) -> list[PlacePreview]:
        """Where it is set up and not archived yet."""
        return [place for place in self.places if place.config is not None and not place.is_archived]

    @property
    def to_revive(self) -> list[PlacePreview]:
        """Where it is archived."""
        return [place for place in self.places if place.is_archived]


def archive_preview(flag: Flag, *, now: datetime) -> ArchivePreview:
    """What archiving a flag would do, environment by environment."""
    environments = list(Environment.objects.filter(project=flag.project_id).order_by("position", "key"))
    ids = [environment.pk for environment in environments]
    configs = {config.environment_id: config for config in FlagConfig.objects.filter(flag=flag)}
    dependents, services = dependents_by_place(ids), _services(flag.key, ids, now=now)
    alive = {pk for pk, one in configs.items() if not is_archived(one.document)}
    known = covered(alive, days=LOOKED_BACK.days, now=now)
    places = tuple(
        PlacePreview(
            environment=environment,
            config=configs.get(environment.pk),
            serves=_serves(configs.get(environment.pk), now),
            is_on=_is_on(configs.get(environment.pk)),
            services=tuple(services.get(environment.pk, ())),
            dependents=tuple(dependents.get((environment.pk, flag.key), ())),
            has_figures=environment.pk in known,
        )
        for environment in environments
    )
    return ArchivePreview(flag, places, tuple(live_references(flag)), tuple(held_by(flag)))


def held_by(flag: Flag) -> list[str]:
    """Open requests, and plans and timelines that have not ended, that are about a flag."""
    requests = ChangeRequest.objects.filter(
        project=flag.project_id, state__in=[state.value for state in OPEN_STATES]
    ).order_by("number")
    found = [f"request #{one.number}" for one in requests if ("flag", flag.key) in touched_keys(one)]
    plans = PlanFlag.objects.filter(flag=flag).exclude(plan__state__in=[state.value for state in ENDED_PLANS])
    found += [f"rollout plan {number}" for number in sorted(set(plans.values_list("plan__number", flat=True)))]
    timelines = DeprecationTimeline.objects.filter(flag=flag).exclude(
        state__in=[state.value for state in ENDED_TIMELINES]
    )
    found += [f"timeline {number}" for number in timelines.order_by("number").values_list("number", flat=True)]
    leading = DeprecationTimeline.objects.filter(project=flag.project_id, definition__successor=flag.key).exclude(
        state__in=[state.value for state in ENDED_TIMELINES]
    )
    return found + [
        f"timeline {number}, which names it as successor,"
        for number in leading.order_by("number").values_list("number", flat=True)
    ]


def _serves(config: FlagConfig | None, now: datetime) -> str:
    """What people get that archiving would take from them, in words."""
    shape = None if config is None else shape_of(config.document, now)
    if shape is None or shape.is_archived or shape.outcomes == {None}:
        return ""
    return outcome_words(shape.outcomes)


def _is_on(config: FlagConfig | None) -> bool:
    return config is not None and bool(config.document["enabled"])


def _services(
    flag_key: str, environment_ids: Sequence[uuid.UUID], *, now: datetime
) -> Mapping[uuid.UUID, list[ServiceNow]]:
    since = now - LOOKED_BACK
    uses = FlagUse.objects.filter(environment__in=environment_ids, flag_key=flag_key, last_at__gte=since)
    counts = each_once(since, now).filter(environment__in=environment_ids, flag_key=flag_key)
    grouped = counts.order_by().values_list("environment_id", "service", "variant").annotate(total=Sum("count"))
    variants: dict[tuple[uuid.UUID, str], list[tuple[str, int]]] = {}
    for environment_id, service, variant, total in grouped:
        variants.setdefault((environment_id, service), []).append((variant, total))
    by_service: dict[tuple[uuid.UUID, str], list[FlagUse]] = {}
    for use in uses.order_by("-last_at"):
        by_service.setdefault((use.environment_id, use.service), []).append(use)
    found: dict[uuid.UUID, list[ServiceNow]] = {}
    for (environment_id, service), rows in by_service.items():
        given = sorted(variants.get((environment_id, service), ()), key=lambda item: -item[1])
        versions = tuple(sorted({row.version for row in rows if row.version}))
        found.setdefault(environment_id, []).append(ServiceNow(service, versions, rows[0].last_at, tuple(given)))
    return found


def _about(names: Iterable[str]) -> str:
    return "is about" if len(list(names)) == 1 else "are about"
