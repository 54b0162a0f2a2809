"""The trail in the admin: readable, filtered, scoped, and without a way to write."""

import re
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from audits.actions import Action
from audits.context import Actor
from audits.models import AuditEvent
from audits.trail import Target
from tests.audits.trails import NOW, note, note_many, person
from tests.factories import make_person

pytestmark = pytest.mark.django_db
LIST = "/admin/audits/auditevent/"


@pytest.fixture(autouse=True)
def _everybody_sees_everything(settings):
    settings.AUDIT_SCOPE = "tests.audits.trails.everything"


@pytest.fixture
def auditor() -> Client:
    client = Client()
    client.force_login(make_person("vera"))
    return client


def page_of(event: AuditEvent) -> str:
    return reverse("admin:audits_auditevent_change", args=[event.pk])


def html(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, response.content[:300]
    return response.content.decode()


def test_list__event__is_a_sentence_with_time_place_and_act(auditor):
    event = note(
        Action.CHANGE_REQUEST_APPROVED,
        target=Target("change_request", "r1", "#12 <b>Checkout</b>"),
        environment_key="production",
        reason="Looks <i>good</i>",
    )

    page = html(auditor, LIST)

    assert "Ben Okafor approved change request #12 &lt;b&gt;Checkout&lt;/b&gt; in Production" in page
    assert "Looks &lt;i&gt;good&lt;/i&gt;" in page
    assert "storefront / Production" in page
    assert f'<time datetime="{event.occurred_at.isoformat()}">21 Nov 2026, 12:00:00 UTC</time>' in page
    assert f"?act={event.correlation_id}" in page


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=4), "4 minutes ago"),
        (timedelta(hours=3, minutes=10), "3 hours ago"),
        (timedelta(days=20), "2 weeks ago"),
    ],
)
def test_list__time__is_exact_and_said_in_one_unit_beside(auditor, age, words):
    note(now=timezone.now() - age)

    assert f'UTC</time> <span class="fs-subtle">{words}</span>' in html(auditor, LIST).replace("\xa0", " ")


def queries_of(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        html(client, address)
    return len(queries)


def test_list__more_rows_and_actors__cost_no_more_queries(auditor):
    note(actor=person("first", "First"))
    html(auditor, LIST)
    few = queries_of(auditor, LIST)
    for number in range(40):
        note(actor=person(f"actor-{number}", f"Actor {number}"), target=Target("person", f"p{number}", f"P {number}"))

    assert queries_of(auditor, LIST) == few


def test_list__own_queries__are_count_rows_names_and_places(auditor, rf):
    from django.contrib import admin

    note_many(3)
    request = rf.get(LIST)
    request.user = make_person("ada", is_superuser=True)

    with CaptureQueriesContext(connection) as queries:
        changes = admin.site._registry[AuditEvent].get_changelist_instance(request)

    assert [event.actor_label for event in changes.result_list] == ["Ben Okafor"] * 3
    assert len(queries) <= 4, [query["sql"] for query in queries]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("about=no-uuid", set()),
        ("action=token.issued", {"action"}),
        ("project=backoffice", {"project"}),
        ("environment=production", {"environment"}),
        ("flag=other", {"flag"}),
        ("actor=rosa", {"actor"}),
        ("actor=nobody-of-this-name", set()),
        ("act=no-uuid", set()),
        ("q=needle", {"needle"}),
        ("q=Rosa+Lind", {"actor"}),
        ("occurred_at_from_0=2026-11-22&occurred_at_from_1=00:00:00", {"later"}),
        ("occurred_at_from_0=2026-11-23&occurred_at_from_1=12:00", {"later"}),
        ("occurred_at_to_0=2026-11-23&occurred_at_to_1=12:00&q=later", set()),
    ],
)
def test_list__filter_or_search__shows_exactly_these(auditor, query, expected):
    note(project="backoffice", reason="project")
    note(environment_key="production", reason="environment")
    note(flag_key="other", reason="flag")
    note(actor=person("r", "Rosa Lind"), reason="actor")
    note(Action.TOKEN_ISSUED, reason="action")
    note(now=NOW + timedelta(days=2), reason="later")
    note(reason="needle")

    response = auditor.get(f"{LIST}?{query}")

    assert response.status_code == 200
    assert {event.reason for event in response.context["cl"].result_list} == expected


