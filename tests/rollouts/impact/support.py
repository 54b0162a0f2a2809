"""Short ways to ask for impact runs and to carry them out."""

from typing import Any

from rollouts.models import ChangeRequest, ImpactRun
from rollouts.services.impact import carry_out_impact, start_impact
from tests.factories import NOW, actor_of
from tests.rollouts.support import Bench

PEOPLE = {"size": 500, "seed": 1, "attributes": {}}


def asked(bench: Bench, request: ChangeRequest, *, by: Any = None, now: Any = NOW, **fields: Any) -> ImpactRun:
    """A run that waits, asked for by Rita over made-up people unless the fields say otherwise."""
    fields = fields or {"population": PEOPLE}
    return start_impact(request.pk, actor=actor_of(by or bench.world.rita), now=now, **fields)


def counted(bench: Bench, request: ChangeRequest, **fields: Any) -> ImpactRun:
    """A run that has ended."""
    run = asked(bench, request, **fields)
    assert carry_out_impact(run.pk, clock=lambda: NOW)
    return ImpactRun.objects.get(pk=run.pk)
