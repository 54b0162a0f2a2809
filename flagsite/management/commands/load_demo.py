"""`manage.py load_demo`: fill an empty database with the demo and write `var/demo.json` for scripts."""

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from audits.context import Actor, correlation
from flags.models import Environment, EnvironmentToken, Project
from flags.models.tokens import TokenScope
from flags.services.tokens import issue_token
from flags.snapshots import hash_secret
from flagsite.demo.cast import CAST
from flagsite.demo.story import Story
from flagsite.models import User


class Command(BaseCommand):
    """Loads the demo once; later runs keep the data and refresh `var/demo.json`."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """`--base-url`, `--stream-url`: the addresses written to `var/demo.json`."""
        parser.add_argument("--base-url", default="http://127.0.0.1:8000")
        parser.add_argument("--stream-url", default="http://127.0.0.1:8001")

    def handle(self, *args: Any, base_url: str, stream_url: str, **options: Any) -> None:
        """Load and write; refuses outside demo mode, since the accounts have public passwords."""
        if not settings.DEMO:
            raise CommandError("The demo has accounts with public passwords. It loads only in demo mode: set DEMO=1.")
        now = timezone.now()
        if not Project.objects.exists():
            if User.objects.exists():
                raise CommandError("The database has people but no projects: it is not a demo. Use an empty database.")
            Story(now).tell()
        target = settings.ENV.VAR_DIR / "demo.json"
        known = _read(target).get("tokens", {})
        production = Environment.objects.get(project__key="storefront", key="production")
        with correlation():
            tokens = {scope: _token(production, scope, known.get(scope, ""), now) for scope in TokenScope.values}
        facts = {
            "base_url": base_url,
            "stream_url": stream_url,
            "tokens": tokens,
            "accounts": [{"name": member.username, "password": member.password, "role": member.job} for member in CAST],
        }
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(facts, indent=2) + "\n")
        target.chmod(0o600)
        self.stdout.write(f"Demo data ready; {target.name} written.")


def _read(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _token(environment: Environment, scope: str, known: str, now: Any) -> str:
    """The secret of an earlier run while it still works, else a fresh one."""
    if known and EnvironmentToken.objects.filter(secret_hash=hash_secret(known), revoked_at=None).exists():
        return known
    ada = Actor.person(User.objects.get(username="ada"), via="command")
    issued = issue_token(
        environment.pk, actor=ada, name=f"Sample service ({scope})", scope=scope, expires_at=None, now=now
    )
    return issued.secret
