"""Short ways to bring a change request where a test begins, all of them through the services."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flags.changes import ChangeSet, ConfigEdit
from flags.models import Environment, Flag, FlagConfig
from rollouts.models import ChangeRequest
from rollouts.policies import Policy
from rollouts.selectors import policy_of
from rollouts.services import change_requests as acts
from rollouts.services import versions
from rollouts.services.policies import set_approval_policy
from rollouts.transitions import Act, RequestState
from tests.factories import NOW, SOON, World, actor_of, make_served_world, percent_document
from tests.support.agreed import agreed
from tests.support.remembered import remembered


@dataclass
class Bench:
    """A world with one flag, set up in production at version 1, and the acts on requests about it."""

    world: World
    flag: Flag
    share: int = field(default=10)

    @property
    def production(self) -> Environment:
        """The protected environment."""
        return self.world.production

    def content(self, share: int | None = None, *, flag: Flag | None = None, base: int | None = None) -> ChangeSet:
        """A change set that serves "on" to `share` percent; each call without a share gives new content."""
        self.share = self.share % 99 + 1 if share is None else share
        flag = flag or self.flag
        base = self.version(flag) if base is None else base
        edit = ConfigEdit(flag.key, base, percent_document(flag.key, self.share))
        return ChangeSet(str(self.production.pk), (edit,))

    def version(self, flag: Flag | None = None) -> int:
        """The version that production serves, 0 for none."""
        config = FlagConfig.objects.filter(flag=flag or self.flag, environment=self.production).first()
        return config.version if config else 0

    def draft(
        self, *, by: Any = None, apply_at: datetime | None = None, now: datetime = NOW, **fields: Any
    ) -> ChangeRequest:
        """A draft asked for by Rita."""
        return acts.create_change_request(
            self.production.pk,
            actor=actor_of(by or self.world.rita),
            title=fields.pop("title", "Widen the checkout"),
            reason=fields.pop("reason", "Conversion is stable"),
            change_set=fields.pop("change_set", None) or self.content(),
            apply_at=apply_at,
            now=now,
        )

    def submitted(self, *, now: datetime = NOW, **fields: Any) -> ChangeRequest:
        """A request in review."""
        request = self.draft(now=now, **fields)
        return self.submit(request, by=fields.get("by"), now=now)

    def approved(self, *, now: datetime = NOW, **fields: Any) -> ChangeRequest:
        """An approved request; it stays approved only with a time that has not come."""
        return self.approve(self.submitted(now=now, **fields), now=now)

    def submit(self, request: ChangeRequest, *, by: Any = None, now: datetime = NOW) -> ChangeRequest:
        """Rita submits."""
        return acts.submit_change_request(request.pk, actor=actor_of(by or self.world.rita), now=now)

    def approve(
        self, request: ChangeRequest, *, by: Any = None, now: datetime = NOW, digest: str | None = None
    ) -> ChangeRequest:
        """Abel approves what is there now."""
        digest = ChangeRequest.objects.get(pk=request.pk).digest if digest is None else digest
        actor = actor_of(by or self.world.abel)
        return acts.approve_change_request(request.pk, actor=actor, digest=digest, comment="", now=now)

    def edit(self, request: ChangeRequest, *, by: Any = None, now: datetime = NOW, **fields: Any) -> ChangeRequest:
        """Rita edits; new content unless the fields say otherwise."""
        fields = fields or {"change_set": self.content()}
        digest = ChangeRequest.objects.get(pk=request.pk).digest
        actor = actor_of(by or self.world.rita)
        return acts.edit_change_request(request.pk, actor=actor, now=now, expected_digest=digest, **fields)

    def schedule(
        self, request: ChangeRequest, apply_at: datetime | None, *, by: Any = None, now: datetime = NOW
    ) -> ChangeRequest:
        """Rita chooses a time."""
        digest = ChangeRequest.objects.get(pk=request.pk).digest
        actor = actor_of(by or self.world.rita)
        return acts.schedule_change_request(request.pk, actor=actor, apply_at=apply_at, now=now, expected_digest=digest)

    def apply(self, request: ChangeRequest, *, by: Any = None, now: datetime = NOW) -> ChangeRequest:
        """Rolf applies."""
        return acts.apply_change_request(request.pk, actor=actor_of(by or self.world.rolf), now=now)

    def require(self, approvals: int, *named: Any, hours: int = 336, now: datetime = NOW) -> None:
        """Ada and another administrator set production's policy."""
        people = frozenset(str(person.pk) for person in named)
        before, after = policy_of(self.production), Policy(approvals, people or None, hours)
        both = agreed(
            self.production,
            "approval_policy",
            before.as_json(),
            after.as_json(),
            by=self.world.otto,
            confirmed_by=self.world.ada,
        )
        set_approval_policy(
            self.production.pk,
            actor=actor_of(self.world.ada),
            required_approvals=approvals,
            named_approvers=[person.pk for person in named],
            expires_after_hours=hours,
            now=now,
            reason="Test",
            authority=both,
        )

    def move_on(self) -> None:
        """Somebody else's change reaches production first."""
        self.world.serve(self.flag, self.production, percent_document(self.flag.key, 99))


