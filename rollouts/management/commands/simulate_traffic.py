"""`manage.py simulate_traffic`: people who do not exist, served by the evaluation API and reported by API calls."""

import json
import secrets
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audits.management.exits import REFUSED, UNUSABLE
from flags.telemetry.labels import TEST_TRAFFIC
from rollouts.guarding.scenarios import ALL, SCENARIOS, Scenario, bad_part, chosen

TIMEOUT_SECONDS = 5.0
LONGEST_MINUTES = 600
# The address is given by whoever runs the command; no proxy of the environment stands in between.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

Answer = dict[str, Any]


class Command(BaseCommand):
    help = (
        "Evaluates a flag for people who do not exist, by OFREP, and reports how they fared, every ten seconds. The "
        "tokens say for which environment. Production takes no such reports, but in the demo: guards would take them "
        "for real."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--flag", required=True, metavar="KEY", help="the flag that is rolled out")
        parser.add_argument("--metric", action="append", metavar="NAME", help="what to report; default: errors")
        parser.add_argument("--treatment", default="on", metavar="VARIANT", help="the new variant; default: on")
        parser.add_argument("--scenario", default="healthy", choices=[*SCENARIOS, ALL], help="what happens")
        parser.add_argument("--minutes", type=float, default=10.0, help="how long; default: 10")
        parser.add_argument("--speed", type=int, default=6, help="people a second; default: 6")
        parser.add_argument("--url", default="", help="where Flagsite answers; default: as the file of tokens says")
        parser.add_argument(
            "--tokens", type=Path, help="JSON with tokens.evaluate and tokens.telemetry; default: the demo's"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        facts = _facts(options["tokens"] or settings.ENV.VAR_DIR / "demo.json")
        scenario = chosen(options["scenario"])
        if scenario is None or not 0 < options["minutes"] <= LONGEST_MINUTES or not 0 < options["speed"] <= 1_000:
            raise CommandError("Give 1 to 600 minutes and 1 to 1000 people a second.", returncode=UNUSABLE)
        traffic = Traffic(
            (options["url"] or facts["base_url"]).rstrip("/"), facts["tokens"], options["flag"], options["treatment"]
        )
        self.stdout.write(f"{scenario.label}: {scenario.sentence}")
        began_at, seconds = time.monotonic(), options["minutes"] * 60
        while (elapsed := (time.monotonic() - began_at) / seconds) < 1:
            until = time.monotonic() + min(10.0, seconds * (1 - elapsed))
            people = max(1, round(options["speed"] * (until - time.monotonic())))
            self.stdout.write(traffic.send(people, scenario, elapsed, options["metric"] or ["errors"]))
            time.sleep(max(0.0, until - time.monotonic()))


class Traffic:
    """One sender with its address and its tokens. What it counted it sends once."""

    def __init__(self, url: str, tokens: dict[str, str], flag_key: str, treatment: str) -> None:
        self._url, self._tokens = url, tokens
        self._flag_key, self._treatment = flag_key, treatment

    def send(self, people: int, scenario: Scenario, elapsed: float, metrics: list[str]) -> str:
        """Serve some people and report them; a line about it. Raises CommandError where Flagsite refuses."""
        served: Counter[tuple[str, str]] = Counter()
        for _ in range(people):
            answer = self._post(
                f"/ofrep/v1/evaluate/flags/{self._flag_key}",
                {"context": {"targetingKey": f"test-{secrets.token_hex(8)}"}},
                "evaluate",
            )
            served[str(answer.get("variant") or ""), str(answer.get("reason", "UNKNOWN"))] += 1
        rows: list[Answer] = [
            {"flag": self._flag_key, "variant": variant, "reason": reason, "minute": _minute(), "count": count}
            for (variant, reason), count in sorted(served.items())
        ]
        words = ", ".join(f"{row['count']} got “{row['variant']}”" for row in rows)
        reported = []
        for row in rows:
            bad = self._bad(row["variant"], row["count"], scenario, elapsed)
            if row["variant"] and bad is not None:
                reported.append((row, bad))
        if not reported:
            return f"{words}; nothing is reported."
        done = self._post("/api/v1/telemetry", _batch(rows, reported, metrics), "telemetry")
        told = ", ".join(f"{bad} of “{row['variant']}”" for row, bad in reported)
        return f"{words}; bad: {told}; {done['accepted']} rows counted, {done['rejected']} refused."

    def _bad(self, variant: str, count: int, scenario: Scenario, elapsed: float) -> int | None:
        part = bad_part(scenario, is_treatment=variant == self._treatment, elapsed=elapsed)
        return None if part is None else sum(secrets.randbelow(10_000) < part * 10_000 for _ in range(count))

    def _post(self, path: str, document: Answer, scope: str) -> Answer:
        request = urllib.request.Request(  # noqa: S310 - given by whoever runs the command
            self._url + path,
            data=json.dumps(document).encode(),
            headers={"X-API-Key": self._tokens[scope], "Content-Type": "application/json"},
        )
        try:
            with _opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                answer: Answer = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            said = error.read(500).decode(errors="replace")
            message = f"{self._url}{path} answered {error.code}: {said}"
            raise CommandError(message, returncode=REFUSED) from None
        except (OSError, ValueError) as error:
            message = f"{self._url} does not answer ({type(error).__name__}). Start Flagsite first."
            raise CommandError(message, returncode=UNUSABLE) from None


def _batch(rows: list[Answer], reported: list[tuple[Answer, int]], metrics: list[str]) -> Answer:
    counted = [
        {
            **{name: row[name] for name in ("flag", "variant", "minute", "count")},
            "metric": metric,
            "bad": bad,
            "units": row["count"],
            "bad_units": bad,
        }
        for row, bad in reported
        for metric in metrics
    ]
    return {
        "batch_id": f"simulated-{secrets.token_hex(8)}",
        "service": TEST_TRAFFIC,
        "evaluations": rows,
        "metrics": counted,
    }


def _minute() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:00Z")


def _facts(path: Path) -> Answer:
    try:
        facts: Answer = json.loads(path.read_text())
        return {
            "base_url": str(facts["base_url"]),
            "tokens": {n: facts["tokens"][n] for n in ("evaluate", "telemetry")},
        }
    except (OSError, ValueError, KeyError, TypeError):
        message = (
            f"{path.name} is no file with “base_url” and “tokens” (“evaluate”, “telemetry”). Start the demo first."
        )
        raise CommandError(message, returncode=UNUSABLE) from None
