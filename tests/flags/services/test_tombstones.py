"""Keys of archived flags: kept back while somebody uses them, let go by two people, given to a new flag."""

import re
from collections.abc import Collection
from datetime import timedelta
from typing import Any

import pytest

from audits.models import AuditEvent
from flags.documents.deprecation import Deprecation, with_deprecation
from flags.errors import AlreadyExists, KeyKeptBack, PermissionMissing
from flags.models import CodeReference, CodeRepository, CodeScan, EvaluationCount, Flag, FlagConfig, FlagUse, Tombstone
from flags.permissions import Role
from flags.selectors.references import MOST_SHOWN
from flags.selectors.tombstones import people_who_release
from flags.services import tombstones
from flags.services.tickets import governed_write
from flags.services.tombstones import override_tombstone, register_hold
from flags.telemetry.labels import TEST_TRAFFIC
from tests.factories import NOW, World, actor_of, make_world

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def world() -> World:
    return make_world()


def archived(world: World, key: str = "old-basket") -> Flag:
    flag = world.flag(key)
    for config in FlagConfig.objects.filter(flag=flag).select_related("environment"):
        document: dict[str, Any] = with_deprecation(config.document, Deprecation(deprecated_at=NOW, is_archived=True))
        world.serve(flag, config.environment, document)
    flag.refresh_from_db()
    assert flag.archived_at == NOW
    return flag


def used(world: World, key: str = "old-basket", *, ago: timedelta) -> None:
    FlagUse.objects.create(
        environment=world.production,
        flag_key=key,
        service="billing-api",
        version="7",
        first_at=NOW - 90 * DAY,
        last_at=NOW - ago,
    )


def let_time_pass(flag: Flag, days: int = 31) -> None:
    """As if the flag had been archived that many days ago."""
    flag.archived_at = NOW - days * DAY
    with governed_write(flag.project_id):
        flag.save(update_fields=["archived_at"])


def report(world: World, *, days: Collection[int] = range(30), service: str = "shop") -> None:
    """Services reported evaluations of another flag everywhere, that many days ago each."""
    EvaluationCount.objects.bulk_create(
        EvaluationCount(
            environment=environment, span="hour", at=NOW - day * DAY, flag_key="another", variant="on",
            reason="STATIC", service=service, version="1", count=5,
        )
        for environment in world.project.environments.all()
        for day in days
    )  # fmt: skip


def scan(world: World) -> None:
    """The code was looked through once."""
    repository, _ = CodeRepository.objects.get_or_create(
        project=world.project, name="shop", defaults={"default_branch": "main", "created_at": NOW}
    )
    CodeScan.objects.create(
        repository=repository, branch="main", scanned_at=NOW, received_at=NOW, files_read=1, references=0,
        added=0, vanished=0, left_out=0, reported_by="ci",
    )  # fmt: skip


def known(world: World, flag: Flag) -> None:
    """Whatever can be known of who needs the key is known."""
    let_time_pass(flag)
    report(world)
    scan(world)


def named(world: World, key: str = "old-basket", *, branch: str = "main", is_gone: bool = False) -> None:
    repository = CodeRepository.objects.create(
        project=world.project, name="shop", default_branch="main", created_at=NOW
    )
    CodeReference.objects.create(
        repository=repository,
        branch=branch,
        flag_key=key,
        path="src/basket.py",
        ordinal=1,
        line=12,
        column=4,
        first_seen_at=NOW,
        vanished_at=NOW if is_gone else None,
    )


