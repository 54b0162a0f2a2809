"""A flag whose key belongs to another one now: its past is never taken for the past of the new one."""

from datetime import timedelta
from typing import Any

import pytest

from flags.changes import ChangeSet, ConfigEdit
from flags.documents.deprecation import Deprecation, with_deprecation
from flags.models import Flag, FlagConfig, Tombstone
from flags.selectors.versions import environment_at
from flags.services.configs import edit_config
from flags.services.flags import create_flag
from flags.services.tombstones import override_tombstone
from rollouts.errors import NothingToRestore
from rollouts.models import ChangeRequest
from rollouts.selectors.contents import edits_of
from rollouts.selectors.facts import facts_of
from rollouts.selectors.soak import soak_of
from rollouts.selectors.versions import Fate, plan_restore, plan_undo_request
from rollouts.services import change_requests as acts
from rollouts.services import versions
from tests.factories import NOW, actor_of, percent_document
from tests.rollouts.support import Bench

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=10)
SECRET = [{"variant": "on", "keys": ["somebody"]}]


def archive(bench: Bench) -> None:
    """The flag of the bench, archived in every environment."""
    for config in FlagConfig.objects.filter(flag=bench.flag).select_related("environment"):
        document: dict[str, Any] = with_deprecation(config.document, Deprecation(deprecated_at=NOW, is_archived=True))
        bench.world.serve(bench.flag, config.environment, document)


def given_away(bench: Bench) -> Flag:
    """Another flag that has the key of the bench's flag, set up in production at the same version."""
    number = bench.version()
    archive(bench)
    override_tombstone(Tombstone.objects.get().pk, actor=actor_of(bench.world.abel), reason="Nobody asks", now=NOW)
    new = create_flag(
        bench.world.project.pk,
        actor=actor_of(bench.world.rita),
        key=bench.flag.key,
        name="Another one",
        kind="release",
        value_type="boolean",
        now=LATER,
    )
    for share in range(1, number + 1):
        bench.world.serve(new, bench.production, percent_document(new.key, share))
    return new


def asked(bench: Bench, document: dict[str, Any], base: int, *, now: Any = LATER) -> ChangeRequest:
    change_set = ChangeSet(str(bench.production.pk), (ConfigEdit(bench.flag.key, base, document),))
    return bench.draft(change_set=change_set, now=now)


def secret_document(bench: Bench) -> dict[str, Any]:
    return percent_document(bench.flag.key, 1) | {"targets": SECRET}


def test_edits__of_the_new_flag__are_set_against_its_own_versions(bench):
    bench.world.serve(bench.flag, bench.production, secret_document(bench))
    new = given_away(bench)
    wanted = secret_document(bench)

    [view] = edits_of(asked(bench, wanted, bench.version(new)))

    assert view.before is not None
    assert not view.before.get("targets")
    assert view.target_id == new.pk
    assert any("target" in one.path for one in view.differences)


def test_edits__of_a_request_about_the_old_flag__are_set_against_the_old_ones(bench):
    bench.world.serve(bench.flag, bench.production, secret_document(bench))
    request = asked(bench, percent_document(bench.flag.key, 7), bench.version(), now=NOW)
    acts.withdraw_change_request(request.pk, actor=actor_of(bench.world.rita), reason="Not now", now=NOW)
    given_away(bench)
    request.refresh_from_db()

    [view] = edits_of(request)

    assert (view.before or {}).get("targets") == SECRET
    assert view.target_id == bench.flag.pk
    assert (view.current, view.has_moved) == (None, False)


def test_facts__of_the_new_flag__leave_out_when_the_old_one_was_applied(bench):
    bench.world.serve(bench.flag, bench.production, secret_document(bench))
    new = given_away(bench)
    written = FlagConfig.history.filter(flag=new, environment=bench.production).count()

    [found] = facts_of(asked(bench, secret_document(bench), bench.version(new)), now=LATER).flags

    assert len(found.applied_at or ()) == written


def test_soak__of_the_new_flag__began_when_it_was_set_up(bench):
    world, wanted = bench.world, secret_document(bench)
    for document in (percent_document(bench.flag.key, 5), percent_document(bench.flag.key, 6), wanted):
        world.serve(bench.flag, world.staging, document)
    new = given_away(bench)
    [config] = FlagConfig.objects.filter(flag=new, environment=world.staging)
    edit_config(
        new.pk,
        world.staging.pk,
        actor=actor_of(world.rita),
        document=wanted,
        base_version=config.version,
        reason="Try it",
        now=LATER,
    )

    found = soak_of(asked(bench, wanted, bench.version(new)), now=LATER + timedelta(hours=5))

    assert found is not None
    assert (found.since, found.hours) == (LATER, 5)


def test_restore__to_when_the_old_flag_served__leaves_the_new_one(bench):
    new = given_away(bench)

    past = environment_at(bench.production, NOW + timedelta(days=1))
    plan = plan_restore(bench.production, LATER - timedelta(days=1))

    assert {config.row_id for config in past.configs.values()} <= set(
        FlagConfig.objects.filter(flag=new).values_list("pk", flat=True)
    )
    assert [(line.key, line.target_id) for line in plan.lines if line.kind == "flag"] == [(new.key, new.pk)]


def test_undo__of_a_request_about_the_old_flag__leaves_the_new_one(bench):
    request = bench.approved()
    new = given_away(bench)
    request.refresh_from_db()

    plan = plan_undo_request(request)

    assert [(line.fate, line.target_id) for line in plan.lines] == [(Fate.KEPT, new.pk)]
    assert not plan.change_set.edits
    with pytest.raises(NothingToRestore, match="belongs to another flag now"):
        versions.roll_back_request(request.pk, actor=actor_of(bench.world.rita), reason="Back", now=LATER)
