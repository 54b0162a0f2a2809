"""A process beside the web process that changes things through the services, one command a line.

`python -m tests.faults.hand` reads JSON commands from its input and answers each with a line of JSON. It is what a
worker or another web process is to the one under test.
"""

import json
import sys
import time
import uuid
from datetime import timedelta
from typing import Any

import django
from django.db import close_old_connections, transaction
from django.utils import timezone


def main() -> None:
    """Answer until the input ends."""
    django.setup()
    hand = _Hand()
    for line in sys.stdin:
        close_old_connections()
        name, arguments = json.loads(line)
        try:
            answer = {"result": getattr(hand, name)(*arguments)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


class _Hand:
    """The commands."""

    def __init__(self) -> None:
        self._world: Any = None

    def seed(self) -> dict[str, str]:
        """Tables, and a shop with a flag of every kind in production; answers the token and the environment's id."""
        from django.core.management import call_command

        from tests.factories import make_world
        from tests.flags.api.plane import make_plane

        call_command("migrate", verbosity=0)
        plane = make_plane(make_world("shop"))
        self._world = plane.world
        return {"token": plane.secret, "environment": str(plane.environment.pk)}

    def change(self, number: int) -> dict[str, float]:
        """Change the flag `moving` in production: the revision, the instant after COMMIT, and how long it all took."""
        from flags.models import Environment
        from tests.flags.api.plane import document

        world = self._world
        flag = world.flags.get("moving") or world.flag("moving")
        began = time.monotonic()
        committed_at: list[float] = []
        with transaction.atomic():
            # The first of the hooks: what publishes comes after it.
            transaction.on_commit(lambda: committed_at.append(time.monotonic()))
            world.serve(flag, world.production, document("moving", salt=f"salt-{number}"))
        seconds = time.monotonic() - began
        revision = Environment.objects.get(pk=world.production.pk).revision
        return {"revision": revision, "committed_at": committed_at[0], "seconds": seconds}

    def issue(self) -> dict[str, str]:
        """A further token for production: its id and its secret."""
        from flags.services.tokens import issue_token
        from tests.factories import NOW, actor_of

        place, ada = self._world.production.pk, actor_of(self._world.ada)
        issued = issue_token(place, actor=ada, name="Another", scope="evaluate", expires_at=None, now=NOW)
        return {"id": str(issued.token.pk), "secret": issued.secret}

    def revoke(self, token_id: str) -> None:
        """Revoke a token."""
        from flags.services.tokens import revoke_token
        from tests.factories import NOW, actor_of

        revoke_token(uuid.UUID(token_id), actor=actor_of(self._world.ada), now=NOW, reason="Lost")

    def roll_out(self) -> str:
        """Start a plan of many stages of a minute each in staging; its id."""
        from flags.documents import initial_document
        from tests.rollouts.plans.support import PlanBench, definition_of, stages_of

        world = self._world
        flag = world.flag("rolled-out")
        world.serve(flag, world.staging, {**initial_document(flag.key, "boolean"), "enabled": True})
        stages = stages_of(flag.key, shares=tuple((1_000 * number, 1) for number in range(1, 21)))
        now = timezone.now()
        return str(PlanBench(world, flag).started(definition_of(flag.key, stages=stages), now=now).pk)

    def let_a_minute_pass(self, plan_id: str) -> int:
        """Make the plan's stage older than its soak; the stage."""
        from flags.services.tickets import governed_write

        plan = self._plan(plan_id)
        began = timezone.now() - timedelta(minutes=1)
        with governed_write(plan.environment_id):
            type(plan).objects.filter(pk=plan.pk).update(stage_entered_at=began, next_look_at=began)
        return int(plan.stage)

    def stage_of(self, plan_id: str) -> int:
        """The stage at which a plan is."""
        return int(self._plan(plan_id).stage)

    def _plan(self, plan_id: str) -> Any:
        from rollouts.models import RolloutPlan

        return RolloutPlan.objects.get(pk=plan_id)

    def kills(self) -> dict[str, Any]:
        """What is written down of local kills: open rows, lifted rows, events."""
        from audits.models import AuditEvent
        from flags.models import LocalKill

        rows = list(LocalKill.objects.values_list("flag_key", "variant", "lifted_at"))
        actions = list(AuditEvent.objects.filter(action__startswith="local_kill.").values_list("action", flat=True))
        return {
            "open": [[flag, variant] for flag, variant, lifted_at in rows if lifted_at is None],
            "lifted": [[flag, variant] for flag, variant, lifted_at in rows if lifted_at is not None],
            "events": sorted(actions),
        }


if __name__ == "__main__":
    main()
