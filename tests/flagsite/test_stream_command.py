"""`manage.py stream`: what it takes, and how many streams the system lets it keep."""

import resource

import pytest

from flags.streams.running import SPARE_FILES, raise_file_limit
from flagsite.management.commands.stream import Command


@pytest.mark.parametrize(
    "arguments",
    [
        ("--port=0",),
        ("--port=x",),
        ("--streams=0",),
        ("--streams=1e3",),
        ("--streams-per-token=-1",),
        ("--streams-per-address=-1",),
    ],
)
def test_stream__impossible_number__is_refused(arguments: tuple[str], capsys: pytest.CaptureFixture[str]) -> None:
    command = Command()
    command._called_from_command_line = True  # type: ignore[attr-defined]

    with pytest.raises(SystemExit, match="2"):
        command.create_parser("manage.py", "stream").parse_args(list(arguments))

    assert "is not a number from 1 to 1000000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("limits", "wanted", "asked_for", "kept"),
    [
        ((1_024, 20_000), 10_000, (10_000 + SPARE_FILES, 20_000), 10_000),
        ((1_024, 4_096), 10_000, (4_096, 4_096), 4_096 - SPARE_FILES),
        ((1_024, resource.RLIM_INFINITY), 10_000, (10_000 + SPARE_FILES, resource.RLIM_INFINITY), 10_000),
        ((20_000, 20_000), 10_000, None, 10_000),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 10_000, None, 10_000),
        ((256, 256), 10, (256, 256), 1),
    ],
)
def test_file_limit__is_raised_as_far_as_the_system_allows(
    limits: tuple[int, int],
    wanted: int,
    asked_for: tuple[int, int] | None,
    kept: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda what: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda what, value: asked.append(value))

    assert raise_file_limit(wanted) == kept
    assert asked == ([asked_for] if asked_for else [])
