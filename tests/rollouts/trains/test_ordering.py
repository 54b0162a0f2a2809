"""The order of a train, who may move in it, and its table of transitions; no database."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.plans.trains import (
    TRANSITIONS,
    WAITS,
    CircularTrain,
    InvalidTrainTransition,
    Place,
    TrainAct,
    TrainState,
    Wagon,
    all_needs,
    back_order,
    in_order,
    misplaced,
    next_train_state,
    twice,
    wait_of,
)
from rollouts.plans.transitions import PlanState


def wagon(key: str, *needs: str, flags: str = "", environment: str = "production") -> Wagon:
    return Wagon(key, f"Plan {key}", environment, frozenset(flags or key), frozenset(needs))


def place(position: int, state: PlanState = PlanState.RUNNING, stage: int = 1, **fields: Any) -> Place:
    return replace(Place(position, f"Plan {position}", state, stage), **fields)


@pytest.mark.parametrize(
    ("wagons", "expected"),
    [
        ([wagon("a"), wagon("b"), wagon("c")], "abc"),
        ([wagon("a", "b"), wagon("b")], "ba"),
        ([wagon("c", "a", "b"), wagon("b", "a"), wagon("a")], "abc"),
        ([wagon("a", "b"), wagon("c"), wagon("b")], "cba"),
        ([wagon("a", "b"), wagon("b", environment="staging")], "ab"),
        ([wagon("x", "a", flags="xa")], "x"),
    ],
    ids=["as given", "two", "chain", "others stay", "other environment", "own flags"],
)
def test_order__puts_what_is_needed_first_and_leaves_the_rest(wagons: list[Wagon], expected: str) -> None:
    assert "".join(one.key for one in in_order(wagons)) == expected


@pytest.mark.parametrize(
    "wagons",
    [[wagon("a", "b"), wagon("b", "a")], [wagon("z"), wagon("a", "b"), wagon("b", "c"), wagon("c", "a")]],
)
def test_order__of_a_circle__is_refused_with_the_plans_in_it(wagons: list[Wagon]) -> None:
    with pytest.raises(CircularTrain) as refused:
        in_order(wagons)

    assert "Plan a, Plan b" in refused.value.message
    assert "Plan z" not in refused.value.message


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12), st.permutations(range(6)))
def test_order__of_anything_without_a_circle__has_nothing_misplaced(
    edges: list[tuple[int, int]], order: list[int]
) -> None:
    needs = {key: frozenset(str(low) for high, low in edges if high == key and low < high) for key in range(6)}
    wagons = [wagon(str(key), *needs[key]) for key in order]

    ordered = in_order(wagons)

    assert not misplaced(ordered)
    assert sorted(one.key for one in ordered) == [str(key) for key in range(6)]
    assert in_order(ordered) == ordered
    if not misplaced(wagons):
        assert ordered == tuple(wagons)


def test_needs__reach_through_flags_that_are_in_no_plan() -> None:
    parents = {"a": ["between"], "between": ["b"], "b": ["a"]}

    assert all_needs(["a"], parents) == {"between", "b", "a"}


def test_twice__finds_plans_that_change_the_same_flag_in_the_same_place() -> None:
    same = [wagon("1", flags="xy"), wagon("2", flags="y"), wagon("3", flags="y", environment="staging")]

    assert [(one.key, other.key, flag) for one, other, flag in twice(same)] == [("1", "2", "y")]


_S = PlanState


@pytest.mark.parametrize(
    ("train", "places", "position", "waits_for"),
    [
        (TrainState.DRAFT, [place(1, _S.DRAFT, 0)], 1, 0),
        (TrainState.PAUSED, [place(1)], 1, 0),
        (TrainState.ROLLED_BACK, [place(1)], 1, 0),
        (TrainState.ABORTED, [place(1, _S.ROLLED_BACK), place(2, _S.DRAFT, 0)], 2, None),
        (TrainState.COMPLETED, [place(1, _S.ROLLED_BACK), place(2)], 2, None),
        (TrainState.RUNNING, [place(1, _S.DRAFT, 0), place(2, _S.DRAFT, 0)], 1, None),
        (TrainState.RUNNING, [place(1, _S.DRAFT, 0), place(2, _S.DRAFT, 0)], 2, 1),
        (TrainState.RUNNING, [place(1, stage=2), place(2, _S.PROPOSED, 0)], 2, 1),
        (TrainState.RUNNING, [place(1, stage=2, opens_at=3), place(2, _S.PROPOSED, 0)], 2, 1),
        (TrainState.RUNNING, [place(1, stage=2, opens_at=2), place(2, _S.PROPOSED, 0)], 2, None),
        (TrainState.RUNNING, [place(1, _S.COMPLETED, 3), place(2, _S.PROPOSED, 0)], 2, None),
        (TrainState.RUNNING, [place(1, _S.ABORTED, 3), place(2, _S.PROPOSED, 0)], 2, 1),
        (TrainState.RUNNING, [place(1, opens_at=1), place(2)], 1, None),
        (TrainState.RUNNING, [place(1, opens_at=1), place(2, _S.PAUSED)], 1, 2),
        (TrainState.RUNNING, [place(1, opens_at=1), place(2, _S.ROLLED_BACK)], 1, 2),
        (TrainState.RUNNING, [place(1, opens_at=1), place(2, blocked_code="incident_open")], 1, 2),
        (TrainState.RUNNING, [place(1, opens_at=1), place(2, troubles=("Errors: no data",))], 1, 2),
        (TrainState.RUNNING, [place(1, opens_at=1, blocked_code="incident_open"), place(2)], 1, None),
        (TrainState.RUNNING, [place(1, opens_at=1), place(2, blocked_code=WAITS)], 1, None),
    ],
)
def test_wait__is_for_the_train_for_trouble_elsewhere_and_for_the_turn(
    train: TrainState, places: list[Place], position: int, waits_for: int | None
) -> None:
    found = wait_of("Autumn", train, places, position)

    assert (found.position if found else None) == waits_for
    assert found is None or "“Autumn”" in found.sentence


@given(st.lists(st.sampled_from(["", WAITS, "frozen", "incident_open"]), min_size=1, max_size=5))
def test_wait__never_leaves_plans_waiting_for_each_other_alone(codes: list[str]) -> None:
    """Plans that only the train holds never hold each other, so once nothing else is in the way one of them moves."""
    places = [place(number, blocked_code=code, opens_at=1) for number, code in enumerate(codes, start=1)]
    held_from_outside = [one for one in places if one.blocked_code not in ("", WAITS)]

    free = [one for one in places if wait_of("Autumn", TrainState.RUNNING, places, one.position) is None]

    assert bool(free) == (len(held_from_outside) <= 1)


def test_back_order__is_from_the_last_to_the_first_of_those_that_serve_something() -> None:
    places = [
        place(1, _S.COMPLETED, 3),
        place(2, _S.RUNNING, 0),
        place(3, _S.ROLLED_BACK, 1),
        place(4, _S.PAUSED, 2),
        place(5, _S.ABORTED, 2),
        place(6, _S.PROPOSED, 0),
    ]

    assert [one.position for one in back_order(places)] == [4, 3, 1]
    assert [one.position for one in back_order(places[::-1])] == [4, 3, 1]


@pytest.mark.parametrize("state", TrainState)
@pytest.mark.parametrize("act", TrainAct)
def test_transitions__every_pair_is_in_the_table_or_refused_with_a_sentence(state: TrainState, act: TrainAct) -> None:
    if (state, act) in TRANSITIONS:
        assert next_train_state(state, act) is TRANSITIONS[state, act]
        return
    with pytest.raises(InvalidTrainTransition) as refused:
        next_train_state(state, act)
    assert refused.value.message.startswith("This train cannot be ")
