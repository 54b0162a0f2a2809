"""What git is asked of a checkout that somebody else made: its settings name programs, and none of them runs."""

import shutil
import subprocess

import pytest

from flags.scanning.git import checkout_of, listed_files

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder, *arguments):
    """What git answers, with a name for whoever commits."""
    named = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    done = subprocess.run(["git", *named, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "a.py").touch()
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "First")
    return folder


def test_checkout__branch_and_commit__are_told(checkout):
    found = checkout_of(checkout)

    assert found is not None
    assert (found.root, found.branch, found.below) == (checkout, "main", "")
    assert found.commit == git(checkout, "rev-parse", "HEAD")
    assert found.committed_at == git(checkout, "log", "-1", "--format=%cI")


REMOTES = [
    ("core.sshCommand", "{program}", "ssh://somewhere.example.org/x"),
    ("protocol.ext.allow", "always", "ext::{program}"),
    ("remote.origin.uploadpack", "{program}", "{folder}"),
]


@pytest.mark.parametrize(("name", "value", "address"), REMOTES, ids=[name for name, _, _ in REMOTES])
def test_checkout__lacks_its_commit_and_says_where_to_fetch_it__runs_nothing(checkout, tmp_path, name, value, address):
    ran, program, elsewhere = tmp_path / "ran", tmp_path / "program", tmp_path / "elsewhere"
    program.write_text(f"#!/bin/sh\ntouch '{ran}'\n")
    program.chmod(0o755)
    git(tmp_path, "init", "-q", "--bare", str(elsewhere))
    facts = {"program": program, "folder": elsewhere}
    settings = {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": address.format(**facts),
        name: value.format(**facts),
    }
    for key, text in settings.items():
        git(checkout, "config", key, text)
    commit = git(checkout, "rev-parse", "HEAD")
    (checkout / ".git/objects" / commit[:2] / commit[2:]).unlink()

    found = checkout_of(checkout)

    assert listed_files(checkout) == [b"a.py"]
    assert found is not None
    assert (found.branch, found.commit) == ("main", "")
    assert not ran.exists()
