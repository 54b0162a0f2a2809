"""Who stands behind the versions that came from change requests: who asked, who approved."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from audits.actions import Action
from audits.models import AuditEvent
from audits.selectors import names_of_people
from rollouts.models import ChangeRequest
from rollouts.selectors.verdicts import name_of


@dataclass(frozen=True, slots=True)
class Makers:
    """Who asked for a change, and whose approvals counted when it was applied; by name."""

    asked: str
    approved: tuple[str, ...]

    def told(self, applied_by: str) -> str:
        """Everybody but the one who asked: “approved by Ben and Nora; applied by the schedule”."""
        said = []
        if self.approved:
            parts = [", ".join(self.approved[:-1]), self.approved[-1]]
            said.append(f"approved by {' and '.join(part for part in parts if part)}")
        if applied_by != self.asked:
            said.append(f"applied by {applied_by}")
        return "; ".join(said)


def makers_by_request(request_ids: Collection[str]) -> Mapping[str, Makers]:
    """The people behind these requests, by the request's id: three queries."""
    wanted = set(request_ids)
    if not wanted:
        return {}
    rows = ChangeRequest.objects.select_related("requester").filter(pk__in=wanted)
    applied = AuditEvent.objects.filter(
        target_type="change_request", target_id__in=wanted, action=Action.CHANGE_REQUEST_APPLIED
    )
    counted = {event.target_id: list(event.details.get("counted_approver_ids", ())) for event in applied}
    names = names_of_people({person for people in counted.values() for person in people})
    return {
        str(row.pk): Makers(
            name_of(row.requester),
            tuple(names.get(person, "somebody") for person in counted.get(str(row.pk), ())),
        )
        for row in rows
    }
