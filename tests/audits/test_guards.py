"""The database triggers: evidence is append-only whoever asks."""

from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from audits.guards import install_guards, reinstall_guards, remove_guards
from audits.integrity import GENESIS_HASH
from audits.models import AuditChain, AuditEvent
from tests.audits.trails import CHAIN, NOW, head_of, note, note_many

pytestmark = pytest.mark.django_db


def raw(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def save_changed() -> None:
    event = AuditEvent.objects.first()
    assert event is not None
    event.reason = "changed"
    event.save()


def bulk_update() -> None:
    events = list(AuditEvent.objects.all())
    for event in events:
        event.reason = "changed"
    AuditEvent.objects.bulk_update(events, ["reason"])


def forged(**given: object) -> AuditEvent:
    last = AuditEvent.objects.order_by("sequence").last()
    assert last is not None
    values = {
        name: getattr(last, name) for name in ("chain", "action", "actor_kind", "actor_id", "target_type", "hash")
    }
    values |= {"sequence": last.sequence + 1, "previous_hash": last.hash, "occurred_at": NOW, "correlation_id": uuid4()}
    return AuditEvent(**{**values, **given})


DOORS = {
    "save": save_changed,
    "update": lambda: AuditEvent.objects.update(reason="changed"),
    "update of the hash": lambda: AuditEvent.objects.update(hash=GENESIS_HASH),
    "update to the same": lambda: AuditEvent.objects.update(reason=F("reason")),
    "bulk_update": bulk_update,
    "delete": lambda: AuditEvent.objects.all().delete(),
    "delete one": lambda: AuditEvent.objects.earliest("sequence").delete(),
    "raw delete": lambda: AuditEvent.objects.all()._raw_delete("default"),
    "raw update": lambda: raw("UPDATE audits_auditevent SET data = '{}'"),
    "raw delete sql": lambda: raw("DELETE FROM audits_auditevent WHERE sequence = 3"),
    "insert with a gap": lambda: forged(sequence=9).save(force_insert=True),
    "insert in the middle": lambda: forged(sequence=2).save(force_insert=True),
    "insert with a wrong link": lambda: forged(previous_hash=GENESIS_HASH).save(force_insert=True),
    "insert without a chain": lambda: forged(chain="new", sequence=1).save(force_insert=True),
    "upsert": lambda: AuditEvent.objects.bulk_create(
        [forged(pk=AuditEvent.objects.earliest("sequence").pk)],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["reason"],
    ),
    "chain delete": lambda: AuditChain.objects.all().delete(),
    "chain raw delete": lambda: raw("DELETE FROM audits_auditchain"),
    "chain backwards": lambda: AuditChain.objects.update(sequence=F("sequence") - 1),
    "chain reset": lambda: AuditChain.objects.update(sequence=0, head_hash=GENESIS_HASH),
    "chain hash only": lambda: AuditChain.objects.update(head_hash=GENESIS_HASH),
    "chain two steps": lambda: AuditChain.objects.update(sequence=F("sequence") + 2),
    "chain renamed": lambda: AuditChain.objects.update(chain="other", sequence=F("sequence") + 1),
    "chain begun late": lambda: AuditChain.objects.create(chain="other", sequence=5),
}
SQLITE_DOORS = {
    "replace event": "INSERT OR REPLACE INTO audits_auditevent SELECT * FROM audits_auditevent WHERE sequence = 1",
    "replace chain": f"INSERT OR REPLACE INTO audits_auditchain VALUES ('{CHAIN}', 0, '{GENESIS_HASH}')",
    "update or replace": "UPDATE OR REPLACE audits_auditevent SET sequence = 1",
    "update or ignore": "UPDATE OR IGNORE audits_auditevent SET reason = 'changed'",
}
POSTGRESQL_DOORS = {
    "truncate": "TRUNCATE audits_auditevent",
    "truncate chains": "TRUNCATE audits_auditchain",
    "truncate both": "TRUNCATE audits_auditevent, audits_auditchain CASCADE",
    "merge": "INSERT INTO audits_auditevent SELECT * FROM audits_auditevent WHERE sequence = 1 "
    "ON CONFLICT (id) DO UPDATE SET reason = 'changed'",
}


def assert_refused(door: object) -> None:
    events = list(AuditEvent.objects.order_by("sequence").values())
    chains = list(AuditChain.objects.values())

    with pytest.raises(IntegrityError), transaction.atomic():
        door()  # type: ignore[operator]

    assert list(AuditEvent.objects.order_by("sequence").values()) == events
    assert list(AuditChain.objects.values()) == chains


@pytest.mark.parametrize("door", DOORS)
def test_guards__any_way_but_the_trail__is_refused(door):
    note_many(3)

    assert_refused(DOORS[door])


@pytest.mark.sqlite
@pytest.mark.parametrize("door", SQLITE_DOORS)
def test_guards__sqlite_way_around_delete_triggers__is_refused(door):
    note_many(3)

    assert_refused(lambda: raw(SQLITE_DOORS[door]))


@pytest.mark.postgres
@pytest.mark.parametrize("door", POSTGRESQL_DOORS)
def test_guards__postgresql_way_around_row_triggers__is_refused(door):
    note_many(3)

    assert_refused(lambda: raw(POSTGRESQL_DOORS[door]))


def test_guards__one_event_replaced_by_its_forgery_at_the_head__is_refused():
    """A forgery with the right number and link, but the id of an older event, must not take that event's place."""
    first, *_ = note_many(3)

    assert_refused(lambda: forged(pk=first.pk).save(force_insert=True))


def test_reinstall__triggers_lost_with_a_rebuilt_table__are_back():
    note_many(2)
    remove_guards(connection)

    reinstall_guards(using="default")

    assert_refused(lambda: AuditEvent.objects.update(reason="changed"))


def test_install__twice__is_harmless():
    install_guards(connection)
    install_guards(connection)

    note()
    assert head_of().sequence == 1
