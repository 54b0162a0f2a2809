"""Where the content came from, and how long it has been live in the environment before."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractUser

from flags.aspects import Aspect
from rollouts.selectors import RequestPage
from rollouts.selectors.soak import Soak, soak_of
from rollouts.selectors.sources import CopiedFlag, Source, required_soak, source_of
from rollouts.transitions import OPEN_STATES


@dataclass(frozen=True, slots=True)
class Copied:
    """One flag that was copied, and what of it."""

    flag: CopiedFlag
    phrase: str


@dataclass(frozen=True, slots=True)
class SourcePanel:
    """`soak` is told for promotions, and where a rule asks for `required` hours."""

    source: Source | None
    flags: tuple[Copied, ...]
    soak: Soak | None
    required: int | None

    @property
    def is_soaked(self) -> bool:
        """Whether it has been live long enough."""
        return self.soak is not None and self.soak.hours >= (self.required or 0) and self.soak.is_healthy


def source_panel(page: RequestPage, user: AbstractUser, now: datetime) -> SourcePanel | None:
    """Nine queries at most; None where there is nothing to say."""
    request = page.request
    source, soak, required = source_of(request), None, None
    if request.current_state in OPEN_STATES:
        required = required_soak(request, now=now)
        is_told = required is not None or (source is not None and source.flags)
        soak = soak_of(request, now=now) if is_told else None
    if source is None and soak is None:
        return None
    flags = source.flags if source else ()
    return SourcePanel(
        source,
        tuple(Copied(one, ", ".join(Aspect(name).phrase for name in one.aspects)) for one in flags),
        soak,
        required,
    )
