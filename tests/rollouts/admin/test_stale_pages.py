"""The inbox of stale flags: what it shows, and what its buttons do with many flags at once."""

import re
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from django.urls import reverse

from flags.models import CodeRepository, CodeScan, FlagConfig, FlagUse
from flags.telemetry.labels import TEST_TRAFFIC
from rollouts.deprecations.schedules import fill
from rollouts.deprecations.templates import template_for
from rollouts.models import ChangeRequest, DebtScore, DeprecationTimeline, Snooze, StaleVerdict
from rollouts.services.staleness import snooze
from rollouts.services.timelines.drafting import create_timelines
from tests.factories import NOW, World, actor_of, make_world
from tests.support.admin import HOSTILE, signed_in, text_of

INBOX = "admin:rollouts_staleverdict_changelist"
DAY = timedelta(days=1)


def stale(world: World, key: str, **more: Any) -> StaleVerdict:
    """A flag that everybody gets, with the verdict that a nightly look would keep."""
    flag = world.flag(key)
    for place in (world.staging, world.production):
        world.serve(flag, place)
    facts = {
        "stage": "settled",
        "is_stale": True,
        "stale_since": NOW - 60 * DAY,
        "reasons": [
            {"code": "fully_rolled_out", "since": (NOW - 60 * DAY).isoformat(), "sentence": f"{key} is everywhere."}
        ],
        "confidence": "high",
        "readiness": "safe",
        "judged_at": NOW,
        **more,
    }
    return StaleVerdict.objects.create(flag=flag, project=world.project, **facts)


def act_on(world: World, act: str) -> str:
    return reverse("admin:rollouts_stale_act", args=[world.project.pk, act])


def shown(text: str) -> list[str]:
    """The keys in the list."""
    return re.findall(r'<span class="fs-mono fs-subtle">([a-z0-9-]+)</span>', text)


def test_inbox__stale_flags__stand_with_reasons_and_readiness(world):
    stale(world, "old-header")
    stale(world, "old-footer", readiness="blocked", blockers=[{"code": "live_plan", "sentence": "A plan acts on it."}])
    stale(world, "fresh", is_stale=False)

    text = text_of(signed_in(world.rita).get(reverse(INBOX)))

    assert shown(text) == ["old-footer", "old-header"]
    assert "old-header is everywhere." in text
    assert "A plan acts on it." in text
    assert {"Safe to remove", "Not yet"} <= set(re.findall(r"Safe to remove|Not yet", text))


@pytest.mark.parametrize(
    ("asked", "keys"),
    [
        ({"readiness": "safe"}, ["old-header"]),
        ({"readiness": "blocked"}, ["old-footer"]),
        ({"reason": "fully_rolled_out"}, ["old-footer", "old-header"]),
        ({"reason": "never_evaluated"}, []),
        ({"confidence": "low"}, []),
        ({"q": "HEAD"}, ["old-header"]),
        ({"owner": "11111111-1111-1111-1111-111111111111"}, []),
        ({"owner": "nonsense"}, []),
        ({"kind": "experiment"}, []),
        ({"page": "99"}, ["old-footer", "old-header"]),
    ],
)
def test_inbox__filters__leave_what_they_say(asked, keys, world):
    stale(world, "old-header")
    stale(world, "old-footer", readiness="blocked")

    answer = signed_in(world.rita).get(reverse(INBOX), asked)

    assert answer.status_code == 200
    assert shown(text_of(answer)) == keys


def test_inbox__viewers_and_others__get_no_buttons_or_nothing(world):
    stale(world, "old-header")

    veras, ottos = (text_of(signed_in(who).get(reverse(INBOX))) for who in (world.vera, world.otto))

    assert "old-header" in veras
    assert "With the ticked flags" not in veras
    assert "old-header" not in ottos


def test_inbox__debt__shows_score_trend_and_parts(world):
    for days, score in ((9, 40), (2, 70), (0, 55)):
        DebtScore.objects.create(
            project=world.project, day=(NOW - days * DAY).date(), score=score, flags=12, stale=3, parts={"no_rules": 55}
        )

    text = text_of(signed_in(world.rita).get(reverse(INBOX)))

    assert '<b class="st-score">55</b>' in text
    assert re.search(r">55</b><p>points, <span[^>]*>15 more than on 21 February</span>", text)
    assert "Counted on 2 March, when 3 of 12 flags were stale." in text
    assert "No rules" in text


