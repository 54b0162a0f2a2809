"""What is due now. Due times live in rows; a tick only asks."""

from datetime import datetime

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from rollouts.models import BundleMember, ChangeRequest
from rollouts.transitions import AWAITING_STATES, RequestState

# What holds a request back for a time only, so that nobody has to lift it: the next look tries again.
RETRIED = ("frozen", "policy_refused", "flag_in_other_plan", "plan_held", "train_waits")


def due_changes(now: datetime) -> QuerySet[ChangeRequest]:
    """Approved requests whose time has come and that nothing holds back for good; of a bundle once all are."""
    others = BundleMember.objects.filter(bundle__members__request=OuterRef("pk"))
    unready = others.exclude(request__in=ChangeRequest.objects.filter(_is_due(now)))
    return ChangeRequest.objects.filter(_is_due(now)).exclude(Exists(unready))


def _is_due(now: datetime) -> Q:
    return (Q(apply_at__isnull=True) | Q(apply_at__lte=now)) & Q(
        state=RequestState.APPROVED.value, blocked_code__in=["", *RETRIED], expires_at__gt=now
    )


def old_requests(now: datetime) -> QuerySet[ChangeRequest]:
    """Requests that expired and do not say so yet."""
    return ChangeRequest.objects.filter(state__in=[state.value for state in AWAITING_STATES], expires_at__lte=now)


def partly_approved(now: datetime) -> QuerySet[ChangeRequest]:
    """Requests in review with an approval of their present content."""
    return ChangeRequest.objects.filter(
        state=RequestState.IN_REVIEW.value, expires_at__gt=now, approvals__digest=F("digest")
    ).distinct()


def is_old(request: ChangeRequest, *, now: datetime) -> bool:
    """Whether a row at hand belongs to `old_requests`."""
    return request.current_state in AWAITING_STATES and request.has_expired(now)


def may_pass_review(request: ChangeRequest, *, now: datetime) -> bool:
    """Whether a row at hand may conclude its review."""
    return request.current_state is RequestState.IN_REVIEW and not request.has_expired(now)
