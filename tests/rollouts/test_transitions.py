"""Every (state, act) pair against a table written a second time, as people would draw it."""

import itertools

import pytest

from rollouts.transitions import (
    TRANSITIONS,
    Act,
    InvalidTransition,
    RequestState,
    is_possible,
    next_state,
    possible_acts,
)

# One line per act; "." means impossible.
DRAWN = """
act          draft      in_review  approved   applied  rejected  withdrawn  expired  rolled_back
request_changes .       in_review  in_review  .        .         .          .        .
lift_changes .          in_review  .          .        .         .          .        .
abstain      .          in_review  .          .        .         .          .        .
resolve      draft      in_review  approved   applied  rejected  withdrawn  expired  rolled_back
reopen       draft      in_review  approved   applied  rejected  withdrawn  expired  rolled_back
end_together withdrawn  withdrawn  withdrawn  .        .         .          .        .
edit         draft      in_review  in_review  .        .         .          .        .
schedule     draft      in_review  in_review  .        .         .          .        .
submit       in_review  .          .          .        .         .          .        .
approve      .          in_review  approved   .        .         .          .        .
pass_review  .          approved   .          .        .         .          .        .
reject       .          rejected   rejected   .        .         .          .        .
withdraw     withdrawn  withdrawn  withdrawn  .        .         .          .        .
expire       .          expired    expired    .        .         .          .        .
apply        .          .          applied    .        .         .          .        .
apply_at_once applied    applied    applied    .        .         .          .        .
roll_back    .          .          .          rolled_back .     .          .        .
refuse_apply .          .          approved   .        .         .          .        .
comment      draft      in_review  approved   applied  rejected  withdrawn  expired  rolled_back
"""


def _drawn() -> dict[tuple[str, str], str]:
    header, *lines = DRAWN.strip().splitlines()
    states = header.split()[1:]
    return {
        (state, line.split()[0]): target
        for line in lines
        for state, target in zip(states, line.split()[1:], strict=True)
    }


@pytest.mark.parametrize(("state", "act"), list(itertools.product(RequestState, Act)))
def test_next_state__every_pair__matches_the_drawing(state: RequestState, act: Act) -> None:
    target = _drawn()[state.value, act.value]

    if target == ".":
        assert not is_possible(state, act)
        with pytest.raises(InvalidTransition) as refused:
            next_state(state, act)
        assert refused.value.status == 409
        assert refused.value.facts == {"state": state.value, "act": act.value}
        assert refused.value.message.startswith("This request cannot be ")
        assert refused.value.message.endswith(".")
    else:
        assert next_state(state, act).value == target
        assert act in possible_acts(state)


@pytest.mark.parametrize(
    "state", [RequestState.REJECTED, RequestState.WITHDRAWN, RequestState.EXPIRED, RequestState.ROLLED_BACK]
)
def test_possible_acts__request_has_ended__only_talk_is_left(state: RequestState) -> None:
    assert possible_acts(state) == {Act.COMMENT, Act.RESOLVE, Act.REOPEN}


def test_transitions__way_to_applied__leads_through_approved_unless_it_only_narrows() -> None:
    ways = {
        (origin, act)
        for (origin, act), target in TRANSITIONS.items()
        if target is RequestState.APPLIED and origin is not target
    }

    others = {origin for origin, act in ways if act is not Act.APPLY_AT_ONCE}
    assert others == {RequestState.APPROVED}
