"""The life of a flag on one strip: the stages it went through in each environment, and what is planned next."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from .shapes import Shape
from .stages import LifecycleStage, Version, stage_of

WIDTH = 1_000
# A stage of a minute is seen as well, beside one of a year.
LEAST_WIDTH = 24
_NO_TIME = timedelta()


@dataclass(frozen=True, slots=True)
class Segment:
    """A stage from an instant on. `until` is None for the one that lasts. `is_planned`: it is still to come."""

    stage: LifecycleStage
    since: datetime
    until: datetime | None = None
    is_planned: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """A milestone ahead: when at the earliest, what it is called, and the stage it begins, None for none of its own."""

    at: datetime
    name: str
    stage: LifecycleStage | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A segment on the picture: where it begins and how wide it is, of 1000."""

    segment: Segment
    x: int
    width: int


def segments_of(versions: Sequence[Version], *, kind: str, now: datetime) -> tuple[Segment, ...]:
    """The stages that versions of a config went through, oldest first; none where it was never set up.

    After it was archived a flag begins anew: it is a draft until it is switched on again.
    """
    found: list[Segment] = []
    was_on = False
    for number, version in enumerate(versions):
        following = versions[number + 1].at if number + 1 < len(versions) else now
        if version.at > now:
            break
        was_on = not version.shape.is_archived and (was_on or version.shape.is_enabled)
        for at in _moments(version.at, version.shape, following):
            stage = stage_of(version.shape, was_on=was_on, kind=kind, now=at)
            if not found or found[-1].stage is not stage:
                found.append(Segment(stage, at))
    ends = [*(segment.since for segment in found), None][1:]
    return tuple(replace(segment, until=end) for segment, end in zip(found, ends, strict=True))


def _moments(at: datetime, shape: Shape, following: datetime) -> Iterator[datetime]:
    """The beginning of a version, and when the deprecation it announces begins, if that comes to pass."""
    yield at
    if shape.deprecated_at is not None and at < shape.deprecated_at < following:
        yield shape.deprecated_at


def with_planned(segments: Sequence[Segment], planned: Iterable[Planned], now: datetime) -> tuple[Segment, ...]:
    """The segments and those that milestones ahead begin; what is due already counts from now on."""
    found = list(segments)
    for milestone in sorted(planned, key=lambda each: each.at):
        at = max(milestone.at, now)
        if milestone.stage is None or (found and found[-1].stage is milestone.stage):
            continue
        if found:
            found[-1] = replace(found[-1], until=max(at, found[-1].since))
        found.append(Segment(milestone.stage, at, None, is_planned=True))
    return tuple(found)


def blocks_of(segments: Sequence[Segment], *, begins: datetime, ends: datetime) -> tuple[Block, ...]:
    """Segments as blocks beside each other on a line from `begins` to `ends`, each wide enough to be seen."""
    if not segments:
        return ()
    spans = [max((segment.until or ends) - segment.since, _NO_TIME) for segment in segments]
    before = max(segments[0].since - begins, _NO_TIME)
    total = sum(spans, before)
    room = WIDTH - LEAST_WIDTH * len(segments)
    if room <= 0 or total <= _NO_TIME:
        return _alike(segments)
    x = room * before // total
    found = []
    for segment, span in zip(segments, spans, strict=True):
        width = LEAST_WIDTH + room * span // total
        found.append(Block(segment, x, width))
        x += width
    last = found[-1]
    return (*found[:-1], replace(last, width=WIDTH - last.x))


def _alike(segments: Sequence[Segment]) -> tuple[Block, ...]:
    edges = [WIDTH * number // len(segments) for number in range(len(segments) + 1)]
    pairs = zip(segments, pairwise(edges), strict=True)
    return tuple(Block(segment, start, end - start) for segment, (start, end) in pairs)


def span_of(strips: Iterable[Sequence[Segment]], now: datetime) -> tuple[datetime, datetime]:
    """From when to when a picture of several strips goes: the same for all, so that they stand under each other."""
    segments = [segment for strip in strips for segment in strip]
    begins = min((segment.since for segment in segments), default=now)
    last = max((segment.since for segment in segments), default=now)
    ends = max(last, now)
    # What is planned last goes on for a while: a tenth of the whole.
    return begins, ends + (ends - begins) / 10 if last > now else ends
