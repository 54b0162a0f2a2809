"""How far one flag moves, given its decisions before and after and how far its parents move."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from flags.documents.reasoning import Reasoning

from .answers import Answer, Level, level_of, pairs, rise
from .reading import Decision, Reading, Withdrawn


@dataclass(frozen=True, slots=True)
class Step:
    """The worst that happens to somebody: what he got, what he gets, and the decisions that say so.

    `rise` is the largest part of one and the same people that gets something new; None where nobody can tell.
    """

    level: Level
    cause: str = ""
    before: Answer | None = None
    after: Answer | None = None
    old: Decision | None = None
    new: Decision | None = None
    rise: int | None = None


@dataclass(frozen=True, slots=True)
class Parents:
    """How far the flags move that others require, and which of their variants serve what they serve switched off."""

    levels: Mapping[str, Level]
    off_variants: Mapping[str, frozenset[str]]

    def follow(self, new: Reading, old: Reading) -> bool:
        """Whether everybody who meets the prerequisites of `new` certainly met those of `old`."""
        return all(self._follows(flag, new.parents.get(flag), wanted) for flag, wanted in old.parents.items())

    def _follows(self, flag: str, now_wanted: frozenset[str] | None, wanted: frozenset[str]) -> bool:
        if now_wanted is None or not now_wanted <= wanted:
            return False
        level = self.levels.get(flag, Level.SAME)
        # A parent that narrows newly serves nothing but its off answer; who wants that would newly be met.
        return level is Level.SAME or (level is Level.NARROWER and now_wanted.isdisjoint(self.off_variants[flag]))

    def are_unmoved(self, new: Reading, old: Reading) -> bool:
        """Whether the prerequisites are the same, and none of the flags they name moves."""
        return old.parents == new.parents and all(
            self.levels.get(flag, Level.SAME) is Level.SAME for flag in new.parents
        )


def compare(old: Reading, new: Reading, *, parents: Parents, reasoning: Reasoning) -> Step:
    """The worst step that somebody takes from `old` to `new`."""
    worst = Step(Level.SAME)
    for step in _steps(old, new, parents, reasoning):
        if step.level > worst.level:
            worst = step
        if worst.level is Level.WIDER:
            break
    return worst


def _steps(old: Reading, new: Reading, parents: Parents, reasoning: Reasoning) -> Iterator[Step]:
    if old.off != new.off:
        is_same_value = old.off.value == new.off.value
        yield Step(Level.NARROWER if is_same_value else Level.WIDER, "off", old.off, new.off)
    if not parents.are_unmoved(new, old):
        yield Step(Level.NARROWER, "prerequisites")
        if not parents.follow(new, old):
            yield from (_answered(old.off, after, new.off, "prerequisites") for after in new.every_answer)
    yield from _withdrawal_steps(old, new)
    yield from _target_steps(old, new)
    yield from _decision_steps(old, new, reasoning)


def _answered(before: Answer, after: Answer, off: Answer, cause: str) -> Step:
    return Step(level_of(before, after, off), cause, before, after)


def _withdrawal_steps(old: Reading, new: Reading) -> Iterator[Step]:
    """Who is withdrawn newly, who no longer is, and who gets something else; the others go by the rules as ever."""
    was, becomes = old.withdrawn, new.withdrawn
    if becomes is not None and (was is None or not was.covers(becomes)):
        yield from (_answered(before, becomes.answer, new.off, "withdrawal") for before in _instead(old, becomes))
    if was is not None and (becomes is None or not becomes.covers(was)):
        yield from (_answered(was.answer, after, new.off, "withdrawal") for after in _instead(new, was))
    if was is not None and becomes is not None:
        yield _answered(was.answer, becomes.answer, new.off, "withdrawal")


def _instead(reading: Reading, withdrawn: Withdrawn) -> list[Answer]:
    """What those whom a withdrawal takes can get without it. A share takes nobody who has no targeting key."""
    given = [*reading.every_answer, *([reading.off] if reading.parents else [])]
    return [answer for answer in given if withdrawn.is_for_everyone or not answer.is_unkeyed]


def _target_steps(old: Reading, new: Reading) -> Iterator[Step]:
    """Individual targets name keys that can be bucketed, so what others get does not count for them."""
    met = {(old.targets.get(key), new.targets.get(key)) for key in old.targets.keys() | new.targets.keys()}
    for before, after in sorted(met, key=str):
        olds = [answer for answer in old.answers if not answer.is_unkeyed] if before is None else [before]
        news = [answer for answer in new.answers if not answer.is_unkeyed] if after is None else [after]
        yield from (_answered(one, other, new.off, "targets") for one in olds for other in news)


def _decision_steps(old: Reading, new: Reading, reasoning: Reasoning) -> Iterator[Step]:
    """The steps between decisions that one and the same context can meet; the wide ones first, the largest of them."""
    found: dict[Level, list[tuple[Step, int, int]]] = {level: [] for level in Level}
    for place, before in enumerate(old.decisions):
        for position, after in enumerate(new.decisions):
            step = _between(before, after, new.off)
            found[step.level].append((step, place, position))
    found[Level.WIDER].sort(key=lambda item: (item[0].rise is not None, -(item[0].rise or 0)))
    for level in (Level.WIDER, Level.NARROWER):
        for step, place, position in found[level]:
            if _can_meet(old.decisions, place, new.decisions, position, reasoning):
                yield step
                break


def _between(before: Decision, after: Decision, off: Answer) -> Step:
    level, worst = Level.SAME, (before.serve.answers[0], after.serve.answers[0])
    for one, other in pairs(before.serve, after.serve):
        found = level_of(one, other, off)
        if found > level:
            level, worst = found, (one, other)
    risen = rise(before.serve, after.serve, off) if level is Level.WIDER else 0
    return Step(level, "rules", *worst, before, after, risen)


def _can_meet(
    old: tuple[Decision, ...], place: int, new: tuple[Decision, ...], position: int, reasoning: Reasoning
) -> bool:
    """Whether somebody may get to `old[place]` before and to `new[position]` after, at the same instant."""
    before, after = old[place], new[position]
    starts_at, ends_at = max(before.starts_at, after.starts_at), min(before.ends_at, after.ends_at)
    if starts_at >= ends_at:
        return False
    ahead = [item for item in (*old[:place], *new[:position]) if _spans(item, starts_at, ends_at)]
    known = {before.identity, after.identity}
    if any(item.condition is None or item.identity in known for item in ahead):
        return False
    parts = [item.condition for item in (before, after) if item.condition is not None]
    if not parts:
        return True
    both = parts[0] if len(parts) == 1 else {"and": parts}
    return not (any(reasoning.implies(both, item.condition) for item in ahead) or reasoning.is_impossible(both))


def _spans(item: Decision, starts_at: datetime, ends_at: datetime) -> bool:
    return item.starts_at <= starts_at and ends_at <= item.ends_at
