"""Archiving flags nobody needs and reviving them: at once where that is open, by requests where it is protected."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from audits.models import AuditEvent
from flags.changes import ChangeSet, ConfigEdit
from flags.documents import initial_document
from flags.documents.deprecation import deprecation_of, is_archived
from flags.errors import KeyKeptBack, PermissionMissing
from flags.models import CodeReference, CodeRepository, EvaluationCount, Flag, FlagConfig, Tombstone
from flags.permissions import Role
from flags.selectors.references import MOST_SHOWN
from flags.services.flag_use import keep_use, use_of_counts
from flags.services.projects import set_protection
from flags.services.telemetry import accept
from flags.services.telemetry_rows import EvaluationKey
from flags.telemetry.labels import ALL_AT_ONCE, TEST_TRAFFIC
from flags.telemetry.reading import read_batch
from rollouts.errors import StillNeeded
from rollouts.models import BundleMember, ChangeRequest
from rollouts.services import change_requests as acts
from rollouts.services.narrowing import switch_off
from rollouts.services.retirement import archive_flag, preview_archive, revive_flag
from rollouts.transitions import RequestState
from tests.factories import NOW, SOON, World, actor_of, make_world

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return make_world()


def archive(world: World, flag: Flag, *, by: Any = None) -> Any:
    return archive_flag(flag.pk, actor=actor_of(by or world.rita), reason="Nobody needs it", now=NOW)


def revive(world: World, flag: Flag) -> Any:
    return revive_flag(flag.pk, actor=actor_of(world.rita), reason="Needed again", now=SOON)


def approve(world: World, request: ChangeRequest) -> None:
    acts.approve_change_request(request.pk, actor=actor_of(world.abel), digest=request.digest, comment="", now=SOON)


def off_everywhere(world: World, key: str = "old-basket") -> Flag:
    """Set up in all three environments, switched off."""
    flag = world.flag(key)
    world.serve(flag, world.production, initial_document(flag.key, "boolean"))
    return flag


def report(world: World, flag: Flag, *, variant: str = "on", at: Any = NOW) -> None:
    row = {"flag": flag.key, "variant": variant, "reason": "STATIC", "minute": at.isoformat(), "count": 7}
    document = {"batch_id": uuid.uuid4().hex, "service": "billing-api", "version": "7", "evaluations": [row]}
    accept(read_batch(document, known={flag.key: ("on", "off")}, now=at), world.production.pk, None, now=at)


def reported_daily(world: World, *, service: str = "shop", days: int = 30) -> None:
    """Figures of another flag from production, all through the last days."""
    EvaluationCount.objects.bulk_create(
        EvaluationCount(
            environment=environment, span="hour", at=NOW - timedelta(days=day), flag_key="another", variant="on",
            reason="STATIC", service=service, version="1", count=5,
        )
        for environment in world.environments
        for day in range(days)
    )  # fmt: skip


def documents(flag: Flag) -> dict[str, Any]:
    return dict(FlagConfig.objects.filter(flag=flag).values_list("environment__key", "document"))


def test_archive__draft_in_open_environments__is_archived_at_once(world):
    flag = world.flag()

    done = archive(world, flag)

    assert {each.key for each in done.written} == {world.development.key, world.staging.key}
    assert not done.requests
    assert done.flag.archived_at == NOW
    assert Tombstone.objects.get().key == flag.key
    assert all(is_archived(document) for document in documents(flag).values())
    correlations = AuditEvent.objects.filter(flag_key=flag.key, occurred_at=NOW, reason="Nobody needs it")
    assert len(set(correlations.values_list("correlation_id", flat=True))) == 1


def test_archive__set_up_nowhere__keeps_the_key_back(world):
    flag = Flag.objects.create(
        project=world.project, key="never", name="Never", kind="release", value_type="boolean", created_at=NOW
    )
    with pytest.raises(PermissionMissing):
        archive(world, flag, by=world.vera)

    assert archive(world, flag).flag.archived_at == NOW
    assert revive(world, flag).flag.lifecycle == 2


def test_archive__protected_environment__asks_there_and_is_whole_with_its_approval(world):
    flag = off_everywhere(world)

    done = archive(world, flag)

    (request,) = done.requests
    assert request.environment == world.production
    assert RequestState(request.state) is RequestState.IN_REVIEW
    assert done.flag.archived_at is None
    approve(world, request)
    flag.refresh_from_db()
    assert flag.archived_at == SOON


def test_archive__two_protected_environments__asks_once_for_both(world):
    flag = off_everywhere(world)
    set_protection(world.staging.pk, actor=actor_of(world.ada), is_protected=True, reason="Test", now=NOW)
    world.grant(world.rita, world.staging, Role.EDITOR)

    done = archive(world, flag)

    assert BundleMember.objects.filter(request__in=done.requests).count() == 2
    assert len({member.bundle_id for member in BundleMember.objects.all()}) == 1


def test_archive__on_and_evaluated__plans_its_ending_instead(world):
    flag = world.flag()
    world.serve(flag, world.production)
    report(world, flag)

    with pytest.raises(StillNeeded, match="billing-api evaluated it there in the last 30 days"):
        archive(world, flag)

    assert not any(is_archived(document) for document in documents(flag).values())


def test_archive__on_and_given_with_all_others__is_taken_for_use(world):
    flag = world.flag()
    world.serve(flag, world.production)
    key = EvaluationKey(world.production.pk, NOW, flag.key, "on", "STATIC", ALL_AT_ONCE, "")
    keep_use(use_of_counts({key: 7}))

    with pytest.raises(StillNeeded, match="and clients that ask for all flags at once evaluated it there in the last"):
        archive(world, flag)


def test_archive__on_without_figures__is_not_taken_for_unused(world):
    flag = world.flag()
    world.serve(flag, world.production)

    with pytest.raises(StillNeeded, match="nobody can say who uses it"):
        archive(world, flag)


@pytest.mark.parametrize(
    "figures", [{"service": TEST_TRAFFIC}, {"days": 1}, {"days": 25}], ids=["test traffic", "today", "not at first"]
)
def test_archive__on_and_figures_of_nobody_or_with_gaps__is_not_taken_for_unused(world, figures):
    flag = world.flag()
    world.serve(flag, world.production)
    reported_daily(world, **figures)

    with pytest.raises(StillNeeded, match="all through the last 30 days, so nobody can say who uses it"):
        archive(world, flag)


def test_archive__on_and_others_are_evaluated_but_not_it__asks(world):
    flag = world.flag()
    world.serve(flag, world.production)
    reported_daily(world)

    assert len(archive(world, flag).requests) == 1


def test_archive__evaluated_long_ago__asks(world):
    flag = world.flag()
    world.serve(flag, world.production)
    report(world, flag, at=NOW - timedelta(days=31))
    reported_daily(world)

    assert len(archive(world, flag).requests) == 1


def test_archive__switched_off_with_a_variant_of_its_own_and_asked_for__is_refused(world):
    flag = world.flag()
    world.serve(flag, world.production, {**initial_document(flag.key, "boolean"), "off_variant": "on"})
    report(world, flag)

    with pytest.raises(StillNeeded, match="switched off and serves “on” in Production, and billing-api evaluated it"):
        archive(world, flag)

    assert not ChangeRequest.objects.exists()


def test_archive__switched_off_to_the_code_default_and_asked_for__the_preview_says_who(world):
    flag = world.flag()
    world.serve(flag, world.production, {**initial_document(flag.key, "boolean"), "off_variant": None})
    report(world, flag, variant="off")

    preview = preview_archive(flag, now=NOW)

    place = next(one for one in preview.places if one.environment == world.production)
    (service,) = place.services
    assert (service.service, service.versions, service.variants) == ("billing-api", ("7",), (("off", 7),))
    assert preview.blockers == []
    assert [one.environment for one in preview.to_archive if one.needs_approval] == [world.production]
    assert archive(world, flag).requests


def test_preview__code_of_default_branches__is_shown_however_much_others_name_it(world):
    flag = off_everywhere(world)
    repository = CodeRepository.objects.create(
        project=world.project, name="shop", default_branch="main", created_at=NOW
    )
    CodeReference.objects.bulk_create(
        CodeReference(
            repository=repository, branch=branch, flag_key=flag.key, path="a.py", ordinal=number, line=number,
            column=1, first_seen_at=NOW,
        )
        for branch, lines in (("main", 3), ("feature/x", MOST_SHOWN))
        for number in range(1, lines + 1)
    )  # fmt: skip

    assert [row.branch for row in preview_archive(flag, now=NOW).references] == ["main"] * 3


def test_archive__a_flag_needs_it__is_refused(world):
    flag = world.flag()
    child = world.flag("child")
    document = {**initial_document("child", "boolean"), "prerequisites": [{"flag": flag.key, "variants": ["on"]}]}
    world.serve(child, world.staging, document)

    with pytest.raises(StillNeeded, match="“child” needs it in Staging as a prerequisite"):
        archive(world, flag)


def test_archive__asked_for_already__is_refused_and_keeps_the_key(world):
    flag = off_everywhere(world)
    (request,) = archive(world, flag).requests

    with pytest.raises(StillNeeded, match=f"request #{request.number} is about it"):
        archive(world, flag)


@pytest.mark.parametrize("who", ["vera", "otto", "abel"])
def test_archive__not_an_editor__changes_nothing(world, who):
    flag = off_everywhere(world)

    with pytest.raises(PermissionMissing):
        archive(world, flag, by=getattr(world, who))

    assert not any(is_archived(document) for document in documents(flag).values())
    assert not ChangeRequest.objects.exists()


def test_revive__open_environments__come_back_switched_off(world):
    flag = world.flag()
    world.serve(flag, world.staging)
    switch_off(flag.pk, world.staging.pk, actor=actor_of(world.rita), base_version=2, reason="Off", now=NOW)
    archive(world, flag)

    done = revive(world, flag)

    assert (done.flag.archived_at, done.flag.lifecycle, done.flag.lifecycle_started_at) == (None, 2, SOON)
    for document in documents(flag).values():
        assert document["enabled"] is False
        assert deprecation_of(document) is None


def test_revive__archived_nowhere__says_so(world):
    flag = world.flag()

    with pytest.raises(StillNeeded, match="archived nowhere"):
        revive(world, flag)


def test_key__request_to_revive_is_open__is_not_given_away(world):
    flag = off_everywhere(world)
    (request,) = archive(world, flag).requests
    approve(world, request)
    flag.refresh_from_db()
    assert flag.archived_at is not None
    acts.create_change_request(
        world.production.pk,
        actor=actor_of(world.rita),
        title="Bring it back",
        reason="",
        change_set=_back(world, flag),
        apply_at=None,
        now=SOON,
    )

    with pytest.raises(KeyKeptBack, match="request #2 still names"):
        world.flag(flag.key)


def _back(world: World, flag: Flag) -> Any:
    config = FlagConfig.objects.get(flag=flag, environment=world.production)
    edit = ConfigEdit(flag.key, config.version, initial_document(flag.key, "boolean"))
    return ChangeSet(str(world.production.pk), (edit,))
