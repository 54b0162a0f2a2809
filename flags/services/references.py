"""Taking in what scans found: which lines of a branch name which flags, and since when some no longer do."""

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.errors import AlreadyExists, NotFound, PermissionMissing, StaleChange
from flags.evaluation.instants import parse_instant
from flags.models import CodeRepository, CodeScan, Environment, Flag, Project
from flags.scanning.scans import FileReferences
from flags.scanning.wire import ScanHead, UnusableScan, is_path
from flags.selectors.scanned import scans_around
from flags.services.attempts import attempted
from flags.services.keys import checked_text, problem
from flags.services.old_references import forget_references
from flags.services.reference_rows import Arrived, arrive, merge

AHEAD = timedelta(minutes=5)
MOST_REPOSITORIES = 500
_COMMIT = re.compile(r"[0-9a-fA-F]{0,64}")
_FIELDS = ("branch", "commit", "path", "line")
_FIELD = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Imported:
    """A scan that was taken in, now or, as its id says, before."""

    scan: CodeScan
    is_duplicate: bool = False


@attempted
def import_references(
    project: Project,
    head: ScanHead,
    files: Callable[[], Iterable[FileReferences]],
    *,
    actor: Actor,
    now: datetime,
) -> Imported:
    """Make what a scan found the references of its branch: new ones are kept, missing ones have vanished since then.

    A scan of a folder says nothing of what lies outside. One whose id came before changes nothing. `files` gives them
    from the first on, in the transaction: a report that turns out to be cut off leaves nothing behind. Raises
    UnusableScan, InvalidInput, and StaleChange for a scan older than the newest of its branch.
    """
    scan = _scan_of(head, now=now)
    with transaction.atomic():
        repository = _locked_repository(project, head, scan.branch, now=now)
        known = CodeScan.objects.filter(pk=scan.pk).first()
        if known is not None:
            return _duplicate(known, repository)
        scan.repository, scan.reported_by = repository, actor.label[:120]
        before = scans_around(repository, scan.branch, scan.root)
        _refuse_older(scan, before)
        arrived = Arrived(scan, max((each.scanned_at for each in before), default=scan.scanned_at))
        keys = frozenset(Flag.objects.filter(project=project).values_list("key", flat=True))
        arrive(arrived, _checked(files(), scan.root), keys)
        merge(arrived)
        scan.save(force_insert=True)
        forget_references(repository, now=now)
        _record_import(scan, project, actor=actor, now=now)
    return Imported(scan)


@attempted
def set_repository(
    repository_id: uuid.UUID, *, default_branch: str, url_template: str, actor: Actor, reason: str, now: datetime
) -> CodeRepository:
    """Say which branch of a repository counts, and how a line of it is looked at on the web.

    Needs the role editor in some environment of the project, and a reason. Raises PermissionMissing, InvalidInput.
    """
    reason = checked_text(reason, field="reason", longest=4000, required=True)
    branch = checked_text(default_branch, field="default_branch", longest=200, required=True)
    template = checked_template(url_template)
    with transaction.atomic():
        repository = CodeRepository.objects.select_for_update(of=("self",)).filter(pk=repository_id).first()
        if repository is None:
            raise NotFound("This repository does not exist.", repository_id=str(repository_id))
        _require_editor(actor, repository.project)
        if (repository.default_branch, repository.url_template) != (branch, template):
            before = {"default_branch": repository.default_branch, "url_template": repository.url_template}
            repository.default_branch, repository.url_template = branch, template
            repository.save(update_fields=["default_branch", "url_template"])
            after = {"default_branch": branch, "url_template": template}
            _record_repository(repository, actor=actor, now=now, reason=reason, data={"before": before, "after": after})
    return repository


def checked_template(value: str) -> str:
    """The address of a line on the web, or empty. Raises InvalidInput for what is not http(s), or has other fields."""
    template = checked_text(value, field="url_template", longest=500)
    if not template:
        return ""
    if not re.match(r"https?://[A-Za-z0-9]", template) or not re.fullmatch("[!-~]+", template):
        raise problem("url_template", "Give an address that begins with https:// or http://.")
    host = template.split("/")[2]
    if "{" in host or "@" in host:
        raise problem("url_template", "The server of the address is fixed: no braces and no user name in it.")
    others = [name for name in _FIELD.findall(template) if name not in _FIELDS]
    if others or re.search(r"[{}]", _FIELD.sub("", template)):
        raise problem("url_template", f"Only {', '.join('{' + name + '}' for name in _FIELDS)} can stand in braces.")
    return template


