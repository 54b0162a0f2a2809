"""Evidence changes in one way only: a payload leaves for the file that holds it, and comes back byte for byte."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import JSONField, TextField, Value
from django.db.models.functions import Cast

from audits.context import current_correlation_id
from flags.archives import ArchiveNote, note_of, stub_of, text_digest
from flags.models import ArchivedPayload, ArchiveTicket, FlagConfig
from flags.services.tickets import governed_write
from rollouts.services.retention.tickets import archive_write
from tests.factories import World, make_served_world, percent_document

pytestmark = [pytest.mark.django_db, pytest.mark.engines]

TABLE = "flags_historicalflagconfig"
History: Any = FlagConfig.history.model
FILE, DAY = "shop-versions.jsonl.gz", date(2026, 11, 21)


@pytest.fixture
def world() -> World:
    """A flag in production with two versions."""
    world = make_served_world(5)
    world.serve(world.first_flag, world.production, percent_document(world.first_flag.key, 50))
    return world


def row_of(world: World, version: int = 1) -> Any:
    """A version of the flag in production."""
    return History.objects.get(flag=world.first_flag, environment=world.production, version=version)


def text_of(row: Any) -> str:
    """The document as the database holds it."""
    texts = History.objects.filter(pk=row.pk).values_list(Cast("document", TextField()), flat=True)
    return str(texts.get())


def note(row: Any, **changed: Any) -> ArchiveNote:
    """The note that may stand instead of a row's document."""
    return ArchiveNote(**{"on": DAY, "file": FILE, "sha256": text_digest(text_of(row)), **changed})


def promise(row: Any, **changed: Any) -> ArchivedPayload:
    """What says that the file holds the row's document."""
    text = text_of(row)
    facts = {
        "environment_id": row.environment_id,
        "payload_class": "versions",
        "table_name": TABLE,
        "column_name": "document",
        "row_id": str(row.pk),
        "sha256": text_digest(text),
        "size": len(text),
        "file": FILE,
        "archived_on": DAY,
        "correlation_id": current_correlation_id(),
    }
    return ArchivedPayload.objects.create(**{**facts, **changed})


def leave(row: Any, stub: Any, **others: Any) -> None:
    History.objects.filter(pk=row.pk).update(document=stub, **others)


def put_back(row: Any, text: str) -> None:
    History.objects.filter(pk=row.pk).update(document=Cast(Value(text, TextField()), JSONField()))


def archived(world: World) -> tuple[Any, str]:
    """The first version, archived as it should be, and its text."""
    row = row_of(world)
    text = text_of(row)
    with archive_write(row.environment_id):
        promise(row)
        leave(row, stub_of(note(row)))
    return row, text


def raw(world: World) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {TABLE} SET document = '{{}}'")


def test_swap__promised_and_with_a_ticket__leaves_the_note_and_nothing_else(world):
    before = History.objects.filter(pk=row_of(world).pk).values().get()
    row, text = archived(world)
    after = History.objects.filter(pk=row.pk).values().get()

    kept = note_of(after.pop("document"))
    assert before.pop("document") == json.loads(text)
    assert after == before
    assert kept == ArchiveNote(DAY, FILE, text_digest(text))
    assert kept.words == f"Archived on 21 November 2026; ask for the file {FILE}."


def test_swap__back__is_byte_for_byte(world):
    row, text = archived(world)

    with archive_write(row.environment_id):
        put_back(row, text)

    assert text_of(row) == text