def test_inbox__more_flags__cost_no_more_queries(world, django_assert_max_num_queries):
    client = signed_in(world.rita)
    stale(world, "first")
    client.get(reverse(INBOX))
    for number in range(6):
        stale(world, f"flag-{number}")

    with django_assert_max_num_queries(26):
        answer = client.get(reverse(INBOX))

    assert len(shown(text_of(answer))) == 7


def test_snooze__ticked_flags__are_wanted_until_a_day(world):
    verdicts = [stale(world, "old-header"), stale(world, "old-footer")]
    fields = {"reason": "Needed in spring", "until": (NOW + 40 * DAY).date().isoformat()}

    answer = signed_in(world.rita).post(
        act_on(world, "snooze"), {**fields, "flag": [str(one.flag_id) for one in verdicts]}
    )

    assert answer.status_code == 302
    assert Snooze.objects.filter(reason="Needed in spring").count() == 2


def test_wake__snoozed_flag__counts_again(world):
    verdict = stale(world, "old-header")
    told: dict[str, Any] = {"until": NOW + 9 * DAY, "actor": actor_of(world.rita), "now": NOW}
    row = snooze(verdict.flag_id, reason=HOSTILE, **told)
    client = signed_in(world.rita)
    stale(world, "old-footer")
    text = text_of(client.get(reverse(INBOX)))
    assert "<script>alert(1)" not in text
    assert ">1 stale flag, 1 snoozed</h2>" in text

    answer = client.post(act_on(world, "wake"), {"snooze": str(row.pk)})

    assert answer.status_code == 302
    row.refresh_from_db()
    assert row.ended_at == NOW


def test_wake__snooze_of_another_project__does_not_exist_and_is_not_named(world):
    verdict, other = stale(world, "old-header"), make_world("elsewhere")
    row = snooze(verdict.flag_id, until=NOW + 9 * DAY, actor=actor_of(world.rita), reason="Why", now=NOW)
    address = reverse("admin:rollouts_stale_act", args=[other.project.pk, "wake"])

    answer = signed_in(other.rita).post(address, {"snooze": str(row.pk)})

    assert answer.status_code == 404
    assert world.project.name not in text_of(answer)
    row.refresh_from_db()
    assert row.ended_at is None


def test_clean_up__two_environments__opens_one_request_for_each_and_serves_nothing_yet(world):
    verdicts = [stale(world, "old-header"), stale(world, "old-footer")]
    before = {row.pk: row.digest for row in FlagConfig.objects.all()}

    answer = signed_in(world.rita).post(
        act_on(world, "clean_up"),
        {"reason": "Everybody has it", "how": "switch_off", "flag": [str(one.flag_id) for one in verdicts]},
    )

    assert answer.status_code == 302
    requests = list(ChangeRequest.objects.all())
    assert {one.environment for one in requests} == {world.staging, world.production}
    assert {one.membership.bundle_id for one in requests} == {requests[0].membership.bundle_id}
    assert all(len(one.content.edits) == 2 for one in requests)
    assert {row.pk: row.digest for row in FlagConfig.objects.all()} == before


def test_plan_endings__ticked_flags__get_drafts_where_they_are_set_up(world):
    verdict = stale(world, "old-header")
    fields = {"reason": "Everybody has it", "starts_on": (NOW + 7 * DAY).date().isoformat()}

    answer = signed_in(world.rita).post(act_on(world, "plan_endings"), {**fields, "flag": [str(verdict.flag_id)]})

    assert answer.status_code == 302
    made = DeprecationTimeline.objects.all()
    assert {one.environment for one in made} == {row.environment for row in verdict.flag.configs.all()}
    assert {one.state for one in made} == {"draft"}


