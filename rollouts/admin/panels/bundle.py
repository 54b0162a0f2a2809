"""The other environments of a request's bundle, side by side with this one."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractUser

from rollouts.models import ChangeBundle, ChangeRequest
from rollouts.policies import Verdict, judge
from rollouts.selectors import EditView, RequestPage, visible_requests
from rollouts.selectors.contents import edits_of
from rollouts.selectors.desks import standing
from rollouts.selectors.rights import acts_for
from rollouts.selectors.verdicts import live_case_of
from rollouts.transitions import OPEN_STATES, Act, RequestState


@dataclass(frozen=True, slots=True)
class MemberView:
    """One request of the bundle. `verdict` and `edits` are there where the person may look at it and it is open."""

    request: ChangeRequest
    sentence: str
    verdict: Verdict | None
    edits: tuple[EditView, ...]
    is_here: bool
    is_visible: bool
    may_approve: bool
    may_submit: bool


@dataclass(frozen=True, slots=True)
class BundlePanel:
    """All members in the order of their environments; what this person may do with several of them at once."""

    row: ChangeBundle
    members: list[MemberView]

    @property
    def approvable(self) -> list[MemberView]:
        """Those the person may approve now."""
        return [member for member in self.members if member.may_approve]

    @property
    def submittable(self) -> list[MemberView]:
        """The drafts, where the person may submit every one of them."""
        drafts = [member for member in self.members if member.request.current_state is RequestState.DRAFT]
        return drafts if all(member.may_submit for member in drafts) else []


def bundle_panel(page: RequestPage, user: AbstractUser, now: datetime) -> BundlePanel | None:
    """None for a request on its own; else some twenty queries for each other environment of the bundle."""
    if page.bundle is None:
        return None
    ids = [request.pk for request in page.bundle.requests]
    visible = set(visible_requests(user).filter(pk__in=ids).values_list("pk", flat=True))
    members = [_member(request, page, user, request.pk in visible, now) for request in page.bundle.requests]
    return BundlePanel(page.bundle.row, members)


def _member(
    request: ChangeRequest, page: RequestPage, user: AbstractUser, is_visible: bool, now: datetime
) -> MemberView:
    if request.pk == page.request.pk:
        return MemberView(
            page.request,
            page.sentence,
            page.verdict,
            page.edits,
            True,
            True,
            page.may(Act.APPROVE),
            page.may(Act.SUBMIT),
        )
    if not is_visible or request.current_state not in OPEN_STATES:
        return MemberView(request, request.current_state.label, None, (), False, is_visible, False, False)
    case = live_case_of(request, now=now)
    verdict = judge(case)
    allowed = {view.act for view in acts_for(request, user, case, now=now) if view.is_allowed}
    return MemberView(
        request=request,
        sentence=standing(request, verdict, now=now),
        verdict=verdict,
        edits=edits_of(request),
        is_here=False,
        is_visible=True,
        may_approve=Act.APPROVE in allowed,
        may_submit=Act.SUBMIT in allowed,
    )
