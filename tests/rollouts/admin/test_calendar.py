"""The pages of the calendar: who sees and does what, what is shown on which day, and files in and out."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from rollouts.admin.calendar_forms import WindowForm
from rollouts.models import CalendarWindow, ChangeRequest, FreezeException, SettingsProposal
from tests.factories import NOW, World
from tests.rollouts.admin.support import ROLES, page_url
from tests.rollouts.calendars import HOUR, document, freeze, set_window_as, weekly
from tests.rollouts.support import Bench
from tests.rollouts.test_calendar import second_administrator
from tests.support.admin import HOSTILE, signed_in, text_of

MONTH = "admin:rollouts_calendarwindow_changelist"


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:rollouts_calendarwindow_{name}", args=args)


def fields(world: World, **changed: Any) -> dict[str, Any]:
    return {
        "kind": "freeze",
        "title": "Christmas",
        "reason": "Few people are here",
        "starts_at": "2026-12-24T00:00",
        "ends_at": "2026-12-27T00:00",
        "zone": "Europe/Berlin",
        "repeats": "",
        "environments": [str(world.production.pk)],
        "tags": "checkout, web",
        **changed,
    }


def day_text(text: str, day: str) -> str:
    """What the cell of one day says."""
    return text.split(f'datetime="{day}"')[1].split("</td>")[0]


@pytest.mark.parametrize("name", ["ada", "rolf", "rita", "abel", "vera", "otto"])
def test_pages__every_role__see_the_calendar_of_their_projects(world: World, name: str) -> None:
    window = freeze(world)
    client = signed_in(getattr(world, name))

    statuses = {
        page: client.get(address).status_code
        for page, address in {
            "month": reverse(MONTH),
            "window": url("change", window.pk),
            "add": url("add"),
            "export": url("export"),
            "import": f"{url('import')}?project={world.project.key}",
        }.items()
    }

    expected = 404 if name == "otto" else 200
    assert statuses == {"month": 200, **dict.fromkeys(["window", "add", "export", "import"], expected)}
    assert (window.title in text_of(client.get(reverse(MONTH)))) is (name != "otto")


def test_month__freeze_over_the_clock_change__stands_on_the_right_days_of_the_zone(world: World) -> None:
    freeze(world, timing=weekly("2026-03-27T22:00", 480, "FREQ=DAILY;COUNT=2"))
    client = signed_in(world.vera)

    berlin = text_of(client.get(reverse(MONTH), {"month": "2026-03", "zone": "Europe/Berlin"}))
    tokyo = text_of(client.get(reverse(MONTH), {"month": "2026-03", "zone": "Asia/Tokyo"}))

    assert "22:00–06:00" in day_text(berlin, "2026-03-27")
    assert "22:00–06:00" in day_text(berlin, "2026-03-28")
    assert "Black Friday" not in day_text(berlin, "2026-03-29")
    assert "06:00–14:00" in day_text(tokyo, "2026-03-28")
    assert "06:00–13:00" in day_text(tokyo, "2026-03-29")


def test_month__freeze_of_days__stands_on_each_with_its_edges_and_limits(world: World) -> None:
    freeze(world, NOW + 3 * HOUR, NOW + 50 * HOUR, environments=[world.production], tags=["web"])

    text = text_of(signed_in(world.vera).get(reverse(MONTH)))

    assert "from 12:00 · Production, only web" in day_text(text, "2026-03-02")
    assert "all day" in day_text(text, "2026-03-03")
    assert "until 11:00" in day_text(text, "2026-03-04")
    assert "Black Friday" not in day_text(text, "2026-03-05")


def test_month__scheduled_request__stands_on_its_day_and_leads_to_it(bench: Bench) -> None:
    request = bench.submitted(apply_at=NOW + timedelta(days=3))

    text = text_of(signed_in(bench.world.vera).get(reverse(MONTH)))

    assert page_url(request) in day_text(text, "2026-03-05")
    assert "at 09:00" in day_text(text, "2026-03-05")


@pytest.mark.parametrize("month", ["2026-13", "9999-12", "0001-01", "nonsense", "2000-01", "2199-01", "２０２６-03"])
def test_month__unusable_parameters__show_the_present_one(world: World, month: str) -> None:
    response = signed_in(world.vera).get(reverse(MONTH), {"month": month, "zone": "Mars/Olympus", "project": "none"})

    assert response.status_code == 200
    assert "March 2026" in text_of(response)


def test_month__right_now__says_what_is_held_back_and_until_when(world: World) -> None:
    freeze(world, environments=[world.production])
    freeze(world, title="Checkout only", tags=["checkout"])

    text = text_of(signed_in(world.vera).get(reverse(MONTH)))

    now = text.split('aria-label="Right now"')[1].split("</ul>")[0]
    assert now.count("held back") == 1
    assert "“Black Friday freeze” until 3 Mar 2026, 09:00 UTC" in now
    assert now.count("Flags tagged checkout wait") == 3


def test_month__more_windows__same_number_of_queries(world: World) -> None:
    freeze(world)
    client = signed_in(world.rolf)
    client.get(reverse(MONTH))
    with CaptureQueriesContext(connection) as few:
        client.get(reverse(MONTH))
    for number in range(6):
        freeze(world, title=f"Window {number}")

    with CaptureQueriesContext(connection) as many:
        client.get(reverse(MONTH))

    assert len(many) == len(few) <= 16


def test_month__hostile_title__is_text(world: World) -> None:
    freeze(world, title=HOSTILE[:120], reason=HOSTILE)

    text = text_of(signed_in(world.vera).get(reverse(MONTH)))

    assert "<script>alert" not in text


def test_add__as_typed__is_in_the_calendar(world: World) -> None:
    response = signed_in(world.rolf).post(url("add"), fields(world))

    assert response.status_code == 302
    window = CalendarWindow.objects.get()
    assert (window.title, window.flag_tags) == ("Christmas", ["checkout", "web"])
    assert [f"{instant:%Y-%m-%dT%H:%M%z}" for instant in (window.starts_at, window.ends_at) if instant] == [
        "2026-12-23T23:00+0000",
        "2026-12-26T23:00+0000",
    ]


@pytest.mark.parametrize(
    ("typed", "rrule"),
    [
        ({"repeats": "FREQ=YEARLY"}, "FREQ=YEARLY"),
        ({"repeats": "rule", "rule": "FREQ=MONTHLY;BYDAY=-1FR"}, "FREQ=MONTHLY;BYDAY=-1FR"),
    ],
)
def test_add__that_repeats__keeps_to_its_clocks(world: World, typed: dict[str, str], rrule: str) -> None:
    signed_in(world.rolf).post(url("add"), fields(world, **typed))

    window = CalendarWindow.objects.get()
    assert (window.rrule, window.zone, window.local_start) == (rrule, "Europe/Berlin", "2026-12-24T00:00")
    assert window.duration_minutes == 3 * 24 * 60


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"ends_at": "2026-12-24T00:00"}, "ends before it begins"),
        ({"starts_at": "soon"}, "Choose a day and a time"),
        ({"starts_at": "0001-01-01T00:00"}, ""),
        ({"ends_at": "9999-12-31T23:59"}, ""),
        ({"zone": "Mars/Olympus"}, "no time zone"),
        ({"repeats": "rule"}, "Write the rule"),
        ({"repeats": "rule", "rule": "FREQ=SECONDLY"}, "cannot repeat secondly"),
        ({"title": ""}, "Fill this in"),
        ({"environments": ["nonsense"]}, ""),
    ],
)
def test_add__unusable__comes_back_with_what_was_typed(world: World, typed: dict[str, Any], sentence: str) -> None:
    response = signed_in(world.rolf).post(url("add"), fields(world, **typed))

    assert response.status_code == 400
    text = text_of(response)
    assert sentence in text
    assert "Few people are here" in text
    assert not CalendarWindow.objects.exists()


@pytest.mark.parametrize("name", ["rita", "abel", "vera"])
def test_add__without_the_role__is_refused(world: World, name: str) -> None:
    response = signed_in(getattr(world, name)).post(url("add"), fields(world))

    assert response.status_code == 403
    assert not CalendarWindow.objects.exists()


@pytest.mark.parametrize(
    "timing", [None, weekly("2026-03-06T18:00", 3720), weekly("2026-03-06T18:00", 60, "FREQ=MONTHLY;BYDAY=1FR")]
)
def test_change__form_as_it_is__changes_nothing(world: World, timing: Any) -> None:
    window = freeze(world, **({"timing": timing} if timing else {}), tags=["web"], environments=[world.production])
    client = signed_in(world.ada)

    response = client.post(url("change", window.pk), {**WindowForm.initial_of(window), "why": "Only a look"})

    assert response.status_code == 302
    assert CalendarWindow.objects.get().lock_version == 1
    assert not SettingsProposal.objects.exists()


def test_change_and_remove__looser__lead_to_a_proposal(world: World) -> None:
    second_administrator(world)
    window = freeze(world)
    client = signed_in(world.ada)

    shorter = {**WindowForm.initial_of(window), "ends_at": "2026-03-02T12:00", "why": "Too long"}
    changed = client.post(url("change", window.pk), shorter)
    SettingsProposal.objects.get()
    removed = client.post(url("remove", window.pk), {"reason": "Not needed"})

    assert changed.status_code == 302
    assert "settingsproposal" in changed["Location"]
    assert removed.status_code == 400, "The first proposal is open still."
    assert CalendarWindow.objects.get().ends_at == window.ends_at


def test_file__exported_and_taken_over_again__changes_nothing(world: World) -> None:
    freeze(world, environments=[world.production], tags=["web"])
    freeze(world, title="Nights", timing=weekly("2026-03-01T22:00", 480, "FREQ=DAILY"))
    client = signed_in(world.rolf)

    exported = client.get(url("export"), {"project": world.project.key})
    report = text_of(upload(client, world, exported.content))

    assert exported["Content-Type"] == "text/calendar; charset=utf-8"
    assert report.count("As it is") == 2
    assert "There is nothing to take over" in report


def upload(client: Any, world: World, data: bytes, **changed: Any) -> Any:
    file = SimpleUploadedFile("team.ics", data, content_type="text/calendar")
    return client.post(
        f"{url('import')}?project={world.project.key}",
        {"calendar": file, "kind": "freeze", "zone": "Europe/Berlin", **changed},
    )


SALE = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n"
    b"BEGIN:VEVENT\r\nUID:sale\r\nSUMMARY:Sale\r\nDTSTART;VALUE=DATE:20261127\r\nEND:VEVENT\r\n"
    b"BEGIN:VEVENT\r\nUID:endless\r\nSUMMARY:Endless\r\nDTSTART:20261127T000000Z\r\nEND:VEVENT\r\n"
    b"END:VCALENDAR\r\n"
)


def packed_fields(text: str) -> dict[str, str]:
    """The hidden fields of the report."""
    found = {}
    for name in ("project", "packed", "zone", "kind"):
        found[name] = text.split(f'name="{name}" value="')[1].split('"')[0]
    return found


def test_import__upload__is_shown_and_then_taken_over_once(world: World) -> None:
    client = signed_in(world.rolf)

    text = text_of(upload(client, world, SALE))

    assert "From 26 November 2026 23:00 to 27 November 2026 23:00 UTC, in every environment." in text
    assert "It does not say when it ends" in text
    assert not CalendarWindow.objects.exists()
    for _ in range(2):
        client.post(url("takeover"), {**packed_fields(text), "reason": "The calendar of marketing"})
    window = CalendarWindow.objects.get()
    assert (window.uid, window.title) == ("sale", "Sale")


def test_import__without_the_role__takes_nothing_over(world: World) -> None:
    client = signed_in(world.vera)
    text = text_of(upload(client, world, SALE))

    response = client.post(url("takeover"), {**packed_fields(text), "reason": "Why not"}, follow=True)

    assert "was not taken over" in text_of(response)
    assert not CalendarWindow.objects.exists()


@pytest.mark.parametrize("data", [b"hello", b"x" * 300_000, SALE[:-10], b"BEGIN:VCALENDAR\r\n" * 9])
def test_import__hostile_file__comes_back_with_a_sentence(world: World, data: bytes) -> None:
    response = upload(signed_in(world.rolf), world, data)

    assert response.status_code == 400
    assert "fs-error" in text_of(response)


@pytest.mark.parametrize("changed", [{"packed": "nonsense"}, {"zone": "Mars"}, {"kind": "pause"}, {"packed": ""}])
def test_takeover__forged_report__is_refused(world: World, changed: dict[str, str]) -> None:
    client = signed_in(world.rolf)
    sent = {**packed_fields(text_of(upload(client, world, SALE))), "reason": "x", **changed}

    assert client.post(url("takeover"), sent).status_code == 302
    assert not CalendarWindow.objects.exists()


def test_panel__schedule_in_a_freeze__warns_on_the_draft(bench: Bench) -> None:
    freeze(bench.world, NOW + HOUR, NOW + 50 * HOUR)
    draft = bench.draft(apply_at=NOW + 2 * HOUR)

    text = text_of(signed_in(bench.world.rita).get(page_url(draft)))

    assert "This lands in <b>“Black Friday freeze”</b> until <b>4 Mar 2026, 11:00 UTC</b>" in text
    assert "It will wait" in text
    assert "Ask for an exception" not in text


def test_panel__exception__is_asked_and_granted_from_the_page(bench: Bench) -> None:
    window = freeze(bench.world)
    request = bench.approved()
    asker, decider = signed_in(bench.world.rita), signed_in(bench.world.rolf)
    assert "Ask for an exception" in text_of(asker.get(page_url(request)))

    ask = reverse("admin:rollouts_freezeexception_ask", args=[request.pk])
    asker.post(ask, {"window": str(window.pk), "digest": request.digest, "reason": "Orders are lost"})
    asked = FreezeException.objects.get()
    assert "You asked for this exception, so somebody else has to decide" in text_of(asker.get(page_url(request)))
    assert "Grant the exception" in text_of(decider.get(page_url(request)))
    desks = {name: text_of(signed_in(getattr(bench.world, name)).get(reverse("admin:index"))) for name in ROLES}
    assert {name for name, desk in desks.items() if "an exception from “Black" in desk} == {"rolf", "ada"}
    decide = reverse("admin:rollouts_freezeexception_decide", args=[asked.pk])
    decider.post(decide, {"decision": "grant", "reason": ""})

    asked.refresh_from_db()
    assert asked.is_granted
    text = text_of(asker.get(page_url(request)))
    assert "granted it, for this content" in text
    assert "granted the exception from a freeze" in text


@pytest.mark.parametrize("name", ["rita", "vera", "abel", "otto"])
def test_decide__forged_by_the_wrong_person__decides_nothing(bench: Bench, name: str) -> None:
    window = freeze(bench.world)
    request = bench.approved()
    ask = reverse("admin:rollouts_freezeexception_ask", args=[request.pk])
    signed_in(bench.world.rita).post(ask, {"window": str(window.pk), "digest": request.digest, "reason": "x"})
    asked = FreezeException.objects.get()

    decide = reverse("admin:rollouts_freezeexception_decide", args=[asked.pk])
    response = signed_in(getattr(bench.world, name)).post(decide, {"decision": "grant"})

    assert response.status_code in {302, 403, 404}
    asked.refresh_from_db()
    assert asked.is_granted is None
    assert ChangeRequest.objects.get(pk=request.pk).state == "approved"


def test_allow_window__confirmed__closes_the_rest_of_the_time(world: World) -> None:
    anna = second_administrator(world)
    wanted = document(kind="allow", title="Release hours", timing=weekly("2026-03-03T09:00", 480))
    proposal = set_window_as(world, world.ada, wanted)
    assert proposal is not None
    from rollouts.services.settings import confirm
    from tests.factories import actor_of

    confirm(proposal.pk, actor=actor_of(anna), digest=proposal.digest, now=NOW)

    text = text_of(signed_in(world.vera).get(reverse(MONTH)))
    assert "No allow window is open; “Release hours” opens" in text
