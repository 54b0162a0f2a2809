"""Verification of stored chains: what a person with full access to the database did is found and named."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from audits import chains
from audits.chains import Verdict, verify_chain
from audits.integrity import ROW_COLUMNS, Fault
from audits.models import AuditEvent
from tests.audits.trails import BACKOFFICE, CHAIN, note, note_many
from tests.support.flush import without_triggers

pytestmark = pytest.mark.django_db
LENGTH = 7


def tamper(sql: str, *values: Any) -> None:
    """Run a statement as the database's owner would: with the triggers out of the way."""
    with without_triggers(connection), connection.cursor() as cursor:
        cursor.execute(sql, values)
        assert cursor.rowcount > 0


def other_value(column: str, sequence: int) -> Any:
    event = AuditEvent.objects.get(chain=CHAIN, sequence=sequence)
    if column in ("id", "correlation_id"):
        text = "33333333-3333-4333-8333-333333333333"
        return text if connection.vendor == "postgresql" else text.replace("-", "")
    return {
        "sequence": sequence + 100,
        "occurred_at": "2026-11-21 12:00:00.000001+00:00"
        if connection.vendor == "postgresql"
        else "2026-11-21 12:00:00.000001",
        "actor_kind": "system",
        "chain": str(BACKOFFICE),
    }.get(column, f"{getattr(event, column)}x"[-64:])


@pytest.mark.parametrize("sequence", [1, 4, LENGTH])
@pytest.mark.parametrize("column", ROW_COLUMNS)
def test_verify_chain__column_altered_in_the_database__row_is_named(column, sequence):
    note_many(LENGTH)
    event_id = AuditEvent.objects.get(sequence=sequence).pk

    tamper(
        f"UPDATE audits_auditevent SET {column} = %s WHERE chain = %s AND sequence = %s",
        other_value(column, sequence),
        CHAIN,
        sequence,
    )

    bad = verify_chain(CHAIN).bad
    assert bad is not None
    assert bad.sequence == sequence
    if column not in ("id", "chain", "sequence"):
        assert bad.event_id == str(event_id)


SQLITE_DAMAGE = {
    "instant is no instant": "SET occurred_at = 'yesterday'",
    "instant without blank": "SET occurred_at = replace(occurred_at, ' ', 'T')",
    "instant with zone": "SET occurred_at = occurred_at || '+00:00'",
    "id is no id": "SET id = 'nonsense'",
    "id in capitals": "SET id = upper(id)",
    "id with dashes": "SET id = id || '-'",
    "text is bytes": "SET reason = X'00FF'",
    "text is a number": "SET data = 5.5",
    "text is not UTF-8": "SET reason = CAST(X'FF' AS TEXT)",
    "sequence is text": "SET sequence = 'two'",
    "sequence is a fraction": "SET sequence = 2.5",
}


@pytest.mark.sqlite
@pytest.mark.parametrize("damage", SQLITE_DAMAGE)
def test_verify_chain__value_of_another_type__row_is_named_not_raised(damage):
    note_many(LENGTH)
    # A row whose id has letters, so that capitals make another value of it.
    rows = AuditEvent.objects.order_by("sequence")
    place = next(row.sequence for row in rows if any(letter.isalpha() for letter in row.pk.hex))

    tamper(f"UPDATE audits_auditevent {SQLITE_DAMAGE[damage]} WHERE sequence = {place}")

    bad = verify_chain(CHAIN).bad
    assert bad is not None
    assert bad.sequence == place


ROWS_TAMPERED = {
    "row removed": ("DELETE FROM audits_auditevent WHERE sequence = 3", 3, Fault.GAP),
    "first row removed": ("DELETE FROM audits_auditevent WHERE sequence = 1", 1, Fault.GAP),
    "tail cut": ("DELETE FROM audits_auditevent WHERE sequence > 5", 6, Fault.TRUNCATED),
    "all rows removed": ("DELETE FROM audits_auditevent", 1, Fault.TRUNCATED),
    "head set back": ("UPDATE audits_auditchain SET sequence = 6", 6, Fault.HEAD_MISMATCH),
    "head set back with its hash": (
        "UPDATE audits_auditchain SET sequence = 6, "
        "head_hash = (SELECT hash FROM audits_auditevent WHERE sequence = 6)",
        7,
        Fault.BEYOND_HEAD,
    ),
    "head hash replaced": (f"UPDATE audits_auditchain SET head_hash = '{'f' * 64}'", LENGTH, Fault.HEAD_MISMATCH),
    "head removed": ("DELETE FROM audits_auditchain", 0, Fault.HEAD_MISSING),
    "row inserted": (
        "INSERT INTO audits_auditevent SELECT {columns} FROM audits_auditevent WHERE sequence = 7",
        8,
        Fault.BEYOND_HEAD,
    ),
}


