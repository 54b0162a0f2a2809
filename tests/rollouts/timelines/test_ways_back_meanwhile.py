"""Ways back after somebody moved what a flag answers by while people were withdrawn, which showed nobody anything."""

from collections.abc import Callable
from typing import Any

import pytest

from flags.authority import NotNarrowing
from flags.changes import ChangeSet, SegmentEdit
from flags.models import Environment, FlagConfig, Segment
from flags.services.configs import edit_config, edit_segment
from flags.services.tickets import governed_write
from rollouts.deprecations.transitions import TimelineAct, TimelineState
from rollouts.models import DeprecationTimeline, TimelineStep
from rollouts.selectors.timelines.footing import FOOTING
from rollouts.services.timelines import acting
from tests.factories import NOW, actor_of, percent_document
from tests.rollouts.timelines.support import SUNSET, TimelineBench, at_day, brought_to, reloaded
from tests.rollouts.timelines.test_ways_back import last_evidence, told

pytestmark = pytest.mark.django_db

Move = Callable[[TimelineBench, Environment], None]
NOBODY = {"attribute": "staff", "operator": "is_true", "value": None}
EVERYBODY = {"not": NOBODY}


def guard(environment: Environment, *, is_protected: bool) -> None:
    with governed_write(environment.pk):
        Environment.objects.filter(pk=environment.pk).update(is_protected=is_protected)
    environment.refresh_from_db()


def write_segment(bench: TimelineBench, environment: Environment, key: str, condition: dict[str, Any]) -> None:
    found = Segment.objects.filter(environment=environment, key=key).first()
    edit_segment(
        environment.pk,
        actor=actor_of(bench.world.rita),
        key=key,
        name=key,
        document={"schema": 1, "condition": condition},
        base_version=found.version if found else 0,
        reason="",
        now=NOW,
    )


def write_config(bench: TimelineBench, environment: Environment, key: str, **changed: Any) -> None:
    config = FlagConfig.objects.get(flag__key=key, environment=environment)
    edit_config(
        config.flag_id,
        environment.pk,
        actor=actor_of(bench.world.rita),
        document={**config.document, **changed},
        base_version=config.version,
        reason="",
        now=NOW,
    )


def at_sunset(bench: TimelineBench, environment: Environment, *, is_approved: bool) -> DeprecationTimeline:
    """A flag with a segment in a segment and a parent, withdrawn for everybody; the environment is open now."""
    guard(environment, is_protected=False)
    write_segment(bench, environment, "inner", NOBODY)
    write_segment(bench, environment, "beta", {"segment": "inner"})
    parent = bench.world.flag("parent")
    bench.world.serve(parent, environment, percent_document("parent", 5))
    rule = {"id": "r1", "description": "", "condition": {"segment": "beta"}, "serve": {"variant": "on"}}
    needs = [{"flag": "parent", "variants": ["on"]}]
    served = {**percent_document(bench.flag.key, 5), "rules": [rule], "default_variant": "off", "prerequisites": needs}
    bench.world.serve(bench.flag, environment, served)
    if not is_approved:
        return brought_to(bench.started_in(environment), SUNSET)
    guard(environment, is_protected=True)
    timeline = brought_to(bench.approved_and_started(), SUNSET)
    guard(environment, is_protected=False)
    return timeline


def inner_widened(bench: TimelineBench, environment: Environment) -> None:
    write_segment(bench, environment, "inner", EVERYBODY)


def segment_widened(bench: TimelineBench, environment: Environment) -> None:
    write_segment(bench, environment, "beta", EVERYBODY)


def parent_moved(bench: TimelineBench, environment: Environment) -> None:
    write_config(bench, environment, "parent", default_variant="on", rules=[])


def flag_edited(bench: TimelineBench, environment: Environment) -> None:
    write_config(bench, environment, bench.flag.key, rules=[], default_variant="on")


def nothing_moved(bench: TimelineBench, environment: Environment) -> None:
    """All is as it was."""


def another_segment_moved(bench: TimelineBench, environment: Environment) -> None:
    write_segment(bench, environment, "elsewhere", EVERYBODY)


def inner_widened_by_approval(bench: TimelineBench, environment: Environment) -> None:
    guard(environment, is_protected=True)
    document = {"schema": 1, "condition": EVERYBODY}
    content = ChangeSet(str(environment.pk), (SegmentEdit("inner", "inner", 1, document),))
    bench.approved(change_set=content, now=at_day(29))
    assert Segment.objects.get(environment=environment, key="inner").document == document


REFUSED = [
    (False, segment_widened),
    (False, inner_widened),
    (False, parent_moved),
    (False, flag_edited),
    (True, segment_widened),
    (True, inner_widened),
    (True, flag_edited),
]
GIVEN_BACK = [
    (False, nothing_moved),
    (False, another_segment_moved),
    (True, nothing_moved),
    (True, another_segment_moved),
    (True, parent_moved),
    (True, inner_widened_by_approval),
]


@pytest.mark.parametrize(("is_approved", "move"), REFUSED)
def test_undo__after_what_nobody_approved__shows_it_to_nobody_and_says_what_to_do(
    bench: TimelineBench, is_approved: bool, move: Move
) -> None:
    environment, rolf = bench.production if is_approved else bench.staging, bench.world.rolf
    timeline = at_sunset(bench, environment, is_approved=is_approved)
    move(bench, environment)
    guard(environment, is_protected=True)
    left = bench.served(environment)

    with pytest.raises(NotNarrowing, match="Propose what they are to get back, or end the timeline"):
        acting.undo(timeline.pk, to_milestone=0, **told(bench, timeline, 30, by=rolf))
    assert reloaded(timeline).current_state is TimelineState.RUNNING
    acting.end_timeline(timeline.pk, **told(bench, timeline, 30, by=rolf))

    assert bench.served(environment) == left
    assert last_evidence(timeline)["left_alone"] == "not_narrowing"


@pytest.mark.parametrize(("is_approved", "move"), GIVEN_BACK)
def test_undo__of_what_was_approved_or_there_before__gives_it_back(
    bench: TimelineBench, is_approved: bool, move: Move
) -> None:
    environment = bench.production if is_approved else bench.staging
    timeline = at_sunset(bench, environment, is_approved=is_approved)
    move(bench, environment)
    guard(environment, is_protected=True)

    acting.undo(timeline.pk, to_milestone=0, **told(bench, timeline, 30, by=bench.world.rolf))

    assert bench.ending(environment) == {}


def test_footing__of_a_start__names_what_the_flag_answers_by(bench: TimelineBench) -> None:
    timeline = at_sunset(bench, bench.staging, is_approved=False)
    start = TimelineStep.objects.get(timeline=timeline, act=TimelineAct.START.value)

    assert start.evidence[FOOTING] == {"flags": {"parent": 2}, "relies_on": {"beta": 1, "inner": 1}}


def test_undo__of_a_timeline_whose_start_kept_no_footing__is_refused(
    bench: TimelineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollouts.services.timelines.milestones.FOOTING", "something_else")
    timeline = at_sunset(bench, bench.staging, is_approved=False)
    guard(bench.staging, is_protected=True)

    with pytest.raises(NotNarrowing, match="Propose what they are to get back"):
        acting.undo(timeline.pk, to_milestone=0, **told(bench, timeline, 30, by=bench.world.rolf))
