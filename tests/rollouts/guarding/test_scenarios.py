"""What test traffic tells, and when."""

import pytest

from rollouts.guarding.scenarios import ALL, SCENARIOS, USUAL, WORSE, bad_part, chosen


@pytest.mark.parametrize(
    ("key", "elapsed", "part"),
    [
        ("healthy", 0.0, USUAL),
        ("breach", 0.99, WORSE),
        ("gap", 0.2, USUAL),
        ("gap", 0.5, None),
        ("gap", 0.9, USUAL),
        ("recovery", 0.49, WORSE),
        ("recovery", 0.51, USUAL),
        ("breach", 1.0, WORSE),
        ("breach", -1.0, WORSE),
        (ALL, 0.0, USUAL),
        (ALL, 0.99, WORSE),
    ],
)
def test_part__of_the_new_variant__follows_the_story(key: str, elapsed: float, part: float | None):
    scenario = chosen(key)

    assert scenario is not None
    assert bad_part(scenario, is_treatment=True, elapsed=elapsed) == part


@pytest.mark.parametrize("key", SCENARIOS)
def test_part__of_the_control__is_the_usual_one_or_silence(key: str):
    parts = {bad_part(SCENARIOS[key], is_treatment=False, elapsed=step / 10) for step in range(10)}

    assert parts <= {USUAL, None}


def test_chosen__unknown__is_none():
    assert chosen("nonsense") is None
