"""A shop whose flag lives and ends by a clock that the test moves, with services that report and ask all the while."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import time_machine
from django.core import mail
from django.test import Client
from django.utils import timezone

from audits.chains import chain_names, verify_chain
from audits.models import AuditEvent
from flags import snapshots
from flags.lifecycle.stages import LifecycleStage
from flags.models import Environment, Flag, FlagConfig
from flags.services.tokens import issue_token
from rollouts import tasks
from rollouts.deprecations.definition import Milestone, MilestoneGates, MilestoneKind, TimelineDefinition
from rollouts.models import DeprecationTimeline, TimelineStep
from rollouts.selectors.staleness.facts import life_of_flag
from tests.factories import NOW, World, actor_of
from tests.flags.telemetry.reports import document, evaluation
from tests.rollouts.timelines.support import TimelineBench, reloaded

KEY = "checkout-redesign"
CUSTOMERS = tuple(f"customer-{number}" for number in range(2_000))
BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)
K = MilestoneKind
ANNOUNCED, WARNED, FIRST_BROWNOUT, SECOND_BROWNOUT, QUARTER, HALF, MOST, SUNSET, ARCHIVED = range(1, 10)
TOLD = ("Deprecation", "Sunset", "Link")


def on(month: int, day: int, hour: int = 10, minute: int = 0) -> datetime:
    """A time of 2026 by the clocks of Berlin."""
    return datetime(2026, month, day, hour, minute, tzinfo=BERLIN)


def ending(*, gates: bool) -> TimelineDefinition:
    """From the announcement in April to the archive in September; the sunset asks who is left where `gates` says so."""
    asked = MilestoneGates(residual_days=7, residual_at_most=100) if gates else MilestoneGates()
    milestones = (
        Milestone(K.ANNOUNCE, on(4, 1)),
        Milestone(K.WARN, on(4, 15)),
        Milestone(K.BROWNOUT, on(5, 4), minutes=60),
        Milestone(K.BROWNOUT, on(5, 18), minutes=120),
        Milestone(K.RAMP_DOWN, on(6, 1), weight=25_000),
        Milestone(K.RAMP_DOWN, on(6, 15), weight=50_000),
        Milestone(K.RAMP_DOWN, on(7, 1), weight=75_000),
        Milestone(K.SUNSET, on(7, 20), gates=asked),
        Milestone(K.ARCHIVE, on(9, 1)),
    )
    return TimelineDefinition(
        KEY,
        milestones,
        final_variant="off",
        successor="new-checkout",
        mapping={"on": "on", "off": "off"},
        link="https://example.org/checkout",
        zone="Europe/Berlin",
    )


def addresses(people: Iterable[Any]) -> frozenset[str]:
    """Where these people get their mail."""
    return frozenset(person.email for person in people)


@dataclass(kw_only=True)
class Trip(TimelineBench):
    """The bench with a clock, a service that reports to production once a day, and one that asks it for the flag."""

    traveller: time_machine.Traveller
    demand: int = 0
    evaluating: str = ""
    reporting: str = ""

    @classmethod
    def begun(cls, world: World, traveller: time_machine.Traveller) -> "Trip":
        """A flag that exists and was not switched on anywhere, and its successor, which serves everybody."""
        trip = cls(world, world.flag(KEY, owner_id=world.vera.pk), traveller=traveller)
        successor = world.flag("new-checkout")
        for environment in world.environments:
            world.serve(successor, environment)
        for scope in ("evaluate", "telemetry"):
            ada, place = actor_of(world.ada), world.production.pk
            issued = issue_token(place, actor=ada, name=scope, scope=scope, expires_at=None, now=NOW)
            setattr(trip, "evaluating" if scope == "evaluate" else "reporting", issued.secret)
        return trip

    @property
    def now(self) -> datetime:
        """What everybody takes for now."""
        return timezone.now()

    def until(self, moment: datetime) -> None:
        """Let time pass: each day services report, and every sweep looks, also at `moment` itself."""
        while self.now < moment:
            self.traveller.move_to(min(self.now + DAY, moment))
            self.report_use()
            self.tick()

    def outage(self, moment: datetime) -> None:
        """Let time pass while nothing of this installation runs."""
        self.traveller.move_to(moment)

    def tick(self) -> None:
        """What beat makes workers do."""
        tasks.apply_due_changes()
        tasks.advance_due_plans()
        tasks.advance_due_timelines()

    def report_use(self) -> None:
        """The services of production report: another flag always, this one as long as billing still asks for it."""
        minute = self.now.replace(second=0, microsecond=0).isoformat()
        rows = [evaluation(flag="new-checkout", minute=minute, count=40)]
        if self.demand:
            rows.append(evaluation(flag=KEY, minute=minute, count=self.demand))
        answer = Client().post(
            "/api/v1/telemetry",
            json.dumps(document(service="billing", evaluations=rows)),
            content_type="application/json",
            headers={"X-API-Key": self.reporting},
        )
        assert answer.status_code == 202, answer.content

    def ask(self, key: str = KEY) -> Any:
        """One evaluation in production, over HTTP."""
        snapshots.store.refresh()
        return Client().post(
            f"/ofrep/v1/evaluate/flags/{key}",
            json.dumps({"context": {"targetingKey": CUSTOMERS[0]}}),
            content_type="application/json",
            headers={"X-API-Key": self.evaluating},
        )

    def told(self) -> tuple[dict[str, str], dict[str, Any]]:
        """What headers and metadata of a single answer say of the end."""
        answer = self.ask()
        assert answer.status_code == 200, answer.content
        headers = {name: answer.headers[name] for name in TOLD if name in answer.headers}
        metadata = answer.json()["metadata"]
        return headers, {name: metadata[name] for name in ("deprecated", "sunsetAt", "successor") if name in metadata}

    def withdrawn(self) -> frozenset[str]:
        """The customers from whom the flag is withdrawn in production. They get “off”, all others still “on”."""
        snapshots.store.refresh()
        served, found = snapshots.store.served[self.production.pk], set()
        for customer in CUSTOMERS:
            answer = served.evaluate(KEY, {"targetingKey": customer}, self.now)
            is_withdrawn = answer.metadata.get("withdrawn", False)
            assert answer.variant == ("off" if is_withdrawn else "on")
            if is_withdrawn:
                found.add(customer)
        return frozenset(found)

    def stages(self) -> tuple[LifecycleStage, LifecycleStage]:
        """The stage in production and overall."""
        life = life_of_flag(Flag.objects.get(pk=self.flag.pk), now=self.now)
        [production] = [place for place in life.places if place.environment == self.production.name]
        return production.now.stage, life.stage.stage

    def timeline_in(self, environment: Environment) -> DeprecationTimeline:
        """The timeline of the flag there."""
        return reloaded(DeprecationTimeline.objects.get(flag=self.flag, environment=environment))

    @property
    def timeline(self) -> DeprecationTimeline:
        """The timeline of production."""
        return self.timeline_in(self.production)

    def acts(self) -> list[str]:
        """What happened to the timeline of production, with where it came to."""
        rows = TimelineStep.objects.filter(timeline=self.timeline)
        return [f"{act} {number}" for act, number in rows.values_list("act", "to_milestone")]

    def mails(self) -> list[tuple[str, frozenset[str]]]:
        """Subjects of the mails about production since the last look, and who got them."""
        found: dict[str, set[str]] = {}
        for letter in mail.outbox:
            if letter.subject.startswith(f"{KEY} in {self.production.name}: "):
                found.setdefault(letter.subject.split(": ", 1)[1], set()).update(letter.to)
        mail.outbox.clear()
        return [(subject, frozenset(people)) for subject, people in found.items()]

    def applied(self) -> list[AuditEvent]:
        """The events of what production served of the flag, oldest first."""
        rows = AuditEvent.objects.filter(action="flag_config.applied", flag_key=KEY)
        return list(rows.filter(environment_key=self.production.key).order_by("sequence"))

    def verify(self) -> None:
        """Every chain holds, and each version that production served has its one event."""
        assert [verdict.bad for verdict in map(verify_chain, chain_names()) if verdict.bad] == []
        history = FlagConfig.history.filter(flag_id=self.flag.pk, environment_id=self.production.pk)
        assert len(self.applied()) == history.count()

    def act(self, do: Any, by: Any, *args: Any, reason: str = "A good reason", **wanted: Any) -> DeprecationTimeline:
        """One act of a person on the timeline of production, as it stands on the page now."""
        timeline = self.timeline
        told = {"actor": actor_of(by), "now": self.now, "sequence": timeline.sequence, "reason": reason}
        found: DeprecationTimeline = do(timeline.pk, *args, **told, **wanted)
        return found
