"""How a service reports telemetry, in a few lines of standard library: count in memory, send every ten seconds, and
send again with the same id what nobody took.
"""

import json
import secrets
import time
import urllib.error
import urllib.request
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext

FLAG = "delivery-estimate"
SERVICE, VERSION = "shop", "3.8.1"
# Of a thousand customers so many cannot pay at the first try, and so many wait too long.
BAD_OF_1000: Mapping[str, int] = {"errors": 50, "slow-answers": 40}
PEOPLE_A_ROUND = 6
EVERY_SECONDS = 10.0
TIMEOUT_SECONDS = 2.0
MOST_WAITING = 60
# On this machine, whatever proxy the environment names.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Place:
    """What is counted together: customers who were served one variant in one minute."""

    variant: str
    reason: str
    minute: str


@dataclass(slots=True)
class Reporter:
    """Counts customers and reports them. Nobody's key leaves the process."""

    base_url: str
    token: str
    flag_key: str = FLAG
    counted: Counter[Place] = field(default_factory=Counter)
    bad: Counter[tuple[str, Place]] = field(default_factory=Counter)
    waiting: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))

    def count(self, variant: str, reason: str, bad_in: frozenset[str], *, now: datetime) -> None:
        """One customer more, with the metrics in which he fared badly."""
        place = Place(variant, reason, now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:00Z"))
        self.counted[place] += 1
        self.bad.update((metric, place) for metric in bad_in)

    def send(self) -> bool:
        """Send what was counted, and before it what is still waiting; whether all of it was taken."""
        if self.counted:
            self.waiting.append(self._batch())
            self.counted.clear()
            self.bad.clear()
        while self.waiting:
            if not self._is_taken(self.waiting[0]):
                return False
            self.waiting.popleft()
        return True

    def _batch(self) -> dict[str, Any]:
        return {
            "batch_id": f"sample-{secrets.token_hex(8)}",
            "service": SERVICE,
            "version": VERSION,
            "evaluations": [
                {**self._names(place), "reason": place.reason, "count": count} for place, count in self.counted.items()
            ],
            "metrics": [
                {**self._names(place), "metric": metric, **_amounts(count, self.bad[metric, place])}
                for place, count in self.counted.items()
                for metric in BAD_OF_1000
            ],
        }

    def _names(self, place: Place) -> dict[str, Any]:
        return {"flag": self.flag_key, "variant": place.variant, "minute": place.minute}

    def _is_taken(self, batch: dict[str, Any]) -> bool:
        """Whether the batch needs no more thought: it was taken, or it will never be."""
        request = urllib.request.Request(  # noqa: S310 - the address of the demo itself
            f"{self.base_url}/api/v1/telemetry",
            data=json.dumps(batch).encode(),
            headers={"X-API-Key": self.token, "Content-Type": "application/json"},
        )
        try:
            with _opener.open(request, timeout=TIMEOUT_SECONDS):
                return True
        except urllib.error.HTTPError as error:
            return error.code in {400, 413, 415}
        except OSError:
            return False


class Shoppers:
    """New customers every second, who get what the flag serves them and sometimes cannot pay."""

    def __init__(self, client: OpenFeatureClient, reporter: Reporter) -> None:
        self._client = client
        self._reporter = reporter
        self._sent_at = time.monotonic()
        self._was_taken = True

    def round(self) -> str:
        """Serve some customers and report where it is time; a line about it where there is news."""
        for _ in range(PEOPLE_A_ROUND):
            customer = EvaluationContext(targeting_key=f"shopper-{secrets.token_hex(6)}")
            details = self._client.get_boolean_details(FLAG, False, customer)
            if details.variant and not details.error_code:
                bad = frozenset(name for name, part in BAD_OF_1000.items() if secrets.randbelow(1000) < part)
                reason = str(details.reason or "UNKNOWN")
                self._reporter.count(details.variant, reason, bad, now=datetime.now(UTC))
        if time.monotonic() - self._sent_at < EVERY_SECONDS:
            return ""
        self._sent_at = time.monotonic()
        return self._report()

    def _report(self) -> str:
        served = sum(count for place, count in self._reporter.counted.items() if place.variant == "on")
        total = self._reporter.counted.total()
        before, self._was_taken = self._was_taken, self._reporter.send()
        if not self._was_taken:
            return "telemetry: nobody takes it; it waits and is sent again" if before else ""
        return (
            "" if before and total else f"telemetry: reports again, {FLAG} is on for {served} of {total} new customers"
        )


def _amounts(count: int, bad: int) -> dict[str, int]:
    return {"count": count, "bad": bad, "units": count, "bad_units": bad}