def test_create_flag__key_of_an_archived_flag_nobody_uses__takes_it(world):
    old = archived(world)
    used(world, ago=31 * DAY)
    named(world, branch="somebody's")
    known(world, old)

    new = world.flag("old-basket", value_type="string", variants=[{"name": "a", "value": "x"}])

    assert new.pk != old.pk
    assert Flag.objects.get(key="old-basket") == new
    old = Flag.everything.get(pk=old.pk)
    assert (old.replaced_at, old.archived_at) == (NOW, NOW - 31 * DAY)
    assert not FlagConfig.objects.filter(flag=old).exists()
    assert set(FlagConfig.history.filter(flag=old).values_list("version", "history_type")) == {(1, "+"), (2, "~")}
    assert Tombstone.objects.get().released_by == world.rita
    assert AuditEvent.objects.filter(flag_key="old-basket", action="flag.replaced", target_id=str(old.pk)).exists()
    assert not FlagConfig.objects.filter(flag=new, document__has_key="deprecation").exists()


@pytest.mark.parametrize("reason", ["used", "named"])
def test_create_flag__key_somebody_still_uses__says_who_and_where(world, reason):
    old = archived(world)
    if reason == "used":
        used(world, ago=3 * DAY)
    else:
        named(world)

    with pytest.raises(KeyKeptBack) as caught:
        world.flag("old-basket")

    told = str(caught.value)
    assert ("billing-api (last on 27 February 2026)" in told) is (reason == "used")
    assert ("src/basket.py:12 in shop" in told) is (reason == "named")
    assert "Abel Test" in told
    assert "Otto" not in told
    assert Flag.objects.get(key="old-basket") == old
    assert Tombstone.objects.get().released_at is None


def test_create_flag__named_in_main_and_very_often_elsewhere__keeps_the_key_back(world):
    old = archived(world)
    named(world)
    row = CodeReference.objects.get()
    CodeReference.objects.bulk_create(
        CodeReference(
            repository_id=row.repository_id, branch="feature/x", flag_key=row.flag_key, path="a.py", ordinal=number,
            line=number, column=1, first_seen_at=NOW,
        )
        for number in range(1, MOST_SHOWN + 1)
    )  # fmt: skip
    known(world, old)

    with pytest.raises(KeyKeptBack, match=r"src/basket\.py:12 in shop"):
        world.flag("old-basket")


def test_create_flag__code_no_longer_names_it__takes_it(world):
    old = archived(world)
    named(world, is_gone=True)
    known(world, old)

    assert world.flag("old-basket").archived_at is None


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("time", "archived for less than 30 days"),
        ("figures", "Services did not report evaluations in Development, Staging"),
        ("scan", "No code of this project was ever scanned"),
    ],
)
def test_create_flag__what_nobody_can_know__keeps_the_key_back(world, missing, sentence):
    flag = archived(world)
    let_time_pass(flag, days=10 if missing == "time" else 31)
    if missing != "figures":
        report(world)
    if missing != "scan":
        scan(world)

    with pytest.raises(KeyKeptBack, match=sentence) as caught:
        world.flag("old-basket")

    others = {"time": "less than", "figures": "report evaluations", "scan": "ever scanned"}
    assert [word for name, word in others.items() if name != missing and word in str(caught.value)] == []


@pytest.mark.parametrize(
    "figures",
    [{"service": TEST_TRAFFIC}, {"days": [29]}, {"days": [0]}, {"days": range(5, 30)}],
    ids=["test traffic", "once, long ago", "since today", "until five days ago"],
)
def test_create_flag__figures_of_nobody_or_with_gaps__keep_the_key_back(world, figures):
    flag = archived(world)
    let_time_pass(flag)
    scan(world)
    report(world, **figures)

    with pytest.raises(KeyKeptBack, match="Services did not report evaluations in Development, Staging all through"):
        world.flag("old-basket")


@pytest.mark.parametrize("key", ["Old-Basket", "old_basket", "old-basket.", "oldbasket", "OLD.BASKET"])
def test_create_flag__key_written_almost_like_one_that_is_kept_back__is_refused(world, key):
    archived(world)
    used(world, ago=DAY)

    with pytest.raises(KeyKeptBack, match=rf"The key {re.escape(key)} is written almost like old-basket\."):
        world.flag(key)

    assert not Flag.objects.filter(key=key).exists()


