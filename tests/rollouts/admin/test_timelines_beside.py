"""One flag and environment, more than one timeline: what the form offers, what is said before, lanes of the chart."""

import re
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from rollouts.deprecations.transitions import TimelineState
from rollouts.errors import PolicyRefused
from rollouts.models import ChangeRequest, DeprecationTimeline
from rollouts.services.timelines import drafting
from tests.factories import NOW, World, actor_of
from tests.rollouts.admin.test_timeline_pages import ADD, ENDINGS, page_of, posted
from tests.rollouts.timelines.support import DAY, TimelineBench, at_day, timeline_in
from tests.support.admin import signed_in, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def bench(world: World) -> TimelineBench:
    """A flag in production and staging, and short ways to end it."""
    return TimelineBench(world, world.first_flag)


@pytest.fixture(autouse=True)
def today() -> Any:
    """The day on which it is announced."""
    with time_machine.travel(NOW, tick=False):
        yield


def box(text: str, environment: Any) -> str:
    """The box of an environment in the form."""
    found = re.search(rf'<input type="checkbox" name="environment-{environment.pk}"[^>]*>', text)
    assert found is not None
    return found[0]


def test_editor__flag_without_timelines__is_ticked_everywhere(bench):
    text = text_of(signed_in(bench.world.rita).get(reverse(ADD), {"flag": bench.flag.pk}))

    assert all("checked" in box(text, one) for one in (bench.staging, bench.production))


@pytest.mark.parametrize(
    ("state", "is_offered", "says"),
    [
        (TimelineState.DRAFT, True, "There is a draft: "),
        (TimelineState.PROPOSED, False, " is on its way here"),
        (TimelineState.RUNNING, False, " is on its way here"),
        (TimelineState.PAUSED, False, " is on its way here"),
        (TimelineState.UNDONE, False, " is on its way here"),
    ],
)
def test_editor__environment_with_a_timeline__is_not_ticked_and_says_which(state, is_offered, says, bench):
    timeline = timeline_in(bench, state)
    place, other = timeline.environment, bench.staging if timeline.environment == bench.production else bench.production

    text = text_of(signed_in(bench.world.rita).get(reverse(ADD), {"flag": bench.flag.pk}))

    assert "checked" not in box(text, place)
    assert ("disabled" not in box(text, place)) is is_offered
    assert says in text
    assert f'<a href="{page_of(timeline)}">Timeline {timeline.number}</a>' in text
    assert "checked" in box(text, other)


@pytest.mark.parametrize("state", [TimelineState.DONE, TimelineState.ENDED])
def test_editor__environment_whose_timeline_is_over__is_offered_again(state, bench):
    timeline = timeline_in(bench, state)

    text = text_of(signed_in(bench.world.rita).get(reverse(ADD), {"flag": bench.flag.pk}))

    assert "checked" in box(text, timeline.environment)


@pytest.mark.parametrize("do", ["save", "propose"])
def test_editor__environment_taken_since_the_form_was_opened__is_refused_and_nothing_is_saved(do, bench):
    timeline = bench.approved_and_started()
    fields = posted(bench, do=do, reason="Typed with care", **{f"environment-{bench.production.pk}": "1"})

    answer = signed_in(bench.world.rita).post(reverse(ADD), fields)

    text = text_of(answer)
    assert answer.status_code == 400
    assert f"{timeline.label} is running in Production" in text
    assert "Change the dates of that timeline, pause it or end it instead" in text
    assert "Typed with care" in text
    assert DeprecationTimeline.objects.count() == 1


def test_editor__draft_beside_a_live_one__is_saved_but_not_proposed(bench):
    draft = bench.draft_in(bench.production)
    bench.approved_and_started()
    address = reverse("admin:rollouts_deprecationtimeline_edit", args=[draft.pk])
    client = signed_in(bench.world.rita)

    refused = client.post(address, posted(bench, do="propose", digest=draft.digest))
    saved = client.post(address, posted(bench, do="save", digest=draft.digest))

    assert refused.status_code == 400
    assert "is running in Production" in text_of(refused)
    assert saved.status_code == 302
    assert "is running in Production" in text_of(client.get(page_of(draft)))


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("", "Say why it ends: nobody can approve it without a reason."),
        ("   ", "Say why it ends: nobody can approve it without a reason."),
        ("x" * 4001, "It has 4001 characters; 4000 are the most."),
    ],
    ids=["empty", "blank", "too long"],
)
def test_propose__reason_that_cannot_be_kept__stays_in_the_form_and_saves_nothing(reason, says, bench):
    places = {f"environment-{one.pk}": "1" for one in (bench.staging, bench.production)}

    answer = signed_in(bench.world.rita).post(
        reverse(ADD), posted(bench, do="propose", reason=reason, link="https://example.com/why", **places)
    )

    text = text_of(answer)
    assert answer.status_code == 400
    assert re.search(r'<textarea id="tl-reason"[^>]* aria-invalid="true" aria-describedby="tl-reason-error', text)
    said = re.search(r'<p class="fs-error" id="tl-reason-error">(.*?)</p>', text)
    assert said is not None
    assert says in said[1]
    assert 'value="https://example.com/why"' in text
    assert all("checked" in box(text, one) for one in (bench.staging, bench.production))
    assert not DeprecationTimeline.objects.exists()


