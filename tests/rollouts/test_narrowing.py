"""Narrowing at once: what takes exposure away needs a role and a reason, and nothing else passes this way."""

import uuid
from typing import Any

import pytest

from audits.context import Actor
from audits.errors import GovernanceError
from audits.models import AuditEvent
from flags.authority import NotNarrowing
from flags.changes import ChangeSet, ConfigEdit
from flags.errors import InvalidInput, NotFound, PermissionMissing, StaleChange
from flags.models import FlagConfig
from flags.services import gates
from flags.services.tickets import governed_write
from rollouts.errors import DigestMismatch, InvalidTransition, PartOfBundle, RequestExpired
from rollouts.models import BundleMember, ChangeBundle, ChangeRequest
from rollouts.selectors.contents import edits_of
from rollouts.selectors.facts import facts_of
from rollouts.services import change_requests as acts
from rollouts.services.narrowing import apply_narrowing, apply_request_at_once, switch_off
from tests.factories import NOW, SOON, World, actor_of, make_served_world, percent_document
from tests.rollouts.support import Bench

LATER = SOON.replace(year=2030)


@pytest.fixture
def world(db: None) -> World:
    return make_served_world(50)


def change(bench: Bench, share: int) -> ChangeSet:
    return bench.content(share)


def served(bench: Bench) -> dict[str, Any]:
    config = FlagConfig.objects.get(flag=bench.flag, environment=bench.production)
    return dict(config.document)


def last_event(action: str) -> AuditEvent:
    return AuditEvent.objects.filter(action=action).latest("sequence")


@pytest.mark.parametrize("who", ["rita", "rolf"])
def test_switch_off__editor_or_release_manager__takes_effect_at_once(bench, who):
    actor = actor_of(getattr(bench.world, who))

    switch_off(bench.flag.pk, bench.production.pk, actor=actor, base_version=1, reason="Checkout fails", now=NOW)

    event = last_event("flag_config.applied")
    assert served(bench)["enabled"] is False
    assert (event.actor_id, event.reason) == (actor.id, "Checkout fails")
    facts = {
        name: event.details[name] for name in ("authority", "reason_code", "direction", "share_before", "share_after")
    }
    assert facts == {
        "authority": "narrowing",
        "reason_code": "switch_off",
        "direction": "narrows",
        "share_before": 50_000,
        "share_after": 0,
    }


@pytest.mark.parametrize("who", ["abel", "vera", "otto", "ada", "system", "service"])
def test_switch_off__anybody_else__is_refused(bench, who):
    others = {"system": Actor.system("rollouts.apply_due_changes"), "service": Actor.service(1, "robot")}
    actor = others.get(who) or actor_of(getattr(bench.world, who))

    with pytest.raises(PermissionMissing):
        switch_off(bench.flag.pk, bench.production.pk, actor=actor, base_version=1, reason="Off", now=NOW)

    assert served(bench)["enabled"] is True


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"base_version": 0}, StaleChange),
        ({"base_version": 2}, StaleChange),
        ({"reason": " "}, InvalidInput),
        ({"reason": "x" * 5_000}, InvalidInput),
        ({"flag_id": uuid.UUID(int=1)}, NotFound),
        ({"environment_id": uuid.UUID(int=1)}, NotFound),
    ],
)
def test_switch_off__something_amiss__is_refused(bench, changes, error):
    call = {
        "flag_id": bench.flag.pk,
        "environment_id": bench.production.pk,
        "base_version": 1,
        "reason": "Off",
    } | changes

    with pytest.raises(error):
        switch_off(call.pop("flag_id"), call.pop("environment_id"), actor=actor_of(bench.world.rita), now=NOW, **call)


def test_apply_narrowing__share_goes_down__needs_nobody_else(bench):
    actor = actor_of(bench.world.rita)

    applied = apply_narrowing(bench.production.pk, change_set=change(bench, 20), actor=actor, reason="Slow", now=NOW)

    assert (applied.versions[bench.flag.key], last_event("flag_config.applied").details["share_after"]) == (2, 20_000)


def test_apply_narrowing__share_goes_up__is_refused_with_the_flag_and_why(bench):
    actor = actor_of(bench.world.rita)

    with pytest.raises(NotNarrowing) as refused:
        apply_narrowing(bench.production.pk, change_set=change(bench, 60), actor=actor, reason="More", now=NOW)

    assert "“checkout-redesign”" in refused.value.message
    assert "The share of “on” goes from 50 % to 60 %." in refused.value.message
    assert bench.version() == 1


def test_apply_narrowing__open_environment__demands_narrowing_there_too(bench):
    staging = bench.world.staging
    config = FlagConfig.objects.get(flag=bench.flag, environment=staging)
    edit = ConfigEdit(bench.flag.key, config.version, percent_document(bench.flag.key, 60))

    with pytest.raises(NotNarrowing):
        apply_narrowing(
            staging.pk,
            change_set=ChangeSet(str(staging.pk), (edit,)),
            actor=actor_of(bench.world.rita),
            reason="More",
            now=NOW,
        )


def test_apply_narrowing__content_for_a_switched_off_flag__is_for_review(bench):
    off = percent_document(bench.flag.key, 10, enabled=False)
    bench.world.serve(bench.flag, bench.production, off)
    edit = ConfigEdit(bench.flag.key, bench.version(), percent_document(bench.flag.key, 90, enabled=False))
    content = ChangeSet(str(bench.production.pk), (edit,))

    with pytest.raises(NotNarrowing, match="is switched off or withdrawn, but this prepares something new"):
        apply_narrowing(bench.production.pk, change_set=content, actor=actor_of(bench.world.rita), reason="x", now=NOW)
    assert served(bench) == off


