"""What people had against this request, and against the last ones for the same flags."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractUser

from rollouts.selectors import RequestPage
from rollouts.selectors.dissents import DissentView, dissents_of, said_before
from rollouts.transitions import OPEN_STATES


@dataclass(frozen=True, slots=True)
class DissentPanel:
    """`here` about this request, `before` about earlier ones while this one is open."""

    here: list[DissentView]
    before: list[DissentView]


def dissent_panel(page: RequestPage, user: AbstractUser, now: datetime) -> DissentPanel | None:
    """Two queries; None where nobody ever had anything to say."""
    here = dissents_of(page.request, objector_ids=page.case.objector_ids)
    before = said_before(page.request) if page.request.current_state in OPEN_STATES else []
    return DissentPanel(here, before) if here or before else None
