"""The page of a timeline and its acts, the editor, and the page of all endings."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.urls import reverse

from flags.documents import initial_document
from flags.models import FlagUse
from rollouts.deprecations.transitions import TimelineState
from rollouts.deprecations.words import local
from rollouts.models import DeprecationTimeline
from rollouts.services.timelines import acting
from rollouts.services.timelines.drafting import edit_timeline
from rollouts.services.timelines.engine import advance_due
from tests.factories import NOW, World, actor_of
from tests.rollouts.calendars import freeze
from tests.rollouts.timelines.support import (
    BROWNED_OUT,
    DAY,
    WARNED,
    TimelineBench,
    at_day,
    brought_to,
    reloaded,
    timeline_in,
)
from tests.support.admin import HOSTILE, signed_in, text_of

ENDINGS = "admin:rollouts_deprecationtimeline_changelist"
ADD = "admin:rollouts_deprecationtimeline_add"


@pytest.fixture
def bench(world: World) -> TimelineBench:
    """A flag in production and staging, and short ways to end it."""
    return TimelineBench(world, world.first_flag)


def page_of(timeline: DeprecationTimeline) -> str:
    return reverse("admin:rollouts_deprecationtimeline_change", args=[timeline.pk])


def act_on(timeline: DeprecationTimeline, act: str) -> str:
    return reverse("admin:rollouts_timeline_act", args=[timeline.pk, act])


def fields_for(timeline: DeprecationTimeline, **more: Any) -> dict[str, Any]:
    """What the page's own dialogs send."""
    return {"digest": timeline.digest, "sequence": timeline.sequence, "reason": "Because", **more}


def buttons(text: str) -> set[str]:
    """The acts that the page offers."""
    return set(re.findall(r'data-opens="([a-z_]+)"', text))


def looks(text: str) -> list[str]:
    """The looks of the milestones in the strip."""
    return re.findall(r'class="en-tick en-([a-z]+)"', text)


# The page of one timeline


@pytest.mark.parametrize(
    ("state", "person", "offered"),
    [
        (TimelineState.DRAFT, "rita", {"start", "end"}),
        (TimelineState.DRAFT, "vera", set()),
        (TimelineState.PROPOSED, "rita", {"recall", "end"}),
        (TimelineState.RUNNING, "rita", {"postpone", "pause", "undo", "end"}),
        (TimelineState.RUNNING, "vera", set()),
        (TimelineState.PAUSED, "rolf", {"postpone", "resume", "undo", "end"}),
        (TimelineState.UNDONE, "rolf", {"postpone", "resume", "undo", "end"}),
        (TimelineState.UNDONE, "rita", {"postpone", "undo", "end"}),
        (TimelineState.DONE, "rolf", set()),
        (TimelineState.ENDED, "rolf", set()),
    ],
)
def test_page__each_state__offers_what_this_person_may_do(state, person, offered, bench):
    timeline = timeline_in(bench, state)

    answer = signed_in(getattr(bench.world, person)).get(page_of(timeline))

    assert answer.status_code == 200
    assert buttons(text_of(answer)) == offered


def test_page__somebody_elses_project__does_not_exist(bench):
    timeline = bench.draft_in(bench.staging)
    client = signed_in(bench.world.otto)

    assert client.get(page_of(timeline)).status_code == 404
    assert client.post(act_on(timeline, "start"), fields_for(timeline)).status_code == 404
    assert reloaded(timeline).current_state is TimelineState.DRAFT


def test_page__strip__says_what_is_behind_next_and_ahead(bench):
    timeline = brought_to(bench.started(), WARNED)

    with time_machine.travel(at_day(8), tick=False):
        text = text_of(signed_in(bench.world.rita).get(page_of(timeline)))

    assert looks(text) == ["done", "done", "next", "ahead", "ahead", "ahead"]
    assert "Before the next milestone" in text


def test_page__brownout__says_until_when_and_that_all_are_withdrawn(bench):
    timeline = brought_to(bench.started(), BROWNED_OUT)

    with time_machine.travel(at_day(14) + timedelta(minutes=5), tick=False):
        text = text_of(signed_in(bench.world.rita).get(page_of(timeline)))

    assert looks(text)[2] == "now"
    assert "Brownout: everybody gets “off” until" in text
    assert "100\u00a0%" in text