def test_save__without_a_reason__makes_a_draft(bench):
    fields = posted(bench, reason="", **{f"environment-{bench.production.pk}": "1"})

    assert signed_in(bench.world.rita).post(reverse(ADD), fields).status_code == 302
    assert DeprecationTimeline.objects.get().current_state is TimelineState.DRAFT


def test_propose__refused_by_what_only_the_proposal_meets__saves_nothing_and_loses_nothing(bench, monkeypatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise PolicyRefused("“No ends on Mondays” refuses it.")

    monkeypatch.setattr(drafting, "submit_change_request", refuse)
    places = {f"environment-{one.pk}": "1" for one in (bench.staging, bench.production)}

    answer = signed_in(bench.world.rita).post(reverse(ADD), posted(bench, do="propose", reason="With care", **places))

    text = text_of(answer)
    assert answer.status_code == 409
    assert "“No ends on Mondays” refuses it." in text
    assert ">With care</textarea>" in text
    assert not DeprecationTimeline.objects.exists()
    assert not ChangeRequest.objects.exists()


def test_propose__several_environments__asks_where_it_is_protected_and_keeps_a_draft_elsewhere(bench):
    places = {f"environment-{one.pk}": "1" for one in (bench.staging, bench.production)}

    answer = signed_in(bench.world.rita).post(reverse(ADD), posted(bench, do="propose", **places), follow=True)

    states = {one.environment.key: one.current_state for one in DeprecationTimeline.objects.all()}
    assert states == {"staging": TimelineState.DRAFT, "production": TimelineState.PROPOSED}
    assert "asks for the timeline in Production" in text_of(answer)
    assert "The draft for Staging is saved" in text_of(answer)


@pytest.mark.parametrize(
    ("is_live", "says"),
    [
        (True, ("{0.label} is running in Production", "timeline {1.number} is held back until the other one is over")),
        (False, ("{0.label} waits for approval in Production", "whichever is approved first, and the other is held")),
    ],
)
def test_request__beside_another_timeline__says_so_before_the_approval(is_live, says, bench, monkeypatch):
    first = bench.approved_and_started() if is_live else bench.proposed()
    second = bench.draft_in(bench.production)
    # As one that was proposed when nothing else was on its way there.
    with monkeypatch.context() as patched:
        patched.setattr(drafting, "_refuse_beside", lambda timeline: None)
        told: dict[str, Any] = {"actor": actor_of(bench.world.rita), "now": NOW, "digest": second.digest}
        second = drafting.propose_timeline(second.pk, **told)
    assert second.request is not None

    client = signed_in(bench.world.abel)
    request = text_of(client.get(reverse("admin:rollouts_changerequest_change", args=[second.request.pk])))
    page = text_of(client.get(page_of(second)))

    assert [words for words in says if words.format(first, second) not in request] == []
    assert [words for words in says if words.format(first, second) not in page] == []
    assert ("is on its way out there already" in text_of(client.get(page_of(first)))) is not is_live


# The chart


def test_endings__two_timelines_in_one_environment__have_lanes_of_their_own_the_live_one_first(bench):
    draft, live = bench.draft_in(bench.staging), bench.started()

    text = text_of(signed_in(bench.world.vera).get(reverse(ENDINGS)))

    lanes = re.findall(r'<li class="en-lane.*?</li>', text, re.DOTALL)
    assert [re.findall(r"en-bar en-bar-(\w+)", lane) for lane in lanes] == [["running"], ["draft"]]
    assert f"Timeline {live.number}</span>" in lanes[0]
    assert f"Timeline {draft.number}</span>" in lanes[1]
    assert lanes[0].count("en-pin ") == lanes[1].count("en-pin ") > 0
    assert ["en-lane-first" in lane for lane in lanes] == [True, False]


def test_endings__one_timeline_in_an_environment__needs_no_number(bench):
    bench.started()

    assert "en-lane-note" not in text_of(signed_in(bench.world.vera).get(reverse(ENDINGS)))


def test_endings__more_timelines_of_one_flag__cost_no_more_queries(bench):
    client, address = signed_in(bench.world.vera), reverse(ENDINGS)
    bench.started()
    client.get(address)
    with CaptureQueriesContext(connection) as one:
        client.get(address)
    for _ in range(3):
        bench.draft_in(bench.staging, now=NOW, starts=at_day(1) + DAY)

    with CaptureQueriesContext(connection) as more:
        text = text_of(client.get(address))

    assert text.count("en-bar en-bar-draft") == 3
    assert len(more) == len(one)
