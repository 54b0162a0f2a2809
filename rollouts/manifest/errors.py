"""What is wrong with a manifest, and where."""

from collections.abc import Sequence
from dataclasses import dataclass

from audits.errors import GovernanceError

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the path into the manifest, what to do about it, and the line and column in the text."""

    path: Path
    message: str
    line: int = 0
    column: int = 0

    @property
    def address(self) -> str:
        """The path in one text, such as `flags.checkout.tags[0]`."""
        return address_of(self.path)

    @property
    def sentence(self) -> str:
        """Line, column, path and message."""
        place = f"line {self.line}, column {self.column}: " if self.line else ""
        return f"{place}{self.address}: {self.message}" if self.path else f"{place}{self.message}"


class InvalidManifest(GovernanceError):
    """The manifest cannot be used; `problems` says at which line and why."""

    code = "invalid_manifest"
    status = 422
    title = "This manifest cannot be used"


def invalid(problems: Sequence[Problem]) -> InvalidManifest:
    """The error for these problems, the first one in its sentence."""
    others = len(problems) - 1
    more = f" There {'is 1 more problem' if others == 1 else f'are {others} more problems'}." if others else ""
    told = [{"path": one.address, "message": one.message, "line": one.line, "column": one.column} for one in problems]
    return InvalidManifest(f"{problems[0].sentence}{more}", problems=told)


def address_of(path: Path) -> str:
    """A path as text: names with dots between, numbers in brackets."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
