"""Disagreeing, discussing and looking twice, as the pages show it."""

import json
from typing import Any

import pytest
from django.urls import reverse

from flags.changes import ChangeSet, ConfigEdit
from rollouts.models import ChangeRequest
from tests.factories import percent_document
from tests.rollouts.admin.support import act_url, page_url
from tests.rollouts.support import Bench
from tests.support.admin import HOSTILE, signed_in, text_of


def _post(bench: Bench, request: ChangeRequest, act: str, name: str, **fields: str) -> str:
    row = ChangeRequest.objects.get(pk=request.pk)
    client = signed_in(getattr(bench.world, name))
    return text_of(client.post(act_url(request, act), {"digest": row.digest, **fields}, follow=True))


def _history(bench: Bench) -> str:
    address = reverse("admin:flags_config_history", args=[bench.flag.pk, bench.production.pk])
    return text_of(signed_in(bench.world.vera).get(address))


def test_reservation__stays_on_the_version_and_in_the_next_review(bench: Bench) -> None:
    request = bench.submitted()
    _post(bench, request, "approve", "abel", comment="Watch the load", has_reservation="1")
    following = bench.submitted()

    assert "approved with reservation" in text_of(signed_in(bench.world.vera).get(page_url(request)))
    assert "Watch the load" in _history(bench)
    text = text_of(signed_in(bench.world.anna).get(page_url(following)))
    assert "Last time" in text
    assert "Watch the load" in text


def test_reservation__without_words__asks_for_them_and_keeps_the_tick(bench: Bench) -> None:
    text = _post(bench, bench.submitted(), "approve", "abel", comment="", has_reservation="1")

    dialog = text.partition('id="dialog-approve"')[2].partition("</dialog>")[0]
    assert 'name="has_reservation" value="1" checked' in dialog
    assert 'aria-invalid="true" aria-describedby="approve-comment-error"' in dialog
    assert 'id="approve-comment-error">Write what the reservation is.</p>' in dialog
    assert "Put right what is marked" in text


WITHOUT_WORDS = [
    ("request_changes", "text", "request-changes-text"),
    ("reject", "reason", "reject-reason"),
    ("comment", "body", "comment"),
]


@pytest.mark.parametrize(("act", "field", "place"), WITHOUT_WORDS)
def test_act__without_its_words__says_so_at_the_field_and_names_none(
    bench: Bench, act: str, field: str, place: str
) -> None:
    text = _post(bench, bench.submitted(), act, "anna", **{field: "  "})

    assert f'id="{place}-error">It may not be empty.</p>' in text
    assert f'aria-invalid="true" aria-describedby="{place}-error"' in text
    assert "Fill in" not in text


def test_request_changes__holds_back_and_can_be_taken_back_on_the_page(bench: Bench) -> None:
    request = bench.submitted()

    text = _post(bench, request, "request_changes", "anna", text="Smaller steps")
    assert "holds it back" in text
    assert 'data-opens="lift_changes"' in text
    assert "Smaller steps" in text
    assert 'data-opens="lift_changes"' not in text_of(signed_in(bench.world.abel).get(page_url(request)))

    text = _post(bench, request, "lift_changes", "anna", text="Talked about it")
    assert "holds it back" not in text
    assert "took back the request for changes" in text


def test_discussion__answer_resolve_and_reopen__by_buttons(bench: Bench) -> None:
    request = bench.submitted()
    _post(bench, request, "comment", "vera", body="Why 25 %?")
    root = str(request.comments.get().pk)

    assert "1 open" in _post(bench, request, "comment", "rita", body="Half a step", reply_to=root)
    assert "called this resolved" in _post(bench, request, "resolve", "vera", comment=root)
    assert "1 open" in _post(bench, request, "reopen", "rita", comment=root)


@pytest.mark.parametrize("comment", ["", "x", "00000000-0000-0000-0000-000000000000"])
@pytest.mark.parametrize("act", ["resolve", "reopen"])
def test_discussion__forged_comment__is_not_found(bench: Bench, act: str, comment: str) -> None:
    request = bench.submitted()

    answer = signed_in(bench.world.vera).post(act_url(request, act), {"comment": comment})

    assert answer.status_code == 404


@pytest.mark.parametrize("act", ["request_changes", "abstain", "lift_changes"])
def test_dissent__hostile_words__are_escaped_everywhere(bench: Bench, act: str) -> None:
    request = bench.submitted()
    if act == "lift_changes":
        _post(bench, request, "request_changes", "anna", text="First")

    text = _post(bench, request, act, "anna", text=HOSTILE)

    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def _planted(bench: Bench, value: str, **fields: Any) -> str:
    condition = {"attribute": "plan", "operator": "equals", "value": value}
    document = percent_document(bench.flag.key, 25)
    document["rules"][0] = {**document["rules"][0], "condition": condition}
    edit = ConfigEdit(bench.flag.key, bench.version(), document)
    request = bench.submitted(change_set=ChangeSet(str(bench.production.pk), (edit,)), **fields)
    return text_of(signed_in(bench.world.abel).get(page_url(request)))


@pytest.mark.parametrize(
    ("value", "warning", "shown"),
    [
        ("g\u043eld", "Letters that only look Latin stand in “g", 'title="cyrillic small letter o"'),
        ("go\u200bld", "draw nothing or turn others around: ", "U+200B"),
        ("gold ", "", "␣"),
    ],
)
def test_page__value_that_deceives_the_eye__is_shown_for_what_it_is(
    bench: Bench, value: str, warning: str, shown: str
) -> None:
    text = _planted(bench, value)

    assert shown in text
    assert ("Look twice" in text) == bool(warning)
    assert warning in text


def test_page__title_with_a_foreign_letter__is_marked(bench: Bench) -> None:
    text = _planted(bench, "gold", title="Widen p\u0430yments")

    assert 'title="cyrillic small letter a"' in text
    assert "Look twice" in text


def test_page__honest_words_of_another_language__raise_no_alarm(bench: Bench) -> None:
    assert "Look twice" not in _planted(bench, "золото", reason="Grüße, спасибо, ευχαριστώ")


def test_page__many_targets__are_folded_and_counted(bench: Bench) -> None:
    keys = [f"customer-{number}" for number in range(3000)]
    document = {**percent_document(bench.flag.key, 25), "targets": [{"variant": "on", "keys": keys}]}
    edit = ConfigEdit(bench.flag.key, bench.version(), document)
    request = bench.submitted(change_set=ChangeSet(str(bench.production.pk), (edit,)))

    text = text_of(signed_in(bench.world.abel).get(page_url(request)))

    assert "more added" in text
    assert json.dumps("customer-2999")[1:-1] in text


def test_look__posted_by_the_page__is_remembered(bench: Bench) -> None:
    request = bench.submitted()
    client = signed_in(bench.world.abel)
    assert "data-look" in text_of(client.get(page_url(request)))

    answer = client.post(reverse("admin:rollouts_changerequest_seen", args=[request.pk]), {"digest": request.digest})

    assert answer.status_code == 302
    assert "data-look" not in text_of(client.get(page_url(request)))
    assert client.get(reverse("admin:rollouts_changerequest_seen", args=[request.pk])).status_code == 405
