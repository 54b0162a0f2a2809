"""From the editors to change requests: a new draft, one more edit of a draft, or new content under review."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from audits.context import Actor
from flags import permissions
from flags.changes import ChangeSet, ConfigEdit, SegmentEdit, diff_configs, diff_segments
from flags.documents import Problem
from flags.errors import InvalidInput, NotFound
from flags.models import Environment, Flag
from rollouts.models import ChangeRequest
from rollouts.selectors import visible_requests
from rollouts.services.bundles import create_bundle, prepare_elsewhere
from rollouts.services.change_requests import create_change_request, edit_change_request
from rollouts.services.checks import LONGEST_TITLE
from rollouts.transitions import RequestState

Edit = ConfigEdit | SegmentEdit
ALSO = "also_"


def propose(
    environment: Environment, edit: Edit, *, actor: Actor, user: Any, fields: Mapping[str, str], now: datetime
) -> ChangeRequest:
    """The draft that holds the edit: a new one, or the person's own draft named in the form."""
    draft_id = fields.get("draft", "")
    if draft_id:
        draft = own_drafts(user, environment).filter(pk=_as_uuid(draft_id)).first()
        if draft is None:
            raise NotFound("This draft is not open any more. Choose a new change request instead.")
        return replace_edit(draft, edit, actor=actor, digest=draft.digest, now=now)
    return create_change_request(
        environment.pk,
        actor=actor,
        title=fields.get("title", "").strip() or suggested_title(edit),
        reason=fields.get("reason", ""),
        change_set=ChangeSet(str(environment.pk), (edit,)),
        apply_at=None,
        now=now,
    )


def propose_everywhere(
    flag: Flag,
    environment: Environment,
    edit: ConfigEdit,
    others: Iterable[Environment],
    *,
    actor: Actor,
    fields: Mapping[str, str],
    now: datetime,
) -> tuple[ChangeRequest, list[str]]:
    """The draft for `environment`, in a bundle with those for the others; and why which of them were left out."""
    prepared = [prepare_elsewhere(flag, edit, environment, other) for other in others]
    edits = {environment.pk: edit, **{one.environment.pk: one.edit for one in prepared if one.edit}}
    left_out = [one.words for one in prepared if one.edit is None]
    title, reason = fields.get("title", "").strip() or suggested_title(edit), fields.get("reason", "")
    sets = {key: ChangeSet(str(key), (one,)) for key, one in edits.items()}
    if len(sets) == 1:
        only = create_change_request(
            environment.pk,
            actor=actor,
            title=title,
            reason=reason,
            change_set=sets[environment.pk],
            apply_at=None,
            now=now,
        )
        return only, left_out
    made = create_bundle(sets, actor=actor, title=title, reason=reason, apply_at=None, now=now)
    return next(one for one in made if one.environment_id == environment.pk), left_out


def chosen_environments(fields: Mapping[str, str], environment: Environment, user: Any) -> list[Environment]:
    """The other environments of the project that were ticked, of those the person may propose changes to."""
    ticked = {_as_uuid(name.removeprefix(ALSO)) for name in fields if name.startswith(ALSO)} - {None, environment.pk}
    if not ticked:
        return []
    ids = [key for key in permissions.environments_with(user, permissions.PROPOSE) if key in ticked]
    return list(Environment.objects.filter(project=environment.project_id, pk__in=ids).order_by("position"))


def replace_edit(request: ChangeRequest, edit: Edit, *, actor: Actor, digest: str, now: datetime) -> ChangeRequest:
    """The request with `edit` in the place of what it said about the same flag or segment, or beside the others."""
    edits = [edit if _target(old) == _target(edit) else old for old in request.content.edits]
    if edit not in edits:
        edits.append(edit)
    change_set = ChangeSet(str(request.environment_id), tuple(edits))
    return edit_change_request(request.pk, actor=actor, now=now, expected_digest=digest, change_set=change_set)


def own_drafts(user: Any, environment: Environment) -> Any:
    """The person's drafts in an environment, newest first."""
    drafts = visible_requests(user).filter(requester=user, environment=environment, state=RequestState.DRAFT.value)
    return drafts.order_by("-created_at")


def suggested_title(edit: Edit) -> str:
    """A title for people in a hurry: the key, for lack of better words."""
    key = edit.flag_key if isinstance(edit, ConfigEdit) else edit.segment_key
    return f"Change {key}"[:LONGEST_TITLE]


def missing_texts(fields: Mapping[str, str]) -> list[Problem]:
    """What a new request needs besides its content."""
    if fields.get("draft") or fields.get("reason", "").strip():
        return []
    return [Problem("reason", "Say why: it is the first thing a reviewer reads.")]


def refuse_nothing(edit: Edit, current: Mapping[str, Any] | None) -> None:
    """Raise InvalidInput for an edit that leaves everything as it is."""
    diff = diff_configs if isinstance(edit, ConfigEdit) else diff_segments
    if current is not None and not diff(current, edit.document):
        raise InvalidInput("This is what is live now. Change something, then propose it.", problems=[])


def _target(edit: Edit) -> tuple[str, str]:
    return ("flag", edit.flag_key) if isinstance(edit, ConfigEdit) else ("segment", edit.segment_key)


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