def test_list__act_of_an_event__shows_what_belongs_together(auditor):
    act = uuid4()
    note(act=act, reason="one")
    note(act=act, reason="two")
    note(reason="other")

    for query in (f"act={act}", f"q={act}"):
        response = auditor.get(f"{LIST}?{query}")
        assert {event.reason for event in response.context["cl"].result_list} == {"one", "two"}


@pytest.mark.parametrize("form", ["706364da", "706364DA", "706364da-1", " 706364da10004000 "])
def test_list__beginning_of_an_act_or_event__finds_it(auditor, form):
    note(act=UUID("706364da-1000-4000-8000-000000000001"), reason="one")
    note(act=UUID("706364db-1000-4000-8000-000000000001"), reason="next")

    found = auditor.get(LIST, {"q": form}).context["cl"].result_list
    assert {event.reason for event in found} == {"one"}

    of_event = auditor.get(LIST, {"q": str(found[0].pk)[:8]}).context["cl"].result_list
    assert {event.reason for event in of_event} == {"one"}


def test_list__beginning_of_an_id__is_looked_for_as_a_range(auditor):
    with CaptureQueriesContext(connection) as queries:
        auditor.get(LIST, {"q": "706364da"})

    asked = [sql for query in queries if "706364da" in (sql := query["sql"]) and '"target_label"' in sql]
    assert asked
    assert all('"correlation_id" BETWEEN' in sql and '"id" BETWEEN' in sql for sql in asked)


@pytest.mark.parametrize("query", ["q=nothing-like-this", "about=00000000-0000-4000-8000-000000000000", "act=x"])
def test_list__nothing_found__says_so_and_offers_no_new_item(auditor, query):
    note()

    page = html(auditor, f"{LIST}?{query}")

    assert "No event matches" in page
    assert "Create a new item" not in page
    assert "Show the whole trail" in page


def test_list__page__has_one_heading(auditor):
    page = html(auditor, LIST)

    assert page.count("<h1") == 1
    assert "<h1>Audit trail</h1>" in page
    assert "Nothing was recorded yet" in page


REQUEST, PLAN = "aaaaaaaa-0000-4000-8000-000000000034", "bbbbbbbb-0000-4000-8000-000000000003"
ROSA = "cccccccc-0000-4000-8000-000000000001"


def life_of_a_request() -> AuditEvent:
    """Request #34 in four acts, the last one of which changes a flag; and another request that goes on beside it."""
    target = Target("change_request", REQUEST, "#34 Raise checkout")
    note(Action.CHANGE_REQUEST_CREATED, target=target, reason="drafted")
    note(Action.CHANGE_REQUEST_SUBMITTED, target=target, reason="submitted")
    note(Action.CHANGE_REQUEST_APPROVED, target=target, actor=person(ROSA, "Rosa Lind"), reason="approved")
    last = uuid4()
    facts = {"request_id": REQUEST, "approver_ids": [ROSA]}
    config = Target("flag_config", str(uuid4()), "checkout-redesign")
    applied = note(Action.FLAG_CONFIG_APPLIED, target=config, act=last, data=facts, flag_key="checkout-redesign")
    note(Action.CHANGE_REQUEST_APPLIED, target=target, act=last, reason="applied")
    other = {"request_id": str(uuid4())}
    note(Action.FLAG_CONFIG_APPLIED, target=config, act=last, data=other, reason="other request")
    return applied


def test_list__everything_about_a_request__spans_its_acts(auditor):
    life_of_a_request()
    note(reason="unrelated")

    response = auditor.get(f"{LIST}?about={REQUEST}")

    found = [event.reason for event in response.context["cl"].result_list]
    assert sorted(found) == ["", "applied", "approved", "drafted", "submitted"]
    page = response.content.decode()
    assert "<h1>Everything about change request #34</h1>" in page
    assert f'href="/admin/rollouts/changerequest/{REQUEST}/"' in page


