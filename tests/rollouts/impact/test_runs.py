"""Impact runs: who may ask, what is counted and kept, and what becomes of a worker that dies."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from audits.actions import Action
from audits.context import Actor
from audits.models import AuditEvent
from flags.changes import ChangeSet, ConfigEdit
from flags.errors import InvalidInput, PermissionMissing
from flags.models.tokens import TokenScope
from flags.permissions import Role
from flags.services.tickets import governed_write
from flags.services.tokens import issue_token
from rollouts import tasks
from rollouts.errors import ImpactUnderWay, InvalidTransition
from rollouts.impact import headline
from rollouts.models import ChangeRequest, ImpactRun, ImpactState, ImpactUpload
from rollouts.selectors.impact import default_population, gravest_flips, latest_impact
from rollouts.services import impact as service
from rollouts.services.impact import carry_out_impact, drop_upload, revive_impact, start_impact
from rollouts.transitions import RequestState
from tests.factories import NOW, SOON, actor_of, percent_document
from tests.rollouts.impact.support import PEOPLE, asked, counted
from tests.rollouts.support import Bench, bring_to

LIST = b'{"targetingKey": "user-MARKER1"}\n{"targetingKey": "user-MARKER2", "mail": "MARKER@example.com"}\n'


@pytest.fixture
def request_(bench: Bench) -> ChangeRequest:
    """A request in review that widens the flag to 40 percent."""
    return bench.submitted(change_set=bench.content(40))


def test_run__request_in_review__counts_and_is_recorded_with_counts_only(bench: Bench, request_: ChangeRequest) -> None:
    run = counted(bench, request_)

    assert run.current_state is ImpactState.DONE
    assert run.progress == run.total == 500
    assert run.result is not None
    assert run.result["population"] == 500
    assert run.result["flipped"] == run.result["gained"] > 0
    assert headline(run.result).startswith(f"{run.result['gained'] // 5}")
    event = AuditEvent.objects.get(action=Action.CHANGE_REQUEST_IMPACT_COUNTED)
    facts = json.loads(event.data)
    assert event.actor_id == str(bench.world.rita.pk)
    assert facts["flipped"] == run.result["flipped"]
    assert facts["counted_digest"] == request_.digest
    assert facts["run"] == str(run.pk)
    assert not {"flags", "samples"} & facts.keys()


def test_latest_impact__content_changes__is_gone_until_it_runs_again(bench: Bench, request_: ChangeRequest) -> None:
    first = counted(bench, request_)
    assert latest_impact(request_) == first

    edited = bench.edit(request_)
    assert latest_impact(edited) is None

    again = counted(bench, edited)
    assert latest_impact(edited) == again


def test_run__request_edited_meanwhile__fails_and_says_so(bench: Bench, request_: ChangeRequest) -> None:
    run = asked(bench, request_)
    bench.edit(request_)

    assert carry_out_impact(run.pk, clock=lambda: NOW)
    run.refresh_from_db()
    assert run.current_state is ImpactState.FAILED
    assert "edited" in run.problem


def test_run__scheduled_request__is_evaluated_for_its_time(bench: Bench) -> None:
    run = counted(bench, bench.submitted(apply_at=SOON))

    assert run.result is not None
    assert run.result["at"] == SOON.isoformat()


@pytest.mark.parametrize(
    ("who", "is_allowed"), [("rita", 1), ("abel", 1), ("rolf", 1), ("ada", 1), ("vera", 0), ("otto", 0)]
)
def test_start__each_role__may_or_may_not_ask(
    bench: Bench, request_: ChangeRequest, who: str, is_allowed: bool
) -> None:
    if is_allowed:
        assert asked(bench, request_, by=getattr(bench.world, who)).asked_by == getattr(bench.world, who)
        return
    with pytest.raises(PermissionMissing):
        asked(bench, request_, by=getattr(bench.world, who))


@pytest.mark.parametrize("scope", TokenScope.values)
def test_start__tokens__ask_about_their_own_environment(bench: Bench, request_: ChangeRequest, scope: str) -> None:
    ada = actor_of(bench.world.ada)
    for environment in bench.world.environments:
        issued = issue_token(environment.pk, actor=ada, name="CI", scope=scope, expires_at=None, now=NOW)
        actor = Actor.service(issued.token.pk, "CI")
        if scope == TokenScope.MANAGE and environment == bench.production:
            run = start_impact(request_.pk, actor=actor, now=NOW, population=PEOPLE)
            assert carry_out_impact(run.pk, clock=lambda: NOW)
            assert AuditEvent.objects.get(action=Action.CHANGE_REQUEST_IMPACT_COUNTED).actor_kind == "service"
            continue
        with pytest.raises(PermissionMissing):
            start_impact(request_.pk, actor=actor, now=NOW, population=PEOPLE)


@pytest.mark.parametrize("state", RequestState)
def test_start__each_state__only_open_requests(bench: Bench, state: RequestState) -> None:
    if state is RequestState.ROLLED_BACK:
        return
    request = bring_to(bench, state)
    if state in (RequestState.DRAFT, RequestState.IN_REVIEW, RequestState.APPROVED):
        assert asked(bench, request).digest == request.digest
        return
    with pytest.raises(InvalidTransition):
        asked(bench, request)


def test_start__while_one_is_under_way__gives_the_same_run_or_refuses(bench: Bench, request_: ChangeRequest) -> None:
    run = asked(bench, request_)

    assert asked(bench, request_, by=bench.world.abel) == run
    with pytest.raises(ImpactUnderWay) as caught:
        asked(bench, request_, population=PEOPLE | {"seed": 2})
    assert caught.value.facts["run"] == str(run.pk)
    assert ImpactRun.objects.count() == 1


@pytest.mark.parametrize(
    "fields", [{"population": {"size": 0}}, {"population": None}, {"contexts": b"MARKER"}, {"contexts": b"[1]"}]
)
def test_start__unusable_population__is_refused(bench: Bench, request_: ChangeRequest, fields: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        asked(bench, request_, **fields)

    assert "MARKER" not in str(caught.value.facts)
    assert not ImpactRun.objects.exists()


def test_start__more_answers_than_one_run_may_give__says_how_many_people_it_can_be(
    bench: Bench, request_: ChangeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollouts.selectors.impact.MOST_ANSWERS", 100)

    with pytest.raises(InvalidInput, match="100 people"):
        asked(bench, request_)


def test_upload__carried_out__leaves_nothing_of_it_anywhere(
    bench: Bench, request_: ChangeRequest, caplog: pytest.LogCaptureFixture
) -> None:
    run = counted(bench, request_, contexts=LIST)

    assert run.current_state is ImpactState.DONE
    assert run.population == {"kind": "upload", "size": 2}
    assert not ImpactUpload.objects.exists()
    assert b"MARKER" not in _everything_stored()
    assert "MARKER" not in caplog.text


def test_upload__run_that_breaks__leaves_nothing_of_it_anywhere(
    bench: Bench, request_: ChangeRequest, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(self: Any, contexts: Any) -> None:
        raise ValueError(str(list(contexts)))

    monkeypatch.setattr("rollouts.services.impact.Simulation.feed", breaks)
    run = counted(bench, request_, contexts=LIST)

    assert run.current_state is ImpactState.FAILED
    assert not ImpactUpload.objects.exists()
    assert b"MARKER" not in _everything_stored()
    assert "MARKER" not in caplog.text


def test_upload__no_worker_for_an_hour__is_deleted(bench: Bench, request_: ChangeRequest) -> None:
    run = asked(bench, request_, contexts=LIST)

    assert not drop_upload(run.pk, now=NOW + timedelta(minutes=59))
    assert drop_upload(run.pk, now=NOW + timedelta(hours=1))
    run.refresh_from_db()
    assert run.current_state is ImpactState.FAILED
    assert not ImpactUpload.objects.exists()


def test_upload__exchanged_by_hand__is_refused_by_the_database(bench: Bench, request_: ChangeRequest) -> None:
    asked(bench, request_, contexts=LIST)

    with pytest.raises(IntegrityError, match="flagsite"), transaction.atomic():
        ImpactUpload.objects.update(contexts=b"other people")


def _everything_stored() -> bytes:
    """Every row of every table, as text."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            found.append(repr(cursor.fetchall()))
    return "".join(found).encode()