def _scan_of(head: ScanHead, *, now: datetime) -> CodeScan:
    """The row of a scan, without its repository. Raises InvalidInput."""
    scanned_at = parse_instant(head.scanned_at)
    if scanned_at is None or scanned_at > now + AHEAD:
        raise problem("scanned_at", "Give the instant of the scan with its zone; it may not lie in the future.")
    committed_at = parse_instant(head.committed_at) if head.committed_at else None
    if not _COMMIT.fullmatch(head.commit):
        raise problem("commit", "A commit is named by its hash, up to 64 hexadecimal digits.")
    if head.root and not (head.root.endswith("/") and is_path(head.root[:-1])):
        raise problem("root", "“root” is empty, or a folder below the repository's root that ends with a slash.")
    return CodeScan(
        pk=_scan_id(head.id),
        branch=checked_text(head.branch, field="branch", longest=200, required=True),
        commit=head.commit,
        root=head.root,
        scanned_at=scanned_at,
        # A clock that is ahead must not keep every later commit out.
        committed_at=committed_at if committed_at and committed_at <= now + AHEAD else None,
        received_at=now,
        files_read=head.files_read,
        files_skipped=head.files_skipped,
    )


def _scan_id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise problem("id", "The id of a scan is a UUID, another one for each scan.") from None


def _locked_repository(project: Project, head: ScanHead, branch: str, *, now: datetime) -> CodeRepository:
    """The repository of a scan, locked. The first scan of one sets it up, and its branch counts from then on."""
    name = checked_text(head.repository, field="repository", longest=200, required=True)
    rows = CodeRepository.objects.select_for_update(of=("self",)).filter(project=project, name=name)
    repository = rows.first()
    if repository is not None:
        return repository
    if CodeRepository.objects.filter(project=project).count() >= MOST_REPOSITORIES:
        raise problem("repository", f"{project.name} has {MOST_REPOSITORIES} repositories already. Use a known name.")
    try:
        with transaction.atomic():
            CodeRepository.objects.create(project=project, name=name, default_branch=branch, created_at=now)
    except IntegrityError:
        # Another scan was the first; its row is read and locked below.
        pass
    return rows.get()


def _duplicate(known: CodeScan, repository: CodeRepository) -> Imported:
    if known.repository_id != repository.pk:
        raise AlreadyExists("Another scan has this id. Give every scan an id of its own.", scan_id=str(known.pk))
    return Imported(known, is_duplicate=True)


def _refuse_older(scan: CodeScan, before: Iterable[CodeScan]) -> None:
    """Raise StaleChange for a scan that would bring back what a newer one no longer found."""
    for newest in before:
        is_older = scan.scanned_at < newest.scanned_at
        if scan.committed_at and newest.committed_at and scan.committed_at < newest.committed_at:
            is_older = True
        if is_older:
            raise StaleChange(
                f"A newer scan of {scan.branch} was taken in already, so this one would bring back what is gone. "
                "Nothing was changed; scan the newest commit.",
                moved=[{"what": f"scan of {scan.branch}", "newest": newest.scanned_at.isoformat()}],
            )


def _checked(files: Iterable[FileReferences], root: str) -> Iterator[FileReferences]:
    for file in files:
        if not file.path.startswith(root):
            raise UnusableScan(0, f"“{file.path}” does not lie below “{root}”, the root of this scan.")
        yield file


def _require_editor(actor: Actor, project: Project) -> None:
    environments = Environment.objects.filter(project=project)
    if not any(permissions.holds(actor, permissions.PROPOSE, environment) for environment in environments):
        raise PermissionMissing(
            f"{actor.label} is not an editor of any environment of {project.name}. Ask an administrator for that role.",
            permission=permissions.PROPOSE,
        )


def _record_import(scan: CodeScan, project: Project, *, actor: Actor, now: datetime) -> None:
    data = {
        "scan_id": str(scan.pk),
        "branch": scan.branch,
        "commit": scan.commit,
        "root": scan.root,
        "references": scan.references,
        "added": scan.added,
        "vanished": scan.vanished,
        "left_out": scan.left_out,
    }
    _record_in(Action.CODE_SCAN_IMPORTED, scan.repository, project, actor=actor, now=now, reason="", data=data)


def _record_repository(
    repository: CodeRepository, *, actor: Actor, now: datetime, reason: str, data: Mapping[str, object]
) -> None:
    project = repository.project
    _record_in(Action.CODE_REPOSITORY_SET, repository, project, actor=actor, now=now, reason=reason, data=data)


def _record_in(
    action: Action,
    repository: CodeRepository,
    project: Project,
    *,
    actor: Actor,
    now: datetime,
    reason: str,
    data: Mapping[str, object],
) -> None:
    trail.record(
        action,
        actor=actor,
        target=trail.Target("repository", str(repository.pk), repository.name),
        now=now,
        project_id=project.pk,
        project_key=project.key,
        reason=reason,
        data=dict(data),
    )