def test_create_flag__key_written_almost_like_one_nobody_uses__is_made_beside_it(world):
    old = archived(world)
    known(world, old)

    assert world.flag("Old-Basket").archived_at is None
    assert Tombstone.objects.get().released_at is None


@pytest.mark.parametrize("who", ["rita", "abel"])
def test_create_flag__key_written_almost_like_one_that_was_let_go__somebody_else_makes_it(world, who):
    archived(world)
    person = getattr(world, who)
    world.grant(person, world.production, Role.APPROVER)
    override_tombstone(Tombstone.objects.get().pk, actor=actor_of(person), reason="It is gone", now=NOW)

    if who == "abel":
        assert world.flag("Old-Basket").archived_at is None
        return
    with pytest.raises(KeyKeptBack, match="somebody else makes the new flag"):
        world.flag("Old-Basket")


def test_create_flag__key_written_almost_like_that_of_a_live_flag__is_made(world):
    world.flag("old-basket")

    assert world.flag("old_basket").archived_at is None


def test_create_flag__key_of_a_flag_that_lives__is_taken(world):
    world.flag()

    with pytest.raises(AlreadyExists, match="Choose another key"):
        world.flag()


@pytest.mark.parametrize(("who", "may"), [("abel", True), ("rita", False), ("rolf", False), ("vera", False)])
def test_override__roles__approvers_and_administrators_of_protected_environments(world, who, may):
    archived(world)
    used(world, ago=DAY)
    person = getattr(world, who)

    def act() -> None:
        override_tombstone(Tombstone.objects.get().pk, actor=actor_of(person), reason="The service is gone", now=NOW)

    if not may:
        with pytest.raises(PermissionMissing):
            act()
        return
    act()
    assert Tombstone.objects.get().released_by == person
    event = AuditEvent.objects.get(action="tombstone.released")
    assert event.reason == "The service is gone"
    assert '"billing-api"' in event.data
    assert world.flag("old-basket").archived_at is None


def test_override__whoever_let_it_go__does_not_make_the_new_flag(world):
    archived(world)
    used(world, ago=DAY)
    world.grant(world.rita, world.production, Role.EDITOR, Role.APPROVER)
    override_tombstone(Tombstone.objects.get().pk, actor=actor_of(world.rita), reason="It is gone", now=NOW)

    with pytest.raises(KeyKeptBack, match="somebody else makes the new flag"):
        world.flag("old-basket")


def test_override__twice_or_revived__is_refused(world):
    flag = archived(world)
    tombstone = Tombstone.objects.get()
    world.serve(flag, world.production)

    with pytest.raises(AlreadyExists, match="not kept back"):
        override_tombstone(tombstone.pk, actor=actor_of(world.abel), reason="It is gone", now=NOW)


def test_create_flag__something_stands_on_the_archived_flag__is_refused(world, monkeypatch):
    monkeypatch.setattr(tombstones, "_holds", {})
    register_hold("test", lambda flag: ["request 12"])
    archived(world)

    with pytest.raises(KeyKeptBack, match="request 12 still names"):
        world.flag("old-basket")


def test_archived_again__needs_letting_go_again(world):
    flag = archived(world)
    used(world, ago=DAY)
    override_tombstone(Tombstone.objects.get().pk, actor=actor_of(world.abel), reason="It is gone", now=NOW)
    world.serve(flag, world.production)
    config = FlagConfig.objects.get(flag=flag, environment=world.production)
    world.serve(flag, world.production, with_deprecation(config.document, Deprecation(NOW, is_archived=True)))

    with pytest.raises(KeyKeptBack, match="billing-api"):
        world.flag("old-basket")
    assert sorted(Tombstone.objects.values_list("lifecycle", flat=True)) == [1, 2]


def test_people_who_release__only_those_with_the_role_everywhere_it_is_protected(world):
    assert {person.pk for person in people_who_release(world.project)} >= {world.abel.pk, world.anna.pk}
    assert world.rita.pk not in {person.pk for person in people_who_release(world.project)}
