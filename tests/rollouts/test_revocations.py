"""A right is taken away while somebody uses it: nothing is applied after the revocation was committed.

Three hundred rounds in all, with real threads on PostgreSQL. The chain numbers acts in the order of their commits.
"""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from django.db import connection

from audits.errors import GovernanceError
from audits.models import AuditEvent
from flags.changes import ChangeSet, ConfigEdit
from flags.errors import PermissionMissing
from flags.models import EnvironmentToken, FlagConfig, Team, TeamMember
from flags.permissions import Role
from flags.services.roles import set_roles
from flags.services.teams import remove_member
from flags.services.tickets import governed_write
from flags.services.tokens import issue_token, revoke_token
from flagsite.people import change_person
from rollouts.errors import ApprovalMissing
from rollouts.policies import Requirement
from rollouts.policies.requirements import TeamDemand
from rollouts.services import applying
from rollouts.services import change_requests as acts
from rollouts.services.emergencies import break_glass
from rollouts.services.narrowing import apply_narrowing
from rollouts.services.service_approvals import approve_as_service
from tests.factories import NOW, SOON, actor_of
from tests.rollouts.rule_support import rule
from tests.rollouts.support import Bench
from tests.rollouts.test_races import Crowd
from tests.rollouts.test_rule_service import WIDENS, put, team

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

Deed = Callable[[], Any]


@pytest.fixture
def pair() -> Iterator[Crowd]:
    """Two threads that start at the same moment."""
    crowd = Crowd(2)
    yield crowd
    crowd.leave()


def approved_change(bench: Bench) -> Deed:
    request = bench.submitted(apply_at=SOON)
    for token in EnvironmentToken.objects.filter(environment=bench.production, revoked_at=None):
        approve_as_service(request.pk, token_id=token.pk, digest=request.digest, comment="", now=NOW)
    bench.approve(request)
    actor = actor_of(bench.world.rolf)
    return lambda: acts.apply_change_request(request.pk, actor=actor, now=SOON)


def narrowing(bench: Bench) -> Deed:
    actor, change_set = actor_of(bench.world.abel), less(bench)
    return lambda: apply_narrowing(bench.production.pk, change_set=change_set, actor=actor, reason="Less", now=NOW)


def emergency(bench: Bench) -> Deed:
    actor, change_set = actor_of(bench.world.abel), bench.content()
    return lambda: break_glass(bench.production.pk, change_set=change_set, actor=actor, reason="Down", now=NOW)


def less(bench: Bench) -> ChangeSet:
    """A little less than what production serves now."""
    config = FlagConfig.objects.get(flag=bench.flag, environment=bench.production)
    rules = config.document["rules"] or [
        {"id": "r1", "condition": None, "serve": {"split": [weight(100_000), rest(0)]}}
    ]
    now = rules[0]["serve"]["split"][0]["weight"]
    serve = {"split": [weight(now - 100), rest(100_100 - now)]}
    document = {**config.document, "default_variant": "on", "rules": [{**rules[0], "serve": serve}]}
    edit = ConfigEdit(bench.flag.key, config.version, document)
    return ChangeSet(str(bench.production.pk), (edit,))


def weight(share: int) -> dict[str, Any]:
    return {"variant": "on", "weight": share}


def rest(share: int) -> dict[str, Any]:
    return {"variant": "off", "weight": share}


def role_taken(bench: Bench, role: Role) -> Deed:
    abel, actor = bench.world.abel, actor_of(bench.world.ada)
    bench.world.grant(abel, bench.production, role)
    return lambda: set_roles(abel.pk, bench.production.pk, roles=[], actor=actor, now=NOW, reason="Left the team")


def account_closed(bench: Bench, role: Role) -> Deed:
    abel, actor = bench.world.abel, actor_of(bench.world.ada)
    change_person(abel.pk, actor=actor, is_active=True, now=NOW, reason="Came back")
    return lambda: change_person(abel.pk, actor=actor, is_active=False, now=NOW, reason="Left")


