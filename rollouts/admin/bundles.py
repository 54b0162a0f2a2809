"""Acts on all requests of a bundle at once: one press, one service call."""

import uuid
from collections.abc import Callable
from datetime import datetime

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from audits.errors import GovernanceError
from flags.admin.governed import GovernedAdmin, actor_of, signed_in
from flags.errors import PermissionMissing
from rollouts.models import ChangeRequest
from rollouts.selectors import visible_requests
from rollouts.services import bundles as services
from rollouts.services.rounds import look_at_request
from rollouts.transitions import RequestState

DIGEST = "digest_"


class BundleViews(GovernedAdmin):
    """The views of `ChangeRequestAdmin` about bundles. What is refused is said on the page one came from."""

    def bundle_submit_view(self, request: HttpRequest, bundle_id: uuid.UUID) -> HttpResponseBase:
        """Submit every draft of the bundle."""
        return self._bundle_act(request, bundle_id, _submit)

    def bundle_approve_view(self, request: HttpRequest, bundle_id: uuid.UUID) -> HttpResponseBase:
        """Approve what was on the page, environment by environment: each digest is a field of its own."""
        return self._bundle_act(request, bundle_id, _approve)

    def _bundle_act(self, request: HttpRequest, bundle_id: uuid.UUID, do: "_Deed") -> HttpResponseBase:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        members = visible_requests(signed_in(request)).filter(membership__bundle=bundle_id)
        found = list(members)
        chosen = _as_uuid(request.POST.get("here", ""))
        here = next((one for one in found if one.pk == chosen), found[0] if found else None)
        if here is None:
            raise Http404
        try:
            messages.success(request, do(request, bundle_id, timezone.now()))
        except PermissionMissing:
            raise
        except GovernanceError as error:
            messages.error(request, error.message)
        return HttpResponseRedirect(reverse("admin:rollouts_changerequest_change", args=[here.pk]))


_Deed = Callable[[HttpRequest, uuid.UUID, datetime], str]


def _submit(request: HttpRequest, bundle_id: uuid.UUID, now: datetime) -> str:
    submitted = services.submit_bundle(bundle_id, actor=actor_of(request), now=now)
    return f"Submitted {_numbers(submitted)}. They go live together once each is approved."


def _approve(request: HttpRequest, bundle_id: uuid.UUID, now: datetime) -> str:
    actor = actor_of(request)
    sent = {_as_uuid(name.removeprefix(DIGEST)): str(value) for name, value in request.POST.items() if _is_digest(name)}
    digests = {request_id: digest for request_id, digest in sent.items() if request_id is not None}
    comment = request.POST.get("comment", "")
    approved = services.approve_bundle(bundle_id, actor=actor, digests=digests, comment=comment, now=now)
    for request_id, digest in digests.items():
        look_at_request(request_id, actor=actor, digest=digest, now=now)
    are_live = all(one.current_state is RequestState.APPLIED for one in approved)
    outcome = "They are live." if are_live else "They go live together once each is approved and due."
    return f"You approved {_numbers(approved)}. {outcome}"


def _numbers(requests: list[ChangeRequest]) -> str:
    return ", ".join(f"#{one.number} in {one.environment.name}" for one in requests)


def _is_digest(name: str) -> bool:
    return name.startswith(DIGEST)


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