def test_list__every_event_of_a_request__leads_to_everything_about_it(auditor):
    life_of_a_request()

    page = html(auditor, f"{LIST}?about={REQUEST}")

    assert len(re.findall(f'href="{LIST}\\?about={REQUEST}">change request #34</a>', page)) == 5


def test_list__everything_about__shows_nothing_outside_the_scope(settings, auditor):
    life_of_a_request()
    settings.AUDIT_SCOPE = "tests.audits.trails.only_storefront_staging"
    target = Target("change_request", PLAN, "#35 Secret")
    note(Action.CHANGE_REQUEST_CREATED, target=target, environment_key="production")

    assert "Secret" not in html(auditor, f"{LIST}?about={PLAN}")
    assert "#35" not in html(auditor, f"{LIST}?about={PLAN}")


def test_detail__applied_change__leads_to_its_request_and_names_who_approved(auditor):
    created = note(Action.FLAG_CREATED, target=Target("flag", PLAN, "checkout-redesign"), flag_key="checkout-redesign")
    applied = life_of_a_request()

    page = html(auditor, page_of(applied))

    assert f'href="{LIST}?about={REQUEST}">Everything about change request #34</a>' in page
    assert f'href="/admin/rollouts/changerequest/{REQUEST}/">its page</a>' in page
    assert f'href="/admin/flags/flag/{created.target_id}/change/">checkout-redesign</a>' in page
    assert "<b>Approver</b>: Rosa Lind" in page
    folded = page.index("<summary>All facts as JSON</summary>")
    assert page.index(ROSA) > folded


@pytest.mark.parametrize(
    ("kind", "label", "words", "address"),
    [
        ("change_request", "#34 Raise", "change request #34", "/admin/rollouts/changerequest/"),
        ("plan", "Plan 3 Slowly", "plan 3", "/admin/rollouts/rolloutplan/"),
        ("timeline", "Timeline 2 of a", "timeline 2", "/admin/rollouts/deprecationtimeline/"),
    ],
)
def test_detail__event_of_a_matter__leads_to_it(auditor, kind, label, words, address):
    page = html(auditor, page_of(note(target=Target(kind, PLAN, label))))

    assert f"Everything about {words}</a>" in page
    assert f'href="{address}{PLAN}/"' in page


def test_list__project_filter__offers_what_the_person_may_see(settings, auditor):
    note(Action.PROJECT_CREATED)
    note(Action.PROJECT_CREATED, project="backoffice")
    settings.AUDIT_SCOPE = "tests.audits.trails.only_storefront"

    page = html(auditor, LIST)

    assert 'value="storefront"' in page
    assert "backoffice" not in page


HOSTILE = ["q=%00", "act=%00", "flag=%00", "actor=%00", "o=%00", "p=x", "p=-1", "all=", "q=" + "x" * 10_000]
HOSTILE += [
    "colour=red",
    "occurred_at_from_0=nonsense",
    "occurred_at_to_0=9999-99-99&occurred_at_to_1=25:61",
    "correlation_id=nonsense",
    "q=%ED%A0%80",
    "id__in=,",
    "e=1",
]


@pytest.mark.parametrize("query", HOSTILE)
def test_list__hostile_address__is_never_a_server_error(auditor, query):
    note()

    assert auditor.get(f"{LIST}?{query}").status_code < 500


REFUSED = ["id__regex=(", "reason__regex=^(a%2B)%2B$", "occurred_at__year=99999999", "occurred_at__gte=x", "id__in=,"]
REFUSED += ["chain__contains=x", "action__in=a", "data__icontains=x", "occurred_at_from=x", "reason=x"]


@pytest.mark.parametrize("query", REFUSED)
def test_list__lookup_no_filter_offers__is_refused(auditor, query):
    note(reason="a" * 40)

    assert auditor.get(f"{LIST}?{query}").status_code == 400


