"""A service as a customer would write it: the published OpenFeature SDK and its OFREP provider, nothing of Flagsite.

    python -m flagsite.demo.sample_service var/demo.json

It asks for three flags of the shop's production environment for twenty customers every second, prints a line whenever
what it serves changes, and a sign of life now and then. For some customers more, new ones every second, it asks for the
flag that is being rolled out and reports every ten seconds how they fared.
"""

import json
import logging
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

from flagsite.demo.sample_reports import Reporter, Shoppers

ROUND_SECONDS = 1.0
SIGN_OF_LIFE_SECONDS = 15.0
TIMEOUT_SECONDS = 2.0

# One customer in every twentieth of checkout-redesign's buckets, so that a share of 25 % means 5 of these 20.
# fmt: off
NUMBERS = (
    1009, 1026, 1001, 1005, 1012, 1017, 1003, 1013, 1023, 1044,
    1014, 1008, 1010, 1006, 1007, 1025, 1031, 1038, 1027, 1002,
)
# fmt: on
COUNTRIES = ("DE", "FR", "NL", "SE", "PL")


@dataclass(slots=True)
class Watched:
    """One flag the service asks for, and what it served last."""

    key: str
    code_default: Any
    ask: Callable[[OpenFeatureClient], Callable[..., Any]]
    served: Counter[str] = field(default_factory=Counter)
    trouble: str = ""

    def round(self, client: OpenFeatureClient, customers: list[EvaluationContext]) -> list[float]:
        """Evaluate for every customer; return how long each answer took, in seconds."""
        served: Counter[str] = Counter()
        trouble, took = "", []
        for customer in customers:
            started = time.perf_counter()
            details = self.ask(client)(self.key, self.code_default, customer)
            took.append(time.perf_counter() - started)
            served[_word(details.value)] += 1
            if details.error_code:
                trouble = f"{details.error_code}: {details.error_message}"
        if (served, bool(trouble)) != (self.served, bool(self.trouble)):
            _say(f"{self.key}: {self._news(served, trouble)}")
        self.served, self.trouble = served, trouble
        return took

    def _news(self, served: Counter[str], trouble: str) -> str:
        total = served.total()
        if trouble:
            return f"no answer ({trouble[:120]}), so {_word(self.code_default)}, the code default, for all customers"
        if set(served) | set(self.served) <= {"on", "off"}:
            before = f" (was {self.served['on']})" if self.served else ""
            return f"on for {served['on']} of {total} customers{before}"
        before = f" (was {_counts(self.served)})" if self.served else ""
        return f"{_counts(served)} of {total} customers{before}"


def watched_flags() -> list[Watched]:
    """The flags the service knows, with the defaults in its code."""
    return [
        Watched("checkout-redesign", False, lambda client: client.get_boolean_details),
        Watched("search-ranking", "classic", lambda client: client.get_string_details),
        Watched("free-shipping-from", 50, lambda client: client.get_integer_details),
    ]


def customers() -> list[EvaluationContext]:
    """Twenty customers, always the same."""
    return [
        EvaluationContext(
            targeting_key=f"customer-{number}",
            attributes={
                "country": COUNTRIES[index % len(COUNTRIES)],
                "plan": "gold" if index % 4 == 0 else "basic",
                "ordersLastYear": index,
            },
        )
        for index, number in enumerate(NUMBERS)
    ]


def main(arguments: list[str]) -> int:
    """Run until stopped. The argument is the file with `base_url` and `tokens`."""
    facts = json.loads(Path(arguments[0]).read_text())
    # The SDK reports every failed evaluation with a traceback; the service says it in one line of its own.
    logging.getLogger("openfeature").setLevel(logging.CRITICAL)
    provider = OFREPProvider(
        facts["base_url"],
        headers_factory=lambda: {"X-API-Key": facts["tokens"]["evaluate"]},
        timeout=TIMEOUT_SECONDS,
    )
    # Its address is on this machine, whatever proxy the environment names.
    provider.session.trust_env = False
    api.set_provider(provider)
    client = api.get_client("sample-service")
    shoppers = Shoppers(client, Reporter(facts["base_url"], facts["tokens"]["telemetry"]))
    _serve(client, watched_flags(), shoppers)
    return 0


def _serve(client: OpenFeatureClient, flags: list[Watched], shoppers: Shoppers) -> None:
    people = customers()
    took: list[float] = []
    said_at = started_at = time.monotonic()
    while True:
        for flag in flags:
            took += flag.round(client, people)
        if news := shoppers.round():
            _say(news)
        if time.monotonic() - said_at >= SIGN_OF_LIFE_SECONDS:
            _say(f"still here: {len(took)} answers since the last sign of life, half of them within {_median(took)}")
            took, said_at = [], time.monotonic()
        # A slow round is followed at once by the next, without trying to make up for lost ones.
        started_at = max(started_at + ROUND_SECONDS, time.monotonic())
        time.sleep(max(0.0, started_at - time.monotonic()))


def _word(value: Any) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _counts(served: Counter[str]) -> str:
    return ", ".join(f"{word} for {count}" for word, count in sorted(served.items()))


def _median(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.1f} ms" if seconds else "-"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
