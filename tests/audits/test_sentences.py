"""Events in plain words."""

import pytest

from audits.actions import Action
from audits.sentences import action_title, sentence


@pytest.mark.parametrize(
    ("action", "given", "expected"),
    [
        (
            "change_request.approved",
            {"target": "#12 Raise checkout", "target_type": "change_request", "environment_key": "production"},
            "Ben Okafor approved change request #12 Raise checkout in Production",
        ),
        (
            "flag_config.applied",
            {"target": "checkout-redesign", "target_type": "flag_config", "environment_key": "eu-west-1"},
            "Ben Okafor applied a change to the flag checkout-redesign in eu-west-1",
        ),
        ("flag.created", {"target": "flagship", "target_type": "flag"}, "Ben Okafor created the flag flagship"),
        (
            "change_request.expired",
            {"target": "Change request #3", "target_type": "change_request"},
            "Ben Okafor let Change request #3 expire",
        ),
        ("role.changed", {"target": "Rosa Lind", "target_type": "person"}, "Ben Okafor changed the roles of Rosa Lind"),
        ("role.changed", {"target": "", "target_type": "person"}, "Ben Okafor changed the roles of someone"),
        ("user.signed_in", {"target": "Ben Okafor", "target_type": "person"}, "Ben Okafor signed in"),
        ("guard.tripped", {"target": "x", "target_type": "guard"}, "Ben Okafor did guard.tripped to guard x"),
        ("segment.applied", {"target": "{place}", "target_type": "segment"}, None),
    ],
)
def test_sentence__event__is_said_in_plain_words(action, given, expected):
    expected = expected or "Ben Okafor applied a change to the segment {place}"

    assert sentence(action, actor="Ben Okafor", **given) == expected


def test_sentence__rule_of_the_system__has_a_name_people_understand():
    said = sentence(
        "change_request.applied", actor="rollouts.apply_due_changes", target="#4", target_type="change_request"
    )

    assert said == "The schedule applied change request #4"


@pytest.mark.parametrize("action", Action)
def test_sentence__every_action__has_words_of_its_own(action):
    said = sentence(action.value, actor="Ben", target="thing")

    assert action.value not in said
    assert said.startswith("Ben ")
    assert "{" not in said


def test_action_title__action__reads_as_words():
    assert action_title("change_request.apply_refused") == "Change request apply refused"