@pytest.mark.parametrize(
    ("act", "fields", "says"),
    [
        ("snooze", {"until": "someday", "reason": "Keep me"}, "Give a day"),
        ("snooze", {"until": "2099-01-01", "reason": "Keep me"}, "180 days"),
        ("snooze", {"until": "2026-05-01", "reason": ""}, "reason"),
        ("clean_up", {"how": "burn", "reason": "Keep me"}, "Choose what becomes of the flags."),
        ("plan_endings", {"starts_on": "2020-01-01", "reason": "Keep me"}, "past"),
        ("plan_endings", {"starts_on": "9999-12-31", "reason": "Keep me"}, "Choose a date of the years"),
        ("snooze", {"until": "9999-12-31", "reason": "Keep me"}, "Choose a date of the years"),
        ("wake", {"snooze": "x", "reason": "Keep me"}, "Choose the snooze to end."),
        ("snooze", {"until": "2026-05-01", "reason": "Keep me", "flag": ""}, "Tick the flags"),
    ],
)
def test_act__refused__keeps_what_was_ticked_and_typed(act, fields, says, world):
    verdict = stale(world, "old-header")

    answer = signed_in(world.rita).post(act_on(world, act), {"flag": str(verdict.flag_id), **fields})

    text = text_of(answer)
    assert answer.status_code in {400, 409, 422}
    assert says in text
    assert not fields["reason"] or "Keep me" in text
    assert fields.get("flag") == "" or re.search(rf'id="flag-{verdict.flag_id}"[^>]* checked', text)


def test_act__refused_on_page_2__is_still_page_2_with_its_ticks_and_ways_on(world, monkeypatch):
    monkeypatch.setattr("rollouts.admin.stale.inbox.PAGE_SIZE", 2)
    for number in range(3):
        stale(world, f"flag-{number}")
    client, asked = signed_in(world.rita), {"page": "2", "kind": "release"}
    page = text_of(client.get(reverse(INBOX), asked))
    address = re.search(r'formaction="([^"]*/snooze/[^"]*)"', page)
    ids = re.findall(r'name="flag" value="([^"]+)"', page)

    assert address
    text = text_of(client.post(address[1].replace("&amp;", "&"), {"flag": ids, "reason": "", "until": "2026-05-01"}))

    assert "what you ticked and typed is still here" in text
    assert [bool(re.search(rf'id="flag-{one}"[^>]* checked', text)) for one in ids] == [True]
    links = re.findall(r'href="([^"]*page=[^"]*)"', text)
    assert links
    assert all(link.startswith(reverse(INBOX)) for link in links)


def test_inbox__enter_in_a_field__presses_nothing(world):
    stale(world, "old-header")

    form = text_of(signed_in(world.rita).get(reverse(INBOX))).partition('id="stale-form"')[2]

    first = re.search(r"<button[^>]*>", form)
    assert first
    assert first[0] == '<button hidden formmethod="dialog" formnovalidate>'


def test_inbox__test_traffic__is_no_use(world):
    stale(world, "old-header")
    told = {"environment": world.production, "flag_key": "old-header", "version": ""}
    FlagUse.objects.create(**told, service=TEST_TRAFFIC, first_at=NOW, last_at=NOW)

    text = text_of(signed_in(world.rita).get(reverse(INBOX)))

    assert re.search(r"<dt>Last use</dt><dd>\s*(<[^>]*>)?never", text)


def test_inbox__only_one_old_look__is_dated(world):
    day = (NOW - 80 * DAY).date()
    DebtScore.objects.create(project=world.project, day=day, score=55, flags=3, stale=3, parts={})

    text = text_of(signed_in(world.rita).get(reverse(INBOX)))

    assert "the only look of the last 90 days, on 12 December" in text


def test_inbox__plans_of_endings__begin_on_a_working_day(world):
    stale(world, "old-header")

    with time_machine.travel(NOW + 5 * DAY, tick=False):
        text = text_of(signed_in(world.rita).get(reverse(INBOX)))

    found = re.search(r'name="starts_on" value="([^"]+)"', text)
    assert found
    assert date.fromisoformat(found[1]).strftime("%A") == "Tuesday"