def test_detail__event__shows_every_fact_and_both_hashes(auditor):
    first = note()
    event = note(
        Action.TOKEN_ISSUED,
        target=Target("environment_token", "t1", "CI"),
        environment_key="staging",
        reason="New pipeline",
        data={"prefix": "fse_", "html": "<script>alert(1)</script>"},
    )

    page = html(auditor, page_of(event))

    for text in (
        "Ben Okafor issued the token CI in Staging",
        "New pipeline",
        "Ben Okafor (person, via admin)",
        "person ben",
        "21 Nov 2026",
    ):
        assert text in page
    assert event.hash in page
    assert first.hash in page
    assert f"{event.chain}, event 2" in page
    assert "&quot;prefix&quot;: &quot;fse_&quot;" in page
    assert "<script>alert(1)</script>" not in page
    assert page.count("<h1") == 1


def test_detail__rule_of_the_system__is_called_as_in_the_sentence(auditor):
    page = html(auditor, page_of(note(actor=Actor.system("rollouts.apply_due_changes"))))

    assert "The schedule (system, via task)" in page
    assert "system rollouts.apply_due_changes" in page


def test_detail__page__offers_no_way_to_write(auditor):
    page = html(auditor, page_of(note()))

    for name in ("_save", "_continue", "_addanother", "deletelink", 'type="submit" name'):
        assert name not in page
    assert "/delete/" not in page


def test_detail__any_event__costs_the_same_queries(auditor):
    first, second = note(), note(data={"many": list(range(500))})
    html(auditor, page_of(first))

    assert queries_of(auditor, page_of(first)) == queries_of(auditor, page_of(second))


@pytest.mark.parametrize("object_id", ["nonsense", "00000000-0000-4000-8000-000000000000", "%00", "_5F" * 50])
def test_detail__no_such_event__is_not_a_server_error(auditor, object_id):
    assert auditor.get(f"{LIST}{object_id}/change/").status_code in (302, 400, 404)


def write_addresses(event: AuditEvent) -> list[str]:
    return [LIST, f"{LIST}add/", *(f"{LIST}{event.pk}/{page}/" for page in ("change", "delete", "history"))]


@pytest.mark.parametrize("is_superuser", [True, False])
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_pages__any_writing_method__is_refused(method, is_superuser):
    event = note()
    client = Client()
    client.force_login(make_person("ada", is_superuser=is_superuser))
    stored = AuditEvent.objects.values().get()

    for address in write_addresses(event):
        body = {"action": "delete_selected", "_selected_action": str(event.pk), "reason": "forged", "post": "yes"}
        response = client.generic(method.upper(), address, "&".join(f"{k}={v}" for k, v in body.items()))
        assert response.status_code in (403, 404, 405), (address, response.status_code)

    assert AuditEvent.objects.values().get() == stored


def test_pages__person_without_scope__does_not_see_them(settings, auditor):
    settings.AUDIT_SCOPE = "tests.audits.trails.nothing"
    event = note()

    assert auditor.get(LIST).status_code == 403
    assert auditor.get(page_of(event)).status_code in (302, 403, 404)


def test_pages__scope__hides_other_projects_and_environments(settings, auditor):
    settings.AUDIT_SCOPE = "tests.audits.trails.only_storefront_staging"
    hidden = [
        note(project="backoffice", reason="hidden"),
        note(environment_key="production", reason="hidden"),
        note(project="", reason="hidden"),
    ]
    note(environment_key="staging", reason="visible")

    shown = auditor.get(LIST).context["cl"].result_list
    assert {event.reason for event in shown} == {"visible"}
    for event in hidden:
        assert auditor.get(page_of(event)).status_code in (302, 403, 404)


def test_pages__nobody_signed_in__leads_to_the_sign_in():
    assert Client().get(LIST).status_code == 302


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_detail__narrow_screen__needs_no_scrolling_sideways(live_server, page, auditor):
    event = note(data={"digest": "a" * 64, "approver_ids": [str(uuid4())]})
    cookie = {"name": "sessionid", "value": auditor.cookies["sessionid"].value, "url": live_server.url}
    page.context.add_cookies([cookie])
    page.set_viewport_size({"width": 390, "height": 800})

    page.goto(f"{live_server.url}{page_of(event)}")
    page.get_by_text("All facts as JSON").click()

    assert page.get_by_text(event.hash).is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
