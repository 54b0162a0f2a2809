"""The panel of rules: which of them apply to this change, what each asks for, who gave it and who still can."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractUser

from rollouts.models import Judgement
from rollouts.policies import DemandState, Effect, Finding
from rollouts.selectors import RequestPage
from rollouts.transitions import OPEN_STATES


@dataclass(frozen=True, slots=True)
class FindingView:
    """One rule that applies. `is_met` is None where there is nothing to meet, as with a warning."""

    finding: Finding
    states: tuple[DemandState, ...]
    is_met: bool | None

    @property
    def tone(self) -> str:
        """How it looks."""
        if self.finding.effect is Effect.REFUSE:
            return "bad"
        if self.finding.effect is Effect.WARN:
            return "wait"
        return "good" if self.is_met is not False else "wait"

    @property
    def symbol(self) -> str:
        """The icon beside it."""
        if self.finding.effect is Effect.REFUSE:
            return "block"
        if self.finding.effect is Effect.WARN:
            return "warning"
        return "check_circle" if self.is_met is not False else "pending"


@dataclass(frozen=True, slots=True)
class PoliciesPanel:
    """Every rule that applies. `is_past`: as they stood when the request was applied or ended."""

    views: tuple[FindingView, ...]
    is_past: bool


def policies_panel(page: RequestPage, user: AbstractUser, now: datetime) -> PoliciesPanel | None:
    """What the rules say, None where no rule applies: one query for requests that are over."""
    is_past = page.request.current_state not in OPEN_STATES
    findings = _stored(page) if is_past else page.verdict.findings
    if not findings:
        return None
    return PoliciesPanel(tuple(_view(page, finding, is_past=is_past) for finding in findings), is_past)


def _view(page: RequestPage, finding: Finding, *, is_past: bool) -> FindingView:
    if is_past or finding.requirement is None:
        return FindingView(finding, (), None)
    states = tuple(state for state in page.verdict.demands if finding.name in state.demand.rules)
    lacks_number = len(page.verdict.counted) < finding.requirement.approvals
    lacks_service = finding.requirement.service and page.verdict.needs_service
    is_met = not lacks_number and not lacks_service and not any(state.missing for state in states)
    return FindingView(finding, states, is_met)


def _stored(page: RequestPage) -> tuple[Finding, ...]:
    """What was found when it was judged last."""
    stored = Judgement.objects.filter(request=page.request).order_by("-created_at", "-id").values_list("findings")
    latest = stored.first()
    return tuple(map(Finding.from_json, latest[0])) if latest else ()
