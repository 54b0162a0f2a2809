"""Archiving a flag that nobody needs, and reviving one: at once where that is open, by change requests elsewhere.

Flags that are in use end by a deprecation timeline instead.
"""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from audits.context import Actor, correlation
from flags import permissions
from flags.authority import Retirement
from flags.changes import ChangeSet, ConfigEdit
from flags.documents.deprecation import Deprecation, deprecation_of, with_deprecation
from flags.documents.schema import Document
from flags.errors import NotFound, PermissionMissing
from flags.models import Environment, Flag
from flags.services.attempts import attempt
from flags.services.configs import apply_change_set
from flags.services.locks import lock_environments
from flags.services.retirement import note_archived, note_revived
from flags.services.tombstones import register_hold
from rollouts.errors import StillNeeded
from rollouts.models import BundleMember, ChangeRequest
from rollouts.selectors.retirement import ArchivePreview, PlacePreview, archive_preview, held_by
from rollouts.services.bundles import FEWEST, create_bundle, submit_bundle
from rollouts.services.checks import checked_prose
from rollouts.services.drafting import create_change_request, submit_change_request


@dataclass(frozen=True, slots=True)
class Retired:
    """What came of it: where it was written at once, and the requests that ask for the rest."""

    flag: Flag
    written: tuple[Environment, ...]
    requests: tuple[ChangeRequest, ...]


def preview_archive(flag: Flag, *, now: datetime) -> ArchivePreview:
    """What archiving would do, for the page that asks once more."""
    return archive_preview(flag, now=now)


def archive_flag(flag_id: uuid.UUID, *, actor: Actor, reason: str, now: datetime) -> Retired:
    """Archive a flag in every environment where it is set up: at once, or by change requests where that is protected.

    Raises StillNeeded while services, flags, plans or requests need it; PermissionMissing (role editor wherever it is
    set up), NotFound, InvalidInput, and what the writes and requests raise. All of it happens or nothing.
    """

    def act() -> Retired:
        why = checked_prose(reason, field="reason", required=True)
        flag = _locked(flag_id)
        preview = archive_preview(flag, now=now)
        if preview.blockers:
            raise StillNeeded(
                f"{flag.name} was not archived. {' '.join(preview.blockers)}", key=flag.key, blockers=preview.blockers
            )
        if not preview.to_archive:
            _require_editor(actor, preview.places)
            note_archived(flag, actor=actor, now=now, reason=why)
        order = _Order(flag, f"Archive {flag.key}", actor, why, now)
        return _carry_out(order, preview.to_archive, lambda document: _archived(document, now))

    with correlation():
        return attempt(act)


def revive_flag(flag_id: uuid.UUID, *, actor: Actor, reason: str, now: datetime) -> Retired:
    """Bring an archived flag back, switched off, in every environment where it is archived; a new life begins.

    Where that is protected it is asked for by change requests. Raises StillNeeded where nothing is archived or it is
    asked for already, PermissionMissing (role editor), NotFound and InvalidInput.
    """

    def act() -> Retired:
        why = checked_prose(reason, field="reason", required=True)
        flag = _locked(flag_id)
        preview = archive_preview(flag, now=now)
        if not preview.to_revive and flag.archived_at is None:
            raise StillNeeded(f"{flag.name} is archived nowhere, so there is nothing to revive.", key=flag.key)
        if preview.held_by:
            raise StillNeeded(f"{', '.join(preview.held_by)} asks about {flag.name} already.", key=flag.key)
        if not preview.to_revive:
            _require_editor(actor, preview.places)
            note_revived(flag, actor=actor, now=now, reason=why)
        order = _Order(flag, f"Revive {flag.key}, switched off", actor, why, now)
        return _carry_out(order, preview.to_revive, _revived)

    with correlation():
        return attempt(act)


def register_archived_holds() -> None:
    """Keep keys from new flags while requests, plans or timelines are about the archived ones."""
    register_hold("rollouts", held_by)


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be done, on whose word."""

    flag: Flag
    title: str
    actor: Actor
    reason: str
    now: datetime


def _carry_out(order: _Order, places: Iterable[PlacePreview], change: Callable[[Document], Document]) -> Retired:
    asked: dict[uuid.UUID, ChangeSet] = {}
    written = []
    for place in places:
        config = place.config
        if config is None:
            continue
        edit = ConfigEdit(order.flag.key, config.version, change(config.document))
        change_set = ChangeSet(str(place.environment.pk), (edit,))
        if place.environment.is_protected:
            asked[place.environment.pk] = change_set
            continue
        apply_change_set(change_set, actor=order.actor, authority=Retirement(), now=order.now, reason=order.reason)
        written.append(place.environment)
    requests = _ask(order, asked)
    order.flag.refresh_from_db()
    return Retired(order.flag, tuple(written), tuple(requests))


def _ask(order: _Order, change_sets: dict[uuid.UUID, ChangeSet]) -> list[ChangeRequest]:
    if len(change_sets) >= FEWEST:
        drafts = create_bundle(
            change_sets, actor=order.actor, title=order.title, reason=order.reason, apply_at=None, now=order.now
        )
        bundle_id = BundleMember.objects.values_list("bundle_id", flat=True).get(request=drafts[0].pk)
        return submit_bundle(bundle_id, actor=order.actor, now=order.now)
    return [
        submit_change_request(
            create_change_request(
                environment_id,
                actor=order.actor,
                title=order.title,
                reason=order.reason,
                change_set=change_set,
                apply_at=None,
                now=order.now,
            ).pk,
            actor=order.actor,
            now=order.now,
        )
        for environment_id, change_set in change_sets.items()
    ]


def _archived(document: Document, now: datetime) -> Document:
    """The document with its end: what was announced of it stays."""
    announced = deprecation_of(document) or Deprecation(deprecated_at=now)
    return with_deprecation(document, replace(announced, is_archived=True))


def _revived(document: Document) -> Document:
    """The document without its end, switched off: nobody gets back by surprise what he had."""
    return {**with_deprecation(document, None), "enabled": False}


def _locked(flag_id: uuid.UUID) -> Flag:
    """The flag, behind all environments of its project in the one order every writer keeps. Raises NotFound."""
    flag = Flag.objects.select_related("project").filter(pk=flag_id).first()
    if flag is None:
        raise NotFound("This flag does not exist, or its key belongs to another one now.", flag_id=str(flag_id))
    lock_environments(Environment.objects.filter(project=flag.project_id))
    flag.refresh_from_db(fields=["archived_at", "lifecycle", "replaced_at"])
    return flag


def _require_editor(actor: Actor, places: Iterable[PlacePreview]) -> None:
    """For a flag that is set up nowhere: whoever could set it up somewhere. Raises PermissionMissing."""
    if not any(permissions.holds(actor, permissions.PROPOSE, place.environment) for place in places):
        raise PermissionMissing(
            f"{actor.label} is not an editor of any environment of this project. Ask an administrator for that role.",
            permission=permissions.PROPOSE,
        )
