"""A right is taken away while somebody uses it: nothing is applied after the revocation was committed.

Three hundred rounds in all, with real threads on PostgreSQL. The chain numbers acts in the order of their commits.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from audits.errors import GovernanceError
from audits.models import AuditEvent
from flags.changes import ChangeSet, ConfigEdit
from flags.errors import PermissionMissing
from flags.models import FlagConfig
from flags.permissions import Role
from flags.services.roles import set_roles
from rollouts.errors import ApprovalMissing
from rollouts.services import change_requests as acts
from rollouts.services.emergencies import break_glass
from rollouts.services.narrowing import apply_narrowing
from tests.factories import NOW, SOON, actor_of
from tests.rollouts.support import Bench
from tests.rollouts.test_races import Crowd

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

Deed = Callable[[], Any]


@pytest.fixture
def pair() -> Iterator[Crowd]:
    """Two threads that start at the same moment."""
    crowd = Crowd(2)
    yield crowd
    crowd.leave()


def approved_change(bench: Bench) -> Deed:
    request = bench.approved(apply_at=SOON)
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


@pytest.mark.parametrize(
    ("role", "prepare", "rounds"),
    [(Role.APPROVER, approved_change, 40), (Role.EDITOR, narrowing, 200), (Role.BREAK_GLASS, emergency, 60)],
    ids=["approval", "narrowing", "break-glass"],
)
def test_revoke_while_applying__whichever_comes_first__nothing_is_applied_after_it(bench, pair, role, prepare, rounds):
    abel, ada = bench.world.abel, actor_of(bench.world.ada)
    if prepare is narrowing:
        serve_everybody(bench)
    orders: Counter[tuple[str, ...]] = Counter()

    def revoke() -> object:
        return set_roles(abel.pk, bench.production.pk, roles=[], actor=ada, now=NOW, reason="Left the team")

    for number in range(rounds):
        bench.world.grant(abel, bench.production, role)
        deed = prepare(bench)
        before = AuditEvent.objects.latest("sequence").sequence
        results = pair.run([revoke, deed] if number % 2 else [deed, revoke])
        refused = [result for result in results if isinstance(result, GovernanceError)]
        assert all(isinstance(error, PermissionMissing | ApprovalMissing) for error in refused), refused
        orders[order_since(bench, before)] += 1

    assert set(orders) <= {("flag_config.applied", "role.changed"), ("role.changed",)}
    assert sum(orders.values()) == rounds


def serve_everybody(bench: Bench) -> None:
    config = FlagConfig.objects.get(flag=bench.flag, environment=bench.production)
    bench.world.serve(bench.flag, bench.production, {**config.document, "enabled": True, "default_variant": "on"})


def order_since(bench: Bench, before: int) -> tuple[str, ...]:
    actions = ("role.changed", "flag_config.applied")
    events = AuditEvent.objects.filter(chain=str(bench.world.project.pk), sequence__gt=before, action__in=actions)
    return tuple(events.order_by("sequence").values_list("action", flat=True))