def test_page__use__names_services_and_their_counts(bench):
    timeline = bench.started()
    bench.report(1_200, NOW - timedelta(hours=2), service="billing-api")
    seen = {"environment": bench.staging, "flag_key": bench.flag.key, "first_at": NOW, "last_at": NOW}
    FlagUse.objects.create(service="billing-api", version="1", **seen)

    text = text_of(signed_in(bench.world.rita).get(page_of(timeline)))

    assert "billing-api" in text
    assert "1,200 evaluations in the last 7 days by 1 service" in text


def test_page__no_figures__are_not_called_zero(bench):
    text = text_of(signed_in(bench.world.rita).get(page_of(bench.started())))

    assert "Missing figures are not zero." in text


def test_page__hostile_reason__stays_text(bench):
    timeline = bench.started()
    client = signed_in(bench.world.rolf)
    client.post(act_on(timeline, "pause"), fields_for(timeline, reason=HOSTILE))

    text = text_of(client.get(page_of(timeline)))

    assert "<script>alert(1)" not in text
    assert "paused the timeline" in text


def test_page__any_number_of_steps__costs_the_same_queries(bench, django_assert_max_num_queries):
    timeline = brought_to(bench.started(), BROWNED_OUT)
    client = signed_in(bench.world.rolf)
    client.get(page_of(timeline))

    with django_assert_max_num_queries(48):
        client.get(page_of(timeline))


# The acts


@pytest.mark.parametrize(
    ("state", "act", "more", "becomes"),
    [
        (TimelineState.DRAFT, "start", {}, TimelineState.RUNNING),
        (TimelineState.PROPOSED, "recall", {}, TimelineState.DRAFT),
        (TimelineState.RUNNING, "pause", {}, TimelineState.PAUSED),
        (TimelineState.RUNNING, "undo", {"to_milestone": "1"}, TimelineState.UNDONE),
        (TimelineState.RUNNING, "end", {}, TimelineState.ENDED),
        (TimelineState.PAUSED, "resume", {}, TimelineState.RUNNING),
    ],
)
def test_act__posted__does_it_and_comes_back(state, act, more, becomes, bench):
    timeline = timeline_in(bench, state)

    is_live = timeline.started_at is not None
    with time_machine.travel(at_day(8) if is_live else NOW, tick=False):
        person = bench.world.rolf if is_live else bench.world.rita
        answer = signed_in(person).post(act_on(timeline, act), fields_for(timeline, **more))

    assert answer.status_code == 302, text_of(answer)[:400]
    assert reloaded(timeline).current_state is becomes


def test_act__postponed__is_by_the_clocks_of_the_timeline(bench):
    timeline = bench.started(zone="Europe/Berlin")
    wall = (NOW + 10 * DAY).strftime("%Y-%m-%dT09:00")

    answer = signed_in(bench.world.rolf).post(
        act_on(timeline, "postpone"), fields_for(timeline, number="2", to=wall, with_later="1")
    )

    assert answer.status_code == 302
    stored = reloaded(timeline).postponed["2"]
    assert stored[11:16] in {"07:00", "08:00"}, "It was not read by the clocks of Berlin."


@pytest.mark.parametrize(
    ("act", "more", "says"),
    [
        ("undo", {"to_milestone": "2", "reason": ""}, "reason"),
        ("undo", {"to_milestone": "9"}, "before the present one"),
        ("undo", {"to_milestone": "x"}, "Choose the milestone to go back to."),
        ("postpone", {"number": "4", "to": "soon"}, "Give the new date and time."),
        ("postpone", {"number": "1", "to": "2199-01-01T09:00"}, "lies ahead"),
    ],
)
def test_act__refused__keeps_what_was_typed_and_opens_its_dialog(act, more, says, bench):
    timeline = brought_to(bench.started(), WARNED)

    with time_machine.travel(at_day(8), tick=False):
        answer = signed_in(bench.world.rolf).post(
            act_on(timeline, act), fields_for(timeline, **{"reason": "Keep me", **more})
        )

    text = text_of(answer)
    assert answer.status_code in {400, 409, 422}
    assert says in text
    assert re.search(rf'id="dialog-{act}"[^>]* data-open', text)
    assert more.get("reason") == "" or "Keep me" in text


