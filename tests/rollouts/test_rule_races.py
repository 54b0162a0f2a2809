"""A rule that refuses, and an apply, at the same moment: nothing is applied after the rule was committed."""

from functools import partial

import pytest

from audits.actions import Action
from audits.models import AuditEvent
from rollouts.policies import Effect
from rollouts.services import change_requests as acts
from rollouts.transitions import RequestState
from tests.factories import SOON, actor_of
from tests.rollouts.rule_support import condition, rule
from tests.rollouts.support import Bench, state_of
from tests.rollouts.test_races import Crowd
from tests.rollouts.test_rule_service import put

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

ROUNDS = 12


def test_apply__a_refusing_rule_at_the_same_moment__comes_before_it_or_not_at_all(bench: Bench) -> None:
    crowd, rolf = Crowd(2), actor_of(bench.world.rolf)

    for share in range(90, 90 - ROUNDS, -1):
        # No rule of an earlier round reaches down to the share of this one.
        request = bench.approved(apply_at=SOON, change_set=bench.content(share))
        refusing = rule(f"rule-{share}", effect=Effect.REFUSE, conditions=(condition("reach", at_least=share),))
        crowd.run(
            [
                partial(acts.apply_change_request, request.pk, actor=rolf, now=SOON),
                partial(put, bench.world, refusing),
            ]
        )

        written = AuditEvent.objects.get(action=Action.POLICY_RULE_CHANGED, data__contains=f'"rule-{share}"')
        applied = AuditEvent.objects.filter(action=Action.CHANGE_REQUEST_APPLIED, target_id=str(request.pk)).first()
        assert (applied is not None) == (state_of(request) is RequestState.APPLIED)
        assert applied is None or applied.sequence < written.sequence

    crowd.leave()
