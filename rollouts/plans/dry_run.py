"""When the stages of a plan come at the earliest, if nothing goes wrong and people answer in time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flags.documents.schema import quoted

from . import words
from .definition import Gates, PlanDefinition, Stage
from .gating import APPROVAL, CHECK, GUARDS, NOT_BEFORE, SAMPLE, SOAK, time_is_up_at

FREEZE = "freeze"
_AT_ONCE = timedelta(0)


@dataclass(frozen=True, slots=True)
class Freeze:
    """A time, from `starts_at` until before `ends_at`, in which nothing goes on; `flag_keys` empty is every flag."""

    starts_at: datetime
    ends_at: datetime
    title: str
    flag_keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One stage ahead. `waits_for` names what keeps it from coming sooner (gates of the stage before, freezes), each
    with one of the `sentences`. `share` is the weight of the growing variant of the plan's first flag, None before any
    stage gives one. `leaves_at` is when its own gates are met at the earliest.
    """

    stage: int
    name: str
    earliest_at: datetime
    leaves_at: datetime
    waits_for: tuple[str, ...]
    sentences: tuple[str, ...]
    share: int | None

    @property
    def is_certain(self) -> bool:
        """Whether time alone decides when it comes."""
        return not set(self.waits_for) & {SAMPLE, GUARDS, CHECK, APPROVAL}


def timeline(
    definition: PlanDefinition,
    *,
    starts_at: datetime,
    freezes: Sequence[Freeze] = (),
    approvals_take: timedelta = _AT_ONCE,
) -> tuple[TimelineEntry, ...]:
    """Every stage with the earliest instant at which it is served, the plan being started at `starts_at`."""
    entries: list[TimelineEntry] = []
    wanted_at, share = starts_at, None
    waits: list[tuple[str, str]] = []
    for number, stage in enumerate(definition.stages, start=1):
        at, met = _after_freezes(wanted_at, stage, freezes)
        waits += [(FREEZE, _frozen(freeze)) for freeze in met]
        share = _share(stage, definition, share)
        leaves_at = time_is_up_at(stage.gates, entered_at=at)
        if stage.gates.approvals:
            leaves_at += approvals_take
        names, sentences = tuple(name for name, _ in waits), tuple(sentence for _, sentence in waits)
        entries.append(TimelineEntry(number, stage.name, at, leaves_at, names, sentences, share))
        wanted_at, waits = leaves_at, list(_waits(stage.gates))
    return tuple(entries)


def _after_freezes(at: datetime, stage: Stage, freezes: Sequence[Freeze]) -> tuple[datetime, list[Freeze]]:
    """The first instant from `at` on that no freeze covers, and the freezes that were in the way."""
    touched = {patch.flag_key for patch in stage.patches}
    met = []
    for freeze in sorted(freezes, key=lambda item: item.starts_at):
        concerns = not freeze.flag_keys or freeze.flag_keys & touched
        if concerns and freeze.starts_at <= at < freeze.ends_at:
            met.append(freeze)
            at = freeze.ends_at
    return at, met


def _frozen(freeze: Freeze) -> str:
    return f"Frozen by {quoted(freeze.title)} until {words.instant(freeze.ends_at)}."


def _share(stage: Stage, definition: PlanDefinition, share: int | None) -> int | None:
    weights = [patch.weight for patch in stage.patches if patch.flag_key in definition.flags[:1]]
    given = [weight for weight in weights if weight is not None]
    return given[-1] if given else share


def _waits(gates: Gates) -> Iterator[tuple[str, str]]:
    """What the stage after one with these gates waits for."""
    if gates.soak_minutes:
        data = " with fresh data" if gates.is_monitored else ""
        yield SOAK, f"After {words.span(timedelta(minutes=gates.soak_minutes))}{data}."
    if gates.not_before is not None:
        yield NOT_BEFORE, f"Not before {words.instant(gates.not_before)}."
    if gates.minimum_sample:
        yield SAMPLE, f"Once {words.people(gates.minimum_sample)} were seen with each variant."
    if gates.is_monitored:
        yield GUARDS, "Once every guard has shown that it is safe."
    for check in gates.checks:
        yield CHECK, f"Once {check.name} passes."
    if gates.approvals:
        approvals = "1 approval" if gates.approvals == 1 else f"{gates.approvals} approvals"
        yield APPROVAL, f"Once there {'is' if gates.approvals == 1 else 'are'} {approvals}."