def test_propose__draft_without_a_reason__asks_for_one_as_its_label_says(bench):
    timeline = bench.draft_in(bench.production)
    client = signed_in(bench.world.rita)
    label = r'<label for="propose-reason">Why\?( <span[^>]*>optional</span>)?</label><textarea[^>]*?( required)?>'
    asked = re.search(label, text_of(client.get(page_of(timeline))))
    timeline = edit_timeline(timeline.pk, actor=actor_of(bench.world.rita), now=NOW, digest=timeline.digest, reason="")
    bare = re.search(label, text_of(client.get(page_of(timeline))))

    answer = client.post(act_on(timeline, "propose"), fields_for(timeline, reason=" "))

    assert [bool(found) for found in (asked and asked[1], asked and asked[2])] == [True, False]
    assert [bool(found) for found in (bare and bare[1], bare and bare[2])] == [False, True]
    assert answer.status_code == 400
    text = text_of(answer)
    assert "Say why:" in text
    assert "Fill in reason" not in text
    assert re.search(r'<textarea id="propose-reason"[^>]* aria-invalid="true" aria-describedby="propose-refused"', text)


def test_propose__draft_with_a_reason__takes_none_again(bench):
    timeline = bench.draft_in(bench.production)

    answer = signed_in(bench.world.rita).post(act_on(timeline, "propose"), fields_for(timeline, reason=" "))

    assert answer.status_code == 302
    found = reloaded(timeline).request
    assert found is not None
    assert found.reason == timeline.reason


def test_postpone__dialog__begins_with_present_dates_and_names_freezes(bench):
    timeline = brought_to(bench.started(), WARNED)
    freeze(bench.world, title="Year end", starts_at=at_day(20), ends_at=at_day(25))

    with time_machine.travel(at_day(8), tick=False):
        text = text_of(signed_in(bench.world.rolf).get(page_of(timeline)))

    dates = re.findall(r'<option value="(\d)" data-at="([^"]+)"( selected)?>', text)
    assert dates == [
        (str(number), f"{at_day(day):%Y-%m-%dT%H:%M}", " selected" if number == 3 else "")
        for number, day in ((3, 14), (4, 21), (5, 28), (6, 42))
    ]
    assert re.search(rf'id="postpone-to"[^>]* value="{at_day(14):%Y-%m-%dT%H:%M}"', text)
    assert "The freeze “Year end” lasts from" in text


def test_postpone__done__says_what_moved_in_words_history_and_strip(bench):
    timeline = brought_to(bench.started(), WARNED)
    saturday = at_day(19)

    with time_machine.travel(at_day(8), tick=False):
        client = signed_in(bench.world.rolf)
        asked = fields_for(timeline, number="3", to=f"{saturday:%Y-%m-%dT%H:%M}", with_later="1")
        client.post(act_on(timeline, "postpone"), asked)
        text = text_of(client.get(page_of(timeline)))

    former, later = (f"{at.day} {at:%b}" for at in (at_day(14), saturday))
    assert f"postponed “Brownout of 1 hour” from {former} to {later}, and 3 later milestones with it" in text
    assert f"% on {local(at_day(26), 'UTC')}, Sunset on {local(at_day(33), 'UTC')}" in text
    assert f"Milestone 3: It is a {saturday:%A}" in text
    assert re.findall(r"was (\d+ \w+)<", text) == [f"{at_day(day).day} {at_day(day):%b}" for day in (14, 21, 28, 42)]


@pytest.mark.parametrize("state", [TimelineState.PAUSED, TimelineState.UNDONE])
@pytest.mark.parametrize(("days", "primary", "answers"), [(8, "resume", 302), (60, "postpone", 409)])
def test_page__stands_still__its_first_button_is_one_that_would_be_done(days, primary, answers, state, bench):
    timeline = timeline_in(bench, state)

    with time_machine.travel(at_day(days), tick=False):
        client = signed_in(bench.world.rolf)
        text = text_of(client.get(page_of(timeline)))
        answer = client.post(act_on(timeline, "resume"), fields_for(timeline))

    dialog = re.search(r'id="dialog-resume".*?</dialog>', text, re.DOTALL)
    assert dialog
    assert set(re.findall(r'fs-button-primary" data-opens="([a-z]+)"', text)) == {primary}
    assert answer.status_code == answers
    assert ("It cannot go on yet." in dialog[0]) is (answers == 409)
    assert ('type="submit"' in dialog[0]) is (answers == 302)


def test_act__page_out_of_date__says_so_and_does_nothing(bench):
    timeline = bench.started()
    advance_due(NOW)
    client = signed_in(bench.world.rolf)

    answer = client.post(act_on(timeline, "resume"), fields_for(timeline))

    assert answer.status_code == 409
    assert reloaded(timeline).current_state is TimelineState.RUNNING


