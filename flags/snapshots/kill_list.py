"""The kill list of one host: variants that are forced although nobody can be asked, from a file or a variable."""

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog

logger = structlog.get_logger(__name__)

LONGEST_BYTES = 1_000_000
LONGEST_SOURCE = 255
_NOTHING = object()
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
    source: str = field(default="", compare=False)

    @property
    def place(self) -> Place:
        """The keys of its project and environment."""
        return self.project_key, self.environment_key

    def __str__(self) -> str:
        return f"{self.project_key}/{self.environment_key}/{self.flag_key}={self.variant}"


@dataclass(frozen=True)
class KillList:
    """What is forced, and the lines that were not understood, by number.

    `sources` are where it was looked for, also those that force nothing: what they no longer say is lifted.
    """

    entries: tuple[Kill, ...] = ()
    problems: tuple[tuple[int, str], ...] = ()
    sources: tuple[str, ...] = field(default=(), compare=False)
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


def parse_kill_list(text: str, *, since: datetime, source: str = "") -> KillList:
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
            entries[project, environment, flag] = Kill(project, environment, flag, variant, since, source)
        elif content:
            problems.append((number, content[:80]))
    return KillList(tuple(entries.values()), tuple(problems), (source,) if source else ())


def joined(first: KillList, second: KillList) -> KillList:
    """Both lists; where they name the same flag, the second one wins."""
    entries = {(kill.place, kill.flag_key): kill for kill in (*first.entries, *second.entries)}
    return KillList(tuple(entries.values()), first.problems + second.problems, first.sources + second.sources)


def lifts(coming: KillList, present: KillList) -> bool:
    """Whether something that is forced would be forced no longer, or to another variant."""
    return any(coming.forced(kill.place).get(kill.flag_key) != kill.variant for kill in present.entries)


class KillListReader:
    """Reads the variable once and the file whenever it changed. Never raises, and never waits for a writer.

    A file that is there but cannot be read lifts nothing: what it forced before stays forced. What a file forces anew
    works at once; what it lifts has to be seen twice, since it may be one that is being written just now.
    """

    def __init__(self, *, variable: str, path: Path, now: datetime) -> None:
        source = _short(f"KILL_LIST {_digest(variable)}") if variable.strip() else ""
        self._variable = parse_kill_list(variable.replace(",", "\n"), since=now, source=source)
        self._path = path
        self._source = _short(f"file {path}")
        self._seen: object = _NOTHING
        # What the file says for sure, what is shown of it meanwhile, and what waits to be seen again.
        self._sure = self._shown = KillList()
        self._coming: tuple[object, KillList] | None = None
        self._sides: tuple[KillList, KillList] | None = None
        self._list = KillList()
        self._is_unreadable = False
        _log_problems(self._variable, where="KILL_LIST")

    @property
    def is_unsure(self) -> bool:
        """Whether something is lifted if the next look finds the file as it was at the last one."""
        return self._coming is not None

    def read(self) -> KillList:
        """The list as it is now; the same object while nothing changed in it."""
        try:
            self._read_file()
            self._is_unreadable = False
        except (OSError, ValueError) as error:
            self._coming = None
            self._note_unreadable(error)
        return self._joined()

    def _read_file(self) -> None:
        seen = self._look()
        if seen == self._seen:
            self._coming, self._shown = None, self._sure
        elif self._coming is not None and self._coming[0] == seen:
            self._accept(*self._coming)
        else:
            seen, found = self._parse()
            if lifts(found, self._sure):
                self._coming, self._shown = (seen, found), joined(found, self._sure)
            else:
                self._accept(seen, found)

    def _accept(self, seen: object, found: KillList) -> None:
        self._seen, self._sure, self._shown, self._coming = seen, found, found, None

    def _look(self) -> object:
        """What tells one content of the file from another; None if there is none."""
        try:
            return _marks(self._path.stat())
        except FileNotFoundError:
            return None

    def _parse(self) -> tuple[object, KillList]:
        try:
            facts, content = _read_regular(self._path)
        except FileNotFoundError:
            return None, KillList(sources=(self._source,))
        since = datetime.fromtimestamp(facts.st_mtime, UTC)
        found = parse_kill_list(content.decode("utf-8-sig"), since=since, source=self._source)
        _log_problems(found, where=str(self._path))
        return _marks(facts), found

    def _joined(self) -> KillList:
        before = self._sides
        if before is None or before[1] is not self._shown:
            self._sides = (self._variable, self._shown)
            self._list = joined(*self._sides)
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


def _read_regular(path: Path) -> tuple[os.stat_result, bytes]:
    """The content of a file and what it was when it was opened. A pipe would let us wait for whoever writes into it."""
    with open(path, "rb", opener=_without_waiting) as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError("it is no regular file")
        content = file.read(LONGEST_BYTES + 1)
    if len(content) > LONGEST_BYTES:
        raise ValueError(f"it is longer than {LONGEST_BYTES} bytes")
    return facts, content


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _marks(facts: os.stat_result) -> object:
    return facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino


def _short(source: str) -> str:
    """The name of a source as a row can hold it."""
    return source if len(source) <= LONGEST_SOURCE else f"{source[: LONGEST_SOURCE - 14]}… {_digest(source)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]
