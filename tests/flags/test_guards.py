"""The database keeps governed tables shut: ORM or raw SQL, without a ticket or with a wrong one."""

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import IntegrityError, connection, transaction

from flags.guards import FLAGS_GUARDS
from flags.models import (
    ApplyTicket,
    Environment,
    EnvironmentToken,
    EnvironmentUserGrant,
    Flag,
    FlagConfig,
    Project,
    Segment,
)
from flags.services.configs import edit_segment
from flags.services.tickets import governed_write
from flags.services.tokens import issue_token, revoke_token
from tests.factories import NOW, SOON, World, actor_of, make_world, percent_document

pytestmark = [pytest.mark.django_db, pytest.mark.engines]


@pytest.fixture
def world() -> World:
    world = make_world()
    flag = world.flag()
    world.serve(flag, world.production)
    edit_segment(
        world.development.pk,
        actor=actor_of(world.rita),
        key="beta",
        name="Beta",
        document={"schema": 1, "condition": {"attribute": "beta", "operator": "is_true", "value": None}},
        base_version=0,
        reason="",
        now=NOW,
    )
    actor = actor_of(world.ada)
    issued = issue_token(world.production.pk, actor=actor, name="ci", scope="evaluate", expires_at=SOON, now=NOW)
    revoke_token(issued.token.pk, actor=actor, now=NOW, reason="Leaked")
    return world


def config(world: World) -> FlagConfig:
    return FlagConfig.objects.get(environment=world.production)


def save(world: World) -> None:
    row = config(world)
    row.document = percent_document("checkout-redesign", 100)
    row.save()


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def bulk_create(world: World) -> None:
    other = world.flag("other")
    row = FlagConfig(flag=other, environment=world.production, document={}, version=1, digest="", updated_at=NOW)
    FlagConfig.objects.bulk_create([row])


def bulk_update(world: World) -> None:
    row = config(world)
    row.version = 99
    FlagConfig.objects.bulk_update([row], ["version"])


def history_revert(world: World) -> None:
    row = config(world).history.first().instance
    row.version = 7
    row.save()


def grant(world: World) -> None:
    permission = Permission.objects.get(codename="approve_change")
    EnvironmentUserGrant.objects.create(user=world.rita, permission=permission, content_object=world.production)


def guardian_assign(world: World) -> None:
    from guardian.shortcuts import assign_perm

    assign_perm("flags.approve_change", world.rita, world.production)


DOORS = {
    "save": save,
    "update": lambda w: FlagConfig.objects.filter(pk=config(w).pk).update(version=99),
    "delete": lambda w: config(w).delete(),
    "queryset delete": lambda w: FlagConfig.objects.all().delete(),
    "bulk_create": bulk_create,
    "bulk_update": bulk_update,
    "update_or_create": lambda w: FlagConfig.objects.update_or_create(pk=config(w).pk, defaults={"version": 9}),
    "history instance save": history_revert,
    "history update": lambda w: config(w).history.update(version=9),
    "history delete": lambda w: config(w).history.all().delete(),
    "history insert": lambda w: config(w).history.bulk_history_create(
        [config(w)], custom_historical_attrs={"actor_kind": "", "actor_id": "", "correlation_id": uuid.uuid4()}
    ),
    "raw update": lambda w: run("UPDATE flags_flagconfig SET version = 99"),
    "raw delete": lambda w: run("DELETE FROM flags_flagconfig"),
    "segment update": lambda w: Segment.objects.update(name="x"),
    "segment delete": lambda w: Segment.objects.all().delete(),
    "environment unprotected": lambda w: Environment.objects.filter(pk=w.production.pk).update(is_protected=False),
    "environment save": lambda w: w.production.save(),
    "environment delete": lambda w: run("DELETE FROM flags_environment"),
    "grant": grant,
    "grant through guardian": guardian_assign,
    "grants moved": lambda w: EnvironmentUserGrant.objects.update(user=w.rita),
    "grants deleted": lambda w: EnvironmentUserGrant.objects.all().delete(),
    "flag key": lambda w: Flag.objects.update(key="other"),
    "flag type": lambda w: Flag.objects.update(value_type="string"),
    "flag kind": lambda w: Flag.objects.update(kind="permission"),
    "flag tags": lambda w: Flag.objects.update(tags=["quiet"]),
    "flag owner": lambda w: Flag.objects.update(owner_team=None, owner=None),
    "token let in again": lambda w: EnvironmentToken.objects.update(revoked_at=None),
    "token revoked later": lambda w: EnvironmentToken.objects.update(revoked_at=SOON),
    "token of another scope": lambda w: EnvironmentToken.objects.update(scope="manage"),
    "token of another place": lambda w: EnvironmentToken.objects.update(environment=w.staging),
    "token of another secret": lambda w: EnvironmentToken.objects.update(secret_hash="x"),
    "token that lives longer": lambda w: EnvironmentToken.objects.update(expires_at=None),
    "token deleted": lambda w: EnvironmentToken.objects.all().delete(),
    "project key": lambda w: Project.objects.update(key="other"),
}