def state_of(request: ChangeRequest) -> RequestState:
    """What the database says."""
    return ChangeRequest.objects.get(pk=request.pk).current_state


def bring_to(bench: Bench, state: RequestState) -> ChangeRequest:
    """A request in `state`. An approved one waits for `SOON`."""
    match state:
        case RequestState.DRAFT:
            return bench.draft(apply_at=SOON)
        case RequestState.IN_REVIEW:
            return bench.submitted(apply_at=SOON)
        case RequestState.APPROVED:
            return bench.approved(apply_at=SOON)
        case RequestState.APPLIED:
            return bench.approved()
        case RequestState.EXPIRED:
            request = bench.submitted()
            acts.expire_if_due(request.pk, now=NOW + timedelta(days=400))
            return ChangeRequest.objects.get(pk=request.pk)
        case RequestState.REJECTED:
            actor = actor_of(bench.world.abel)
            return acts.reject_change_request(bench.submitted().pk, actor=actor, reason="Too wide", now=NOW)
        case _:
            actor = actor_of(bench.world.rita)
            return acts.withdraw_change_request(bench.submitted().pk, actor=actor, reason="", now=NOW)


def standing(state: RequestState) -> tuple[Bench, ChangeRequest]:
    """A bench and a request in `state`, in a database that holds nothing else yet."""
    return remembered(f"request {state.value}", lambda: _make_standing(state))


def _make_standing(state: RequestState) -> tuple[Bench, ChangeRequest]:
    world = make_served_world()
    bench = Bench(world, world.first_flag)
    return bench, bring_to(bench, state)


def perform(  # noqa: C901 - a table of acts
    bench: Bench, request: ChangeRequest, act: Act, *, by: Any, now: datetime = NOW
) -> Any:
    """One act of a person through its service, with input that is right in itself."""
    actor, world_request = actor_of(by), ChangeRequest.objects.get(pk=request.pk)
    digest = world_request.digest
    match act:
        case Act.EDIT:
            return acts.edit_change_request(
                request.pk, actor=actor, now=now, expected_digest=digest, change_set=bench.content()
            )
        case Act.SCHEDULE:
            later = now + timedelta(days=3)
            return acts.schedule_change_request(
                request.pk, actor=actor, apply_at=later, now=now, expected_digest=digest
            )
        case Act.SUBMIT:
            return acts.submit_change_request(request.pk, actor=actor, now=now)
        case Act.APPROVE:
            return acts.approve_change_request(request.pk, actor=actor, digest=digest, comment="", now=now)
        case Act.REQUEST_CHANGES:
            return acts.request_changes(request.pk, actor=actor, digest=digest, text="Smaller steps", now=now)
        case Act.ABSTAIN:
            return acts.abstain_from_change_request(request.pk, actor=actor, digest=digest, text="", now=now)
        case Act.REJECT:
            return acts.reject_change_request(request.pk, actor=actor, reason="No", now=now)
        case Act.WITHDRAW:
            return acts.withdraw_change_request(request.pk, actor=actor, reason="", now=now)
        case Act.COMMENT:
            return acts.comment_on_change_request(request.pk, actor=actor, body="Why 25 %?", now=now)
        case Act.ROLL_BACK:
            return versions.roll_back_request(request.pk, actor=actor, reason="Errors went up", now=now)
        case Act.APPLY:
            return acts.apply_change_request(request.pk, actor=actor, now=now)
        case _:
            raise AssertionError(act)
