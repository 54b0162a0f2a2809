"""What callers notice when the stores of a running installation go away, and when it starts without them."""

import time
from collections.abc import Callable

import pytest

from tests.faults.installation import STALE_SECONDS, Answer, Installation

pytestmark = pytest.mark.redis

MANY = [f"user-{number}" for number in range(10_000)]
SOME = MANY[:1_000]
# A look that hangs is given up after five seconds.
NOTICED_SECONDS = 12
BACK_SECONDS = 15


def assert_same(before: list[Answer], after: list[Answer]) -> None:
    """Every caller got the answer he had before, and got one."""
    assert {status for status, _, _ in after} == {200}
    assert [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]] == []


def hurt_redis(site: Installation) -> None:
    site.redis.kill()


def hurt_postgresql(site: Installation) -> None:
    site.postgresql.kill()


def hurt_both(site: Installation) -> None:
    site.redis.kill()
    site.postgresql.kill()


def freeze_both(site: Installation) -> None:
    site.redis.freeze()
    site.postgresql.freeze()


@pytest.mark.parametrize("hurt", [hurt_postgresql, freeze_both])
def test_outage__of_the_database__is_not_felt_and_is_said(hurt: Callable[[Installation], None], site: Installation):
    before = site.answers(SOME)
    assert len({variant for _, _, variant in before}) == 2

    with site.under_load() as statuses:
        hurt(site)
        site.wait_until_all(NOTICED_SECONDS, status="stale", origin="database")
        during = site.answers(SOME)
        reasons = {body["reason"] for _, body in site.ask("split", SOME[:20])}
        ready = [site.health("ready") for _ in range(4)]
        site.postgresql.heal()
        site.redis.heal()
        site.wait_until_all(BACK_SECONDS, status="fresh", origin="database")
        site.wait_until_served(site.change()["revision"], seconds=5)

    assert_same(before, during)
    assert_same(before, site.answers(SOME))
    assert reasons == {"STALE"}
    assert [(status, facts["database"]) for status, facts, _ in ready] == [(200, False)] * 4
    assert max(seconds for _, _, seconds in ready) < 1
    assert len(statuses) > 20
    assert set(statuses) == {200}


@pytest.mark.parametrize("hurt", ["kill", "freeze"])
def test_outage__of_redis__costs_a_poll_interval_and_no_commit_waits(hurt: str, site: Installation):
    site.change()
    before = site.answers(SOME)

    with site.under_load() as statuses:
        getattr(site.redis, hurt)()
        changes = [site.change() for _ in range(3)]
        waited = site.wait_until_served(changes[-1]["revision"], seconds=5)
        during = site.answers(SOME)
        facts = site.health("snapshot")[1]
        site.redis.heal()
        site.wait_until_served(site.change()["revision"], seconds=5)

    assert_same(before, during)
    assert facts["status"] == "fresh"
    # Half a second between polls, and eight answers in a row to see it.
    assert waited < 2
    assert sum(change["seconds"] for change in changes) < 3
    assert set(statuses) == {200}


def test_revoked_token__redis_away__is_refused_within_seconds(site: Installation):
    token = site.hand("issue")
    site.wait_until_token(token["secret"], status=200, seconds=5)

    site.redis.freeze()
    site.hand("revoke", token["id"])

    site.wait_until_token(token["secret"], status=401, seconds=5)


def test_outage__of_everything__then_at_start__answers_are_the_same_all_along(site: Installation):
    """Ten thousand contexts: before, while both stores are away, after a start without them, and after recovery."""
    before = site.answers(MANY)
    site.wait_until_saved(seconds=10)

    hurt_both(site)
    site.wait_until_all(NOTICED_SECONDS, status="stale", origin="database")
    assert_same(before, site.answers(MANY))

    site.stop_web()
    cold_start = site.start_web_and_ask(seconds=15)
    assert_same(before, site.answers(MANY))
    site.wait_until_all(5, status="stale", origin="file")
    body = next(iter(site.ask("split", SOME[:1])))[1]
    assert (body["reason"], body["metadata"]["reason"]) == ("STALE", "SPLIT")
    assert body["metadata"]["staleSeconds"] >= STALE_SECONDS

    with site.under_load() as statuses:
        site.postgresql.heal()
        site.redis.heal()
        site.wait_until_all(BACK_SECONDS, status="fresh", origin="database")
        site.wait_until_served(site.change()["revision"], seconds=5)
    assert_same(before, site.answers(MANY))
    assert set(statuses) == {200}
    assert cold_start < 5


def test_start__database_that_lets_everybody_wait__is_served_from_the_file(site: Installation):
    before = site.answers(SOME)
    site.wait_until_saved(seconds=10)
    site.stop_web()
    freeze_both(site)

    cold_start = site.start_web_and_ask(seconds=15)

    assert_same(before, site.answers(SOME))
    site.wait_until(lambda: site.health("ready")[0] == 200, seconds=5, times=8)
    status, facts, seconds = site.health("ready")
    assert (status, facts["database"], facts["snapshots"]) == (200, False, "stale")
    assert seconds < 1
    assert cold_start < 5


def test_kill_list__both_stores_away__forces_and_is_written_down_afterwards(site: Installation):
    known = site.hand("kills")
    hurt_both(site)

    site.kill_list.write_text("# broken checkout\nshop/production/split=off\nno line\nshop/production/nothing=off\n")
    forced = site.wait_until_all(5, kill_list={"entries": 2, "in_force": 1, "lines_ignored": 1})
    answers = site.answers(SOME)
    site.postgresql.heal()
    site.redis.heal()
    site.wait_until_all(BACK_SECONDS, status="fresh", origin="database")
    site.wait_until(lambda: site.hand("kills")["open"] == [["split", "off"]], seconds=10)
    site.kill_list.unlink()
    lifted = site.wait_until_all(5, kill_list={"entries": 0, "in_force": 0, "lines_ignored": 0})
    site.wait_until(lambda: site.hand("kills")["open"] == [], seconds=10)
    time.sleep(1)  # the other worker had its chance to write it down as well

    assert {(value, variant) for _, value, variant in answers} == {(False, "off")}
    assert forced < 5
    assert lifted < 5
    assert len({variant for _, _, variant in site.answers(SOME)}) == 2
    written = site.hand("kills")
    assert len(written["lifted"]) == len(known["lifted"]) + 1
    assert sorted(written["events"]) == sorted([*known["events"], "local_kill.lifted", "local_kill.noticed"])
