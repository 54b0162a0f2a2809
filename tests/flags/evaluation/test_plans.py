"""Plans: what is fixed and what is decided together are the answers that evaluating everything gives."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.evaluation import ErrorCode, Snapshot, compile_snapshot
from tests.flags.evaluation.documents import GOLD, NOW, ON, document, rule, snapshot_of
from tests.flags.strategies import contexts, moments, snapshots


@settings(max_examples=50)
@given(snapshot=snapshots(), context=contexts(), now=moments(), client_only=st.booleans())
def test_decide__any_environment__gives_what_the_plan_leaves_open(
    snapshot: Snapshot, context: dict[str, Any], now: Any, client_only: bool
) -> None:
    compiled = compile_snapshot(snapshot)
    plan, answers = (
        compiled.plan(client_only=client_only),
        compiled.evaluate_all(context, now, client_only=client_only),
    )

    decided = compiled.decide(plan, context, now)

    assert len(plan.fixed) + len(plan.open_keys) == len(plan.keys)
    together = plan.fixed | dict(zip(plan.open_keys, decided, strict=True))
    assert together.keys() == answers.keys()
    assert all(together[key] is answer for key, answer in answers.items())


@pytest.mark.parametrize("client_only", [False, True])
def test_plan__flag_without_rules__is_fixed(client_only: bool) -> None:
    seen = {"client_visible": True}
    compiled = snapshot_of({"plain": document(**seen), "reads": document(rules=[rule(ON, GOLD)], **seen)})

    plan = compiled.plan(client_only=client_only)

    assert (list(plan.fixed), plan.open_keys) == (["plain"], ("reads",))
    assert compiled.plan(client_only=client_only) is plan


def test_decide__attribute_that_raises__fails_the_flag_that_reads_it() -> None:
    class Hostile:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError

        __hash__ = None  # type: ignore[assignment]

    compiled = snapshot_of({"reads": document(rules=[rule(ON, GOLD)]), "other": document(rules=[rule(ON, GOLD)])})
    plan = compiled.plan(client_only=False)

    decided = compiled.decide(plan, {"plan": Hostile()}, NOW)

    assert [each.error_code for each in decided] == [ErrorCode.GENERAL] * 2
