"""Filtered reads: each filter alone, times half-open, scopes, names, pages, and how many queries that costs."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection

from audits.actions import Action
from audits.context import Actor
from audits.people import ERASED_LABEL, erase_label
from audits.scope import EVERYTHING, NOTHING, Scope
from audits.selectors import (
    ANY,
    EventFilter,
    attach_names,
    event_page,
    events_about,
    events_matching,
    every_event,
    known_places,
    timeline_of,
    timeline_of_flag,
)
from audits.trail import Target
from tests.audits.trails import NOW, note, note_many, person

pytestmark = pytest.mark.django_db
ACT = uuid4()


@pytest.fixture
def mixed() -> None:
    """Events that differ in every filtered column; `reason` says which is which."""
    note(reason="plain")
    note(project="backoffice", reason="project")
    note(environment_key="production", reason="environment")
    note(flag_key="other", reason="flag")
    note(actor=person("rosa", "Rosa"), reason="actor")
    note(actor=Actor.system("rollouts.apply_due_changes"), reason="kind")
    note(Action.TOKEN_ISSUED, reason="action")
    note(act=ACT, reason="act")
    note(target=Target("segment", "s9", "Beta"), reason="target")
    note(now=NOW - timedelta(days=1), reason="earlier")
    note(now=NOW + timedelta(days=1), reason="later")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"project_key": "backoffice"}, {"project"}),
        ({"environment_key": "production"}, {"environment"}),
        ({"flag_key": "other"}, {"flag"}),
        ({"actor_id": "rosa"}, {"actor"}),
        ({"actor_kind": "system"}, {"kind"}),
        ({"action": "token.issued"}, {"action"}),
        ({"correlation_id": ACT}, {"act"}),
        ({"target_type": "segment"}, {"target"}),
        ({"target_id": "s9"}, {"target"}),
        ({"occurred_from": NOW + timedelta(seconds=1)}, {"later"}),
        ({"occurred_to": NOW}, {"earlier"}),
        ({"occurred_from": NOW + timedelta(days=1)}, {"later"}),
        ({"occurred_from": NOW, "occurred_to": NOW + timedelta(days=1), "target_id": "s9"}, {"target"}),
        ({"project_key": "nowhere"}, set()),
        ({"action": "token.issued", "actor_id": "rosa"}, set()),
    ],
)
@pytest.mark.usefixtures("mixed")
def test_events_matching__filter__finds_exactly_these(wanted, expected):
    assert {event.reason for event in events_matching(EventFilter(**wanted))} == expected


SCOPED = {
    ("storefront", ""),
    ("storefront", "production"),
    ("storefront", "staging"),
    ("backoffice", ""),
    ("backoffice", "staging"),
    ("", ""),
    ("", "staging"),
}


@pytest.mark.parametrize(
    ("scope", "visible"),
    [
        (EVERYTHING, SCOPED),
        (NOTHING, set()),
        (
            Scope(frozenset({"storefront"})),
            {("storefront", ""), ("storefront", "production"), ("storefront", "staging")},
        ),
        (Scope(frozenset({"storefront"}), environment_key="staging"), {("storefront", "staging")}),
        (
            Scope(None, environment_key="staging"),
            {("storefront", "staging"), ("backoffice", "staging"), ("", "staging")},
        ),
        (
            Scope(frozenset({"storefront"}), environments=frozenset({("storefront", "staging")})),
            {("storefront", ""), ("storefront", "staging")},
        ),
        (
            Scope(
                frozenset({"storefront", "backoffice"}),
                environments=frozenset({("storefront", "production"), ("backoffice", "staging")}),
            ),
            {("storefront", ""), ("storefront", "production"), ("backoffice", ""), ("backoffice", "staging")},
        ),
        (Scope(frozenset({"storefront"}), environments=frozenset()), {("storefront", "")}),
    ],
)
def test_events_matching__scope__shows_what_is_inside_and_nothing_else(scope, visible):
    for project, environment in SCOPED:
        note(project=project, environment_key=environment)

    found = events_matching(ANY, scope=scope)

    assert {(event.project_key, event.environment_key) for event in found} == visible


def test_event_page__one_instant_for_all__pages_are_complete_without_repeats():
    recorded = {note(now=NOW).pk for _ in range(11)}
    seen = []
    after = None
    while True:
        page = event_page(size=3, after=after)
        seen += [event.pk for event in page.events]
        # What is recorded meanwhile, at the very same instant, comes before the page and must not move it.
        note(now=NOW)
        after = page.next
        if after is None:
            break

    assert len(seen) == len(set(seen))
    assert recorded <= set(seen)


def test_event_page__order__is_newest_first_and_within_an_instant_last_first():
    first, second = note(), note()
    third = note(now=NOW + timedelta(microseconds=1))

    assert [event.pk for event in event_page(size=5).events] == [third.pk, second.pk, first.pk]


def test_event_page__any_size__costs_two_queries(django_assert_num_queries):
    for number in range(9):
        note(actor=person(f"actor-{number}", f"Actor {number}"))

    with django_assert_num_queries(2):
        page = event_page(size=8)

    assert [event.actor_label for event in page.events] == [f"Actor {number}" for number in range(8, 0, -1)]


def test_every_event__longer_than_a_chunk__is_complete(monkeypatch):
    monkeypatch.setattr("audits.selectors.EXPORT_CHUNK", 3)
    recorded = [event.pk for event in note_many(8)]

    assert [event.pk for event in every_event()] == recorded[::-1]


def test_timeline_of__one_target__is_in_order_with_names_in_two_queries(django_assert_num_queries):
    mine, other = Target("change_request", "r1", "#1"), Target("change_request", "r2", "#2")
    note(Action.CHANGE_REQUEST_CREATED, target=mine, actor=person("mira", "Mira"))
    note(Action.CHANGE_REQUEST_CREATED, target=other)
    note(Action.CHANGE_REQUEST_SUBMITTED, target=mine, actor=person("mira", "Mira"))
    note(Action.CHANGE_REQUEST_APPROVED, target=mine, actor=person("ben", "Ben Okafor"))

    with django_assert_num_queries(2):
        timeline = timeline_of("change_request", "r1")

    assert [(event.action.split(".")[1], event.actor_label) for event in timeline] == [
        ("created", "Mira"),
        ("submitted", "Mira"),
        ("approved", "Ben Okafor"),
    ]


def test_timeline_of_flag__two_environments__newest_first_with_a_limit():
    for environment in ("staging", "production", "staging"):
        note(flag_key="checkout-redesign", environment_key=environment)

    assert [event.environment_key for event in timeline_of_flag("storefront", "checkout-redesign", limit=2)] == [
        "staging",
        "production",
    ]


def test_attach_names__nothing_to_name__costs_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert attach_names([]) == []


def test_attach_names__name_unknown__is_still_somebody():
    event = note(Action.ROLE_CHANGED, target=Target("person", "p1", ""), actor=Actor.service("t1", ""))

    attach_names([event])

    assert (event.actor_label, event.target_name) == ("a service", "someone")


def test_erase_label__person_with_events__name_is_gone_and_stays_gone():
    note(actor=person("rosa", "Rosa Lind"))
    note(Action.ROLE_CHANGED, target=Target("person", "rosa", "Rosa Lind"))
    hashes = set(events_matching().values_list("hash", flat=True))

    erase_label("rosa", actor=person("ada", "Ada"), now=NOW, reason="Asked for on 1 November")
    note(actor=person("rosa", "Rosa Lind"))

    events = attach_names(events_matching())
    named = {event.actor_label for event in events if event.actor_id == "rosa"}
    assert named == {ERASED_LABEL}
    assert {event.target_name for event in events if event.target_id == "rosa"} == {ERASED_LABEL}
    assert hashes <= {event.hash for event in events}
    assert [event.action for event in events_matching(EventFilter(actor_id="ada"))] == ["audit.person_erased"]


def test_erase_label__person_the_trail_never_saw__is_recorded_and_stays_nameless():
    erase_label("new", actor=person("ada", "Ada"), now=NOW)
    note(actor=person("new", "Newcomer"))

    assert attach_names(events_matching(EventFilter(actor_id="new")))[0].actor_label == ERASED_LABEL


def test_known_places__scope__names_only_what_is_inside():
    for project, environment in (("storefront", "staging"), ("storefront", "production"), ("backoffice", "live")):
        note(Action.ENVIRONMENT_CREATED, project=project, environment_key=environment)
    note(Action.PROJECT_CREATED)

    scope = Scope(frozenset({"storefront"}), environments=frozenset({("storefront", "staging")}))
    assert known_places(scope) == [("storefront", ""), ("storefront", "staging")]


REQUEST, PLAN = uuid4(), uuid4()


def test_events_about__request_that_a_plan_asked_for__holds_what_its_stages_applied():
    request, plan = Target("change_request", str(REQUEST), "#4 Plan"), Target("plan", str(PLAN), "Plan 1 Slowly")
    config = Target("flag_config", str(uuid4()), "a")
    proposal, stage = uuid4(), uuid4()
    note(Action.CHANGE_REQUEST_CREATED, target=request, act=proposal, reason="created")
    note(Action.PLAN_PROPOSED, target=plan, act=proposal, data={"request_id": str(REQUEST)}, reason="proposed")
    note(Action.CHANGE_REQUEST_APPROVED, target=request, reason="approved")
    facts = {"plan_id": str(PLAN), "request_id": str(REQUEST)}
    note(Action.FLAG_CONFIG_APPLIED, target=config, act=stage, data=facts, reason="stage")
    note(Action.PLAN_ADVANCED, target=plan, act=stage, reason="advanced")

    def about(thing):
        return {event.reason for event in events_about(thing, among=events_matching())}

    assert about(REQUEST) == {"created", "proposed", "approved", "stage"}
    assert about(PLAN) == {"proposed", "stage", "advanced"}
    assert about(uuid4()) == set()


@pytest.mark.parametrize("scope", [EVERYTHING, Scope(project_keys=frozenset({"storefront", "backoffice"}))])
def test_events_about__many_other_events__are_not_looked_at(scope):
    note_many(3)
    found = events_about(REQUEST, among=events_matching(scope=scope))

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
    plan = found.explain()

    own_steps = [line for line in plan.splitlines() if "audits_auditevent" in line or "SCAN" in line]
    assert not [line for line in own_steps if "Seq Scan" in line or line.strip().startswith("SCAN audits")], plan
    for index in ("audit_event_target", "audit_event_correlation"):
        assert index in plan, plan
