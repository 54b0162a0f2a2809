"""What would hold a plan that is started now, to be said before anybody presses the button."""

from datetime import datetime

from flags.documents.schema import quoted
from flags.models import Environment
from rollouts.plans import words
from rollouts.plans.definition import PlanDefinition
from rollouts.selectors.calendar import freezes_on_keys
from rollouts.selectors.plans.signals import outside_signals


def start_holds(definition: PlanDefinition, environment: Environment, *, now: datetime) -> list[str]:
    """A sentence for the kill list, the incident and each freeze that a start meets at `now`: four queries.

    Freezes hold the first stage only as far as it shows something to people, which is judged at the start.
    """
    said = [signal.at_start for signal in outside_signals(environment, definition.flags, now=now)]
    first = {patch.flag_key for stage in definition.stages[:1] for patch in stage.patches}
    for met in freezes_on_keys(environment, first, now=now):
        until = words.instant(met.ends_at)
        if met.is_freeze:
            said.append(f"{quoted(met.title)} freezes {environment.name} until {until}. What widens waits for its end.")
        else:
            said.append(f"No allow window is open in {environment.name}. {quoted(met.title)} opens at {until}.")
    return said