def member_removed(bench: Bench, role: Role) -> Deed:
    world, actor = bench.world, actor_of(bench.world.ada)
    row = Team.objects.filter(key="security").first()
    team_id = str(row.pk) if row else team(world, "Security")
    with governed_write(world.project.pk):
        TeamMember.objects.create(
            project=world.project, team_id=team_id, person=world.abel, added_by=world.ada, added_at=NOW
        )
    put(world, rule("team", conditions=WIDENS, requirement=Requirement(teams=(TeamDemand(team_id, 1),))))
    return lambda: remove_member(uuid.UUID(team_id), world.abel.pk, actor=actor, reason="Moved on", now=NOW)


def token_revoked(bench: Bench, role: Role) -> Deed:
    actor, place = actor_of(bench.world.ada), bench.production.pk
    put(bench.world, rule("service", conditions=WIDENS, requirement=Requirement(service=True)))
    token = issue_token(place, actor=actor, name="CI", scope="manage", expires_at=None, now=NOW).token
    return lambda: revoke_token(token.pk, actor=actor, now=NOW, reason="Leaked")


REVOCATIONS = {role_taken: "role.changed", member_removed: "team.member_removed", token_revoked: "token.revoked"}
RACES = [
    (Role.APPROVER, approved_change, role_taken, 10),
    (Role.APPROVER, approved_change, account_closed, 10),
    (Role.APPROVER, approved_change, member_removed, 10),
    (Role.APPROVER, approved_change, token_revoked, 10),
    (Role.EDITOR, narrowing, role_taken, 170),
    (Role.EDITOR, narrowing, account_closed, 50),
    (Role.BREAK_GLASS, emergency, role_taken, 25),
    (Role.BREAK_GLASS, emergency, account_closed, 15),
]


@pytest.mark.parametrize(
    ("role", "prepare", "take_away", "rounds"), RACES, ids=[f"{race[1].__name__}-{race[2].__name__}" for race in RACES]
)
def test_revoke_while_applying__whichever_comes_first__nothing_is_applied_after_it(
    bench, pair, role, prepare, take_away, rounds
):
    if prepare is narrowing:
        serve_everybody(bench)
    bench.world.grant(bench.world.abel, bench.production, role)
    for number in range(rounds):
        revoke = take_away(bench, role)
        deed = prepare(bench)
        before = AuditEvent.objects.latest("sequence").sequence
        seen: list[int] = []

        def revoke_and_look(revoke: Deed = revoke, seen: list[int] = seen) -> None:
            revoke()
            seen.append(bench.version())

        results = pair.run([revoke_and_look, deed] if number % 2 else [deed, revoke_and_look])

        refused = [result for result in results if isinstance(result, GovernanceError)]
        assert all(isinstance(error, PermissionMissing | ApprovalMissing) for error in refused), refused
        assert seen == [bench.version()]
        if take_away in REVOCATIONS:
            action = REVOCATIONS[take_away]
            assert order_since(bench, before, action) in {("flag_config.applied", action), (action,)}


@pytest.mark.parametrize("take_away", [role_taken, account_closed, member_removed, token_revoked])
def test_revoke__between_the_verdict_and_the_write__waits_for_the_apply(bench, monkeypatch, take_away):
    revoke = take_away(bench, Role.APPROVER)
    apply = approved_change(bench)
    carry_out = applying._carry_out
    has_waited: list[bool] = []

    def revoke_first(*args: Any, **fields: Any) -> Any:
        other = crowd.submit(revoke)
        has_waited.append(not wait([other], timeout=0.3).done)
        return carry_out(*args, **fields)

    monkeypatch.setattr(applying, "_carry_out", revoke_first)
    with ThreadPoolExecutor(1) as crowd:
        apply()
        crowd.submit(lambda: connection.close())

    assert has_waited == [True]


def serve_everybody(bench: Bench) -> None:
    config = FlagConfig.objects.get(flag=bench.flag, environment=bench.production)
    bench.world.serve(bench.flag, bench.production, {**config.document, "enabled": True, "default_variant": "on"})


def order_since(bench: Bench, before: int, action: str) -> tuple[str, ...]:
    actions = (action, "flag_config.applied")
    events = AuditEvent.objects.filter(chain=str(bench.world.project.pk), sequence__gt=before, action__in=actions)
    return tuple(events.order_by("sequence").values_list("action", flat=True))
