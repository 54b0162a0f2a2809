"""What became different about a request since a person looked at it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser

from flags.archives import note_of
from flags.changes import ChangeSet, Difference, diff_configs, diff_segments
from rollouts.models import ChangeRequest, Look, RequestRound
from rollouts.selectors.contents import kind_and_key

Documents = Mapping[tuple[str, str], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class EditSince:
    """One flag or segment of the request whose proposed settings are not those the person looked at.

    `before` None: the request did not touch it; `after` None: it does not touch it any more.
    """

    kind: str
    key: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class SinceLooked:
    """From the round a person looked at to the present one; `rounds` are those in between and the present one."""

    look: Look
    rounds: tuple[RequestRound, ...]
    edits: tuple[EditSince, ...]
    apply_at_before: datetime | None
    apply_at_after: datetime | None

    @property
    def has_new_time(self) -> bool:
        """Whether it is to be applied at another time."""
        return self.apply_at_before != self.apply_at_after


def since_looked(request: ChangeRequest, user: AbstractUser) -> SinceLooked | None:
    """What is new to a person; None for who never looked, saw the present content, or where an archive holds
    what they saw: two queries at most."""
    look = Look.objects.filter(request=request, person_id=user.pk).first()
    if look is None or look.digest == request.digest:
        return None
    kept = RequestRound.objects.filter(request=request, round__gte=look.round).select_related("author")
    rounds = list(kept)
    if not rounds or rounds[0].digest != look.digest or note_of(rounds[0].change_set) is not None:
        return None
    seen = rounds[0]
    return SinceLooked(
        look,
        tuple(rounds[1:]),
        _edits_since(ChangeSet.from_json(seen.change_set), request.content),
        seen.apply_at,
        request.apply_at,
    )


def has_looked(request: ChangeRequest, user: AbstractUser) -> bool:
    """Whether a person ever looked at the present content: one query."""
    return Look.objects.filter(request=request, person_id=user.pk, digest=request.digest).exists()


def _edits_since(seen: ChangeSet, present: ChangeSet) -> tuple[EditSince, ...]:
    old, new = _documents(seen), _documents(present)
    found = []
    for target in {**new, **old}:
        before, after = old.get(target), new.get(target)
        diff = diff_segments if target[0] == "segment" else diff_configs
        differences = tuple(diff(before, after)) if before is not None and after is not None else ()
        if before is None or after is None or differences:
            found.append(EditSince(*target, before, after, differences))
    return tuple(found)


def _documents(change_set: ChangeSet) -> Documents:
    return {kind_and_key(edit): edit.document for edit in change_set.edits}
