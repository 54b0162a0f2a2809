"""Putting changes together: a request with what became live meanwhile, and two requests into one.

What only one side changed is taken from that side. What both changed differently is decided by a person, who says for
each conflict whose side counts. The result is an edit like any other: a new round, and approvals start anew.
"""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from audits.context import Actor
from flags import permissions
from flags.errors import InvalidInput, NotFound
from flags.services.attempts import attempt
from rollouts.errors import MergeConflict
from rollouts.models import BundleMember, ChangeRequest
from rollouts.selectors.contents import edits_of
from rollouts.selectors.merges import MergedRequest, merged_with_live, merged_with_request
from rollouts.services.checks import refuse_planned
from rollouts.services.drafting import UNCHANGED, Unchanged, edit_change_request, refuse_other_digest
from rollouts.services.reviewing import may_withdraw, withdraw_change_request
from rollouts.services.writing import lock_request
from rollouts.transitions import OPEN_STATES, Act, next_state

MINE, THEIRS = "mine", "theirs"
# Kind, key and path of a conflict -> whose side counts there.
Decisions = Mapping[tuple[str, str, str], str]


def bring_up_to_date(
    request_id: uuid.UUID, *, actor: Actor, digest: str, decisions: Decisions, now: datetime
) -> ChangeRequest:
    """Put a request on top of what is live now. Raises MergeConflict while a conflict is undecided, else as an edit."""

    def merge(request: ChangeRequest, taken: frozenset[tuple[str, str, str]]) -> MergedRequest:
        return merged_with_live(request, edits_of(request), take_theirs=taken)

    def act() -> ChangeRequest:
        request = _editable(request_id, actor=actor, digest=digest)
        merged = _decided(request, merge, decisions)
        if not merged.merged:
            raise InvalidInput("Nothing moved since this was prepared: it is up to date.", problems=[])
        if not merged.change_set.edits:
            raise InvalidInput("Everything this asks for is live already. Withdraw the request.", problems=[])
        facts = {"with": "live", "decided": _facts(merged, decisions)}
        return _edit(request, merged, actor=actor, now=now, facts=facts)

    return attempt(act)


def merge_request_into(
    request_id: uuid.UUID, *, other_id: uuid.UUID, actor: Actor, digest: str, decisions: Decisions, now: datetime
) -> ChangeRequest:
    """Take what another open request for the same environment asks for into this one.

    Everybody who shaped the other one counts as having worked on this one, so they cannot approve it. The other request
    is withdrawn where the actor may do that, and stays open else. Raises NotFound, InvalidInput, MergeConflict.
    """

    def act() -> ChangeRequest:
        request = _editable(request_id, actor=actor, digest=digest)
        other = _other(request, other_id)

        def merge(request: ChangeRequest, taken: frozenset[tuple[str, str, str]]) -> MergedRequest:
            return merged_with_request(request, other, take_theirs=taken)

        merged = _decided(request, merge, decisions)
        facts = {"with": str(other.pk), "number": other.number, "decided": _facts(merged, decisions)}
        done = _edit(request, merged, actor=actor, now=now, facts=facts, also_by=other.contributor_ids)
        if may_withdraw(other, actor):
            withdraw_change_request(other.pk, actor=actor, reason=f"Merged into #{request.number}.", now=now)
        return done

    return attempt(act)


def _editable(request_id: uuid.UUID, *, actor: Actor, digest: str) -> ChangeRequest:
    request = lock_request(request_id)
    permissions.require(actor, permissions.PROPOSE, request.environment)
    next_state(request.current_state, Act.EDIT)
    refuse_planned(request, "Take that back and edit it instead.")
    refuse_other_digest(request, digest)
    return request


def _other(request: ChangeRequest, other_id: uuid.UUID) -> ChangeRequest:
    """The other request, of the same environment, which is locked already. Raises NotFound, InvalidInput."""
    rows = ChangeRequest.objects.filter(environment=request.environment_id).exclude(pk=request.pk)
    other = rows.select_related("environment", "project").filter(pk=other_id).first()
    if other is None:
        raise NotFound("There is no such other request for this environment.", request_id=str(other_id))
    if other.current_state not in OPEN_STATES:
        raise InvalidInput(f"#{other.number} is not open any more, so there is nothing to merge.", problems=[])
    refuse_planned(other, "It cannot be merged into another request.")
    if BundleMember.objects.filter(request=other).exists():
        raise InvalidInput(
            f"#{other.number} belongs to a bundle and goes live with it. Merge this one into #{other.number} instead.",
            problems=[],
        )
    return other


def _decided(
    request: ChangeRequest,
    merge: Callable[[ChangeRequest, frozenset[tuple[str, str, str]]], MergedRequest],
    decisions: Decisions,
) -> MergedRequest:
    taken = frozenset(where for where, side in decisions.items() if side == THEIRS)
    merged = merge(request, taken)
    open_conflicts = [
        (target, conflict)
        for target, conflict in merged.conflicts
        if decisions.get((*target, conflict.path)) not in (MINE, THEIRS)
    ]
    if open_conflicts:
        words = ", ".join(f"{conflict.words} of {target[1]}" for target, conflict in open_conflicts)
        raise MergeConflict(
            f"Both sides changed {words}. Say whose change counts, or edit it yourself.",
            conflicts=[{"kind": target[0], "key": target[1], "path": one.path} for target, one in open_conflicts],
        )
    return merged


def _edit(
    request: ChangeRequest,
    merged: MergedRequest,
    *,
    actor: Actor,
    now: datetime,
    facts: Mapping[str, Any],
    also_by: frozenset[str] = frozenset(),
) -> ChangeRequest:
    # A time that has passed means "as soon as it is approved", which is what the new round says.
    has_passed = request.apply_at is not None and request.apply_at <= now
    apply_at: datetime | Unchanged | None = None if has_passed else UNCHANGED
    return edit_change_request(
        request.pk,
        actor=actor,
        now=now,
        expected_digest=request.digest,
        change_set=merged.change_set,
        apply_at=apply_at,
        also_by=also_by,
        merged=facts,
    )


def _facts(merged: MergedRequest, decisions: Decisions) -> list[dict[str, str]]:
    """What a person decided, for the trail."""
    return [
        {"kind": target[0], "key": target[1], "path": conflict.path, "side": decisions[*target, conflict.path]}
        for target, conflict in merged.conflicts
    ]
