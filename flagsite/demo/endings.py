"""Flags of the demo that come to their end: one half way out, one in a brownout, one that waits for approval, and stale
ones that nobody has planned for yet.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from audits.context import correlation
from flags.lifecycle.thresholds import PERMANENT_TAG
from flags.models import Environment, Flag, Project
from flags.services.telemetry import accept
from flags.services.telemetry_ages import roll_up
from flags.telemetry.reading import checked
from flags.telemetry.rows import Batch, EvaluationRow
from flagsite.demo.catalogue import EVERYBODY_ON, STAFF, DemoFlag, share
from rollouts.deprecations.definition import Milestone, MilestoneGates, MilestoneKind, TimelineDefinition
from rollouts.deprecations.documents import brownout_ends_at
from rollouts.models import DeprecationTimeline
from rollouts.services.reviewing import approve_change_request
from rollouts.services.staleness import scan_stale, snooze
from rollouts.services.timelines.acting import start_timeline
from rollouts.services.timelines.drafting import create_timelines, propose_timeline
from rollouts.services.timelines.engine import advance_if_due

if TYPE_CHECKING:
    from flagsite.demo.story import Story

ZONE = "Europe/Berlin"
LEAVING, PAUSING, ASKED, REPLACEMENT = "classic-basket", "popup-newsletter", "old-price-tags", "compact-basket"
SETTLED, FORGOTTEN, SILENT, KEPT = "sticky-header", "video-previews", "gift-finder", "guest-checkout"
# Keys of no flag: a typing error, and one that nobody ever made.
MISSPELT, NEVER_MADE = "sticky-haeder", "basket-confetti"
_K = MilestoneKind
_DAY = timedelta(days=1)
_ON = {key: EVERYBODY_ON for key in ("development", "staging", "production")}
_PART: Mapping[str, Mapping[str, Any]] = {**_ON, "production": {"rules": [STAFF, *share(20)["rules"]]}}


def _flag(
    key: str, name: str, owner: str, description: str, serves: Mapping[str, Any] = _ON, tags: tuple[str, ...] = ()
) -> DemoFlag:
    return DemoFlag("storefront", key, name, "release", "boolean", description, owner, ("basket", *tags), serves)


FLAGS = (
    _flag(LEAVING, "Classic basket", "mira", "The basket as a page of its own, from before the compact one."),
    _flag(
        REPLACEMENT,
        "Compact basket",
        "mira",
        "The basket beside the page instead of in its place.",
        tags=(PERMANENT_TAG,),
    ),
    _flag(PAUSING, "Newsletter pop-up", "nora", "Asks for the newsletter after half a minute."),
    _flag(ASKED, "Old price tags", "nora", "Prices as they were drawn before the new typography."),
    _flag(SETTLED, "Sticky header", "mira", "The header stays while people scroll."),
    _flag(FORGOTTEN, "Video previews", "nora", "Short films in lists of products.", _PART),
    _flag(SILENT, "Gift finder", "mira", "Asks three questions and suggests a gift."),
    _flag(KEPT, "Guest checkout", "nora", "Ordering without an account."),
)
# Who evaluates what in production: the service and how often a day, at first and now.
_USE: Mapping[str, tuple[tuple[str, int, int], ...]] = {
    LEAVING: (("shop", 5_200, 610), ("billing-api", 2_400, 2_340), ("mobile-app", 1_900, 180)),
    REPLACEMENT: (("shop", 900, 7_400),),
    ASKED: (("shop", 3_100, 420),),
    SETTLED: (("shop", 8_800, 8_900),),
    FORGOTTEN: (("shop", 2_700, 2_600), ("mobile-app", 800, 900)),
    KEPT: (("shop", 1_700, 1_800),),
}
_BEGAN, _DAILY = 130, 28


def introduce_old_flags(story: "Story") -> None:
    """Flags from half a year ago, from before there were rules."""
    for number, flag in enumerate(FLAGS):
        with correlation():
            story.introduce(flag, story.now - timedelta(days=150 + 3 * number))


def tell_endings(story: "Story") -> None:
    """How these flags grew old, and how far their ends have come."""
    _report(story)
    _half_way(story)
    _asked_for(story)
    _in_brownout(story)
    _look(story)


def _milestone(story: "Story", kind: MilestoneKind, days: float, hour: int = 8, **more: Any) -> Milestone:
    day = story.now + timedelta(days=days)
    return Milestone(kind, day.replace(hour=hour, minute=0, second=0, microsecond=0), **more)


def _half_way(story: "Story") -> None:
    """Announced, warned about, tried out for an hour, withdrawn from a quarter of all people."""
    asks = MilestoneGates(residual_days=7, residual_at_most=100)
    milestones = (
        _milestone(story, _K.ANNOUNCE, -42),
        _milestone(story, _K.WARN, -35),
        _milestone(story, _K.BROWNOUT, -13, 9, minutes=60),
        _milestone(story, _K.RAMP_DOWN, -2, weight=25_000),
        _milestone(story, _K.RAMP_DOWN, 3, weight=50_000),
        _milestone(story, _K.SUNSET, 17, gates=MilestoneGates(7, 100, approvals=1)),
        _milestone(story, _K.ARCHIVE, 45, gates=asks),
    )
    definition = TimelineDefinition(
        LEAVING,
        milestones,
        "off",
        REPLACEMENT,
        {"on": "on", "off": "off"},
        link="https://wiki.storefront.example/classic-basket",
        zone=ZONE,
    )
    at = milestones[0].at - timedelta(days=2)
    timeline = _proposed(story, definition, "production", at, "Nine of ten orders come from the compact basket")
    request = timeline.request
    if request is None:
        raise ValueError("The timeline was proposed without a request.")
    with correlation():
        approve_change_request(
            request.pk, actor=story.actor("ben"), digest=request.digest, comment="", now=at + timedelta(hours=3)
        )
    _follow(timeline, definition, story.now)


def _asked_for(story: "Story") -> None:
    """An end that waits for its approval."""
    kinds = ((_K.ANNOUNCE, 2), (_K.WARN, 9), (_K.SUNSET, 30), (_K.ARCHIVE, 51))
    milestones = tuple(_milestone(story, kind, days) for kind, days in kinds)
    definition = TimelineDefinition(ASKED, milestones, "off", zone=ZONE)
    _proposed(story, definition, "production", story.now - timedelta(hours=7), "The new typography is everywhere")


def _in_brownout(story: "Story") -> None:
    """A brownout that runs while somebody looks."""
    begun = story.now.replace(second=0, microsecond=0) - timedelta(minutes=20)
    milestones = (
        Milestone(_K.ANNOUNCE, begun - 14 * _DAY),
        Milestone(_K.WARN, begun - 7 * _DAY),
        Milestone(_K.BROWNOUT, begun, minutes=240),
        _milestone(story, _K.SUNSET, 7),
        _milestone(story, _K.ARCHIVE, 21),
    )
    definition = TimelineDefinition(PAUSING, milestones, None, zone=ZONE)
    at, nora = milestones[0].at - _DAY, story.actor("nora")
    with correlation():
        timeline = _drafted(story, definition, "development", at, "nora", "Nobody misses it")
    with correlation():
        start_timeline(timeline.pk, actor=nora, now=at + timedelta(hours=1), digest=timeline.digest)
    _follow(timeline, definition, story.now)


def _drafted(
    story: "Story", definition: TimelineDefinition, place: str, at: datetime, who: str, reason: str
) -> DeprecationTimeline:
    flag = Flag.objects.get(project__key="storefront", key=definition.flag_key)
    environment = story.environment("storefront", place)
    [made] = create_timelines(flag.pk, [environment.pk], definition, actor=story.actor(who), now=at, reason=reason)
    return made


def _proposed(
    story: "Story", definition: TimelineDefinition, place: str, at: datetime, reason: str
) -> DeprecationTimeline:
    with correlation():
        made = _drafted(story, definition, place, at, "mira", reason)
        return propose_timeline(
            made.pk, actor=story.actor("mira"), now=at + timedelta(minutes=5), digest=made.digest, reason=reason
        )


def _follow(timeline: DeprecationTimeline, definition: TimelineDefinition, until: datetime) -> None:
    """Let the engine look whenever a milestone comes or a brownout ends."""
    looks = [milestone.at for milestone in definition.milestones]
    looks += [brownout_ends_at(one) for one in definition.milestones if one.kind is _K.BROWNOUT]
    for at in sorted(look for look in looks if look <= until):
        advance_if_due(timeline.pk, now=at)
    advance_if_due(timeline.pk, now=until)


def _report(story: "Story") -> None:
    """What services reported from production: now and then long ago, every day of late."""
    production = story.environment("storefront", "production")
    days = [*range(_BEGAN, _DAILY, -6), *range(_DAILY, 0, -1)]
    for back in days:
        at = (story.now - back * _DAY).replace(minute=7, second=0, microsecond=0)
        for service in ("shop", "billing-api", "mobile-app"):
            batch = Batch(f"demo-endings-{service}-{back}", service, "3.8.1", tuple(_rows(service, back, at)), ())
            accept(batch, production.pk, None, now=at + timedelta(minutes=1))
        roll_up(now=at + timedelta(hours=1))
    _report_unknown(story, production)


def _report_unknown(story: "Story", production: Environment) -> None:
    """Keys that services ask for and that are no flag's."""
    served = {SETTLED: frozenset({"on", "off"})}
    for back in (9, 6, 4, 2, 1):
        at = (story.now - back * _DAY).replace(minute=9, second=0, microsecond=0)
        for service, version, key, count in (("shop", "3.8.1", MISSPELT, 310), ("mobile-app", "5.2.0", NEVER_MADE, 45)):
            row = EvaluationRow(key, "", "ERROR", at, count + back)
            batch = Batch(f"demo-unknown-{service}-{back}", service, version, (row,))
            accept(checked(batch, known=served, now=at), production.pk, None, now=at + timedelta(minutes=1))


def _rows(service: str, back: int, at: datetime) -> Iterable[EvaluationRow]:
    for key, services in _USE.items():
        for name, first, now in services:
            if name != service:
                continue
            count = round(now + (first - now) * back / _BEGAN) * (7 + back % 3) // 8
            reason, parts = (
                ("SPLIT", (("on", count // 5), ("off", count - count // 5)))
                if key == FORGOTTEN
                else (
                    "STATIC",
                    (("on", count),),
                )
            )
            for variant, part in parts:
                yield EvaluationRow(key, variant, reason, at, part)


def _look(story: "Story") -> None:
    """The nightly looks of the last weeks, and a flag that somebody wants to keep."""
    project = Project.objects.get(key="storefront")
    for weeks in (6, 5, 4, 3, 2, 1):
        scan_stale(project.pk, now=story.now - timedelta(weeks=weeks))
    with correlation():
        snooze(
            Flag.objects.get(project=project, key=KEPT).pk,
            until=story.now + timedelta(days=60),
            actor=story.actor("nora"),
            reason="The terms for guests may change in January; until then we want to be able to switch it off",
            now=story.now - timedelta(days=3),
        )
    for project in Project.objects.all():
        scan_stale(project.pk, now=story.now)
