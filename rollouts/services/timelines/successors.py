"""Moving people to the successor of a flag that ends: the same people, variant by variant."""

import uuid
from datetime import datetime

from audits.context import Actor
from flags import permissions
from flags.changes import ChangeSet, ConfigEdit
from flags.documents import initial_document
from flags.documents.schema import Document
from flags.errors import NotFound
from flags.models import Environment, Flag, FlagConfig
from flags.services.attempts import attempt
from flags.services.configs import edit_config
from flags.services.keys import problem
from rollouts.deprecations.codec import invalid
from rollouts.deprecations.definition import TimelineDefinition
from rollouts.deprecations.mapping import successor_document, successor_problems
from rollouts.models import ChangeRequest, DeprecationTimeline
from rollouts.selectors.timelines.ground import definition_of, successor_id_of
from rollouts.services.checks import checked_prose
from rollouts.services.drafting import create_change_request, submit_change_request
from rollouts.services.timelines.writing import lock_timeline

SOURCE_KIND = "successor"


def successor_edit(timeline: DeprecationTimeline) -> ConfigEdit:
    """The edit of the successor's config that serves everybody what stands for what the flag serves without its end.

    Raises InvalidTimeline where the timeline names no successor or its variants cannot be mapped.
    """
    definition = definition_of(timeline)
    successor, config = _successor(timeline, definition)
    old = FlagConfig.objects.get(flag=timeline.flag_id, environment=timeline.environment_id).document
    theirs: Document = config.document if config else _not_set_up(successor, timeline.environment)
    if problems := successor_problems(old, theirs, definition.mapping, successor=successor.key):
        raise invalid(problems)
    document = successor_document(old, theirs, definition.mapping)
    return ConfigEdit(successor.key, config.version if config else 0, document)


def propose_successor(timeline_id: uuid.UUID, *, actor: Actor, now: datetime, reason: str) -> ChangeRequest | None:
    """Move people to the successor in the timeline's environment: by a change request where that is protected.

    Elsewhere it is edited at once, and there is no request. Raises PermissionMissing (role editor), InvalidTimeline,
    InvalidInput where the successor serves that already, and what the request or the edit raises.
    """

    def act() -> ChangeRequest | None:
        timeline = lock_timeline(timeline_id)
        permissions.require(actor, permissions.PROPOSE, timeline.environment)
        why = checked_prose(reason, field="reason", required=True)
        edit = successor_edit(timeline)
        rows = FlagConfig.objects.filter(environment=timeline.environment, flag__key=edit.flag_key)
        config = rows.select_related("flag").first()
        if config is not None and config.document == edit.document:
            raise problem("successor", f"{edit.flag_key} serves everybody this already. There is nothing to change.")
        if timeline.environment.is_protected:
            return _request(timeline, edit, actor=actor, now=now, reason=why)
        flag = Flag.objects.get(project=timeline.project_id, key=edit.flag_key)
        edit_config(
            flag.pk,
            timeline.environment_id,
            actor=actor,
            document=edit.document,
            base_version=edit.base_version,
            reason=why,
            now=now,
        )
        return None

    return attempt(act)


def _request(
    timeline: DeprecationTimeline, edit: ConfigEdit, *, actor: Actor, now: datetime, reason: str
) -> ChangeRequest:
    request = create_change_request(
        timeline.environment_id,
        actor=actor,
        title=f"Move people from {timeline.flag.key} to {edit.flag_key}",
        reason=reason,
        change_set=ChangeSet(str(timeline.environment_id), (edit,)),
        apply_at=None,
        now=now,
        source={
            "kind": SOURCE_KIND,
            "timeline_id": str(timeline.pk),
            "number": timeline.number,
            "flag_key": timeline.flag.key,
        },
    )
    return submit_change_request(request.pk, actor=actor, now=now)


def _successor(timeline: DeprecationTimeline, definition: TimelineDefinition) -> tuple[Flag, FlagConfig | None]:
    if not definition.successor:
        raise invalid([("successor", "This timeline names no successor, so there is nowhere to move people.")])
    flag = Flag.objects.filter(project=timeline.project_id, key=definition.successor).first()
    if flag is None:
        raise NotFound(f"There is no flag {definition.successor} in this project any more.", flag=definition.successor)
    if successor_id_of(timeline) not in ("", str(flag.pk)):
        text = (
            f"{definition.successor} is another flag than the one that this timeline was made with: its key was given "
            "to a new flag since. End this timeline, and make a new one that names the flag people are to get."
        )
        raise invalid([("successor", text)])
    return flag, FlagConfig.objects.filter(flag=flag, environment=timeline.environment_id).first()


def _not_set_up(successor: Flag, environment: Environment) -> Document:
    """What the successor begins with where it is not set up: the variants it has elsewhere in the project."""
    rows = FlagConfig.objects.filter(flag=successor).exclude(environment=environment).order_by("updated_at")
    elsewhere = rows.first()
    return initial_document(successor.key, successor.value_type, elsewhere.document["variants"] if elsewhere else None)
