"""What the sample service says about what it serves."""

from types import SimpleNamespace
from typing import Any

import pytest
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext

from flags.evaluation.bucketing import Generation, bucket
from flagsite.demo.sample_service import Watched, customers

PEOPLE = [EvaluationContext(targeting_key=str(number)) for number in range(20)]


class Answers:
    """Answers with `value` for the first `count` customers and with `other` for the rest."""

    def __init__(self) -> None:
        self.count, self.value, self.other, self.error = 0, True, False, ""

    def ask(self, key: str, default: Any, customer: EvaluationContext) -> Any:
        if self.error:
            return SimpleNamespace(value=default, error_code="GENERAL", error_message=self.error)
        value = self.value if int(customer.targeting_key or 0) < self.count else self.other
        return SimpleNamespace(value=value, error_code=None, error_message=None)


@pytest.fixture
def answers() -> Answers:
    return Answers()


def _watched(answers: Answers, default: Any = False) -> Watched:
    return Watched("checkout-redesign", default, lambda client: answers.ask)


def _said(watched: Watched, capsys: pytest.CaptureFixture[str]) -> str:
    client: OpenFeatureClient = SimpleNamespace()  # type: ignore[assignment]
    watched.round(client, PEOPLE)
    return capsys.readouterr().out.strip()


def test_round__share_grows__is_said_with_what_it_was(answers: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    watched = _watched(answers)

    said = []
    for answers.count in (1, 1, 5, 20, 0):
        said.append(_said(watched, capsys))

    assert said == [
        "checkout-redesign: on for 1 of 20 customers",
        "",
        "checkout-redesign: on for 5 of 20 customers (was 1)",
        "checkout-redesign: on for 20 of 20 customers (was 5)",
        "checkout-redesign: on for 0 of 20 customers (was 20)",
    ]


def test_round__values_that_are_no_switch__are_counted(answers: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    watched = _watched(answers, "classic")
    answers.count, answers.value, answers.other = 2, "semantic", "classic"  # type: ignore[assignment]

    assert _said(watched, capsys) == "checkout-redesign: classic for 18, semantic for 2 of 20 customers"


def test_round__no_answer__says_so_once_and_serves_the_code_default(
    answers: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    watched = _watched(answers)
    answers.error = "unauthorized"

    first, second = _said(watched, capsys), _said(watched, capsys)
    answers.error = ""
    third = _said(watched, capsys)

    assert first == "checkout-redesign: no answer (GENERAL: unauthorized), so off, the code default, for all customers"
    assert second == ""
    assert third == "checkout-redesign: on for 0 of 20 customers (was 0)"


@pytest.mark.parametrize(("percent", "expected"), [(5, 1), (25, 5), (50, 10), (100, 20)])
def test_customers__a_share_of_checkout_redesign__is_that_share_of_them(percent: int, expected: int) -> None:
    buckets = [
        bucket(str(customer.targeting_key), salt="checkout-redesign/", total=100_000, generation=Generation.FLAGD_V2)
        for customer in customers()
    ]

    assert sum(value < percent * 1000 for value in buckets) == expected