def test_facts__switched_on__all_that_is_prepared_counts_as_changed(bench):
    parent = bench.world.flag("parent")
    bench.world.serve(parent, bench.production, percent_document("parent", 50))
    needing = percent_document(bench.flag.key, 10) | {"prerequisites": [{"flag": "parent", "variants": ["on"]}]}
    bench.world.serve(bench.flag, bench.production, {**needing, "enabled": False})
    request = bench.draft(
        change_set=ChangeSet(str(bench.production.pk), (ConfigEdit(bench.flag.key, bench.version(), needing),))
    )

    [fact] = facts_of(request, now=NOW).flags
    [edit] = edits_of(request)

    assert (fact.changes_prerequisites, fact.jump) == (True, 10_000)
    assert edit.prepared[0].startswith("Switched on: ")
    assert any("parent" in sentence for sentence in edit.prepared[1:])


def test_switch_off__a_flag_behind_it_would_widen__is_refused(bench):
    child = bench.world.flag("fallback")
    document = percent_document(child.key, 100) | {
        "prerequisites": [{"flag": bench.flag.key, "variants": ["off"]}],
    }
    bench.world.serve(child, bench.production, document)

    with pytest.raises(NotNarrowing) as refused:
        switch_off(
            bench.flag.pk, bench.production.pk, actor=actor_of(bench.world.rita), base_version=1, reason="x", now=NOW
        )

    assert refused.value.facts["flags"][0]["key"] == "fallback"


def at_once(request: ChangeRequest, who: Any, *, digest: str = "", now: Any = NOW) -> ChangeRequest:
    digest = digest or ChangeRequest.objects.get(pk=request.pk).digest
    return apply_request_at_once(request.pk, actor=actor_of(who), digest=digest, reason="Cannot wait", now=now)


@pytest.mark.parametrize("stage", ["draft", "submitted", "approved"])
@pytest.mark.parametrize("who", ["rita", "rolf"])
def test_apply_request_at_once__open_request_that_narrows__is_applied(bench, stage, who):
    request = getattr(bench, stage)(change_set=change(bench, 20), apply_at=SOON)

    at_once(request, getattr(bench.world, who))

    row = ChangeRequest.objects.get(pk=request.pk)
    event = last_event("change_request.applied")
    assert (row.state, row.applied_at, bench.version()) == ("applied", NOW, 2)
    assert (event.details["authority"], event.reason) == ("narrowing", "Cannot wait")
    assert last_event("flag_config.applied").details["request_id"] == str(request.pk)
    assert event.correlation_id == row.correlation_id


@pytest.mark.parametrize(
    ("prepare", "who", "error"),
    [
        (lambda bench: bench.submitted(change_set=bench.content(60)), "rita", NotNarrowing),
        (lambda bench: bench.submitted(change_set=bench.content(20)), "abel", PermissionMissing),
        (lambda bench: bench.submitted(change_set=bench.content(20)), "otto", PermissionMissing),
        (lambda bench: withdrawn(bench), "rita", InvalidTransition),
        (lambda bench: stale(bench), "rita", StaleChange),
    ],
    ids=["widens", "approver", "outsider", "withdrawn", "stale"],
)
def test_apply_request_at_once__otherwise__is_refused(bench, prepare, who, error):
    request = prepare(bench)
    version = bench.version()

    with pytest.raises(error):
        at_once(request, getattr(bench.world, who))

    assert bench.version() == version


def withdrawn(bench: Bench) -> ChangeRequest:
    request = bench.submitted(change_set=bench.content(20))
    return acts.withdraw_change_request(request.pk, actor=actor_of(bench.world.rita), reason="", now=NOW)


def stale(bench: Bench) -> ChangeRequest:
    request = bench.submitted(change_set=bench.content(20))
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 40))
    return request


def test_apply_request_at_once__page_shows_other_content__is_refused(bench):
    request = bench.submitted(change_set=change(bench, 20))

    with pytest.raises(DigestMismatch):
        at_once(request, bench.world.rita, digest="0" * 64)


def test_apply_request_at_once__expired__is_refused(bench):
    request = bench.submitted(change_set=change(bench, 20))

    with pytest.raises(RequestExpired):
        at_once(request, bench.world.rita, now=LATER)


def test_apply_request_at_once__part_of_a_bundle__is_refused(bench):
    request = bench.draft(change_set=change(bench, 20))
    bundle = ChangeBundle(project=bench.world.project, title="Both", created_by=bench.world.rita, created_at=NOW)
    join(bench, bundle, request)

    with pytest.raises(PartOfBundle):
        at_once(request, bench.world.rita)


def join(bench: Bench, bundle: ChangeBundle, request: ChangeRequest) -> None:
    with governed_write(bench.production.pk), governed_write(bench.world.project.pk):
        bundle.save(force_insert=True)
        BundleMember.objects.create(bundle=bundle, request=request, environment=bench.production)


def test_gates__every_write__are_asked_with_its_movement(bench, monkeypatch):
    asked: list[Any] = []

    class Closed(GovernanceError):
        code, status = "closed", 409

    def gate(change_set: Any, environment: Any, *, movement: Any, authority: Any, **facts: Any) -> None:
        asked.append((authority.kind, movement.direction.value))
        raise Closed("Not now.")

    monkeypatch.setattr(gates, "_gates", {"test": gate})

    with pytest.raises(Closed):
        apply_narrowing(
            bench.production.pk, change_set=change(bench, 20), actor=actor_of(bench.world.rita), reason="x", now=NOW
        )

    assert asked == [("narrowing", "narrows")]
    assert bench.version() == 1
