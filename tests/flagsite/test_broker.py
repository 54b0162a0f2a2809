"""The embedded broker: a worker never sees half a message."""

from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu.connection import Connection

from flagsite.broker import Transport
from flagsite.celery import app


@pytest.fixture
def channel(tmp_path: Path) -> Any:
    """A channel of the embedded broker in a folder of its own."""
    folders = {name: str(tmp_path) for name in ("data_folder_in", "data_folder_out", "control_folder")}
    return Connection("filesystem://", transport_options=folders).channel()


def test_broker_of_files__is_ours() -> None:
    assert isinstance(app.connection("filesystem://").transport, Transport)


def test_message__is_read_as_it_was_written(channel: Any) -> None:
    channel._put("celery", {"body": "grüße"})

    assert channel._get("celery") == {"body": "grüße"}
    with pytest.raises(Empty):
        channel._get("celery")


def test_message__half_written__is_seen_by_nobody(channel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def look(draft: Path, target: Path) -> None:
        with pytest.raises(Empty):
            channel._get("celery")
        seen.append((draft.exists(), target.exists()))

    monkeypatch.setattr(Path, "replace", look)
    channel._put("celery", {"body": ""})

    assert seen == [(True, False)]
