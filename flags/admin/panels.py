"""What the pages of flags show of things above them, and the settings they change through these.

The composition root plugs the sources in; none shows nothing.
"""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from django.contrib import messages
from django.http import HttpRequest

from audits.context import Actor
from flags.lifecycle.stages import LifecycleStage
from flags.settings_authority import SecondPersonNeeded


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A change request that is under way for one flag in one environment."""

    flag_key: str
    environment_id: uuid.UUID
    label: str
    state: str
    requester: Any
    asked_at: datetime
    apply_at: datetime | None
    address: str


@dataclass(frozen=True, slots=True)
class LivePlan:
    """A rollout plan that is at work on one flag in one environment: its label, what it is at, and how that looks.

    `since` is when it was started.
    """

    environment_id: uuid.UUID
    label: str
    share: str
    state: str
    tone: str
    symbol: str
    address: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class PlannedMilestone:
    """A milestone that a deprecation timeline of one flag comes to in one environment, at the earliest `at`.

    `stage` is the one it begins, None for none of its own.
    """

    environment_id: uuid.UUID
    at: datetime
    name: str
    stage: LifecycleStage | None
    address: str


@dataclass(frozen=True, slots=True)
class EndingLine:
    """How a flag ends in one environment: the timeline and what it is at, or what its config says of the end."""

    environment: Any
    text: str
    state: str = ""
    tone: str = ""
    symbol: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class FlagRemoval:
    """Whether a flag may go in a word with tone and symbol, what to mind before, and what stands in code afterwards.

    `value` is the JSON to write there, empty where the sentence says it all.
    """

    text: str
    tone: str
    symbol: str
    matters: Sequence[str]
    forward: str
    value: str


@dataclass(frozen=True, slots=True)
class FlagEnding:
    """What is known of the end of a flag. `stale` are the reasons why it may go; `plan_address` is empty for those who
    may not plan its end.
    """

    lines: Sequence[EndingLine]
    stale: Sequence[str]
    stale_address: str
    plan_address: str
    removal: FlagRemoval


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """What an environment's approval policy asks for. `named_approvers` None admits every approver."""

    required_approvals: int
    named_approvers: frozenset[str] | None
    address: str


def _no_requests(environment_ids: Collection[uuid.UUID], flag_keys: Collection[str]) -> list[OpenRequest]:
    return []


def _no_policies(environment_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, PolicyFacts]:
    return {}


def _no_plans(environment_ids: Collection[uuid.UUID], flag_key: str) -> list[LivePlan]:
    return []


def _no_milestones(environment_ids: Collection[uuid.UUID], flag_key: str, now: datetime) -> list[PlannedMilestone]:
    return []


def _no_ending(user: Any, flag: Any, environments: Sequence[Any]) -> FlagEnding | None:
    return None


class ChangeSetting(Protocol):
    """Changes what rules look at, or proposes to where that takes two people."""

    def __call__(self, row: Any, wanted: Any, *, actor: Actor, reason: str, now: datetime) -> str:
        """The address of the proposal; "" where the change is in force. Raises GovernanceError."""


def _no_settings(row: Any, wanted: Any, *, actor: Actor, reason: str, now: datetime) -> str:
    raise SecondPersonNeeded("Nothing here knows how a second person confirms this. Nothing was changed.")


@dataclass(slots=True)
class Panels:
    """The sources, each one query per call, and the settings of flags and teams that may take two people."""

    open_requests: Callable[[Collection[uuid.UUID], Collection[str]], list[OpenRequest]] = field(default=_no_requests)
    policies: Callable[[Collection[uuid.UUID]], Mapping[uuid.UUID, PolicyFacts]] = field(default=_no_policies)
    live_plans: Callable[[Collection[uuid.UUID], str], list[LivePlan]] = field(default=_no_plans)
    milestones: Callable[[Collection[uuid.UUID], str, datetime], list[PlannedMilestone]] = field(default=_no_milestones)
    ending: Callable[[Any, Any, Sequence[Any]], FlagEnding | None] = field(default=_no_ending)
    change_details: ChangeSetting = field(default=_no_settings)
    add_member: ChangeSetting = field(default=_no_settings)


panels = Panels()


def say_changed(request: HttpRequest, proposal: str, done: str) -> None:
    """Tell the person that the change is in force, or that somebody else has to confirm it."""
    if proposal:
        messages.info(
            request, "Nothing has changed yet: another administrator has to confirm this. It waits on their desk."
        )
    else:
        messages.success(request, done)


def requests_by_cell(
    environment_ids: Collection[uuid.UUID], flag_keys: Collection[str]
) -> dict[tuple[uuid.UUID, str], list[OpenRequest]]:
    """Open requests by environment and flag key."""
    found: dict[tuple[uuid.UUID, str], list[OpenRequest]] = {}
    for request in panels.open_requests(environment_ids, flag_keys):
        found.setdefault((request.environment_id, request.flag_key), []).append(request)
    return found