def test_carry_out__twice__ends_it_once(bench: Bench, request_: ChangeRequest) -> None:
    run = asked(bench, request_)

    assert [carry_out_impact(run.pk, clock=lambda: NOW) for _ in range(2)] == [True, False]
    assert AuditEvent.objects.filter(action=Action.CHANGE_REQUEST_IMPACT_COUNTED).count() == 1


def test_carry_out__slices__tell_how_far_it_is(
    bench: Bench, request_: ChangeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, Any]] = []
    monkeypatch.setattr(service, "SLICE", 200)

    def clock() -> Any:
        run = ImpactRun.objects.get()
        seen.append((run.progress, run.state))
        return NOW

    carry_out_impact(asked(bench, request_).pk, clock=clock)

    assert [progress for progress, state in seen if state == ImpactState.RUNNING] == [0, 0, 200, 400, 500]


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers are killed in the middle of a run."""

    def dies(self: Any, contexts: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("rollouts.services.impact.Simulation.feed", dies)
        yield


def _killed(run: ImpactRun) -> None:
    with pytest.raises(KeyboardInterrupt):
        carry_out_impact(run.pk, clock=lambda: NOW)


def test_revive__killed_worker__another_takes_it_up(
    bench: Bench, request_: ChangeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = asked(bench, request_, contexts=LIST)
    with monkeypatch.context() as patch:
        patch.setattr("rollouts.services.impact.Simulation.feed", _interrupted)
        _killed(run)

    assert not carry_out_impact(run.pk, clock=lambda: NOW)
    assert revive_impact(run.pk, now=NOW)
    assert carry_out_impact(run.pk, clock=lambda: NOW)
    run.refresh_from_db()
    assert (run.current_state, run.attempts) == (ImpactState.DONE, 2)


def _interrupted(self: Any, contexts: Any) -> None:
    raise KeyboardInterrupt


def test_revive__three_killed_workers__ends_it(bench: Bench, request_: ChangeRequest, dying: None) -> None:
    run = asked(bench, request_, contexts=LIST)
    for _ in range(3):
        _killed(run)
        assert revive_impact(run.pk, now=NOW)

    run.refresh_from_db()
    assert run.current_state is ImpactState.FAILED
    assert not ImpactUpload.objects.exists()


def test_carry_out__taken_over_meanwhile__stops_and_writes_nothing(
    bench: Bench, request_: ChangeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = asked(bench, request_)

    def taken_over(self: Any, contexts: Any) -> None:
        revive_impact(run.pk, now=NOW)

    monkeypatch.setattr("rollouts.services.impact.Simulation.feed", taken_over)

    assert not carry_out_impact(run.pk, clock=lambda: NOW)
    run.refresh_from_db()
    assert (run.current_state, run.progress) == (ImpactState.QUEUED, 0)


def test_sweeper__waiting_and_abandoned_runs__are_carried_out(bench: Bench, request_: ChangeRequest) -> None:
    run = asked(bench, request_)

    assert [tasks.run_waiting_impacts() for _ in range(2)] == [1, 0]
    run.refresh_from_db()
    assert run.current_state is ImpactState.DONE


@pytest.mark.parametrize("fields", [{"problem": "x"}, {"result": {}}, {"state": "queued", "finished_at": None}])
def test_ended_run__even_with_a_ticket__never_changes(
    bench: Bench, request_: ChangeRequest, fields: dict[str, Any]
) -> None:
    run = counted(bench, request_)

    with pytest.raises(IntegrityError, match="flagsite"), governed_write(bench.production.pk):
        ImpactRun.objects.filter(pk=run.pk).update(**fields)
    with pytest.raises(IntegrityError, match="flagsite"), governed_write(bench.production.pk):
        ImpactRun.objects.filter(pk=run.pk)._raw_delete("default")


def test_default_population__is_one_that_can_be_asked_for(bench: Bench, request_: ChangeRequest) -> None:
    run = counted(bench, request_, population=default_population(request_).as_json())

    assert run.result is not None
    assert run.result["population"] == 20_000


def test_approval__with_a_run_of_this_content__names_it(bench: Bench, request_: ChangeRequest) -> None:
    counted(bench, request_)
    edited = bench.edit(request_)
    run = counted(bench, edited)

    bench.approve(edited)

    assert json.loads(AuditEvent.objects.get(action=Action.CHANGE_REQUEST_APPROVED).data)["impact_run"] == str(run.pk)


@pytest.mark.parametrize("last", [0, 1])
def test_gravest_flips__whichever_run_came_last__is_the_one_that_moves_most(
    bench: Bench, request_: ChangeRequest, last: int
) -> None:
    abel = bench.world.abel
    asked_for: list[dict[str, Any]] = [{**PEOPLE, "seed": seed} for seed in (2, 3)]
    runs = [counted(bench, request_, by=abel, population=asked_for[place]) for place in (1 - last, last)]
    grave = max(run.result["flipped"] for run in runs if run.result)

    assert grave > 0
    assert gravest_flips(request_, smallest=500) == (grave, 500)
    assert gravest_flips(request_, smallest=501) is None


LISTED = json.dumps([{"targetingKey": f"user-{number}", "plan": "free"} for number in range(600)]).encode()


def test_gravest_flips__people_chosen_by_who_shaped_the_change__do_not_count(
    bench: Bench, request_: ChangeRequest
) -> None:
    counted(bench, request_)
    counted(bench, request_, by=bench.world.abel, contexts=LISTED)
    assert gravest_flips(request_, smallest=1) is None

    run = counted(bench, request_, population=default_population(request_).as_json())

    assert run.result is not None
    assert gravest_flips(request_, smallest=1_000) == (run.result["flipped"], 20_000)


def test_gravest_flips__token_that_the_requester_issued__counts_as_his(bench: Bench, request_: ChangeRequest) -> None:
    bench.world.grant(bench.world.rita, bench.production, Role.EDITOR, Role.ADMINISTRATOR)
    for issuer, counts in ((bench.world.rita, False), (bench.world.ada, True)):
        issued = issue_token(
            bench.production.pk, actor=actor_of(issuer), name="ci", scope="manage", expires_at=None, now=NOW
        )
        run = start_impact(request_.pk, actor=Actor.service(issued.token.pk, "ci"), now=NOW, population=PEOPLE)
        assert carry_out_impact(run.pk, clock=lambda: NOW)
        assert (gravest_flips(request_, smallest=1) is not None) is counts


def test_gravest_flips__individual_targets__are_counted_on_top(bench: Bench) -> None:
    document = percent_document(bench.flag.key, 5) | {
        "targets": [{"variant": "on", "keys": [f"user-{number}" for number in range(3_000)]}]
    }
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 5))
    edit = ConfigEdit(bench.flag.key, bench.version(), document)
    request = bench.submitted(change_set=ChangeSet(str(bench.production.pk), (edit,)))
    run = counted(bench, request, by=bench.world.abel)
    assert run.result is not None

    flipped, people = gravest_flips(request, smallest=1) or (0, 0)

    assert run.result["flipped"] == 0
    assert 2_500 < flipped == people - 500
