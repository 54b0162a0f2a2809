"""What code references are forgotten: branches nobody scans any more, and lines that are long gone."""

from datetime import datetime, timedelta

from django.db.models import Exists, Max, OuterRef, Q

from flags.models import CodeReference, CodeRepository, CodeScan

BRANCHES_KEPT = timedelta(days=30)
VANISHED_KEPT = timedelta(days=365)


def forget_references(repository: CodeRepository, *, now: datetime) -> int:
    """Delete branches that are not the default one and were not scanned for 30 days, and lines that vanished a year ago
    except the last of each flag, which says since when no code names it; how many lines went.

    The repository is locked by the caller, as by every scan of it.
    """
    return _forget_branches(repository, now - BRANCHES_KEPT) + _forget_vanished(repository, now - VANISHED_KEPT)


def _forget_branches(repository: CodeRepository, before: datetime) -> int:
    scans = CodeScan.objects.filter(repository=repository).exclude(branch=repository.default_branch)
    newest = scans.order_by().values_list("branch").annotate(last=Max("scanned_at"))
    old = [branch for branch, last in newest if last < before]
    CodeScan.objects.filter(repository=repository, branch__in=old).delete()
    return CodeReference.objects.filter(repository=repository, branch__in=old).delete()[0]


def _forget_vanished(repository: CodeRepository, before: datetime) -> int:
    same = CodeReference.objects.filter(
        repository=OuterRef("repository"), flag_key=OuterRef("flag_key"), branch=OuterRef("branch")
    )
    stays_or_went_later = (
        Q(vanished_at=None)
        | Q(vanished_at__gt=OuterRef("vanished_at"))
        | Q(vanished_at=OuterRef("vanished_at"), pk__gt=OuterRef("pk"))
    )
    rows = CodeReference.objects.filter(repository=repository, vanished_at__lt=before)
    return rows.filter(Exists(same.filter(stays_or_went_later))).delete()[0]
