"""Open streams: who is told what and when, and who has to go."""

import asyncio
import json
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from flags.streams.hub import KEEP_ALIVE_SECONDS, STUCK_SECONDS, Limits
from tests.flags.streams.listening import SETTLE_SECONDS, START, Stage, clock, frames, play


def clock_seconds() -> float:
    """Seconds since the start of the scene."""
    return (clock() - START).total_seconds()


def test_opening__says_when_to_come_back_and_where_we_are():
    async def scene(stage: Stage) -> None:
        listener = await stage.listen()

        (first,) = frames(listener.body)
        assert listener.status == 200
        assert listener.headers["content-type"] == "text/event-stream"
        assert listener.headers["cache-control"] == "no-store"
        assert listener.headers["x-accel-buffering"] == "no"
        assert first["id"] == "1"
        assert 1_000 <= int(first["retry"]) <= 3_000

    play(scene)


def test_change__is_told_at_once_and_again_when_every_process_knows():
    async def scene(stage: Stage) -> None:
        listener = await stage.listen()

        stage.move(2)
        await asyncio.sleep(0.1)
        soon = listener.ids
        await asyncio.sleep(SETTLE_SECONDS)

        assert soon == ["2"]
        assert listener.ids == ["2", "2"]
        notice = frames(listener.body)[-1]
        assert notice["event"] == "message"
        data = json.loads(notice["data"])
        assert data["type"] == "refetchEvaluation"
        assert data["lastModified"] == int(START.timestamp())
        await asyncio.sleep(60)
        assert listener.ids == ["2", "2"]

    play(scene)


def test_change__of_a_forced_variant__is_told_though_the_revision_stands():
    async def scene(stage: Stage) -> None:
        listener = await stage.listen()

        stage.store.forced[stage.environment_id] = {"checkout": "off"}
        stage.move(1)
        await asyncio.sleep(0.1)

        (position,) = listener.ids
        assert position.startswith("1-")
        back = await stage.listen(f"ticket={stage.ticket()}", last_event_id=position)
        assert back.ids == []

    play(scene)


def test_change__nobody_announces__is_noticed_by_looking():
    async def scene(stage: Stage) -> None:
        listener = await stage.listen()

        stage.store.revisions[stage.environment_id] = 2
        await asyncio.sleep(0.7)

        assert listener.ids == ["2"]

    play(scene)


def test_burst__of_changes__is_told_a_few_times_and_ends_with_the_last():
    async def scene(stage: Stage) -> None:
        listener = await stage.listen()

        for revision in range(2, 202):
            stage.move(revision)
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.2)
        soon = listener.ids
        await asyncio.sleep(2 * SETTLE_SECONDS)

        assert 1 < len(soon) <= 8
        assert soon[-1] == "201"
        assert len(listener.ids) <= len(soon) + 2
        assert set(listener.ids[len(soon) :]) == {"201"}

    play(scene)


def test_change__soon_after_another__is_told_again_when_every_process_knows_of_it():
    async def scene(stage: Stage) -> None:
        listener = await stage.listen()

        stage.move(2)
        await asyncio.sleep(SETTLE_SECONDS - 0.1)
        stage.move(3)
        await asyncio.sleep(SETTLE_SECONDS - 0.05)
        before = listener.ids
        await asyncio.sleep(0.1)

        assert set(before) == {"2", "3"}
        assert listener.ids == [*before, "3"]

    play(scene)


def test_change__in_another_environment__is_no_news():
    async def scene(stage: Stage) -> None:
        other = stage.store.add("fsc_other", scope="client")
        mine = await stage.listen()
        theirs = await stage.listen(f"ticket={stage.ticket(other)}&since=1")

        stage.store.move(other.environment_id, 2)
        await asyncio.sleep(5)

        assert mine.ids == []
        assert theirs.ids == ["2", "2"]

    play(scene)


@pytest.mark.parametrize(
    ("query", "last_event_id", "expected"),
    [
        ("&since=5", "", []),
        ("&since=4", "", ["5"]),
        ("", "", ["5"]),
        ("&since=4", "5", []),
        ("&since=5", "4", ["5"]),
        ("&since=5", "rubbish", []),
        ("&since=", "", ["5"]),
        ("&since=5-0123456789ab", "", ["5"]),
        ("&since=55555555555555555555555555555555555", "", ["5"]),
    ],
)
def test_newcomer__is_told_at_once_unless_up_to_date(query: str, last_event_id: str, expected: list[str]):
    async def scene(stage: Stage) -> None:
        stage.move(5)
        headers = {"last_event_id": last_event_id} if last_event_id else {}

        listener = await stage.listen(f"ticket={stage.ticket()}{query}", **headers)

        assert listener.ids == expected

    play(scene)


def test_reconnect__after_a_change_during_the_break__misses_nothing():
    async def scene(stage: Stage) -> None:
        first = await stage.listen()
        stage.move(2)
        await asyncio.sleep(5)
        first.go_away()
        stage.move(3)
        await asyncio.sleep(5)

        back = await stage.listen(f"ticket={stage.ticket()}&since=1", last_event_id=first.ids[-1])

        assert first.ids == ["2", "2"]
        assert back.ids == ["3"]

    play(scene)