@pytest.mark.parametrize("case", ROWS_TAMPERED)
def test_verify_chain__rows_or_head_tampered_with__place_is_named(case):
    note_many(LENGTH)
    statement, sequence, fault = ROWS_TAMPERED[case]
    fields = [field.attname for field in AuditEvent._meta.concrete_fields]
    new_id = "'44444444-4444-4444-8444-444444444444'" + ("::uuid" if connection.vendor == "postgresql" else "")
    columns = ", ".join({"id": new_id, "sequence": "8"}.get(name, name) for name in fields)

    tamper(statement.format(columns=columns))

    bad = verify_chain(CHAIN).bad
    assert bad is not None
    assert (bad.sequence, bad.fault) == (sequence, fault)


def test_verify_chain__two_rows_swapped__first_is_named():
    note_many(LENGTH)

    for old, new in ((3, 99), (5, 3), (99, 5)):
        tamper("UPDATE audits_auditevent SET sequence = %s WHERE sequence = %s", new, old)

    bad = verify_chain(CHAIN).bad
    assert bad is not None
    assert (bad.sequence, bad.fault) == (3, Fault.WRONG_PREVIOUS_HASH)


def test_verify_chain__longer_than_a_page__is_walked_to_the_end(monkeypatch):
    monkeypatch.setattr(chains, "PAGE", 3)
    note_many(LENGTH)
    counts: list[int] = []

    verdict = verify_chain(CHAIN, on_progress=counts.append)

    assert (verdict.bad, verdict.events) == (None, LENGTH)
    assert counts == [3, 6, 7]


def test_verify_chain__many_pages__costs_one_query_a_page_and_two(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(chains, "PAGE", 3)
    note_many(6)

    with django_assert_num_queries(5):
        verify_chain(CHAIN)


def run(*arguments: str) -> tuple[str, int]:
    out = StringIO()
    try:
        call_command("verify_audit_trail", *arguments, stdout=out, stderr=StringIO(), no_color=True)
    except SystemExit as end:
        return out.getvalue(), int(end.code or 0)
    return out.getvalue(), 0


def test_command__sound_trail__says_so_in_one_line():
    note_many(3)
    note(project="")

    output, code = run()

    assert code == 0
    assert output.startswith("Sound: 4 events in 2 chains checked in ")
    assert output.count("\n") == 1


def test_command__no_events_at_all__is_sound():
    assert run("--all")[0].startswith("Sound: 0 events in 0 chains")


def test_command__broken_chain__names_row_and_fact_and_fails():
    events = note_many(3)
    note(project="backoffice")
    tamper("UPDATE audits_auditevent SET reason = 'forged' WHERE chain = %s AND sequence = 2", CHAIN)

    output, code = run()

    assert code == 1
    assert f"Chain {CHAIN}, event 2 ({events[1].pk}): wrong hash: " in output
    assert "BROKEN: 1 of 2 chains" in output


def test_command__json__is_one_object_with_the_first_bad_row():
    events = note_many(3)
    tamper("UPDATE audits_auditevent SET reason = 'forged' WHERE sequence = 2")

    output, code = run("--json", "--all")

    report = json.loads(output)
    assert code == 1
    assert report["verdict"] == "broken"
    assert report["chains"][0]["head_hash"] == events[2].hash
    assert report["chains"][0]["first_bad"] == {
        "sequence": 2,
        "id": str(events[1].pk),
        "fault": "wrong hash",
        "message": "its columns do not give its hash: a column was altered",
    }


def test_command__one_project__leaves_other_chains_alone():
    note_many(2)
    note(project="backoffice")
    tamper("UPDATE audits_auditevent SET reason = 'forged' WHERE chain = %s", str(BACKOFFICE))

    assert run("--project", "storefront")[1] == 0
    assert run("--project", "backoffice")[1] == 1
    assert run("--all")[1] == 1


def test_command__unknown_project__says_what_to_do():
    with pytest.raises(CommandError, match="Check the key") as refusal:
        run("--project", "nowhere")

    assert refusal.value.returncode == 2


def test_command__on_a_terminal__shows_progress(monkeypatch):
    note_many(3)
    stderr = StringIO()
    monkeypatch.setattr(stderr, "isatty", lambda: True)

    call_command("verify_audit_trail", stdout=StringIO(), stderr=stderr, no_color=True)

    assert f"{CHAIN}: 3 events" in stderr.getvalue()


def test_verdict__head_hash__is_what_an_operator_notes_down():
    last = note_many(3)[-1]

    verdict = verify_chain(CHAIN)

    assert verdict == Verdict(CHAIN, 3, last.hash, verdict.seconds, None)
