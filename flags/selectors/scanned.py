"""How much scans know of a project's code: that none names a flag means something only if all of it was looked at."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, FilteredRelation, Max, Min, Q

from flags.models import CodeRepository, CodeScan

FRESH_FOR = timedelta(days=30)
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Looked:
    """A folder of a repository as it was scanned by itself, "" for all of it; `read_at` is None where no file was read
    at all.
    """

    root: str
    first_at: datetime
    last_at: datetime
    read_at: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the newest scan read no file."""
        return self.read_at != self.last_at

    def is_old(self, now: datetime) -> bool:
        """Whether the newest scan says too little of today."""
        return self.last_at < now - FRESH_FOR

    def is_gone(self, now: datetime) -> bool:
        """Whether nothing is left there: whoever scanned an empty folder by mistake had time to see it."""
        return self.is_empty and self.is_old(now)


@dataclass(frozen=True, slots=True)
class CodeKnowledge:
    """Since when code of default branches is looked at, None where it never was, and in sentences why that is too
    little to say that no code names a flag.
    """

    scanned_since: datetime | None
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Repository:
    name: str
    branch: str
    looked: tuple[Looked, ...]

    def named(self, each: Looked) -> str:
        """The folder that was looked at, in words, with the day."""
        return f"{f'{each.root} of ' if each.root else ''}{self.name} ({each.last_at:%d %B %Y})"


def code_knowledge(project_id: uuid.UUID, *, now: datetime) -> CodeKnowledge:
    """What is known of the code of a project: one query.

    A scan that read no file is doubted for 30 days; after that what it looked at is gone and does not count any more.
    """
    repositories = _repositories(project_id)
    never = [f"branch “{each.branch}” of {each.name}" for each in repositories if not each.looked]
    looked = [(each.named(one), one) for each in repositories for one in standing(each.looked) if not one.is_gone(now)]
    old = [name for name, one in looked if not one.is_empty and one.is_old(now)]
    empty = [name for name, one in looked if one.is_empty]
    doubts = []
    if never:
        doubts.append(f"Nothing was scanned yet of {_listed(never)}.")
    if old:
        doubts.append(f"The newest scan is more than {FRESH_FOR.days} days old: {_listed(old)}.")
    if empty:
        doubts.append(f"The newest scan read no file: {_listed(empty)}.")
    if not looked and not never:
        doubts.append("No code of this project was ever scanned, or what was scanned is gone.")
    return CodeKnowledge(min((one.first_at for _, one in looked), default=None), tuple(doubts))


def scans_around(repository: CodeRepository, branch: str, root: str) -> list[CodeScan]:
    """The newest scans of a branch that looked at a folder, at one around it or within it; other folders are other
    matters. Two queries.
    """
    scans = CodeScan.objects.filter(repository=repository, branch=branch)
    grouped = scans.order_by().values_list("root").annotate(first=Min("scanned_at"), last=Max("scanned_at"))
    newest = {
        each.root: each.last_at
        for each in standing([Looked(*row) for row in grouped])
        if each.root.startswith(root) or root.startswith(each.root)
    }
    rows = scans.filter(root__in=newest, scanned_at__in=set(newest.values()))
    return [scan for scan in rows if newest[scan.root] == scan.scanned_at]


def standing(looked: Sequence[Looked]) -> list[Looked]:
    """The folders that no later scan of a folder around them has looked at again."""
    return [
        each
        for each in looked
        if not any(
            other.root != each.root and each.root.startswith(other.root) and other.last_at >= each.last_at
            for other in looked
        )
    ]


def _repositories(project_id: uuid.UUID) -> Sequence[_Repository]:
    scans = FilteredRelation("scans", condition=Q(scans__branch=F("default_branch")))
    rows = (
        CodeRepository.objects.filter(project=project_id)
        .annotate(counted=scans)
        .order_by("name", "counted__root")
        .values_list("name", "default_branch", "counted__root")
        .annotate(
            first=Min("counted__scanned_at"),
            last=Max("counted__scanned_at"),
            read=Max("counted__scanned_at", filter=Q(counted__files_read__gt=0)),
        )
    )
    found: dict[str, _Repository] = {}
    for name, branch, root, first_at, last_at, read_at in rows:
        before = found.get(name, _Repository(name, branch, ()))
        own = () if root is None else (Looked(root, first_at, last_at, read_at),)
        found[name] = _Repository(name, branch, (*before.looked, *own))
    return list(found.values())


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - MOST_NAMED
    return f"{', '.join(names[:MOST_NAMED])}{f' and {rest} more' if rest > 0 else ''}"