def test_act__get__changes_nothing(bench):
    timeline = bench.draft_in(bench.staging)

    assert signed_in(bench.world.rita).get(act_on(timeline, "start")).status_code == 405


def test_act__postponed_out_of_all_time__says_so_and_loses_nothing(bench):
    timeline = brought_to(bench.started(), WARNED)
    fields = fields_for(timeline, number="3", to="9999-12-31T23:59", with_later="1")

    answer = signed_in(bench.world.rita).post(act_on(timeline, "postpone"), fields)

    assert answer.status_code == 400
    assert "Choose a date of the years 2000 to 2199." in text_of(answer)


# The editor


def posted(bench: TimelineBench, **more: str) -> dict[str, str]:
    """The fields of a short timeline from tomorrow on."""
    kinds = ("announce", "warn", "brownout", "sunset", "archive")
    fields = {"flag": str(bench.flag.pk), "final": "off", "zone": "UTC", "rows": str(len(kinds)), "reason": "Old"}
    for number, kind in enumerate(kinds):
        fields |= {
            f"row-{number}-kind": kind,
            f"row-{number}-at": (NOW + (1 + 7 * number) * DAY).strftime("%Y-%m-%dT09:00"),
        }
    return {**fields, "row-2-minutes": "30", "row-4-residual": "0", "row-4-days": "14", "do": "save", **more}


def test_editor__new__is_filled_in_by_the_kind_of_the_flag(bench):
    answer = signed_in(bench.world.rita).get(reverse(ADD), {"flag": bench.flag.pk})

    text = text_of(answer)
    assert answer.status_code == 200
    assert text.count('class="en-row"') + text.count('class="en-row en-row-bad"') == 7
    assert "From " in text


def test_editor__saved__makes_a_draft_for_each_environment(bench):
    places = {f"environment-{one.pk}": "1" for one in (bench.staging, bench.production)}

    answer = signed_in(bench.world.rita).post(reverse(ADD), posted(bench, **places))

    assert answer.status_code == 302, text_of(answer)
    made = DeprecationTimeline.objects.order_by("number")
    assert {one.environment.key for one in made} == {"staging", "production"}
    assert all(one.current_state is TimelineState.DRAFT for one in made)


def test_editor__proposed__asks_for_approval_where_it_is_protected(bench):
    answer = signed_in(bench.world.rita).post(
        reverse(ADD), posted(bench, do="propose", **{f"environment-{bench.production.pk}": "1"})
    )

    assert answer.status_code == 302
    timeline = DeprecationTimeline.objects.get()
    assert timeline.current_state is TimelineState.PROPOSED
    assert timeline.request is not None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"row-2-minutes": "many"}, "Give the minutes as a whole number"),
        ({"row-1-at": "tomorrow"}, "Give the date and the time"),
        ({"row-3-at": "2020-01-01T09:00"}, "later"),
        ({"final": "purple"}, "Choose one of the variants"),
        ({"link": "javascript:alert(1)"}, "https://"),
        ({"zone": "Mars/Base"}, "no time zone"),
        ({"environment": "none"}, "Choose at least one environment."),
    ],
)
def test_editor__bad_input__loses_nothing_and_says_where(change, says, bench):
    places = {} if "environment" in change else {f"environment-{bench.staging.pk}": "1"}

    answer = signed_in(bench.world.rita).post(
        reverse(ADD), posted(bench, **{**places, "reason": "Typed with care", **change})
    )

    text = text_of(answer)
    assert answer.status_code in {400, 422}
    assert says in text
    assert "Typed with care" in text
    assert not DeprecationTimeline.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"rows": "99999999999999999999"},
        {"rows": "abc"},
        {"rows": "-1"},
        {"row-x-kind": "sunset"},
        {"row-99999999999999999999-at": "x"},
        {"row-0-at": "9999-12-31T23:59"},
        {"row-0-at": "0001-01-01T00:00", "zone": "Asia/Tokyo"},
        {"starts_on": "9999-12-31"},
        {"starts_on": "0001-01-01"},
    ],
    ids=str,
)
@pytest.mark.parametrize("do", ["save", "preview", "fill", "add_brownout", "add_ramp_down", "remove-0"])
def test_editor__fields_no_form_sends__are_no_fault_of_ours_and_lose_nothing(change, do, bench):
    fields = posted(bench, template="six-weeks", **change, do=do) | {f"environment-{bench.staging.pk}": "1"}

    answer = signed_in(bench.world.rita).post(reverse(ADD), fields)

    assert answer.status_code in {200, 302, 400}
    if answer.status_code != 302:
        assert ">Old</textarea>" in text_of(answer)


