"""record(): in the act's transaction or not at all, complete, numbered without gaps, names outside the chain."""

from datetime import datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from django.db import transaction

from audits.actions import Action
from audits.context import Actor, ActorKind, correlation
from audits.errors import InvalidEvidence, OutsideTransaction
from audits.integrity import GENESIS_HASH, event_hash
from audits.models import AuditActor, AuditChain, AuditEvent
from audits.trail import Target, record
from tests.audits.trails import BACKOFFICE, CHAIN, NOW, STOREFRONT, head_of, note, note_many, person

FLAG = Target("flag", "f1", "checkout-redesign")


def note_and_fail() -> None:
    """An act that fails after its event was recorded."""
    with transaction.atomic():
        record(Action.FLAG_UPDATED, actor=person("ben", "Ben"), target=FLAG, now=NOW, project_id=STOREFRONT)
        raise ZeroDivisionError


@pytest.mark.django_db(transaction=True)
def test_record__no_transaction__is_refused_and_writes_nothing():
    with pytest.raises(OutsideTransaction):
        record(Action.FLAG_CREATED, actor=person("ben", "Ben"), target=FLAG, now=NOW)

    assert not AuditEvent.objects.exists()
    assert not AuditChain.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_record__act_rolled_back__leaves_no_event_and_no_gap():
    note()
    with pytest.raises(ZeroDivisionError):
        note_and_fail()
    note()

    assert list(AuditEvent.objects.order_by("sequence").values_list("sequence", flat=True)) == [1, 2]
    assert head_of().sequence == 2


@pytest.mark.django_db
def test_record__savepoint_rolled_back__leaves_no_event_and_no_gap():
    with transaction.atomic():
        note()
        with pytest.raises(ZeroDivisionError):
            note_and_fail()
        note()

    assert list(AuditEvent.objects.order_by("sequence").values_list("sequence", flat=True)) == [1, 2]


@pytest.mark.django_db
def test_record__every_value_given__is_stored_and_hashed():
    act = uuid4()
    event = note(
        Action.CHANGE_REQUEST_APPROVED,
        actor=person("ben", "Ben Okafor", via="admin"),
        target=Target("change_request", "r1", "#12 Raise checkout to 25 %"),
        environment_key="production",
        flag_key="checkout-redesign",
        reason="Looks good",
        data={"digest": "abc", "weights": [1, 2]},
        act=act,
    )

    stored = AuditEvent.objects.get()
    assert stored.facts() == event.facts()
    assert stored.facts() == {
        "id": str(event.id),
        "chain": CHAIN,
        "sequence": 1,
        "occurred_at": "2026-11-21T12:00:00.000000Z",
        "action": "change_request.approved",
        "actor_kind": "person",
        "actor_id": "ben",
        "via": "admin",
        "correlation_id": str(act),
        "project_key": "storefront",
        "environment_key": "production",
        "flag_key": "checkout-redesign",
        "target_type": "change_request",
        "target_id": "r1",
        "target_label": "#12 Raise checkout to 25 %",
        "reason": "Looks good",
        "data": '{"digest":"abc","weights":[1,2]}',
    }
    assert stored.details == {"digest": "abc", "weights": [1, 2]}
    assert stored.previous_hash == GENESIS_HASH
    assert stored.hash == event_hash(GENESIS_HASH, stored.facts())


@pytest.mark.django_db
def test_record__several_projects__each_has_its_own_chain():
    for project in ("storefront", "backoffice", "", "storefront"):
        note(project=project)

    found = AuditEvent.objects.order_by("chain", "sequence").values_list("chain", "sequence")
    assert list(found) == [(CHAIN, 1), (CHAIN, 2), (str(BACKOFFICE), 1), ("site", 1)]


@pytest.mark.django_db
def test_record__each_event__names_the_hash_before_it():
    first, second, third = note_many(3)

    assert (second.previous_hash, third.previous_hash) == (first.hash, second.hash)
    assert (head_of().sequence, head_of().head_hash) == (3, third.hash)


@pytest.mark.django_db
def test_record__second_event_of_a_known_actor__costs_four_queries(django_assert_num_queries):
    note()
    with transaction.atomic(), django_assert_num_queries(4):
        record(Action.FLAG_UPDATED, actor=person("ben", "Ben Okafor"), target=FLAG, now=NOW, project_id=STOREFRONT)


@pytest.mark.django_db
def test_record__instant_of_another_zone__is_hashed_in_utc():
    cairo = timezone(timedelta(hours=2))
    event = note(now=datetime(2026, 11, 21, 14, 0, 0, 5, tzinfo=cairo))

    assert event.facts()["occurred_at"] == "2026-11-21T12:00:00.000005Z"
    assert AuditEvent.objects.get().facts() == event.facts()