def facts() -> list[list[Any]]:
    history = FlagConfig.history.model
    tables = (FlagConfig, history, Segment, Environment, EnvironmentUserGrant, Flag, Project, EnvironmentToken)
    return [list(table.objects.order_by("pk").values_list()) for table in tables]


@pytest.mark.parametrize("door", DOORS)
def test_governed_tables__written_without_a_ticket__are_unchanged(door, world):
    world.flag("second")
    before = facts()

    with pytest.raises(IntegrityError, match="flagsite"), transaction.atomic():
        DOORS[door](world)

    after = facts()
    after[5] = [row for row in after[5] if row[2] != "other"] if door == "bulk_create" else after[5]
    assert after == before or door == "bulk_create"
    assert FlagConfig.objects.filter(environment=world.production).count() == 1


def test_ticket__of_another_environment__opens_nothing_here(world):
    with pytest.raises(IntegrityError, match="flagsite"), governed_write(world.development.pk):
        FlagConfig.objects.filter(environment=world.production).update(version=99)

    assert config(world).version == 1


def test_ticket__row_moved_to_the_open_environment__is_refused(world):
    with pytest.raises(IntegrityError), governed_write(world.development.pk):
        FlagConfig.objects.filter(environment=world.production).update(environment=world.staging)

    assert config(world).version == 1


@pytest.mark.parametrize("table", FLAGS_GUARDS)
def test_guards__after_migrate__exist_on_every_governed_table(table):
    if connection.vendor == "sqlite":
        sql = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s"
    else:
        sql = "SELECT count(*) FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal"
    with connection.cursor() as cursor:
        cursor.execute(sql, [table])
        count = cursor.fetchone()[0]

    guard = FLAGS_GUARDS[table]
    if connection.vendor == "sqlite":
        assert count == len(guard.ticketed) + len(guard.refused) + bool(guard.immutable) + bool(guard.once)
    else:
        kinds = (guard.ticketed, guard.refused, guard.immutable, guard.once, guard.archivable)
        assert count == sum(map(bool, kinds)) + 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_guards__truncate__is_refused():
    make_world()

    for table in FLAGS_GUARDS:
        with pytest.raises(IntegrityError, match="flagsite"), transaction.atomic():
            run(f"TRUNCATE {table} CASCADE")


@pytest.mark.django_db(transaction=True)
def test_ticket__left_behind__fails_the_whole_commit():
    world = make_world()

    def leave_a_ticket() -> None:
        with transaction.atomic():
            ApplyTicket.objects.create(environment_id=world.production.pk)
            Environment.objects.filter(pk=world.production.pk).update(is_protected=False)

    with pytest.raises(IntegrityError):
        leave_a_ticket()

    assert Environment.objects.get(pk=world.production.pk).is_protected
    assert not ApplyTicket.objects.exists()


@pytest.mark.parametrize("facts", [{"seal_id": 1}, {"id": -1}, {"id": -1, "seal_id": -1}])
def test_ticket__made_to_seal_itself__is_refused(facts, world):
    with pytest.raises(IntegrityError), transaction.atomic():
        ApplyTicket.objects.create(environment_id=world.production.pk, **facts)
