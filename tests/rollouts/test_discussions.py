"""Threads: answers, settled or not, and nothing that belongs to another request."""

import uuid
from datetime import timedelta

import pytest

from audits.models import AuditEvent
from flags.errors import NotFound, PermissionMissing
from rollouts.models import ChangeRequest, Comment, ThreadMark
from rollouts.selectors import request_page
from rollouts.selectors.discussions import Thread
from rollouts.services import change_requests as acts
from tests.factories import NOW, actor_of
from tests.rollouts.support import Bench


def _say(bench: Bench, request: ChangeRequest, body: str, to: Comment | None = None) -> Comment:
    actor = actor_of(bench.world.vera)
    reply_to = to.pk if to else None
    now = NOW + timedelta(minutes=request.comments.count())
    return acts.comment_on_change_request(request.pk, actor=actor, body=body, now=now, reply_to=reply_to)


def _mark(bench: Bench, request: ChangeRequest, comment: Comment, *, is_resolved: bool) -> None:
    actor = actor_of(bench.world.rita)
    acts.mark_thread(request.pk, actor=actor, comment_id=comment.pk, is_resolved=is_resolved, now=NOW)


def _threads(bench: Bench, request: ChangeRequest) -> tuple[Thread, ...]:
    return request_page(request.pk, bench.world.vera, now=NOW).threads


def test_reply__to_a_reply__joins_the_thread(bench: Bench) -> None:
    request = bench.submitted()
    root = _say(bench, request, "Why 25 %?")
    answer = _say(bench, request, "Half of the next step", root)
    _say(bench, request, "I see", answer)
    _say(bench, request, "Something else")

    threads = _threads(bench, request)

    assert [(one.root.body, [reply.body for reply in one.replies]) for one in threads] == [
        ("Why 25 %?", ["Half of the next step", "I see"]),
        ("Something else", []),
    ]


def test_mark__resolved_and_opened_again__the_last_word_counts(bench: Bench) -> None:
    request = bench.submitted()
    root = _say(bench, request, "Why 25 %?")
    answer = _say(bench, request, "Because", root)

    _mark(bench, request, answer, is_resolved=True)
    assert _threads(bench, request)[0].is_resolved
    _mark(bench, request, root, is_resolved=True)
    assert ThreadMark.objects.count() == 1
    _mark(bench, request, root, is_resolved=False)

    assert not _threads(bench, request)[0].is_resolved
    actions = AuditEvent.objects.filter(action__startswith="change_request.thread").values_list("action", flat=True)
    assert list(actions.order_by("sequence")) == ["change_request.thread_resolved", "change_request.thread_reopened"]


def test_mark__open_thread_opened_again__leaves_nothing_behind(bench: Bench) -> None:
    request = bench.submitted()

    _mark(bench, request, _say(bench, request, "Why?"), is_resolved=False)

    assert not ThreadMark.objects.exists()


def test_thread__comment_of_another_request__is_not_found(bench: Bench) -> None:
    request, other = bench.submitted(), bench.submitted()
    elsewhere = _say(bench, other, "Elsewhere")

    with pytest.raises(NotFound):
        _say(bench, request, "Answer", elsewhere)
    with pytest.raises(NotFound):
        _mark(bench, request, elsewhere, is_resolved=True)
    with pytest.raises(NotFound):
        acts.mark_thread(
            request.pk, actor=actor_of(bench.world.rita), comment_id=uuid.uuid4(), is_resolved=True, now=NOW
        )


def test_thread__person_without_a_role__is_refused(bench: Bench) -> None:
    request = bench.submitted()
    root = _say(bench, request, "Why?")

    with pytest.raises(PermissionMissing):
        acts.mark_thread(request.pk, actor=actor_of(bench.world.otto), comment_id=root.pk, is_resolved=True, now=NOW)