@pytest.mark.parametrize(("is_scanned", "says"), [(False, "not scanned"), (True, "not seen")])
def test_inbox__flag_that_no_code_names__says_whether_any_was_looked_at(is_scanned, says, world):
    stale(world, "old-header")
    if is_scanned:
        told = {"name": "shop", "default_branch": "main", "created_at": NOW}
        shop = CodeRepository.objects.create(project=world.project, **told)
        counts = dict.fromkeys(("files_read", "references", "added", "vanished", "left_out"), 0)
        CodeScan.objects.create(repository=shop, branch="main", scanned_at=NOW, received_at=NOW, **counts)

    text = text_of(signed_in(world.rita).get(reverse(INBOX)))

    assert re.search(rf'<dt>In code</dt><dd><span class="fs-subtle">{says}</span>', text)


@pytest.mark.parametrize("everywhere", [True, False])
def test_inbox__end_planned_wherever_the_flag_is__offers_its_timeline(everywhere, world):
    verdict = stale(world, "old-header")
    places = [row.environment_id for row in verdict.flag.configs.all()]
    day = (NOW + 7 * DAY).date()
    definition = fill(template_for("release"), flag_key="old-header", starts_on=day, zone="UTC", final_variant="off")
    wanted = places if everywhere else places[:1]
    create_timelines(verdict.flag_id, wanted, definition, actor=actor_of(world.rita), now=NOW, reason="Because")

    text = text_of(signed_in(world.rita).get(reverse(INBOX)))

    assert ("Plan the end" in text) is not everywhere
    assert bool(re.search(r">Timeline \d+</a>", text)) is everywhere


def test_plan_endings__day_that_is_past__is_said_once_beside_its_field(world):
    verdicts = [stale(world, "old-header"), stale(world, "old-footer")]
    ids = [str(one.flag_id) for one in verdicts]

    fields = {"flag": ids, "reason": "Keep me", "starts_on": "2020-01-07"}
    answer = signed_in(world.rita).post(act_on(world, "plan_endings"), fields)

    text = text_of(answer)
    assert answer.status_code == 400
    assert re.search(
        r'name="starts_on" value="2020-01-07" aria-invalid="true" aria-describedby="st-starts-refused"', text
    )
    assert re.search(r'id="st-starts-refused">[^<]*7 January 2020 are past already', text)
    assert "more problems" not in text
    assert "Keep me" in text
    assert not DeprecationTimeline.objects.exists()


def test_act__viewer__is_refused(world):
    verdict = stale(world, "old-header")
    ids = {"flag": str(verdict.flag_id), "reason": "Because", "how": "switch_off", "until": "2026-05-01"}
    client = signed_in(world.vera)

    answers = [client.post(act_on(world, act), ids).status_code for act in ("snooze", "clean_up")]

    assert answers == [403, 403]
    assert not ChangeRequest.objects.exists()


@pytest.mark.parametrize("act", ["snooze", "burn"])
def test_act__unknown_or_elsewhere__does_not_exist(act, world):
    who = world.otto if act == "snooze" else world.rita

    assert signed_in(who).post(act_on(world, act)).status_code == 404


def test_flag_page__its_end__shows_why_it_may_go_and_where_to_plan(world):
    verdict = stale(world, "old-header")

    text = text_of(signed_in(world.rita).get(reverse("admin:flags_flag_change", args=[verdict.flag_id])))

    assert "It looks stale." in text
    assert "old-header is everywhere." in text
    assert "Plan the end" in text


def test_flag_page__may_it_go__with_the_value_for_code(world):
    verdict = stale(world, "old-header")
    address = reverse("admin:flags_flag_change", args=[verdict.flag_id])

    text = text_of(signed_in(world.vera).get(address))

    assert "May it go?" in text
    assert "Look first" in text
    assert re.search(r"In code instead of it:.*Everybody gets “off”.*<code[^>]*>false</code>", text)
    assert "Environments differ" not in text


def test_flag_page__environment_that_decides_is_hidden__the_value_is_hidden(world):
    verdict = stale(world, "old-header")
    for place in (world.staging, world.production):
        world.grant(world.vera, place)

    text = text_of(signed_in(world.vera).get(reverse("admin:flags_flag_change", args=[verdict.flag_id])))

    assert "Whoever may look at Production sees what stands in code then." in text
    assert "Everybody gets" not in text
