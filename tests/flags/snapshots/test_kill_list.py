"""The kill list: what its lines say, and reading it whatever is written there."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from flags.snapshots.kill_list import LONGEST_BYTES, Kill, KillList, KillListReader, joined, parse_kill_list
from tests.factories import NOW

WRITTEN_AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("shop/production/checkout=off", "shop/production/checkout=off"),
        ("  shop/production/checkout = off  ", "shop/production/checkout=off"),
        ("shop/production/checkout=off # since the outage", "shop/production/checkout=off"),
        ("shop/production/check.out_2=v#2", "shop/production/check.out_2=v#2"),
        ("shop/production/checkout=dark blue", "shop/production/checkout=dark blue"),
        ("shop/production/checkout=a=b", "shop/production/checkout=a=b"),
    ],
)
def test_parse__line_that_is_right__forces(line: str, entry: str):
    kills = parse_kill_list(line, since=NOW)

    assert [str(kill) for kill in kills.entries] == [entry]
    assert kills.problems == ()


@pytest.mark.parametrize("line", ["", "   ", "#", "# shop/production/checkout=off", "\t# x"])
def test_parse__empty_line_or_comment__is_nothing(line: str):
    assert parse_kill_list(line, since=NOW) == KillList()


@pytest.mark.parametrize(
    "line",
    [
        "shop/production/checkout",
        "shop/production/checkout=",
        "shop/checkout=off",
        "a/b/c/d=off",
        "/production/checkout=off",
        "shop//checkout=off",
        "shop/production/=off",
        "-shop/production/checkout=off",
        "shop/production/*=off",
        "../../etc/passwd=off",
        "shop/production/checkout: off",
        "shop/production/checkout=" + "x" * 101,
        "=" * 500,
        "\x00",
    ],
)
def test_parse__line_that_is_wrong__is_named_by_number_and_spoils_no_other(line: str):
    kills = parse_kill_list(f"shop/production/a=off\n{line}\nshop/production/b=on\n", since=NOW)

    assert [kill.flag_key for kill in kills.entries] == ["a", "b"]
    assert [number for number, _ in kills.problems] == [2]
    assert all(len(content) <= 80 for _, content in kills.problems)


def test_parse__two_lines_for_a_flag__the_last_wins():
    kills = parse_kill_list("shop/production/a=on\nshop/staging/a=on\nshop/production/a=off", since=NOW)

    assert kills.forced(("shop", "production")) == {"a": "off"}
    assert kills.forced(("shop", "staging")) == {"a": "on"}
    assert kills.forced(("shop", "development")) == {}


def test_joined__same_flag_in_both__the_second_list_wins():
    first, second = (parse_kill_list(text, since=NOW) for text in ("s/p/a=on\ns/p/b=on", "s/p/a=off"))

    assert joined(first, second).forced(("s", "p")) == {"a": "off", "b": "on"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kill-list"


def write(path: Path, content: str | bytes) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(path, (WRITTEN_AT.timestamp(), WRITTEN_AT.timestamp()))


def reader(path: Path, variable: str = "") -> KillListReader:
    return KillListReader(variable=variable, path=path, now=NOW)


def entries(kills: KillList) -> list[str]:
    return [str(kill) for kill in kills.entries]


def test_reader__file_comes_changes_and_goes__is_followed(path: Path):
    reading = reader(path)
    assert reading.read() == KillList()

    write(path, "s/p/a=off\n")
    assert reading.read().entries == (Kill("s", "p", "a", "off", WRITTEN_AT),)
    write(path, "s/p/a=off\ns/p/b=off\n")
    assert entries(reading.read()) == ["s/p/a=off", "s/p/b=off"]
    path.unlink()
    assert entries(reading.read()) == ["s/p/a=off", "s/p/b=off"]
    assert reading.read() == KillList()


def test_reader__nothing_changed__is_the_same_list_and_no_second_log_line(path: Path):
    write(path, "s/p/a=off\nnonsense\n")
    with capture_logs() as logs:
        reading = reader(path)
        lists = [reading.read() for _ in range(3)]

    assert lists[0] is lists[1] is lists[2]
    assert [(entry["event"], entry["line"]) for entry in logs] == [("kill_list_line_ignored", 2)]


def test_reader__variable__is_separated_by_commas_and_the_file_wins(path: Path):
    write(path, "s/p/a=on")

    kills = reader(path, "s/p/a=off, s/p/b=off,,").read()

    assert entries(kills) == ["s/p/a=on", "s/p/b=off"]
    assert [kill.since for kill in kills.entries] == [WRITTEN_AT, NOW]


def test_reader__byte_order_mark_and_windows_line_ends__are_no_hindrance(path: Path):
    write(path, "\ufeffs/p/a=off\r\ns/p/b=off\r\n")

    assert entries(reader(path).read()) == ["s/p/a=off", "s/p/b=off"]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x" * (LONGEST_BYTES + 1)], ids=["no text", "too long"])
def test_reader__file_that_cannot_be_read__lifts_nothing_and_is_logged_once(content: bytes, path: Path):
    write(path, "s/p/a=off")
    reading = reader(path)
    reading.read()

    write(path, content)
    with capture_logs() as logs:
        lists = [reading.read() for _ in range(3)]

    assert [entries(kills) for kills in lists] == [["s/p/a=off"]] * 3
    assert [entry["event"] for entry in logs] == ["kill_list_unreadable"]

    write(path, "s/p/b=off")
    assert [entries(reading.read()) for _ in range(2)] == [["s/p/b=off", "s/p/a=off"], ["s/p/b=off"]]


def test_reader__folder_instead_of_a_file__is_unreadable(path: Path):
    path.mkdir()

    with capture_logs() as logs:
        assert reader(path, "s/p/a=off").read().forced(("s", "p")) == {"a": "off"}
    assert [entry["event"] for entry in logs] == ["kill_list_unreadable"]


def test_reader__pipe_that_nobody_writes_into__is_not_waited_for(path: Path):
    os.mkfifo(path)

    with capture_logs() as logs:
        assert reader(path, "s/p/a=off").read().forced(("s", "p")) == {"a": "off"}
    assert [entry["event"] for entry in logs] == ["kill_list_unreadable"]


@pytest.mark.parametrize(
    ("between", "meanwhile"),
    [
        ("", ["s/p/a=off", "s/p/b=off"]),
        (None, ["s/p/a=off", "s/p/b=off"]),
        ("s/p/a=off\ns/p/b=o", ["s/p/a=off", "s/p/b=off"]),
        ("s/p/c=on\ns/p/a=on", ["s/p/c=on", "s/p/a=off", "s/p/b=off"]),
    ],
    ids=["emptied", "gone", "cut", "other content"],
)
def test_reader__file_in_the_middle_of_being_written__lifts_nothing(
    between: str | None, meanwhile: list[str], path: Path
):
    whole = "s/p/a=off\ns/p/b=off\n"
    write(path, whole)
    reading = reader(path)
    reading.read()

    if between is None:
        path.unlink()
    else:
        write(path, between)
    assert entries(reading.read()) == meanwhile
    assert reading.is_unsure
    write(path, whole)
    assert entries(reading.read()) == ["s/p/a=off", "s/p/b=off"]
    assert not reading.is_unsure


def test_reader__file_that_changes_at_every_look__lifts_once_it_stands_still(path: Path):
    write(path, "s/p/a=off\n")
    reading = reader(path)
    reading.read()

    for number in range(4):
        write(path, "#" * number)
        assert entries(reading.read()) == ["s/p/a=off"]
    assert entries(reading.read()) == []


def test_reader__sources__are_what_was_looked_at(path: Path):
    others = [reader(path, variable).read().sources for variable in ("s/p/a=off", "s/p/a=off", "s/p/b=off")]
    assert others[0] == others[1] != others[2]
    assert reader(path).read().sources == (f"file {path}",)

    write(path, "s/p/a=off")
    (kill,) = reader(path).read().entries
    assert kill.source == f"file {path}"
    assert len(reader(path.with_name("x" * 200) / ("y" * 200)).read().sources[0]) <= 255
    # What could never be read says nothing, so nothing is lifted in its name.
    write(path, b"\xff\xfe\x00")
    assert reader(path).read().sources == ()