@pytest.mark.django_db
def test_record__acts_in_one_correlation__share_its_id():
    with correlation() as act:
        events = [note(act=act), note(act=act)]
    other = note()

    assert {event.correlation_id for event in events} == {act}
    assert other.correlation_id != act


@pytest.mark.django_db
def test_record__actor_renamed__newest_name_is_kept_and_no_hash_changes():
    before = note(actor=person("ben", "Ben Okafor"))
    note(actor=person("ben", "Ben Adeyemi"))

    assert AuditActor.objects.get(kind="person", id="ben").label == "Ben Adeyemi"
    assert AuditEvent.objects.get(pk=before.pk).hash == before.hash


@pytest.mark.django_db
def test_record__same_id_of_two_kinds__has_two_names():
    note(actor=person("x", "Xenia"))
    note(actor=Actor.service("x", "Deploy bot"))

    assert set(AuditActor.objects.values_list("kind", "label")) == {("person", "Xenia"), ("service", "Deploy bot")}


@pytest.mark.django_db
def test_record__person_as_target__is_named_outside_the_chain():
    event = note(Action.ROLE_CHANGED, target=Target("person", "rosa", "Rosa Lind"))

    assert "Rosa" not in str(event.facts())
    assert event.target_name == "Rosa Lind"
    assert AuditActor.objects.get(id="rosa").label == "Rosa Lind"


@pytest.mark.django_db
def test_record__person_as_target_without_name__keeps_the_name_known_before():
    note(actor=person("rosa", "Rosa Lind"))
    note(Action.ROLE_CHANGED, target=Target("person", "rosa", ""))

    assert AuditActor.objects.get(id="rosa").label == "Rosa Lind"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "column"),
    [
        ({"reason": "nul \x00"}, "reason"),
        ({"reason": "half \ud83d"}, "reason"),
        ({"project_key": "k" * 61}, "project_key"),
        ({"flag_key": "k" * 101}, "flag_key"),
        ({"target": Target("flag", "i" * 201, "")}, "target_id"),
        ({"target": Target("flag", "f1", "bad \udfff")}, "target_label"),
        ({"target": Target("person", "p1", "bad \x00")}, "target_label"),
        ({"actor": person("ben", "Ben\x00")}, "actor_label"),
        ({"actor": person("", "Nobody")}, "actor_id"),
        ({"data": {"share": float("nan")}}, "data"),
        ({"data": {"text": "\ud800"}}, "data"),
        ({"data": {"at": NOW}}, "data"),
        ({"data": {"weights": {9: 1, 10: 2}}}, "data"),
        ({"data": {1: "one", "1": "the same key"}}, "data"),
        ({"now": datetime(2026, 11, 21)}, "occurred_at"),  # noqa: DTZ001 - the point of the case
    ],
)
def test_record__value_a_database_could_not_hold__is_refused_with_the_column(given, column):
    with pytest.raises(InvalidEvidence) as refusal:
        note(**given)

    assert refusal.value.facts == {"column": column}
    assert not AuditEvent.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text", ["\u2028 line", "emoji 🎛️", "Ω" * 5000, "'; DROP TABLE audits_auditevent; --", "\x7f\x1b[31m"]
)
def test_record__unusual_but_valid_text__is_stored_and_verifies(text):
    event = note(reason=text, data={"text": text, text: 1})

    stored = AuditEvent.objects.get()
    assert (stored.reason, stored.details["text"]) == (text, text)
    assert stored.facts() == event.facts()


@pytest.mark.django_db
def test_record__nesting_beyond_all_reason__is_refused():
    data: dict[str, object] = {}
    for _ in range(100_000):
        data = {"inner": data}

    with pytest.raises(InvalidEvidence):
        note(data=data)


@pytest.mark.django_db
def test_record__kinds_of_actors__are_the_closed_list():
    note(actor=Actor.system("rollouts.apply_due_changes"))

    assert AuditEvent.objects.get().actor_kind == ActorKind.SYSTEM
    assert isinstance(AuditEvent.objects.get().correlation_id, UUID)


def test_actions__names__are_unique_and_well_formed():
    names = [action.value for action in Action]

    assert len(names) == len(set(names))
    for name in names:
        target, dot, verb = name.partition(".")
        assert dot, name
        assert f"{target}{verb}".replace("_", "").isalpha(), name
        assert len(name) <= 60
