"""The archiving of a flag as a whole: once it is archived in every environment in which it is set up."""

from datetime import datetime

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags.evaluation.deprecations import is_archived
from flags.models import Flag, FlagConfig, Tombstone
from flags.services.tickets import governed_write


def archive_if_everywhere(flag: Flag, *, actor: Actor, now: datetime) -> bool:
    """Say that a flag is archived, and keep its key back, if no environment serves it any more; whether it did so."""
    documents = FlagConfig.objects.filter(flag=flag).values_list("document", flat=True)
    if not all(is_archived(document) for document in documents):
        return False
    with governed_write(flag.project_id):
        if not Flag.objects.filter(pk=flag.pk, archived_at=None).update(archived_at=now):
            return False
        Tombstone.objects.create(
            project_id=flag.project_id, flag=flag, key=flag.key, lifecycle=flag.lifecycle, archived_at=now
        )
    trail.record(
        Action.FLAG_ARCHIVED,
        actor=actor,
        target=trail.Target("flag", str(flag.pk), flag.key),
        now=now,
        project_id=flag.project_id,
        project_key=flag.project.key,
        flag_key=flag.key,
        data={"lifecycle": flag.lifecycle},
    )
    return True