# Each with a ticket and an honest promise about the first version; the attack is what comes after.
ATTACKS: dict[str, Callable[[World, Any], object]] = {
    "another document": lambda w, row: leave(row, {**row.document, "enabled": not row.document["enabled"]}),
    "an empty document": lambda w, row: leave(row, {}),
    "no document": lambda w, row: leave(row, Value(None, JSONField())),
    "the note of another text": lambda w, row: leave(row, stub_of(note(row, sha256="0" * 64))),
    "the note of another file": lambda w, row: leave(row, stub_of(note(row, file="other.gz"))),
    "the note of another day": lambda w, row: leave(row, stub_of(note(row, on=date(2020, 1, 1)))),
    "the note and something else": lambda w, row: leave(row, {**stub_of(note(row)), "enabled": True}),
    "the note and another version": lambda w, row: leave(row, stub_of(note(row)), version=7),
    "the note and another author": lambda w, row: leave(row, stub_of(note(row)), actor_id="somebody"),
    "the note and another digest": lambda w, row: leave(row, stub_of(note(row)), digest="0" * 64),
    "the note and another time": lambda w, row: leave(row, stub_of(note(row)), updated_at="2020-01-01T00:00:00Z"),
    "the note in the row beside": lambda w, row: leave(row_of(w, 2), stub_of(note(row))),
    "nothing at all": lambda w, row: leave(row, row.document),
    "another column only": lambda w, row: History.objects.filter(pk=row.pk).update(version=7),
    "deleted": lambda w, row: History.objects.filter(pk=row.pk).delete(),
    "raw SQL": lambda w, row: raw(w),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_swap__anything_but_the_promised_one__is_refused(attack, world):
    row = row_of(world)
    before = list(History.objects.order_by("pk").values())

    with archive_write(row.environment_id):
        promise(row)
        with pytest.raises(IntegrityError), transaction.atomic():
            ATTACKS[attack](world, row)

    assert list(History.objects.order_by("pk").values()) == before


WRONG_PROMISES: dict[str, Callable[[World], dict[str, Any]]] = {
    "of another table": lambda w: {"table_name": "flags_historicalsegment"},
    "of another column": lambda w: {"column_name": "reason"},
    "of another row": lambda w: {"row_id": str(row_of(w, 2).pk)},
    "of another text": lambda w: {"sha256": "0" * 64},
    "of another environment": lambda w: {"environment_id": w.staging.pk},
}


@pytest.mark.parametrize("wrong", WRONG_PROMISES)
def test_swap__promised_otherwise__is_refused(wrong, world):
    row, changed = row_of(world), WRONG_PROMISES[wrong](world)

    stub = stub_of(note(row, **{name: changed[name] for name in changed if name == "sha256"}))
    with archive_write(world.staging.pk), archive_write(row.environment_id):
        promise(row, **changed)
        with pytest.raises(IntegrityError), transaction.atomic():
            leave(row, stub)

    assert note_of(row_of(world).document) is None


FILE_NAMES = [
    "../../never/written",
    "a/b.gz",
    ".gz",
    "",
    "x.gz\n",
    'x"}, "enabled": true, "y": {"z": ".gz',
    "x'; --.gz",
]


@pytest.mark.parametrize("name", FILE_NAMES)
def test_promise__of_what_is_no_name_of_a_file__is_refused(name, world):
    row = row_of(world)

    with archive_write(row.environment_id), pytest.raises(IntegrityError), transaction.atomic():
        promise(row, file=name)


def test_swap__of_the_version_that_is_served__is_refused(world):
    row = row_of(world, 2)

    with archive_write(row.environment_id):
        promise(row)
        with pytest.raises(IntegrityError), transaction.atomic():
            leave(row, stub_of(note(row)))

    assert note_of(row_of(world, 2).document) is None


def test_swap__of_a_note__is_refused(world):
    row, _ = archived(world)
    other = note(row, file="other.gz")

    with archive_write(row.environment_id):
        promise(row, file="other.gz")
        with pytest.raises(IntegrityError), transaction.atomic():
            leave(row, stub_of(other))

    assert row_of(world).document["archived"]["file"] == FILE


def test_swap_and_promise__with_a_ticket_for_anything_else__are_refused(world):
    row = row_of(world)

    with governed_write(row.environment_id), pytest.raises(IntegrityError), transaction.atomic():
        promise(row)
    with archive_write(row.environment_id):
        promise(row)
    with governed_write(row.environment_id), pytest.raises(IntegrityError), transaction.atomic():
        leave(row, stub_of(note(row)))

    assert note_of(row_of(world).document) is None


@pytest.mark.django_db(transaction=True)
def test_archive_ticket__left_behind__fails_the_whole_commit():
    with pytest.raises(IntegrityError), transaction.atomic():
        ArchiveTicket.objects.create(environment_id=uuid4())

    assert not ArchiveTicket.objects.exists()


def test_swap__without_a_ticket__is_refused(world):
    row = row_of(world)
    with archive_write(row.environment_id):
        promise(row)

    with pytest.raises(IntegrityError), transaction.atomic():
        leave(row, stub_of(note(row)))
    with pytest.raises(IntegrityError), archive_write(world.staging.pk):
        leave(row, stub_of(note(row)))

    assert note_of(row_of(world).document) is None


@pytest.mark.parametrize("change", [lambda text: text.replace("50000", "60000"), lambda text: "{}", lambda text: "[]"])
def test_swap__back_to_another_text__is_refused(change, world):
    row, text = archived(world)

    with pytest.raises(IntegrityError), archive_write(row.environment_id):
        put_back(row, change(text.replace("5000", "50000")))

    assert note_of(row_of(world).document) is not None


def test_swap__back_without_a_ticket__is_refused(world):
    row, text = archived(world)

    with pytest.raises(IntegrityError), transaction.atomic():
        put_back(row, text)


def test_promises__without_a_ticket_or_afterwards__are_refused(world):
    row, _ = archived(world)

    with pytest.raises(IntegrityError, match="flagsite"), transaction.atomic():
        promise(row, file="another.gz")
    for write in (
        lambda: ArchivedPayload.objects.update(sha256="0" * 64),
        lambda: ArchivedPayload.objects.all().delete(),
    ):
        with pytest.raises(IntegrityError, match="flagsite"), archive_write(row.environment_id):
            write()


@pytest.mark.parametrize(
    "payload", [None, [], "archived", {}, {"archived": "x"}, {"archived": {"file": "x"}}, {"archived": {}, "x": 1}]
)
def test_note_of__what_is_no_note__is_none(payload):
    assert note_of(payload) is None
