"""The kill list of one host: variants that are forced although nobody can be asked, from a file or a variable."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog

logger = structlog.get_logger(__name__)

LONGEST_BYTES = 1_000_000
_COMMENT = re.compile(r"(^|\s)#.*")
_KEY = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_ENTRY = re.compile(rf"({_KEY})/({_KEY})/({_KEY})\s*=\s*(\S(?:.{{0,98}}\S)?)")

Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Kill:
    """One flag of one environment that is forced to one variant since the list said so."""

    project_key: str
    environment_key: str
    flag_key: str
    variant: str
    since: datetime

    @property
    def place(self) -> Place:
        """The keys of its project and environment."""
        return self.project_key, self.environment_key

    def __str__(self) -> str:
        return f"{self.project_key}/{self.environment_key}/{self.flag_key}={self.variant}"


@dataclass(frozen=True)
class KillList:
    """What is forced, and the lines that were not understood, by number."""

    entries: tuple[Kill, ...] = ()
    problems: tuple[tuple[int, str], ...] = ()
    _places: Mapping[Place, Mapping[str, str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Group the entries by environment: that is how they are asked for."""
        places: dict[Place, dict[str, str]] = {}
        for kill in self.entries:
            places.setdefault(kill.place, {})[kill.flag_key] = kill.variant
        object.__setattr__(self, "_places", places)

    def forced(self, place: Place) -> Mapping[str, str]:
        """The forced variant by flag key in one environment."""
        return self._places.get(place, {})


def parse_kill_list(text: str, *, since: datetime) -> KillList:
    """Read lines of `project/environment/flag=variant`. `#` begins a comment; of two lines for a flag the last wins.

    A line that is not understood spoils no other: the list is written in a hurry.
    """
    entries: dict[tuple[str, str, str], Kill] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), start=1):
        content = _COMMENT.sub("", line).strip()
        match = _ENTRY.fullmatch(content)
        if match:
            project, environment, flag, variant = match.groups()
            entries[project, environment, flag] = Kill(project, environment, flag, variant, since)
        elif content:
            problems.append((number, content[:80]))
    return KillList(tuple(entries.values()), tuple(problems))


def joined(first: KillList, second: KillList) -> KillList:
    """Both lists; where they name the same flag, the second one wins."""
    entries = {(kill.place, kill.flag_key): kill for kill in (*first.entries, *second.entries)}
    return KillList(tuple(entries.values()), first.problems + second.problems)


class KillListReader:
    """Reads the variable once and the file whenever it changed. Never raises.

    A file that is there but cannot be read lifts nothing: what it forced before stays forced.
    """

    def __init__(self, *, variable: str, path: Path, now: datetime) -> None:
        self._variable = parse_kill_list(variable.replace(",", "\n"), since=now)
        self._path = path
        self._seen: object = None
        self._from_file = KillList()
        self._is_unreadable = False
        _log_problems(self._variable, where="KILL_LIST")

    def read(self) -> KillList:
        """The list as it is now; the same object while nothing changed in it."""
        try:
            self._read_file()
            self._is_unreadable = False
        except (OSError, ValueError) as error:
            self._note_unreadable(error)
        return self._joined()

    def _read_file(self) -> None:
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            self._seen, self._from_file = None, KillList()
            return
        seen = (facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino)
        if seen == self._seen:
            return
        if facts.st_size > LONGEST_BYTES:
            raise ValueError(f"it is longer than {LONGEST_BYTES} bytes")
        text = self._path.read_text(encoding="utf-8-sig")
        self._from_file = parse_kill_list(text, since=datetime.fromtimestamp(facts.st_mtime, UTC))
        self._seen = seen
        _log_problems(self._from_file, where=str(self._path))

    def _joined(self) -> KillList:
        sides = (self._variable, self._from_file)
        if getattr(self, "_sides", None) != sides:
            self._sides = sides
            self._list = joined(*sides)
        return self._list

    def _note_unreadable(self, error: Exception) -> None:
        if not self._is_unreadable:
            self._is_unreadable = True
            logger.error("kill_list_unreadable", path=str(self._path), error=type(error).__name__, detail=str(error))


def _log_problems(kills: KillList, *, where: str) -> None:
    for number, content in kills.problems:
        logger.error(
            "kill_list_line_ignored",
            where=where,
            line=number,
            content=content,
            advice="Write project/environment/flag=variant.",
        )
