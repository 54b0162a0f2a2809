"""Every round is kept, and what each person saw of them."""

import pytest

from flags.errors import PermissionMissing
from rollouts.models import ChangeRequest, Look, RequestRound
from rollouts.selectors.rounds import has_looked, since_looked
from rollouts.services import change_requests as acts
from tests.factories import NOW, SOON, actor_of, percent_document
from tests.rollouts.support import Bench


def _look(bench: Bench, request: ChangeRequest, digest: str | None = None) -> None:
    row = ChangeRequest.objects.get(pk=request.pk)
    acts.look_at_request(request.pk, actor=actor_of(bench.world.abel), digest=digest or row.digest, now=NOW)


def _since(bench: Bench, request: ChangeRequest):
    return since_looked(ChangeRequest.objects.get(pk=request.pk), bench.world.abel)


def test_rounds__submit_edit_and_schedule__are_each_kept_with_their_content(bench: Bench) -> None:
    request = bench.edit(bench.draft(change_set=bench.content(20)), change_set=bench.content(21))
    bench.submit(request)
    bench.edit(request, change_set=bench.content(30))
    last = bench.schedule(request, SOON)

    rows = list(RequestRound.objects.filter(request=request))

    assert [(row.round, row.occasion) for row in rows] == [(1, "submit"), (2, "edit"), (3, "schedule")]
    shares = [row.change_set["edits"][0]["document"] for row in rows]
    assert shares == [percent_document(bench.flag.key, share) for share in (21, 30, 30)]
    assert rows[-1].apply_at == SOON
    assert rows[-1].digest == last.digest


def test_since_looked__content_edited__shows_from_then_to_now(bench: Bench) -> None:
    request = bench.submitted(change_set=bench.content(20))
    _look(bench, request)
    bench.edit(request, change_set=bench.content(30))
    bench.edit(request, change_set=bench.content(40))

    since = _since(bench, request)

    assert [row.round for row in since.rounds] == [2, 3]
    assert [difference.sentence for difference in since.edits[0].differences] == ["Rule 1 “Everyone”: on 20 % → 40 %"]
    assert not since.has_new_time


def test_since_looked__only_the_time_moved__says_that(bench: Bench) -> None:
    request = bench.submitted()
    _look(bench, request)
    bench.schedule(request, SOON)

    since = _since(bench, request)

    assert (since.edits, since.has_new_time, since.apply_at_after) == ((), True, SOON)


def test_since_looked__flag_added_or_dropped__is_named(bench: Bench) -> None:
    other = bench.world.flag("other-flag")
    request = bench.submitted(change_set=bench.content(20))
    _look(bench, request)
    bench.edit(request, change_set=bench.content(5, flag=other))

    since = _since(bench, request)

    found = {edit.key: (edit.before is None, edit.after is None) for edit in since.edits}
    assert found == {"other-flag": (True, False), "checkout-redesign": (False, True)}


@pytest.mark.parametrize("deed", ["never", "present", "again"])
def test_since_looked__nothing_new__is_silent(bench: Bench, deed: str) -> None:
    request = bench.submitted()
    if deed != "never":
        _look(bench, request)
    if deed == "again":
        bench.edit(request)
        _look(bench, request)

    assert _since(bench, request) is None


def test_look__page_of_an_earlier_round__takes_nothing_back(bench: Bench) -> None:
    request = bench.submitted()
    bench.edit(request)
    _look(bench, request)

    _look(bench, request, digest=request.digest)

    assert Look.objects.get(person=bench.world.abel).round == 2


def test_look__content_that_never_was__is_passed_over(bench: Bench) -> None:
    request = bench.submitted()

    _look(bench, request, digest="0" * 64)

    assert not Look.objects.filter(person=bench.world.abel).exists()


def test_look__whoever_edits__has_seen_it(bench: Bench) -> None:
    request = bench.edit(bench.submitted())

    assert has_looked(request, bench.world.rita)


def test_look__without_a_role__is_refused(bench: Bench) -> None:
    request = bench.submitted()

    with pytest.raises(PermissionMissing):
        acts.look_at_request(request.pk, actor=actor_of(bench.world.otto), digest=request.digest, now=NOW)
