"""One proposal for several environments: prepared for each, submitted, approved and applied together."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags.changes import ChangeSet, ConfigEdit
from flags.errors import InvalidInput, NotFound
from flags.merging import Conflict, merge_documents
from flags.models import Environment, Flag, FlagConfig
from flags.services.attempts import attempt
from flags.services.tickets import governed_write
from rollouts.models import BundleMember, ChangeBundle, ChangeRequest
from rollouts.services.checks import checked_title
from rollouts.services.drafting import create_change_request, submit_change_request
from rollouts.services.reviewing import apply_soon, give_approval
from rollouts.services.writing import lock_request, require_person
from rollouts.transitions import RequestState

FEWEST = 2


@dataclass(frozen=True, slots=True)
class Prepared:
    """The same edit for another environment: what is served there with the same differences, or what stands against it.

    `edit` is None where people have to decide first, or where nothing would change.
    """

    environment: Environment
    edit: ConfigEdit | None
    conflicts: tuple[Conflict, ...]

    @property
    def words(self) -> str:
        """Why there is no edit, in a sentence."""
        if self.conflicts:
            disputed = ", ".join(conflict.words for conflict in self.conflicts)
            return (
                f"{self.environment.name} differs in {disputed}, so it was left out: propose the change there by hand."
            )
        return f"{self.environment.name} serves this already, so it was left out."


def prepare_elsewhere(flag: Flag, edit: ConfigEdit, origin: Environment, environment: Environment) -> Prepared:
    """What `edit`, made for `origin`, changes about the flag in another environment.

    Where the flag is not set up there, it gets the whole document.
    """
    rows = FlagConfig.objects.filter(flag=flag, environment__in=[origin.pk, environment.pk])
    served = {row.environment_id: row for row in rows}
    theirs = served.get(environment.pk)
    if theirs is None:
        return Prepared(environment, ConfigEdit(flag.key, 0, edit.document), ())
    base = served[origin.pk].document if origin.pk in served else {}
    merge = merge_documents(base, theirs.document, edit.document)
    if merge.conflicts or merge.document == theirs.document:
        return Prepared(environment, None, merge.conflicts)
    return Prepared(environment, ConfigEdit(flag.key, theirs.version, merge.document), ())


def create_bundle(
    change_sets: Mapping[uuid.UUID, ChangeSet],
    *,
    actor: Actor,
    title: str,
    reason: str,
    apply_at: datetime | None,
    now: datetime,
) -> list[ChangeRequest]:
    """A draft per environment, all of one bundle, by the environment's id. Nobody leaves a bundle again.

    Raises InvalidInput for fewer than two environments or for two projects; else what creating each of them raises.
    """

    def act() -> list[ChangeRequest]:
        if len(change_sets) < FEWEST:
            raise InvalidInput("Choose at least two environments.", problems=[])
        _refuse_two_projects(change_sets)
        requests = [
            create_change_request(
                environment_id,
                actor=actor,
                title=title,
                reason=reason,
                change_set=change_sets[environment_id],
                apply_at=apply_at,
                now=now,
            )
            # One order for everybody, so that two bundles never wait for each other in a circle.
            for environment_id in sorted(change_sets)
        ]
        _insert(requests, actor=actor, title=checked_title(title), now=now)
        return requests

    return attempt(act)


def submit_bundle(bundle_id: uuid.UUID, *, actor: Actor, now: datetime) -> list[ChangeRequest]:
    """Submit every draft of a bundle, or none. Raises NotFound and whatever submitting one of them raises."""

    def act() -> list[ChangeRequest]:
        drafts = [request for request in _locked_members(bundle_id) if request.current_state is RequestState.DRAFT]
        if not drafts:
            raise InvalidInput("Every request of this bundle was submitted already. Reload the page.", problems=[])
        return [submit_change_request(request.pk, actor=actor, now=now) for request in drafts]

    return attempt(act)


def approve_bundle(
    bundle_id: uuid.UUID, *, actor: Actor, digests: Mapping[uuid.UUID, str], comment: str, now: datetime
) -> list[ChangeRequest]:
    """Say yes to several requests of a bundle at once, each to the content that was looked at: to all or to none.

    Only what the person may approve counts, environment by environment. With the last approval of the last request the
    whole bundle is applied if it is due. Raises NotFound and whatever approving one of them raises.
    """

    def act() -> list[ChangeRequest]:
        members = {request.pk for request in _locked_members(bundle_id)}
        if not digests:
            raise InvalidInput("There is nothing here that you may approve. Reload the page.", problems=[])
        if not digests.keys() <= members:
            raise NotFound("These requests are not of one bundle. Reload the page.")
        return [
            give_approval(
                request_id, actor=actor, digest=digests[request_id], comment=comment, has_reservation=False, now=now
            )
            for request_id in sorted(digests)
        ]

    approved = attempt(act)
    apply_soon(approved[0], now=now)
    for request in approved:
        request.refresh_from_db()
    return approved


def _locked_members(bundle_id: uuid.UUID) -> list[ChangeRequest]:
    """The requests of a bundle, locked, by id. Raises NotFound."""
    ids = BundleMember.objects.filter(bundle=bundle_id).order_by("request_id").values_list("request_id", flat=True)
    requests = [lock_request(request_id) for request_id in ids]
    if not requests:
        raise NotFound("This bundle does not exist. It may have been mistyped.", bundle_id=str(bundle_id))
    return requests


def _refuse_two_projects(change_sets: Mapping[uuid.UUID, ChangeSet]) -> None:
    projects = Environment.objects.filter(pk__in=list(change_sets)).values_list("project_id", flat=True)
    if len(set(projects)) > 1:
        raise InvalidInput("A bundle is about one project.", problems=[])


def _insert(requests: list[ChangeRequest], *, actor: Actor, title: str, now: datetime) -> None:
    project = requests[0].project
    with governed_write(project.pk):
        bundle = ChangeBundle.objects.create(
            project=project, title=title, created_by_id=require_person(actor), created_at=now
        )
    for request in requests:
        with governed_write(request.environment_id):
            BundleMember.objects.create(bundle=bundle, request=request, environment=request.environment)
    trail.record(
        Action.CHANGE_BUNDLE_CREATED,
        actor=actor,
        target=trail.Target("change_bundle", str(bundle.pk), title),
        now=now,
        project_id=project.pk,
        project_key=project.key,
        data={
            "request_ids": [str(request.pk) for request in requests],
            "numbers": [request.number for request in requests],
            "environment_keys": [request.environment.key for request in requests],
        },
    )