def test_slow_client__blocks_nobody_and_gets_the_latest_only():
    async def scene(stage: Stage) -> None:
        slow, quick = await stage.listen(), await stage.listen()
        slow.may_write.clear()

        for revision in range(2, 12):
            stage.move(revision)
            await asyncio.sleep(2)
        told = quick.ids
        slow.may_write.set()
        await asyncio.sleep(0.01)

        assert told == [str(revision) for revision in range(2, 12) for _ in range(2)]
        assert slow.ids == ["2", "11"]

    play(scene)


def test_stuck_client__loses_its_place():
    async def scene(stage: Stage) -> None:
        stuck = await stage.listen()
        stuck.may_write.clear()

        stage.move(2)
        await asyncio.sleep(STUCK_SECONDS + 1)

        assert stuck.is_over
        assert len(stage.app.hub) == 0

    play(scene)


def test_quiet_stream__shows_signs_of_life():
    async def scene(stage: Stage) -> None:
        listener = await stage.listen()

        await asyncio.sleep(4 * KEEP_ALIVE_SECONDS + 5)

        assert listener.body.count(b": still here\n\n") == 4

    play(scene)


@pytest.mark.parametrize("started", [0, 299, 599])
@pytest.mark.parametrize("drawn", [0.0, 0.01, 0.5, 1 - 2**-53])
def test_ticket__over__ends_the_stream_before_it(started: int, drawn: float, monkeypatch: pytest.MonkeyPatch):
    """Whatever instant of the last minute is drawn: not before that minute, and not after the ticket."""
    monkeypatch.setattr(random, "random", lambda: drawn)

    async def scene(stage: Stage) -> None:
        await asyncio.sleep(started)
        query = f"ticket={stage.ticket()}&since=1"
        listener = await stage.listen(query)

        await asyncio.sleep(1_200 - 60.5 - clock_seconds())
        was_open = not listener.is_over
        await asyncio.sleep(1_200 - clock_seconds())

        assert was_open
        assert listener.is_over
        assert listener.messages[-1].get("more_body") is False
        assert (await stage.listen(query)).status == 401

    play(scene)


def test_tickets__of_one_bucket__do_not_all_end_at_once():
    async def scene(stage: Stage) -> None:
        listeners = [await stage.listen() for _ in range(60)]
        left = []
        while any(not listener.is_over for listener in listeners):
            await asyncio.sleep(10)
            left.append(sum(not listener.is_over for listener in listeners))

        assert clock() <= START + timedelta(seconds=1_205)
        assert len({count for count in left if 0 < count < 60}) >= 3

    play(scene)


@pytest.mark.parametrize("way", ["ticket", "header"])
@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_token__gone__ends_its_streams_within_a_second(way: str, end: str):
    async def scene(stage: Stage) -> None:
        other = stage.store.add("fse_other", environment_id=stage.environment_id)
        mine = await (stage.listen() if way == "ticket" else stage.listen("", x_api_key=stage.secret))
        theirs = await stage.listen(f"ticket={stage.ticket(other)}&since=1")

        if end == "revoked":
            del stage.store.secrets[stage.secret]
        else:
            stage.store.secrets[stage.secret] = replace(stage.facts, expires_at=clock())
        await asyncio.sleep(1)

        assert mine.is_over
        assert not theirs.is_over
        assert len(stage.app.hub) == 1

    play(scene)


def test_header__without_expiry__stays_open_for_hours():
    async def scene(stage: Stage) -> None:
        listener = await stage.listen("", x_api_key=stage.secret)

        await asyncio.sleep(3 * 3_600)

        assert not listener.is_over

    play(scene)


def test_limits__process_and_token__refuse_until_somebody_leaves():
    async def scene(stage: Stage) -> None:
        other, late = (
            f"ticket={stage.ticket(stage.store.add(name, environment_id=stage.environment_id))}&since=1"
            for name in ("fse_other", "fse_late")
        )
        kept = [await stage.listen() for _ in range(2)]

        third = await stage.listen()
        kept += [await stage.listen(other) for _ in range(2)]
        full = await stage.listen(late)
        kept[0].go_away()
        await asyncio.sleep(0.01)
        again = await stage.listen()

        assert (third.status, third.problem["code"], third.headers["retry-after"]) == (429, "too_many_streams", "30")
        assert (full.status, full.problem["code"], full.headers["retry-after"]) == (503, "streams_full", "5")
        assert [listener.status for listener in kept] == [200, 200, 200, 200]
        assert again.status == 200
        assert len(stage.app.hub) == 4

    play(scene, limits=Limits(streams=4, streams_per_token=2))


