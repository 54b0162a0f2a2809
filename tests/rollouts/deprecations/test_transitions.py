"""Every pair of state and act of a timeline against a table written a second time, as people would draw it."""

import itertools

import pytest

from rollouts.deprecations.transitions import (
    ENDED_STATES,
    LIVE_STATES,
    TRANSITIONS,
    InvalidTimelineTransition,
    TimelineAct,
    TimelineState,
    is_possible,
    next_timeline_state,
)

# One line per act; "." means impossible.
DRAWN = """
act          draft     proposed  running  paused   undone   done  ended
edit         draft     .         .        .        .        .     .
propose      proposed  .         .        .        .        .     .
recall       .         draft     .        .        .        .     .
start        running   running   .        .        .        .     .
reach        .         .         running  .        .        .     .
miss         .         .         running  .        .        .     .
end_brownout .         .         running  paused   .        .     .
hold         .         .         running  .        .        .     .
clear        .         .         running  .        .        .     .
postpone     .         .         running  paused   undone   .     .
pause        .         .         paused   .        .        .     .
resume       .         .         .        running  running  .     .
approve      .         .         running  paused   .        .     .
undo         .         .         undone   undone   undone   .     .
end          ended     ended     ended    ended    ended    .     .
complete     .         .         done     .        .        .     .
"""


def _drawn() -> dict[tuple[str, str], str]:
    header, *lines = DRAWN.strip().splitlines()
    states = header.split()[1:]
    return {
        (state, line.split()[0]): target
        for line in lines
        for state, target in zip(states, line.split()[1:], strict=True)
    }


@pytest.mark.parametrize(("state", "act"), list(itertools.product(TimelineState, TimelineAct)))
def test_next_timeline_state__every_pair__matches_the_drawing(state: TimelineState, act: TimelineAct) -> None:
    target = _drawn()[state.value, act.value]

    if target == ".":
        assert not is_possible(state, act)
        with pytest.raises(InvalidTimelineTransition) as refused:
            next_timeline_state(state, act)
        assert refused.value.status == 409
        assert str(refused.value).startswith("This timeline cannot be ")
    else:
        assert is_possible(state, act)
        assert next_timeline_state(state, act).value == target


def test_states__live_and_ended__are_all_but_those_before_the_start() -> None:
    before = {TimelineState.DRAFT, TimelineState.PROPOSED}

    assert set(TimelineState) - before == LIVE_STATES | ENDED_STATES
    assert not LIVE_STATES & ENDED_STATES
    assert not any(state in ENDED_STATES for state, _ in TRANSITIONS)
