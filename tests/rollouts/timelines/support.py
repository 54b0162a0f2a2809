"""Short ways to bring a deprecation timeline where a test begins, all of them through the services."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flags.models import Environment, EvaluationCount, Flag, FlagConfig
from rollouts.deprecations.definition import Milestone, MilestoneGates, MilestoneKind, TimelineDefinition
from rollouts.deprecations.transitions import TimelineState
from rollouts.models import DeprecationTimeline
from rollouts.services.timelines import acting, drafting
from rollouts.services.timelines.engine import advance_due
from tests.factories import NOW, actor_of
from tests.rollouts.support import Bench

K = MilestoneKind
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
# Announced at once, services told after a week, a brownout of an hour, a quarter, the sunset, the archive.
STEPS: Sequence[tuple[MilestoneKind, int, dict[str, Any]]] = (
    (K.ANNOUNCE, 0, {}),
    (K.WARN, 7, {}),
    (K.BROWNOUT, 14, {"minutes": 60}),
    (K.RAMP_DOWN, 21, {"weight": 25_000}),
    (K.SUNSET, 28, {}),
    (K.ARCHIVE, 42, {}),
)
ANNOUNCED, WARNED, BROWNED_OUT, RAMPED_DOWN, SUNSET, ARCHIVED = range(1, 7)


def definition_of(
    *,
    starts: datetime = NOW,
    steps: Sequence[tuple[MilestoneKind, int, dict[str, Any]]] = STEPS,
    gates: Mapping[int, dict[str, Any]] | None = None,
    **wanted: Any,
) -> TimelineDefinition:
    """Six milestones over six weeks; `gates` are gates by the number of the milestone."""
    milestones = tuple(
        Milestone(kind, starts + days * DAY, gates=MilestoneGates(**(gates or {}).get(number, {})), **amounts)
        for number, (kind, days, amounts) in enumerate(steps, 1)
    )
    return TimelineDefinition("checkout-redesign", milestones, **{"final_variant": "off", **wanted})


@dataclass
class TimelineBench(Bench):
    """The bench with timelines. Rita shapes and proposes, Abel approves; in staging Rita starts them herself."""

    @property
    def staging(self) -> Environment:
        """An environment without protection."""
        return self.world.staging

    def draft_in(
        self, environment: Environment, *, by: Any = None, now: datetime = NOW, **wanted: Any
    ) -> DeprecationTimeline:
        """A draft. `wanted` goes to `definition_of`."""
        actor = actor_of(by or self.world.rita)
        definition = definition_of(**wanted)
        [made] = drafting.create_timelines(
            self.flag.pk, [environment.pk], definition, actor=actor, now=now, reason="Everybody has the new one"
        )
        return made

    def started(self, **wanted: Any) -> DeprecationTimeline:
        """A running timeline in staging, before its first milestone."""
        return self.started_in(self.staging, **wanted)

    def started_in(
        self, environment: Environment, *, by: Any = None, now: datetime = NOW, **wanted: Any
    ) -> DeprecationTimeline:
        """A running timeline in an environment without protection."""
        timeline = self.draft_in(environment, by=by, now=now, **wanted)
        actor = actor_of(by or self.world.rita)
        return acting.start_timeline(timeline.pk, actor=actor, now=now, digest=timeline.digest)

    def proposed(self, *, now: datetime = NOW, **wanted: Any) -> DeprecationTimeline:
        """A timeline for production that waits for approval."""
        timeline = self.draft_in(self.production, now=now, **wanted)
        actor = actor_of(self.world.rita)
        return drafting.propose_timeline(timeline.pk, actor=actor, now=now, digest=timeline.digest)

    def approved_and_started(self, *, now: datetime = NOW, **wanted: Any) -> DeprecationTimeline:
        """A running timeline in production: with Abel's approval it started at once."""
        timeline = self.proposed(now=now, **wanted)
        assert timeline.request is not None
        self.approve(timeline.request, now=now)
        return reloaded(timeline)

    def served(self, environment: Environment | None = None, flag: Flag | None = None) -> dict[str, Any]:
        """The document that an environment serves, staging unless something else is asked for."""
        rows = FlagConfig.objects.filter(flag=flag or self.flag, environment=environment or self.staging)
        return dict(rows.get().document)

    def ending(self, environment: Environment | None = None) -> dict[str, Any]:
        """What the served document says of the end; empty for nothing."""
        return dict(self.served(environment).get("deprecation", {}))

    def change(self, environment: Environment | None = None) -> None:
        """Somebody else writes the flag."""
        environment = environment or self.staging
        document = self.served(environment)
        self.world.serve(self.flag, environment, {**document, "enabled": not document["enabled"]})

    def report(
        self,
        count: int,
        at: datetime,
        *,
        environment: Environment | None = None,
        key: str = "checkout-redesign",
        service: str = "billing",
        span: str = "minute",
    ) -> None:
        """A service reported that it evaluated a flag."""
        EvaluationCount.objects.create(
            environment=environment or self.staging,
            span=span,
            at=at,
            flag_key=key,
            variant="on",
            reason="STATIC",
            service=service,
            version="1",
            count=count,
        )

    def report_all_along(self, days: int, until: datetime, *, environment: Environment | None = None) -> None:
        """Services evaluated some other flag on each of the last days, so that what is missing is zero."""
        for back in range(days):
            self.report(7, until - back * DAY, environment=environment, key="busy", service="search", span="hour")


def reloaded(timeline: DeprecationTimeline) -> DeprecationTimeline:
    """The timeline as the database has it."""
    return DeprecationTimeline.objects.select_related("environment", "project", "flag", "request").get(pk=timeline.pk)


def at_day(number: float) -> datetime:
    """So many days after the announcement."""
    return NOW + number * DAY


def brought_to(timeline: DeprecationTimeline, number: int) -> DeprecationTimeline:
    """The timeline after ticks at the dates of its milestones up to that number."""
    for milestone in definition_of().milestones[:number]:
        advance_due(milestone.at)
    found = reloaded(timeline)
    assert found.milestone == number
    return found


def timeline_in(bench: TimelineBench, state: TimelineState) -> DeprecationTimeline:
    """A timeline in `state`: a proposed one in production, any other in staging, live ones at their warning."""
    match state:
        case TimelineState.DRAFT:
            return bench.draft_in(bench.staging)
        case TimelineState.PROPOSED:
            return bench.proposed()
        case TimelineState.DONE:
            return done(brought_to(bench.started(), ARCHIVED))
    timeline = brought_to(bench.started(), WARNED)
    if state is TimelineState.UNDONE:
        timeline = brought_to(timeline, BROWNED_OUT)
    told: dict[str, Any] = {
        "actor": actor_of(bench.world.rolf),
        "now": at_day(14),
        "sequence": timeline.sequence,
        "reason": "A reason",
    }
    match state:
        case TimelineState.PAUSED:
            return acting.pause(timeline.pk, **told)
        case TimelineState.UNDONE:
            return acting.undo(timeline.pk, to_milestone=WARNED, **told)
        case TimelineState.ENDED:
            return acting.end_timeline(timeline.pk, **told)
    return timeline


def done(timeline: DeprecationTimeline) -> DeprecationTimeline:
    """A timeline that the engine completed."""
    assert timeline.current_state is TimelineState.DONE
    return timeline