def test_editor__day_that_no_timeline_begins_on__is_said_beside_it(bench):
    said = text_of(signed_in(bench.world.rita).post(reverse(ADD), posted(bench, starts_on="9999-12-31", do="fill")))

    assert "Choose a date of the years 2000 to 2199." in said


def test_editor__successor__offers_variants_of_environments_where_the_person_plans(bench):
    other = bench.world.flag("new-checkout", value_type="string")
    bench.world.flags["x"] = other
    old = bench.world.flag("old-words", value_type="string")
    for place, name in ((bench.staging, "seen"), (bench.production, "unseen")):
        bench.world.serve(other, place, named_variants(other.key, name))
        bench.world.serve(old, place)
    bench.world.grant(bench.world.rita, bench.production)

    page = signed_in(bench.world.rita).post(
        reverse(ADD), posted(bench, flag=str(old.pk), successor="new-checkout", do="successor")
    )

    assert ">seen</option>" in text_of(page)
    assert "unseen" not in text_of(page)


def named_variants(key: str, name: str) -> dict[str, Any]:
    """A flag that serves texts, one of them of this name."""
    start = initial_document(key, "string")
    first = start["variants"][0]["name"]
    changed = json.loads(json.dumps(start).replace(f'"{first}"', f'"{name}"'))
    return {**changed, "enabled": True}


def test_editor__buttons__add_and_remove_milestones_without_losing_any(bench):
    client, place = signed_in(bench.world.rita), {f"environment-{bench.staging.pk}": "1"}

    added = text_of(client.post(reverse(ADD), posted(bench, do="add_ramp_down", **place)))
    removed = text_of(client.post(reverse(ADD), posted(bench, do="remove-2", **place)))

    assert re.findall(r'name="row-\d-kind" value="([a-z_]+)"', added) == [
        "announce",
        "warn",
        "brownout",
        "ramp_down",
        "sunset",
        "archive",
    ]
    assert re.findall(r'name="row-\d-kind" value="([a-z_]+)"', removed) == ["announce", "warn", "sunset", "archive"]


def test_editor__freeze_and_weekend__are_warned_about(bench):
    freeze(bench.world, NOW + 20 * DAY, NOW + 24 * DAY, environments=[bench.staging])

    text = text_of(
        signed_in(bench.world.rita).post(
            reverse(ADD),
            posted(
                bench,
                do="preview",
                **{f"environment-{bench.staging.pk}": "1", "row-3-at": _wall(NOW + 22 * DAY)},
            ),
        )
    )

    assert "holds it until" in text


def test_editor__draft_edited__is_prepared_anew(bench):
    timeline = bench.draft_in(bench.staging)
    address = reverse("admin:rollouts_deprecationtimeline_edit", args=[timeline.pk])
    client = signed_in(bench.world.rita)
    assert client.get(address).status_code == 200

    answer = client.post(address, posted(bench, digest=timeline.digest))

    assert answer.status_code == 302, text_of(answer)
    assert len(reloaded(timeline).definition["milestones"]) == 5


def test_editor__viewer__may_not(bench):
    assert signed_in(bench.world.vera).get(reverse(ADD), {"flag": bench.flag.pk}).status_code == 200
    answer = signed_in(bench.world.vera).post(reverse(ADD), posted(bench, **{f"environment-{bench.staging.pk}": "1"}))

    assert not DeprecationTimeline.objects.exists()
    assert "nowhere where you may plan" in text_of(answer)


# All endings


def test_endings__timelines_and_freezes__stand_in_lanes_and_in_words(bench):
    bench.started()
    freeze(bench.world, NOW + 20 * DAY, NOW + 24 * DAY, environments=[bench.staging])

    text = text_of(signed_in(bench.world.vera).get(reverse(ENDINGS)))

    assert text.count('class="en-lane en-lane-first"') == 1
    assert "en-bar-running" in text
    assert "en-pin-sunset" in text
    assert "Freeze “" in text
    assert "Warning to services" in text


