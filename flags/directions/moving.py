"""What a change set does to exposure."""

from collections.abc import Mapping

from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.documents.schema import quoted
from flags.evaluation.ordering import dependency_order, flags_required
from flags.evaluation.segments import UNREADABLE

from .answers import Level
from .audiences import Audiences
from .comparing import Parents, Step, compare
from .kinds import Direction, Document, FlagMovement, Movement
from .reading import Reading, read
from .words import through, why

# About half a second of reasoning for a whole change set; what is too hard to tell after that widens.
_STEPS = 500_000
_DIRECTIONS = {Level.SAME: Direction.NEUTRAL, Level.NARROWER: Direction.NARROWS, Level.WIDER: Direction.WIDENS}

Documents = Mapping[str, Document]


def movement_of(change_set: ChangeSet, *, configs: Documents, segments: Documents) -> Movement:
    """What a change set of valid documents does to every flag it edits and to every other one that it moves.

    `configs` and `segments` are the present documents of its environment by key. Flags may be missing that neither are
    edited, nor name a segment that moves, nor have prerequisites, nor are one.
    """
    return _Change(change_set, configs, segments).movement()


class _Change:
    """An environment before and after, and what is known of its flags so far."""

    def __init__(self, change_set: ChangeSet, configs: Documents, segments: Documents) -> None:
        self._edited = {edit.flag_key: edit.document for edit in change_set.edits if isinstance(edit, ConfigEdit)}
        self._before, self._after = configs, {**configs, **self._edited}
        moving = {edit.segment_key: edit.document for edit in change_set.edits if isinstance(edit, SegmentEdit)}
        self._audiences = Audiences(segments, {**segments, **moving}, steps=_STEPS)
        self._circular = [_circular(self._before), _circular(self._after)]
        self._levels: dict[str, Level] = {}
        self._off_variants: dict[str, frozenset[str]] = {}
        self._found: dict[str, FlagMovement] = {}

    def movement(self) -> Movement:
        """Look at every flag that may move, each behind those that it requires."""
        needs = {
            key: flags_required(self._before.get(key)) | flags_required(document)
            for key, document in self._after.items()
        }
        order, undecided = dependency_order(needs)
        # Where flags require each other in a circle, before and after taken together, each counts as moved to the rest.
        self._levels.update(dict.fromkeys(undecided, Level.WIDER))
        self._off_variants.update(dict.fromkeys(undecided, frozenset()))
        for key in [*order, *sorted(undecided)]:
            if self._is_touched(key):
                self._look_at(key)
        return Movement(tuple(self._found[key] for key in sorted(self._found, key=self._rank)))

    def _rank(self, key: str) -> tuple[bool, str]:
        return key not in self._edited, key

    def _is_touched(self, key: str) -> bool:
        if key in self._edited:
            return True
        was_circular, is_circular = (key in circular for circular in self._circular)
        if was_circular or is_circular:
            return was_circular != is_circular
        document = self._after[key]
        has_moved_parents = any(self._levels.get(parent) for parent in flags_required(document))
        return has_moved_parents or bool(self._audiences.moved and self._audiences.moved_in(document))

    def _look_at(self, key: str) -> None:
        before, after = self._before.get(key), self._after[key]
        try:
            step, old, new = self._compared(key, before, after)
        except UNREADABLE:
            self._levels[key], self._off_variants[key] = Level.WIDER, frozenset()
            words = "Its configuration cannot be read, so nobody can tell what changes."
            widens = Direction.WIDENS
            self._found[key] = FlagMovement(key, widens, words, None, None, None, widens, words, self._is_indirect(key))
            return
        self._levels[key], self._off_variants[key] = step.level, new.off_variants
        self._note(key, max(step, _visibility(old, new), key=_level), old, new)

    def _compared(self, key: str, before: Document | None, after: Document) -> tuple[Step, Reading, Reading]:
        """The worst step from one document to the other, and what both decide."""
        old = read(before, is_circular=key in self._circular[0], condition_of=self._audiences.before)
        new = read(after, is_circular=key in self._circular[1], condition_of=self._audiences.after)
        parents = Parents(self._levels, self._off_variants)
        return compare(old, new, parents=parents, reasoning=self._audiences.reasoning), old, new

    def _note(self, key: str, step: Step, old: Reading, new: Reading) -> None:
        """Keep what a page says of the flag. What clients see of it is no matter of the flags that require it."""
        before, after, is_indirect = self._before.get(key), self._after[key], self._is_indirect(key)
        latent, prepares = self._latent(key, step)
        if is_indirect and step.level is Level.SAME and latent is not Direction.WIDENS:
            return
        words = why(step, old, new, before=before, after=after)
        if is_indirect:
            parents = [quoted(parent) for parent in sorted(new.parents) if self._levels.get(parent)]
            segments = [f"segment {quoted(name)}" for name in self._audiences.moved_in(after)]
            words = through(words, segments + parents)
        jump = self._jump(key, step)
        share = None if jump is None else max(new.share, jump)
        direction = _DIRECTIONS[step.level]
        self._found[key] = FlagMovement(key, direction, words, old.share, share, jump, latent, prepares, is_indirect)

    def _jump(self, key: str, step: Step) -> int | None:
        """The largest rise; None where the flag widens by something that no share tells."""
        if step.level is not Level.WIDER:
            return 0
        before, after = self._before.get(key), self._after[key]
        if before is None or self._audiences.moved_in(before, after):
            return None
        if step.cause == "prerequisites" and self._is_indirect(key):
            return self._jump_through_parents(after)
        return step.rise if step.cause == "rules" else None

    def _jump_through_parents(self, document: Document) -> int | None:
        """Of one and the same people no more newly meet the prerequisites than newly get what they ask for."""
        total = 0
        for item in document.get("prerequisites") or ():
            parent, level = item["flag"], self._levels.get(item["flag"], Level.SAME)
            if level is Level.SAME:
                continue
            jump = self._found[parent].jump if parent in self._found else None
            asks_for_off = not self._off_variants[parent].isdisjoint(item["variants"])
            if level is not Level.WIDER or jump is None or asks_for_off:
                return None
            total += jump
        return min(total, 100_000)

    def _latent(self, key: str, step: Step) -> tuple[Direction, str]:
        """Which way the flag would move if it were switched on, before where it was set up and after, and why.

        Where it is deprecated it counts as well which way it would move if it were not: a sunset hides all the rest.
        Only what the change does to its content and its segments counts: switching off prepares nothing.
        """
        before, after = self._before.get(key), self._after[key]
        found = _DIRECTIONS[step.level], ""
        if before is None or not before["enabled"] or not after["enabled"]:
            found = self._between(key, before and _switched_on(before), _switched_on(after))
        if found[0] is Direction.WIDENS or not (_is_deprecated(before) or _is_deprecated(after)):
            return found
        hidden = self._between(key, before and _undeprecated(before), _undeprecated(after))
        return hidden if hidden[0] is Direction.WIDENS else found

    def _between(self, key: str, was: Document | None, becomes: Document) -> tuple[Direction, str]:
        """Which way the flag would move from one document to the other, and why."""
        if was == becomes and not self._audiences.moved_in(becomes):
            return Direction.NEUTRAL, ""
        try:
            worst, old, new = self._compared(key, was, becomes)
        except UNREADABLE:
            return Direction.WIDENS, "What it would serve then cannot be read."
        worst = max(worst, _visibility(old, new), key=_level)
        return _DIRECTIONS[worst.level], why(worst, old, new, before=was, after=becomes)

    def _is_indirect(self, key: str) -> bool:
        return key not in self._edited


def _switched_on(document: Document) -> Document:
    return {**document, "enabled": True}


def _is_deprecated(document: Document | None) -> bool:
    return document is not None and "deprecation" in document


def _undeprecated(document: Document) -> Document:
    return {name: part for name, part in _switched_on(document).items() if name != "deprecation"}


def _level(step: Step) -> Level:
    return step.level


def _visibility(old: Reading, new: Reading) -> Step:
    if old.is_visible == new.is_visible:
        return Step(Level.SAME)
    return Step(Level.WIDER if new.is_visible else Level.NARROWER, "visibility")


def _circular(configs: Documents) -> set[str]:
    """The flags that require themselves in the end, or one that does: they answer as if they were switched off."""
    return dependency_order({key: flags_required(document) for key, document in configs.items()})[1]
