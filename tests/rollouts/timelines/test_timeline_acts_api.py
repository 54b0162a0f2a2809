"""Acts on timelines over the API: by people, in their own name, on what they read."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import time_machine
from django.test import Client

from audits.models import AuditEvent
from flags.models.tokens import TokenScope
from flags.permissions import Role
from rollouts.models import DeprecationTimeline, MilestoneApproval
from rollouts.services.timelines import acting
from rollouts.services.timelines.engine import advance_due
from tests.factories import NOW, actor_of
from tests.flagsite.test_write_doors import taken_back
from tests.rollouts.test_change_request_api import client_of
from tests.rollouts.timelines.support import (
    ANNOUNCED,
    BROWNED_OUT,
    WARNED,
    TimelineBench,
    at_day,
    brought_to,
    reloaded,
)
from tests.rollouts.timelines.test_unreadable import BROKEN, broken
from tests.support.admin import signed_in

pytestmark = pytest.mark.django_db

LIST = "/api/v1/timelines"
TODAY = at_day(8)
LATER = at_day(16)
APPROVED = {3: {"approvals": 1}}
ACTS = ("propose", "recall", "start", "approve", "postpone", "pause", "resume", "undo", "end")


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with time_machine.travel(TODAY, tick=False):
        yield


def act(client: Client, timeline: DeprecationTimeline, name: str, **changed: Any) -> Any:
    """Read the timeline and act on it as it was read; None leaves a field out."""
    read = client.get(f"{LIST}/{timeline.pk}").json()
    told = {
        "sequence": read.get("sequence", 0),
        "digest": read.get("digest", "0" * 64),
        "reason": "Test",
        "number": BROWNED_OUT,
        "to": LATER.isoformat(),
        "to_milestone": ANNOUNCED,
        **changed,
    }
    body = {key: value for key, value in told.items() if value is not None}
    return client.post(f"{LIST}/{timeline.pk}/{name}", body, content_type="application/json")


def warned(bench: TimelineBench, *, now: datetime = NOW, **wanted: Any) -> DeprecationTimeline:
    """A timeline in staging whose warning is out, a week after its announcement."""
    return brought_to(bench.started_in(bench.staging, now=now, **wanted), WARNED)


def paused(bench: TimelineBench) -> DeprecationTimeline:
    return stopped(bench, acting.pause)


def undone(bench: TimelineBench) -> DeprecationTimeline:
    return stopped(bench, acting.undo, to_milestone=ANNOUNCED)


def stopped(bench: TimelineBench, stop: Callable[..., DeprecationTimeline], **told: Any) -> DeprecationTimeline:
    timeline = warned(bench)
    rolf = actor_of(bench.world.rolf)
    return stop(timeline.pk, actor=rolf, now=TODAY, sequence=timeline.sequence, reason="A reason", **told)


def drafted(bench: TimelineBench) -> DeprecationTimeline:
    return bench.draft_in(bench.staging, now=TODAY, starts=TODAY)


# What each act needs, in an environment where everybody has one role, and who of them does it.
ROLES: dict[str, tuple[str, Callable[[TimelineBench], DeprecationTimeline], set[str]]] = {
    "a draft is proposed": ("propose", drafted, {"rita"}),
    "a draft is started": ("start", drafted, {"rita", "rolf"}),
    "a draft is ended": ("end", drafted, {"rita", "rolf"}),
    "a proposed one is taken back": ("recall", lambda bench: bench.proposed(now=TODAY, starts=TODAY), {"rita", "rolf"}),
    "its next milestone is approved": ("approve", lambda bench: warned(bench, gates=APPROVED), {"abel"}),
    "a milestone is postponed": ("postpone", warned, {"rita", "rolf"}),
    "a running one is paused": ("pause", warned, {"rita", "rolf"}),
    "a paused one is resumed": ("resume", paused, {"rita", "rolf"}),
    "a running one is undone": ("undo", warned, {"rita", "rolf"}),
    "a running one is ended": ("end", warned, {"rita", "rolf"}),
}


@pytest.mark.parametrize("case", ROLES)
def test_act__takes_the_role_that_its_page_takes(bench: TimelineBench, case: str) -> None:
    name, make, allowed = ROLES[case]
    timeline = make(bench)
    people = ("vera", "rita", "abel", "rolf", "ada")
    met: dict[str, tuple[int, str]] = {}

    for person in people:
        client = signed_in(getattr(bench.world, person))

        def attempt(person: str = person, client: Client = client) -> None:
            answer = act(client, timeline, name)
            met[person] = (answer.status_code, answer.json().get("code", ""))

        taken_back(attempt)

    done, refused = (200, ""), (403, "permission_missing")
    assert met == {person: done if person in allowed else refused for person in people}


def test_undone__is_resumed_by_a_release_manager_alone_and_with_a_reason(bench: TimelineBench) -> None:
    timeline, world = undone(bench), bench.world
    tries = [(world.rita, "Ready"), (world.rolf, ""), (world.rolf, "Ready")]
    answers = [act(signed_in(who), timeline, "resume", reason=why) for who, why in tries]
    assert [(one.status_code, one.json().get("code", "")) for one in answers] == [
        (403, "permission_missing"),
        (400, "invalid_input"),
        (409, "timeline_outdated"),
    ]
    act(signed_in(world.rolf), timeline, "postpone", number=WARNED, to=at_day(9).isoformat())
    assert act(signed_in(world.rolf), timeline, "resume").json()["state"] == "running"


def test_people__propose_recall_and_get_it_started__with_an_approval(bench: TimelineBench) -> None:
    timeline = bench.draft_in(bench.production, now=TODAY, starts=TODAY)
    rita = signed_in(bench.world.rita)
    first = act(rita, timeline, "propose").json()
    back = act(rita, timeline, "recall").json()
    again = act(rita, timeline, "propose").json()
    assert [(one["state"], one["changeRequest"] is None) for one in (first, back, again)] == [
        ("proposed", False),
        ("draft", True),
        ("proposed", False),
    ]
    refused = act(signed_in(bench.world.rolf), timeline, "start")
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_transition")
    assert reloaded(timeline).state == "proposed"


def test_draft_of_a_protected_environment__is_not_started(bench: TimelineBench) -> None:
    timeline = bench.draft_in(bench.production, now=TODAY, starts=TODAY)
    answer = act(signed_in(bench.world.rita), timeline, "start")
    assert (answer.status_code, answer.json()["code"]) == (409, "protected_environment")
    assert reloaded(timeline).state == "draft"


def test_people__start_postpone_pause_resume_undo_and_end__in_their_own_name(bench: TimelineBench) -> None:
    timeline, rita = drafted(bench), signed_in(bench.world.rita)
    answers = [
        act(rita, timeline, "start"),
        act(rita, timeline, "postpone", number=WARNED, to=at_day(20).isoformat()),
        act(rita, timeline, "pause"),
        act(rita, timeline, "resume"),
    ]
    advance_due(TODAY)
    brought = reloaded(timeline)
    answers += [act(rita, timeline, "undo", to_milestone=0), act(rita, timeline, "end")]
    assert [one.json()["state"] for one in answers] == ["running", "running", "paused", "running", "undone", "ended"]
    assert (brought.milestone, answers[4].json()["milestone"]) == (ANNOUNCED, 0)
    dates = [(one["approvedAt"], one["at"]) for one in answers[1].json()["schedule"]]
    assert [(datetime.fromisoformat(to) - datetime.fromisoformat(was)).days for was, to in dates] == [0, 5, 5, 5, 5, 5]
    told = AuditEvent.objects.filter(action__startswith="timeline.", correlation_id=timeline.correlation_id)
    own = told.filter(actor_id=actor_of(bench.world.rita).id)
    assert {event.via for event in own.exclude(action="timeline.created")} == {"api"}
    assert own.count() == 7


def test_approval__counts_for_what_was_read(bench: TimelineBench) -> None:
    timeline, abel = warned(bench, gates=APPROVED), signed_in(bench.world.abel)
    other = act(abel, timeline, "approve", digest="0" * 64)
    assert (other.status_code, other.json()["code"]) == (409, "timeline_moved_on")
    answer = act(abel, timeline, "approve").json()
    assert [one["id"] for one in answer["approvals"]["counted"]] == [str(bench.world.abel.pk)]
    assert MilestoneApproval.objects.get(timeline=timeline).reason == "Test"
    assert act(abel, timeline, "approve").json()["code"] == "approval_refused"


@pytest.mark.parametrize("name", ACTS)
def test_token__acts_on_no_timeline(bench: TimelineBench, name: str) -> None:
    timeline = next(make for act_name, make, _ in ROLES.values() if act_name == name)(bench)
    before = (timeline.state, reloaded(timeline).sequence)
    codes = {
        scope: act(client_of(bench.world, environment=timeline.environment, scope=scope), timeline, name)
        for scope in (TokenScope.MANAGE, TokenScope.AUDIT)
    }
    assert {(one.status_code, one.json()["code"]) for one in codes.values()} == {
        (403, "permission_missing"),
        (403, "wrong_scope"),
    }
    assert (reloaded(timeline).state, reloaded(timeline).sequence) == before


@pytest.mark.parametrize(
    ("name", "changed", "status", "code"),
    [
        ("pause", {"sequence": 99}, 409, "timeline_moved_on"),
        ("pause", {"sequence": None}, 400, "invalid_input"),
        ("pause", {"sequence": -1}, 400, "invalid_input"),
        ("pause", {"sequence": "x"}, 400, "invalid_input"),
        ("resume", {}, 409, "invalid_timeline_transition"),
        ("recall", {}, 409, "invalid_timeline_transition"),
        ("start", {"digest": None}, 400, "invalid_input"),
        ("start", {"digest": "x"}, 400, "invalid_input"),
        ("start", {}, 409, "invalid_timeline_transition"),
        ("undo", {"reason": None}, 400, "invalid_input"),
        ("undo", {"to_milestone": None}, 400, "invalid_input"),
        ("undo", {"to_milestone": WARNED}, 400, "invalid_input"),
        ("end", {"reason": ""}, 400, "invalid_input"),
        ("postpone", {"reason": " "}, 400, "invalid_input"),
        ("postpone", {"number": WARNED}, 400, "invalid_input"),
        ("postpone", {"number": 0}, 400, "invalid_input"),
        ("postpone", {"to": "soon"}, 400, "invalid_input"),
        ("postpone", {"to": "2026-05-01"}, 400, "invalid_input"),
        ("postpone", {"to": "2026-05-01T09:00:00"}, 400, "invalid_input"),
        ("postpone", {"to": "2026-05-01T09:00Z"}, 400, "invalid_input"),
        ("postpone", {"to": 1777618800}, 400, "invalid_input"),
        ("postpone", {"to": NOW.isoformat()}, 400, "invalid_input"),
        ("postpone", {"to": at_day(10).isoformat()}, 422, "invalid_timeline"),
        ("postpone", {"to": at_day(40).isoformat(), "with_later": False}, 422, "invalid_timeline"),
        ("postpone", {"to": "9999-12-31T23:59:59Z"}, 422, "invalid_timeline"),
        ("postpone", {"to": "9999-12-31T23:59:59-12:00"}, 400, "invalid_input"),
    ],
)
def test_act__that_does_not_fit__is_refused_and_does_nothing(
    name: str, changed: dict[str, Any], status: int, code: str, bench: TimelineBench
) -> None:
    timeline = warned(bench)
    answer = act(signed_in(bench.world.rita), timeline, name, **changed)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (reloaded(timeline).state, reloaded(timeline).sequence) == ("running", timeline.sequence)


def test_people__read_and_act_where_they_have_a_role(bench: TimelineBench) -> None:
    timeline, world = warned(bench), bench.world
    world.grant(world.vera, bench.staging, Role.VIEWER)
    address = f"{LIST}/{timeline.pk}"
    seen = {name: signed_in(getattr(world, name)).get(address).status_code for name in ("vera", "otto")}
    assert seen == {"vera": 200, "otto": 404}
    elsewhere = client_of(world)
    answers = [elsewhere.get(address), act(elsewhere, timeline, "pause"), act(signed_in(world.otto), timeline, "pause")]
    assert {(one.status_code, one.json()["code"]) for one in answers} == {(404, "not_found")}
    assert signed_in(world.vera).get(LIST).status_code == 401


def test_act__without_a_session_or_without_the_token_of_the_form__is_refused(bench: TimelineBench) -> None:
    timeline = warned(bench)
    forged = Client(enforce_csrf_checks=True)
    forged.force_login(bench.world.rita, backend="django.contrib.auth.backends.ModelBackend")
    assert act(forged, timeline, "end").json()["code"] == "csrf_failed"
    assert act(Client(), timeline, "end").status_code == 401
    assert reloaded(timeline).state == "running"


@pytest.mark.parametrize("fields", BROKEN.values(), ids=BROKEN)
def test_timeline__that_cannot_be_read__says_where_it_stands_and_is_ended(
    bench: TimelineBench, fields: dict[str, Any]
) -> None:
    timeline, rita = broken(warned(bench), fields), signed_in(bench.world.rita)
    read = rita.get(f"{LIST}/{timeline.pk}").json()
    assert (read["flag"], read["sunsetAt"], read["schedule"]) == ("checkout-redesign", None, [])
    ended = act(rita, timeline, "end")
    assert (ended.status_code, ended.json()["state"]) == (200, "ended")
