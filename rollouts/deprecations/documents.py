"""Which document each milestone of a timeline means."""

from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from flags.documents.deprecation import Deprecation, Withdrawal, with_deprecation
from flags.documents.schema import Document

from .definition import TOTAL_WEIGHT, Milestone, MilestoneKind, TimelineDefinition

_K = MilestoneKind


def document_at(
    definition: TimelineDefinition, base_document: Mapping[str, Any], number: int, *, now: datetime
) -> Document:
    """The document of a milestone; 0 is how it was before. All but what it says of the end is that of the base.

    A brownout has one until its announced end, however late it began. From then on, by `now`, its document is that of
    the milestone before it.
    """
    settled = settled_number(definition, number, now=now)
    if settled == 0 or definition.milestones[settled - 1].kind is _K.ANNOUNCE:
        return deepcopy(dict(base_document))
    milestone = definition.milestones[settled - 1]
    deprecation = Deprecation(
        deprecated_at=_date_of(definition, _K.WARN),
        sunset_at=_date_of(definition, _K.SUNSET),
        successor=definition.successor,
        link=definition.link,
        withdrawal=_withdrawal(definition, milestone),
        is_archived=milestone.kind is _K.ARCHIVE,
    )
    return with_deprecation(deepcopy(dict(base_document)), deprecation)


def with_end_of(document: Mapping[str, Any], other: Mapping[str, Any]) -> Document:
    """The document with what another one says of the end of the flag instead of its own."""
    result: Document = {name: part for name, part in document.items() if name != "deprecation"}
    if "deprecation" in other:
        result["deprecation"] = deepcopy(other["deprecation"])
    return result


def settled_number(definition: TimelineDefinition, number: int, *, now: datetime) -> int:
    """The milestone whose document counts at `now`: an earlier one where that of `number` was a brownout now over."""
    while number and is_over(definition.milestones[number - 1], now=now):
        number -= 1
    return number


def is_over(milestone: Milestone, *, now: datetime) -> bool:
    """Whether it is a brownout whose announced window is past."""
    return milestone.kind is _K.BROWNOUT and now >= brownout_ends_at(milestone)


def brownout_ends_at(milestone: Milestone) -> datetime:
    """The announced end of a brownout; the end itself is outside."""
    return milestone.at + timedelta(minutes=milestone.minutes)


def number_of(definition: TimelineDefinition, kind: MilestoneKind) -> int:
    """The number of the first milestone of a kind. Raises ValueError where there is none."""
    return [milestone.kind for milestone in definition.milestones].index(kind) + 1


def _date_of(definition: TimelineDefinition, kind: MilestoneKind) -> datetime:
    return definition.milestones[number_of(definition, kind) - 1].at


def _withdrawal(definition: TimelineDefinition, milestone: Milestone) -> Withdrawal | None:
    """What the milestone takes away. An archived flag stays withdrawn, should something ask for it all the same."""
    serves = definition.final_variant
    if milestone.kind is _K.BROWNOUT:
        return Withdrawal(TOTAL_WEIGHT, serves, brownout_ends_at(milestone))
    if milestone.kind is _K.RAMP_DOWN:
        return Withdrawal(milestone.weight, serves)
    if milestone.kind in (_K.SUNSET, _K.ARCHIVE):
        return Withdrawal(TOTAL_WEIGHT, serves)
    return None