@pytest.mark.parametrize(
    ("streams", "per_token", "expected"),
    [(10_000, 5_000, 5_000), (200, 5_000, 100), (200, 20, 20), (3, 5_000, 1), (1, 5_000, 1)],
)
def test_one_token__never_gets_more_than_half_of_the_places(streams: int, per_token: int, expected: int):
    """Also where a small process has a large limit for each token."""

    async def scene(stage: Stage) -> None:
        other = stage.store.add("fse_other", environment_id=stage.environment_id)
        greedy = [await stage.listen() for _ in range(min(streams + 1, 210))]

        assert sum(listener.status == 200 for listener in greedy) == min(expected, 210)
        if expected < streams:
            assert (await stage.listen(f"ticket={stage.ticket(other)}&since=1")).status == 200

    limits = Limits(streams=streams, streams_per_token=per_token)
    assert limits.of_one_token == expected
    play(scene, limits=limits)


@pytest.mark.parametrize(
    ("addresses", "admitted"),
    [
        (["8.8.8.8"] * 4, 2),
        (["8.8.8.8", "::ffff:8.8.8.8", "8.8.4.4", "8.8.8.8"], 3),
        (["2600:1f18::1", "2600:1f18::2", "2600:1f18:0:0:ffff::", "2600:1f18:0:1::1"], 3),
        # A proxy of ours, a container network, carrier-grade NAT, a socket file: everybody comes from there.
        (["127.0.0.1"] * 4, 4),
        (["10.0.0.7"] * 4, 4),
        (["fd00::1"] * 4, 4),
        (["100.64.0.1"] * 4, 4),
        ([""] * 4, 4),
        (["unix:"] * 4, 4),
    ],
)
def test_tickets__from_one_public_address__get_a_few_streams_only(addresses: list[str], admitted: int):
    """All visitors share a ticket, so that the one who opens them all must not shut the others out."""

    async def scene(stage: Stage) -> None:
        forwarded = {"x_forwarded_for": "9.9.9.9"}
        listeners = [await stage.listen(address=address, **forwarded) for address in addresses]
        refused = [listener for listener in listeners if listener.status != 200]

        assert len(refused) == len(addresses) - admitted
        assert {(listener.status, listener.problem["code"]) for listener in refused} <= {(429, "too_many_streams")}
        for listener in listeners:
            listener.go_away()
        await asyncio.sleep(0.01)
        assert not stage.app.hub._by_place
        assert not stage.app.hub._by_token
        assert (await stage.listen(address=addresses[0])).status == 200

    play(scene, limits=Limits(streams_per_address=2))


def test_address_limit__leaves_services_other_tokens_and_those_without_a_limit_alone():
    async def scene(stage: Stage) -> None:
        other = stage.store.add("fse_other", environment_id=stage.environment_id)
        await stage.listen(address="8.8.8.8")

        assert (await stage.listen(address="8.8.8.8")).status == 429
        assert (await stage.listen(f"ticket={stage.ticket(other)}", address="8.8.8.8")).status == 200
        services = [await stage.listen("", address="8.8.8.8", x_api_key=stage.secret) for _ in range(3)]
        assert {listener.status for listener in services} == {200}

    async def without(stage: Stage) -> None:
        assert {(await stage.listen(address="8.8.8.8")).status for _ in range(5)} == {200}

    play(scene, limits=Limits(streams_per_address=1))
    play(without, limits=Limits(streams_per_address=0))


def test_client__that_leaves__is_forgotten_with_its_room():
    async def scene(stage: Stage) -> None:
        listeners = [await stage.listen() for _ in range(3)]
        stage.move(2)
        for listener in listeners:
            listener.go_away()
        await asyncio.sleep(0.01)

        assert len(stage.app.hub) == 0
        assert not stage.app.hub._rooms
        assert all(listener.is_over for listener in listeners)
        await asyncio.sleep(5)

    play(scene)


def test_stop__ends_all_streams_and_takes_no_new_ones():
    async def scene(stage: Stage) -> None:
        listeners = [await stage.listen() for _ in range(3)]

        stage.app.close()
        await asyncio.sleep(0.01)

        assert all(listener.is_over for listener in listeners)
        assert all(listener.messages[-1]["more_body"] is False for listener in listeners)
        assert (await stage.listen()).problem["code"] == "streams_full"

    play(scene)


def test_upkeep__that_fails_once__goes_on():
    async def scene(stage: Stage) -> None:
        listener = await stage.listen()
        snapshot, stage.store.snapshot = stage.store.snapshot, lambda environment_id: 1 / 0  # type: ignore[method-assign]
        await asyncio.sleep(2)
        stage.store.snapshot = snapshot  # type: ignore[method-assign]

        stage.store.revisions[stage.environment_id] = 2
        await asyncio.sleep(0.7)

        assert listener.ids == ["2"]

    play(scene)


def test_two_hundred_streams__all_hear_of_a_change():
    async def scene(stage: Stage) -> None:
        listeners = [await stage.listen() for _ in range(200)]

        stage.move(2)
        await asyncio.sleep(5)

        assert {tuple(listener.ids) for listener in listeners} == {("2", "2")}

    play(scene)
