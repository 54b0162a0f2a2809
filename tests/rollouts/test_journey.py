"""One change from draft to served, with its evidence."""

from audits.models import AuditEvent
from flags.models import FlagConfig
from rollouts.transitions import RequestState
from tests.rollouts.support import Bench


def test_change__approved_by_second_person__is_served_with_evidence(bench: Bench) -> None:
    request = bench.submitted(change_set=bench.content(25))

    done = bench.approve(request)

    assert done.current_state is RequestState.APPLIED
    config = FlagConfig.objects.get(flag=bench.flag, environment=bench.production)
    assert config.version == 2
    assert config.document["rules"][0]["serve"]["split"][0]["weight"] == 25_000
    events = AuditEvent.objects.filter(target_id=str(request.pk)).order_by("sequence")
    assert [event.action for event in events] == [
        "change_request.created",
        "change_request.submitted",
        "change_request.approved",
        "change_request.applied",
    ]
    applied = AuditEvent.objects.filter(action="flag_config.applied", target_label=bench.flag.key).latest("sequence")
    assert applied.details["request_id"] == str(request.pk)
    assert applied.details["approver_ids"] == [str(bench.world.abel.pk)]
