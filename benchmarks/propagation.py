"""How long after its commit a change reaches the next evaluation of another process.

`python -m benchmarks.propagation [changes]` starts a demo of its own (SQLite, no Redis, one web process) in a temporary
folder, applies that many changes through the services and polls the OFREP address as a service would. Prints the
distribution in milliseconds.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

PORT = 8765
FLAG = "loyalty-points"


def main(changes: int) -> None:
    """Run and print."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "DEMO": "1", "VAR_DIR": folder}
        os.environ.update(environment)
        command = [sys.executable, "manage.py", "demo", "--port", str(PORT)]
        demo = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            token = _wait_until_ready(Path(folder))
            delays = _measure(token, changes)
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(timeout=30)
    delays.sort()
    at = [delays[min(len(delays) - 1, int(len(delays) * share))] for share in (0.5, 0.9, 0.99)]
    print(f"{changes} changes, embedded (SQLite, 1 web process, poll interval 0.5 s), CPython {sys.version.split()[0]}")
    print(f"commit to next evaluation, ms: median {at[0]:.0f}, p90 {at[1]:.0f}, p99 {at[2]:.0f}, max {delays[-1]:.0f}")
    print(f"mean {statistics.mean(delays):.0f}")


def _wait_until_ready(folder: Path) -> str:
    for _ in range(600):
        time.sleep(0.2)
        try:
            token = str(json.loads((folder / "demo.json").read_text())["tokens"]["evaluate"])
            _evaluate(token)
        except (OSError, ValueError, KeyError):
            continue
        return token
    raise SystemExit("The demo did not start.")


def _evaluate(token: str) -> int:
    """The environment's revision that answered."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/ofrep/v1/evaluate/flags/{FLAG}",
        data=b'{"context": {"targetingKey": "x"}}',
        headers={"X-API-Key": token, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=5) as response:
        return int(json.load(response)["metadata"]["revision"])


def _measure(token: str, changes: int) -> list[float]:
    os.environ["DJANGO_SETTINGS_MODULE"] = "flagsite.settings"
    import django

    django.setup()
    from flags.models import Environment

    production = Environment.objects.get(project__key="storefront", key="production")
    delays = []
    for number in range(changes):
        time.sleep((number * 0.37) % 1)
        revision = _apply(production, share=number % 99 + 1)
        committed = time.perf_counter()
        while _evaluate(token) < revision:
            time.sleep(0.002)
        delays.append((time.perf_counter() - committed) * 1000)
    return delays


def _apply(production: Any, *, share: int) -> int:
    """One change through request, approval and apply, as people make it; answers the revision."""
    from django.utils import timezone

    from audits.context import Actor
    from flags.changes import ChangeSet, ConfigEdit
    from flags.models import Environment, FlagConfig
    from flagsite.demo.catalogue import share as serve_share
    from flagsite.models import User
    from rollouts.services.change_requests import (
        approve_change_request,
        create_change_request,
        submit_change_request,
    )

    mira, ben = (Actor.person(User.objects.get(username=name), via="command") for name in ("mira", "ben"))
    config = FlagConfig.objects.get(environment=production, flag__key=FLAG)
    edit = ConfigEdit(FLAG, config.version, {**config.document, **serve_share(share)})
    request = create_change_request(
        production.pk,
        actor=mira,
        title=f"To {share} %",
        reason="Measurement",
        change_set=ChangeSet(str(production.pk), (edit,)),
        apply_at=None,
        now=timezone.now(),
    )
    submit_change_request(request.pk, actor=mira, now=timezone.now())
    approve_change_request(request.pk, actor=ben, digest=request.digest, comment="", now=timezone.now())
    return Environment.objects.get(pk=production.pk).revision


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