def test_endings__sunset_without_timeline__is_shown(bench):
    document = bench.served(bench.staging)
    ending = {"deprecated_at": _iso(NOW), "sunset_at": _iso(NOW + 30 * DAY)}
    bench.world.serve(bench.flag, bench.staging, {**document, "deprecation": ending})

    text = text_of(signed_in(bench.world.vera).get(reverse(ENDINGS)))

    assert "Announced, no timeline" in text


@pytest.mark.parametrize(
    ("asked", "is_shown"),
    [
        ({}, True),
        ({"months": "12"}, True),
        ({"months": "1"}, True),
        ({"begins": "2031-01"}, False),
        ({"begins": "nonsense", "months": "99"}, True),
        ({"environment": "11111111-1111-1111-1111-111111111111"}, False),
        ({"owner": "nobody"}, False),
        ({"project": "another"}, False),
    ],
)
def test_endings__filters__leave_what_they_say(asked, is_shown, bench):
    bench.started()

    answer = signed_in(bench.world.vera).get(reverse(ENDINGS), asked)

    assert answer.status_code == 200
    assert ("en-bar-running" in text_of(answer)) is is_shown


def test_endings__other_projects__are_not_shown(bench):
    bench.started()

    assert "en-lane-first" not in text_of(signed_in(bench.world.otto).get(reverse(ENDINGS)))


def test_endings__more_timelines__cost_no_more_queries(bench, django_assert_max_num_queries):
    client = signed_in(bench.world.vera)
    bench.started()
    client.get(reverse(ENDINGS))
    for number in range(5):
        flag = bench.world.flag(f"old-{number}")
        bench.world.serve(flag, bench.staging)
        TimelineBench(bench.world, flag).started()

    with django_assert_max_num_queries(30):
        answer = client.get(reverse(ENDINGS))

    assert text_of(answer).count("en-lane-first") == 6


# What stands elsewhere


def test_request_page__timeline__says_what_approval_begins(bench):
    timeline = bench.proposed()
    assert timeline.request is not None
    address = reverse("admin:rollouts_changerequest_change", args=[timeline.request.pk])

    text = text_of(signed_in(bench.world.abel).get(address))

    assert "It ends milestone by milestone" in text
    assert "Approval starts a timeline" in text


def test_request_page__timeline_began__is_told_without_calling_anything_live(bench):
    timeline = bench.approved_and_started()
    client, request = signed_in(bench.world.rolf), timeline.request
    before = text_of(client.get(reverse("admin:rollouts_changerequest_change", args=[request.pk])))
    told = {"actor": actor_of(bench.world.rolf), "now": NOW, "sequence": timeline.sequence, "reason": "Too early"}
    acting.end_timeline(timeline.pk, **told)

    page = text_of(client.get(reverse("admin:rollouts_changerequest_change", args=[request.pk])))
    listed = text_of(client.get(reverse("admin:rollouts_changerequest_changelist"), {"tab": "finished"}))

    assert re.search(r"Timeline \d+</a> is on its way out now", before)
    assert re.search(r"Timeline \d+</a> is given up now", page)
    for text in (before, page):
        assert "Approved; the timeline began on" in text
        assert "Timeline began" in text
        assert "set its timeline going with that approval" in text
    for text in (before, page, listed, text_of(client.get(page_of(timeline)))):
        assert "Approved, timeline began" in text
        assert ">Live<" not in re.sub(r"\s", "", text)
        assert f"revision {request.applied_revision}" not in text
        assert "Live in Production" not in text
    assert "Approved; its timeline began on" in listed


def test_calendar__milestones__stand_in_the_month(bench):
    bench.started()

    text = text_of(signed_in(bench.world.vera).get(reverse("admin:rollouts_calendarwindow_changelist")))

    assert "warning to services" in text


def test_desk__brownout_and_approval__are_told_to_whom_they_concern(bench):
    timeline = brought_to(bench.started(), BROWNED_OUT)

    with time_machine.travel(at_day(14) + timedelta(minutes=5), tick=False):
        rolfs = text_of(signed_in(bench.world.rolf).get(reverse("admin:index")))
        ottos = text_of(signed_in(bench.world.otto).get(reverse("admin:index")))

    assert "is in a brownout" in rolfs
    assert "is in a brownout" not in ottos
    assert page_of(timeline) in rolfs


def _iso(at: Any) -> str:
    return str(at.isoformat())


def _wall(at: Any) -> str:
    return str(at.strftime("%Y-%m-%dT09:00"))
