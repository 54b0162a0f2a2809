"""What the calendar says about a request: open incidents, freezes it meets, and leave from them."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractUser

from flags import permissions
from flags.permissions import roles_of
from rollouts.models import ChangeRequest, FreezeException, Incident
from rollouts.selectors import RequestPage
from rollouts.selectors.calendar import ActiveFreeze, exceptions_of
from rollouts.selectors.incidents import open_incidents
from rollouts.selectors.timelines.frozen import live_timeline_for
from rollouts.services.freezes import freezes_of_request, why_not_decide
from rollouts.transitions import AWAITING_STATES, OPEN_STATES, RequestState


@dataclass(frozen=True, slots=True)
class Asked:
    """An exception somebody asked for. `refusal` says why this person does not decide on it; None: he does."""

    exception: FreezeException
    is_void: bool
    may_decide: bool
    refusal: str


@dataclass(frozen=True, slots=True)
class Met:
    """A freeze or a closed allow window that the request meets at the time it is due."""

    freeze: ActiveFreeze
    may_ask: bool
    is_excused: bool
    expires_before: bool


@dataclass(frozen=True, slots=True)
class CalendarPanel:
    """Everything above; `is_later` says that the freezes are those of the scheduled time, not of now.

    `is_milestone`: they hold the next milestone of the timeline that the request asked for.
    """

    incidents: list[Incident]
    met: list[Met]
    asked: list[Asked]
    is_later: bool
    is_milestone: bool = False

    @property
    def waits(self) -> bool:
        """Whether something holds the request back that it has no leave from."""
        return any(not met.is_excused for met in self.met)


def calendar_panel(page: RequestPage, user: AbstractUser, now: datetime) -> CalendarPanel | None:
    """What the calendar says while the request or its timeline can go on; None once not. Twenty queries at most."""
    request = page.request
    timeline = live_timeline_for(request.pk) if request.current_state is RequestState.APPLIED else None
    if request.current_state not in OPEN_STATES and timeline is None:
        return None
    freezes = freezes_of_request(request, now=now)
    exceptions = exceptions_of(request)
    held = _permissions_of(user, request)
    covered = {str(one.window_id) for one in exceptions if one.is_granted and _covers(one, request, now)}
    pending = {str(one.window_id) for one in exceptions if one.is_granted is None and one.digest == request.digest}
    can_wait = request.current_state in AWAITING_STATES or timeline is not None
    may_ask = can_wait and bool(held & {permissions.PROPOSE, permissions.APPLY})
    may_decide = bool(held & {permissions.APPLY, permissions.ADMINISTER})
    return CalendarPanel(
        incidents=open_incidents(request.environment, now=now),
        met=[
            Met(
                freeze,
                may_ask and freeze.window_id not in covered | pending,
                freeze.window_id in covered,
                timeline is None and request.expires_at is not None and request.expires_at <= freeze.ends_at,
            )
            for freeze in freezes
        ],
        asked=[_asked(one, request, user, may_decide=may_decide, now=now) for one in exceptions],
        is_later=request.apply_at is not None and request.apply_at > now,
        is_milestone=timeline is not None,
    )


def _covers(exception: FreezeException, request: ChangeRequest, now: datetime) -> bool:
    at = max(now, request.apply_at or now)
    return exception.digest == request.digest and exception.covers_from <= at < exception.covers_until


def _asked(
    exception: FreezeException, request: ChangeRequest, user: AbstractUser, *, may_decide: bool, now: datetime
) -> Asked:
    exception.request = request
    refusal = why_not_decide(exception, str(user.pk), now=now)
    is_void = exception.digest != request.digest
    return Asked(exception, is_void, may_decide and refusal is None and not is_void, refusal or "")


def _permissions_of(user: AbstractUser, request: ChangeRequest) -> set[str]:
    held = {permissions.ROLE_PERMISSION[role] for role in roles_of(user, request.environment)}
    return held | (permissions.SUPERUSER_HOLDS if user.is_superuser else set())
