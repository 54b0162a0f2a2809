"""Where code names flags, for pages, the API and whoever judges whether a flag may go.

What counts are the default branches of a project's repositories: a branch of somebody's own keeps no flag alive.
"""

import re
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from django.db.models import Case, Count, F, Max, Min, OuterRef, Q, QuerySet, Subquery, Value, When

from flags.models import CodeReference, CodeRepository, CodeScan, Environment, Flag, FlagUse, Project

MOST_SHOWN = 500
MOST_UNKNOWN = 100
_FIELD = re.compile(r"\{(branch|commit|path|line)\}")


@dataclass(frozen=True, slots=True)
class FlagReferences:
    """How code of the default branches names a flag: `live` lines now; `extinct_at` is when the last one vanished, None
    while there are some.
    """

    live: int
    first_seen_at: datetime
    extinct_at: datetime | None


@dataclass(frozen=True, slots=True)
class RepositoryLine:
    """A repository and the newest scan of the branch that counts, None before the first one."""

    repository: CodeRepository
    newest: CodeScan | None
    live: int


def references_of(flag: Flag, *, limit: int = MOST_SHOWN) -> list[CodeReference]:
    """Lines that name a flag in any branch of its project's repositories, to be shown: what is there, then what is
    gone; default branches before others.
    """
    rows = _of_project(flag.project_id).filter(flag_key=flag.key).select_related("repository")
    default_first = Case(When(branch=F("repository__default_branch"), then=Value(0)), default=Value(1))
    newest_first = F("vanished_at").desc(nulls_first=True)
    return list(rows.order_by(newest_first, default_first, "repository__name", "branch", "path", "line")[:limit])


def live_references(flag: Flag, *, limit: int = MOST_SHOWN) -> list[CodeReference]:
    """Lines of default branches that name a flag now. Whether a flag or its key may go rests on these."""
    rows = counting(_of_project(flag.project_id)).filter(flag_key=flag.key, vanished_at=None)
    return list(rows.select_related("repository").order_by("repository__name", "path", "line")[:limit])


def reference_counts(project_id: uuid.UUID, flag_keys: Collection[str] | None = None) -> dict[str, FlagReferences]:
    """By key, what the default branches say of flags that were ever named there. One query."""
    rows = counting(_of_project(project_id))
    if flag_keys is not None:
        rows = rows.filter(flag_key__in=flag_keys)
    found = (
        rows.order_by()
        .values("flag_key")
        .annotate(live=Count("pk", filter=Q(vanished_at=None)), first=Min("first_seen_at"), last=Max("vanished_at"))
    )
    return {
        row["flag_key"]: FlagReferences(row["live"], row["first"], None if row["live"] else row["last"])
        for row in found
    }


def extinct_since(flag_ids: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, datetime]:
    """When the last reference of each flag vanished; a flag that is named, or never was, is not among them."""
    wanted: dict[uuid.UUID, dict[str, uuid.UUID]] = {}
    for pk, key, project_id in Flag.everything.filter(pk__in=list(flag_ids)).values_list("pk", "key", "project_id"):
        wanted.setdefault(project_id, {})[key] = pk
    return {
        by_key[key]: references.extinct_at
        for project_id, by_key in wanted.items()
        for key, references in reference_counts(project_id).items()
        if key in by_key and references.extinct_at is not None
    }


def is_scanned(project_id: uuid.UUID) -> bool:
    """Whether the default branch of any repository was ever scanned; before that, no references means nothing."""
    scans = CodeScan.objects.filter(repository__project=project_id, branch=F("repository__default_branch"))
    return scans.exists()


def repository_lines(project: Project) -> list[RepositoryLine]:
    """The repositories of a project with their newest scans."""
    repositories = list(CodeRepository.objects.filter(project=project))
    newest = newest_scans([repository.pk for repository in repositories])
    alive = counting(_of_project(project.pk)).filter(vanished_at=None).order_by().values("repository")
    counts = dict(alive.annotate(live=Count("pk")).values_list("repository", "live"))
    return [
        RepositoryLine(each, newest.get((each.pk, each.default_branch)), counts.get(each.pk, 0))
        for each in repositories
    ]


def unreferenced_flags(project: Project) -> list[Flag]:
    """Flags that are not archived and that no default branch names."""
    named = {key for key, references in reference_counts(project.pk).items() if references.live}
    return [flag for flag in Flag.objects.filter(project=project, archived_at=None) if flag.key not in named]


def archived_in_code(project: Project) -> list[tuple[Flag, int]]:
    """Archived flags that default branches still name, with how many lines do."""
    counts = reference_counts(project.pk)
    archived = Flag.objects.filter(project=project, archived_at__isnull=False)
    return [(flag, counts[flag.key].live) for flag in archived if flag.key in counts and counts[flag.key].live]


def unknown_keys(environments: QuerySet[Environment]) -> list[FlagUse]:
    """Keys that services ask for and that are no flags: the last use of each by each service, newest first."""
    rows = FlagUse.objects.filter(environment__in=environments, is_unknown=True).select_related("environment")
    return list(rows.order_by("-last_at")[:MOST_UNKNOWN])


def counting(rows: QuerySet[CodeReference]) -> QuerySet[CodeReference]:
    """Those of default branches."""
    return rows.filter(branch=F("repository__default_branch"))


def web_address(reference: CodeReference, commit: str) -> str:
    """Where a line is looked at, empty without a template. Only a link for people: nothing of ours ever asks for it."""
    values = {
        "branch": quote(reference.branch, safe="/"),
        "commit": quote(commit or reference.branch, safe="/"),
        "path": quote(reference.path, safe="/"),
        "line": str(reference.line),
    }
    return _FIELD.sub(lambda found: values[found[1]], reference.repository.url_template)


def newest_scans(repository_ids: Collection[uuid.UUID]) -> dict[tuple[uuid.UUID, str], CodeScan]:
    """The newest scan by repository and branch."""
    same = CodeScan.objects.filter(repository=OuterRef("repository"), branch=OuterRef("branch"))
    newest = same.order_by("-scanned_at", "-received_at").values("pk")[:1]
    scans = CodeScan.objects.filter(repository__in=repository_ids, pk=Subquery(newest))
    return {(scan.repository_id, scan.branch): scan for scan in scans}


def _of_project(project_id: uuid.UUID) -> QuerySet[CodeReference]:
    return CodeReference.objects.filter(repository__project=project_id)
