"""How far a flag has come, in one environment and overall. Derived from what is served, never from a click."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from flags.documents.schema import quoted

from .shapes import Outcome, Shape


class LifecycleStage(StrEnum):
    """The stages of a flag's life, in their order.

    `SETTLED`: everybody gets the same. `SUNSET`: it was withdrawn from everybody for good. `ARCHIVED`: services no
    longer get it.
    """

    DRAFT = "draft"
    ROLLING_OUT = "rolling_out"
    LIVE = "live"
    SETTLED = "settled"
    DEPRECATED = "deprecated"
    SUNSET = "sunset"
    ARCHIVED = "archived"

    @property
    def label(self) -> str:
        """The stage in words."""
        return self.value.replace("_", " ").capitalize()


STAGES = tuple(LifecycleStage)
# Kinds whose splits are steps on a way. Shares of the others are what they are for.
WIDENED_KINDS = frozenset({"release", "operational", "kill_switch"})


@dataclass(frozen=True, slots=True)
class StageNow:
    """A stage, since when, and why in a sentence."""

    stage: LifecycleStage
    since: datetime | None
    sentence: str


@dataclass(frozen=True, slots=True)
class PlaceStage:
    """An environment and the stage of a flag there. Environments that weigh, the protected ones, decide overall."""

    environment: str
    weighs: bool
    now: StageNow


@dataclass(frozen=True, slots=True)
class Version:
    """The shape of a config from an instant on."""

    at: datetime
    shape: Shape


def stage_of(
    shape: Shape | None, *, was_on: bool, kind: str, now: datetime, is_in_plan: bool = False
) -> LifecycleStage:
    """The stage that a version of a config stands for. `was_on`: it was switched on then or before.

    `shape` is None where a flag is not set up.
    """
    if shape is None:
        return LifecycleStage.DRAFT
    if shape.is_archived:
        return LifecycleStage.ARCHIVED
    if shape.is_sunset:
        return LifecycleStage.SUNSET
    if shape.deprecated_at is not None and shape.deprecated_at <= now:
        return LifecycleStage.DEPRECATED
    if is_in_plan:
        return LifecycleStage.ROLLING_OUT
    if not shape.is_enabled:
        return LifecycleStage.SETTLED if was_on else LifecycleStage.DRAFT
    if shape.is_for_all:
        return LifecycleStage.SETTLED
    return LifecycleStage.ROLLING_OUT if shape.is_split and kind in WIDENED_KINDS else LifecycleStage.LIVE


def place_stage(
    versions: Sequence[Version], *, kind: str, now: datetime, plan_since: datetime | None = None
) -> StageNow:
    """The stage in one environment. `versions` are those of its config, oldest first; `plan_since` is when the rollout
    plan that acts on it was started.
    """
    if not versions:
        return StageNow(LifecycleStage.DRAFT, None, "It is not set up here; services get their code default.")
    was_on = _was_on(versions)
    shape, is_in_plan = versions[-1].shape, plan_since is not None
    stage = stage_of(shape, was_on=was_on[-1], kind=kind, now=now, is_in_plan=is_in_plan)
    since = versions[-1].at
    for version, on in zip(reversed(versions), reversed(was_on), strict=True):
        former = stage_of(version.shape, was_on=on, kind=kind, now=version.at)
        if former is not stage and not (stage is LifecycleStage.DEPRECATED and version.shape.deprecated_at):
            break
        since = version.at
    if stage is LifecycleStage.DEPRECATED and shape.deprecated_at is not None:
        since = max(since, shape.deprecated_at)
    if stage is LifecycleStage.ROLLING_OUT and plan_since is not None:
        since = min(since, plan_since) if shape.is_split else plan_since
    return StageNow(stage, since, _sentence(stage, shape, now, is_in_plan))


def overall_stage(places: Sequence[PlaceStage], archived_at: datetime | None = None) -> StageNow:
    """The stage of the whole flag: that of the environment that weighs and has come least far, drafts aside."""
    if archived_at is not None:
        return StageNow(LifecycleStage.ARCHIVED, archived_at, "It is archived: no service gets it any more.")
    weighing = [place for place in places if place.weighs] or list(places)
    begun = [place for place in weighing if place.now.stage is not LifecycleStage.DRAFT]
    if not begun:
        return _overall_draft(places, weighing)
    stage = min((place.now.stage for place in begun), key=STAGES.index)
    there = [place for place in begun if place.now.stage is stage]
    since = max((place.now.since for place in there if place.now.since), default=None)
    return StageNow(stage, since, f"{_names(there)}: {_lower(there[0].now.sentence)}")


def _overall_draft(places: Sequence[PlaceStage], weighing: Sequence[PlaceStage]) -> StageNow:
    elsewhere = [place for place in places if place.now.stage is not LifecycleStage.DRAFT]
    since = min((place.now.since for place in weighing if place.now.since), default=None)
    if not elsewhere:
        return StageNow(LifecycleStage.DRAFT, since, "It was not switched on anywhere yet.")
    words = f"It was switched on in {_names(elsewhere)}, and not yet in {_names(weighing)}."
    return StageNow(LifecycleStage.DRAFT, since, words)


def _was_on(versions: Sequence[Version]) -> list[bool]:
    """Whether it was on at each version or before it in the same life: archiving ends one."""
    found, on = [], False
    for version in versions:
        on = not version.shape.is_archived and (on or version.shape.is_enabled)
        found.append(on)
    return found


def _sentence(stage: LifecycleStage, shape: Shape, now: datetime, is_in_plan: bool) -> str:
    if stage is LifecycleStage.ARCHIVED:
        return "Services no longer get it and use their code default."
    if stage is LifecycleStage.SUNSET:
        return f"It was withdrawn: everybody gets {outcome_words(shape.outcomes)}."
    if stage is LifecycleStage.DEPRECATED:
        return _deprecated(shape, now)
    if stage is LifecycleStage.DRAFT:
        return "It was not switched on here yet."
    if stage is LifecycleStage.SETTLED:
        lead = "Everybody gets" if shape.is_enabled else "It is switched off: everybody gets"
        return f"{lead} {outcome_words(shape.outcomes)}."
    if is_in_plan:
        return "A rollout plan is under way."
    if stage is LifecycleStage.ROLLING_OUT:
        return f"A share of people gets {outcome_words(shape.outcomes)}."
    return f"People get {outcome_words(shape.outcomes)}, by its rules."


def _deprecated(shape: Shape, now: datetime) -> str:
    if shape.sunset_at is None:
        return "Services are told that it is deprecated; no sunset is set."
    if shape.sunset_at <= now:
        return f"Services are told that it is deprecated; its sunset was due on {shape.sunset_at:%Y-%m-%d}."
    return f"Services are told that it is deprecated; its sunset is on {shape.sunset_at:%Y-%m-%d}."


def outcome_words(outcomes: frozenset[Outcome]) -> str:
    """Variants in words: “on”, or “a” or “b”; the code default comes last."""
    names = [quoted(name) for name in sorted(name for name in outcomes if name is not None)]
    return " or ".join([*names, *(["the code default"] if None in outcomes else [])])


def _names(places: Sequence[PlaceStage]) -> str:
    names = [place.environment for place in places]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
