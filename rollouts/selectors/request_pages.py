"""Everything the page of one request shows."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import AbstractUser

from audits.models import AuditEvent
from audits.selectors import timeline_of
from flags.errors import NotFound
from rollouts.models import Approval, ChangeRequest, Comment
from rollouts.policies import Case, Verdict, counted_approvers, judge
from rollouts.selectors.bundles import Bundle, bundle_of, waited_for, waiting_words
from rollouts.selectors.contents import EditView, edits_of
from rollouts.selectors.desks import standing, with_begun_timeline
from rollouts.selectors.discussions import Thread, threads_of
from rollouts.selectors.lists import conflicts_of, visible_requests
from rollouts.selectors.rights import ActView, acts_for
from rollouts.selectors.verdicts import case_of, live_case_of, name_of
from rollouts.transitions import OPEN_STATES, Act


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """One recorded approval, and whether it counts for the present content."""

    approval: Approval
    name: str
    counts: bool
    is_of_present_content: bool


@dataclass(frozen=True, slots=True)
class RequestPage:
    """A request as one person sees it now. `digest` is what an approval given from this page must carry."""

    request: ChangeRequest
    digest: str
    sentence: str
    edits: tuple[EditView, ...]
    verdict: Verdict
    approvals: tuple[ApprovalView, ...]
    acts: tuple[ActView, ...]
    conflicts: tuple[ChangeRequest, ...]
    timeline: tuple[AuditEvent, ...]
    threads: tuple[Thread, ...]
    case: Case
    bundle: Bundle | None

    @property
    def has_moved(self) -> bool:
        """Whether something it changes has a newer version than the one it was based on."""
        return any(edit.has_moved for edit in self.edits)

    @property
    def open_threads(self) -> int:
        """How many threads nobody called resolved."""
        return sum(not thread.is_resolved for thread in self.threads)

    @property
    def allowed(self) -> frozenset[str]:
        """Names of the acts this person may do now."""
        return frozenset(view.act.value for view in self.acts if view.is_allowed)

    @property
    def refusals(self) -> dict[str, str]:
        """Why the person may not do the other acts, by name."""
        return {view.act.value: view.refusal for view in self.acts if view.refusal is not None}

    def may(self, act: Act) -> bool:
        """Whether the person may do `act` now."""
        return act.value in self.allowed


def request_page(request_id: UUID, user: AbstractUser, *, now: datetime) -> RequestPage:
    """The page of a request: a constant number of queries. Raises NotFound, also where the person may not look."""
    request = visible_requests(user).filter(pk=request_id).first()
    if request is None:
        raise NotFound(
            "There is no such change request, or you have no role in its environment.", request_id=str(request_id)
        )
    is_open = request.current_state in OPEN_STATES
    case = live_case_of(request, now=now) if is_open else case_of(request)
    verdict, bundle = judge(case), bundle_of(request)
    waits = waiting_words(waited_for([request]).get(request.pk, ())) if bundle else ""
    return RequestPage(
        request=request,
        digest=request.digest,
        sentence=standing(
            request, verdict, waits=waits, has_timeline=request.pk in with_begun_timeline([request]), now=now
        ),
        edits=edits_of(request),
        verdict=verdict,
        approvals=_approvals(request, case),
        acts=acts_for(request, user, case, waits=waits, now=now),
        conflicts=tuple(conflicts_of(request)) if request.current_state in OPEN_STATES else (),
        timeline=tuple(timeline_of("change_request", request.pk)),
        threads=threads_of(request, Comment.objects.filter(request=request).select_related("author")),
        case=case,
        bundle=bundle,
    )


def _approvals(request: ChangeRequest, case: Case) -> tuple[ApprovalView, ...]:
    counting = {person.id for person in counted_approvers(case)}
    rows = Approval.objects.filter(request=request).select_related("approver")
    return tuple(
        ApprovalView(
            row,
            name_of(row.approver),
            row.digest == request.digest and str(row.approver_id) in counting,
            row.digest == request.digest,
        )
        for row in rows
    )
