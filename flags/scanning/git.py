"""What git knows about a checkout. Nothing that the checkout's own settings name is run."""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

# A checkout's settings may name programs that git would run while it lists files.
_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false", "--no-optional-locks")
# Or that fetch what a checkout lacks: nothing is fetched, over no protocol.
_OFFLINE = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1", "GIT_ASKPASS": "", "GIT_TERMINAL_PROMPT": "0"}


class Checkout(NamedTuple):
    """Where a checkout is: its root, the folder below it (empty or ending with a slash), branch and commit."""

    root: Path
    below: str
    branch: str
    commit: str
    committed_at: str


def checkout_of(folder: Path) -> Checkout | None:
    """What git says about a folder; None where there is no git or no repository. A detached head has no branch."""
    place = _git(folder, "rev-parse", "--show-toplevel", "--show-prefix")
    if place is None:
        return None
    root, below = place.decode(errors="surrogateescape").split("\n")[:2]
    head = _git(folder, "log", "-1", "--format=%H %cI", "--no-show-signature") or b""
    commit, _, committed_at = head.decode().strip().partition(" ")
    branch = (_git(folder, "symbolic-ref", "--short", "-q", "HEAD") or b"").decode(errors="replace").strip()
    return Checkout(Path(root), below, branch, commit, committed_at)


def listed_files(folder: Path) -> list[bytes] | None:
    """Paths below a folder that are tracked or not ignored; None where git cannot say."""
    listed = _git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return None if listed is None else [path for path in dict.fromkeys(listed.split(b"\0")) if path]


def _git(folder: Path, *arguments: str) -> bytes | None:
    try:
        done = subprocess.run(  # noqa: S603 - arguments are this module's own; the folder is a working directory
            ["git", *_SAFE, *arguments],  # noqa: S607 - whichever git the machine has
            cwd=folder,
            env=os.environ | _OFFLINE,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
