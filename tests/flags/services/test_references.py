"""Scans that are taken in: what is new, what moved, what vanished and since when, and what is refused."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from audits.context import Actor
from audits.models import AuditEvent
from flags.errors import AlreadyExists, InvalidInput, PermissionMissing, StaleChange
from flags.models import CodeReference, CodeRepository, CodeScan
from flags.scanning.scans import FileReferences, Found
from flags.scanning.wire import ScanHead, UnusableScan
from flags.selectors.references import (
    MOST_SHOWN,
    archived_in_code,
    extinct_since,
    is_scanned,
    live_references,
    reference_counts,
    references_of,
    repository_lines,
    unreferenced_flags,
    web_address,
)
from flags.services.references import checked_template, import_references, set_repository
from tests.factories import NOW, World, actor_of, make_served_world, make_world

pytestmark = pytest.mark.django_db

SCANNER = Actor.service(uuid4(), "CI")
KEY = "checkout-redesign"
HOUR = timedelta(hours=1)
MONTH = timedelta(days=30)


@pytest.fixture
def world() -> World:
    return make_served_world()


def take(world: World, files: dict[str, list[int]], *, at=NOW, key=KEY, text="", **fields: Any):
    """Take a scan in that found one flag in these lines of these files."""
    said = {
        "id": str(uuid4()),
        "project": world.project.key,
        "repository": "shop",
        "branch": "main",
        "commit": "ab12",
        "root": "",
        "scanned_at": at.isoformat(),
        "committed_at": "",
        "files_read": 10,
        "files_skipped": 1,
    }
    found = [FileReferences(path, tuple(Found(key, "", n, 1, text) for n in files[path])) for path in sorted(files)]
    head = ScanHead(**{**said, **fields})
    return import_references(world.project, head, lambda: iter(found), actor=SCANNER, now=max(at, NOW)).scan


def places(**wanted: Any) -> list[tuple[str, int]]:
    """Path and line of the references that are there."""
    rows = CodeReference.objects.filter(vanished_at=None, **wanted)
    return sorted(rows.values_list("path", "line"))


def test_first_scan__sets_the_repository_up_and_keeps_what_was_found(world):
    scan = take(world, {"a.py": [1, 7], "b/c.py": [3]})

    repository = CodeRepository.objects.get()
    assert (repository.name, repository.default_branch) == ("shop", "main")
    assert (scan.references, scan.added, scan.vanished, scan.left_out) == (3, 3, 0, 0)
    assert places() == [("a.py", 1), ("a.py", 7), ("b/c.py", 3)]
    event = AuditEvent.objects.get(action="code_scan.imported")
    assert '"added":3' in event.data.replace(" ", "")


def test_line_that_moves__stays_the_same_reference(world):
    take(world, {"a.py": [1, 7]}, text="before")
    before = dict(CodeReference.objects.values_list("ordinal", "pk"))

    scan = take(world, {"a.py": [3, 9]}, at=NOW + HOUR, commit="cd34")

    assert (scan.added, scan.vanished) == (0, 0)
    assert places() == [("a.py", 3), ("a.py", 9)]
    assert dict(CodeReference.objects.values_list("ordinal", "pk")) == before
    assert set(CodeReference.objects.values_list("first_seen_at", "first_commit", "text")) == {(NOW, "ab12", "")}


def test_reference_that_is_gone__vanished_with_the_scan__and_may_come_back(world):
    take(world, {"a.py": [1, 7], "b.py": [2]})

    scan = take(world, {"a.py": [1]}, at=NOW + HOUR, commit="cd34")

    assert scan.vanished == 2
    gone = CodeReference.objects.filter(vanished_at__isnull=False)
    assert set(gone.values_list("path", "vanished_at", "vanished_commit", "last_seen_at")) == {
        ("a.py", NOW + HOUR, "cd34", NOW),
        ("b.py", NOW + HOUR, "cd34", NOW),
    }

    back = take(world, {"a.py": [1], "b.py": [5]}, at=NOW + 2 * HOUR)

    assert (back.added, back.vanished) == (0, 0)
    reference = CodeReference.objects.get(path="b.py")
    assert (reference.vanished_at, reference.last_seen_at, reference.first_seen_at) == (None, None, NOW)


def test_scan_of_a_folder__says_nothing_of_what_lies_outside(world):
    take(world, {"shop/a.py": [1], "shopping/a.py": [1], "web/a.js": [1]})

    scan = take(world, {"shop/b.py": [1]}, at=NOW + HOUR, root="shop/")

    assert (scan.added, scan.vanished) == (1, 1)
    assert places() == [("shop/b.py", 1), ("shopping/a.py", 1), ("web/a.js", 1)]


def test_another_branch_and_another_repository__have_references_of_their_own(world):
    take(world, {"a.py": [1]})
    take(world, {}, branch="feature")
    take(world, {"z.py": [9]}, repository="web")

    assert places(branch="main", repository__name="shop") == [("a.py", 1)]
    assert places(repository__name="web") == [("z.py", 9)]


def test_keys_that_are_no_flags_of_the_project__are_left_out_and_counted(world):
    scan = take(world, {"a.py": [1, 2]}, key="somebody-elses")

    assert (scan.references, scan.left_out) == (0, 2)
    assert not CodeReference.objects.exists()


def test_same_scan_again__changes_nothing(world):
    known = str(uuid4())
    take(world, {"a.py": [1]}, id=known)

    again = take(world, {"b.py": [1]}, id=known, at=NOW + HOUR)

    assert again.scanned_at == NOW
    assert places() == [("a.py", 1)]
    assert CodeScan.objects.count() == 1


def test_id_of_a_scan_of_another_repository__is_refused(world):
    known = str(uuid4())
    take(world, {"a.py": [1]}, id=known)

    with pytest.raises(AlreadyExists):
        take(world, {"a.py": [1]}, id=known, repository="web")
    assert CodeRepository.objects.count() == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"at": NOW}, {"at": NOW - HOUR}),
        (
            {"at": NOW, "committed_at": (NOW - HOUR).isoformat()},
            {"at": NOW + HOUR, "committed_at": (NOW - 2 * HOUR).isoformat()},
        ),
    ],
)
def test_older_scan__or_one_of_an_older_commit__is_refused(first, second, world):
    take(world, {"a.py": [1]}, **first)

    with pytest.raises(StaleChange, match="newer scan"):
        take(world, {"b.py": [1]}, **second)
    assert places() == [("a.py", 1)]


@pytest.mark.parametrize(
    ("first", "second", "is_taken"),
    [
        ("a/", "b/", True),
        ("a/b/", "a/", False),
        ("a/", "a/b/", False),
        ("", "a/", False),
        ("a/", "", False),
        ("a/", "ab/", True),
    ],
)
def test_folders_of_one_commit__side_by_side__are_taken_in_any_order(first, second, is_taken, world):
    commit = {"committed_at": (NOW - HOUR).isoformat()}
    take(world, {}, root=first, at=NOW + HOUR, **commit)

    if is_taken:
        take(world, {f"{second}x.py": [1]}, root=second, at=NOW, **commit)
    else:
        with pytest.raises(StaleChange, match="newer scan"):
            take(world, {f"{second}x.py": [1]}, root=second, at=NOW, **commit)

    assert len(places()) == is_taken


def test_older_commit__of_a_folder_that_all_of_it_was_scanned_since__is_no_hindrance(world):
    take(world, {}, root="a/", at=NOW, committed_at=NOW.isoformat())
    take(world, {}, at=NOW + HOUR)

    take(world, {"a/x.py": [1]}, root="a/", at=NOW + 2 * HOUR, committed_at=(NOW - HOUR).isoformat())

    assert places() == [("a/x.py", 1)]


@pytest.mark.parametrize("branch", [" main", "main  ", " " * 300 + "main"])
def test_branch_with_blanks_around_it__is_the_branch(branch, world):
    take(world, {"a.py": [1]}, branch=branch)

    assert CodeRepository.objects.get().default_branch == "main"
    assert reference_counts(world.project.pk)[KEY].live == 1


def test_commit_from_the_future__does_not_keep_later_ones_out(world):
    take(world, {"a.py": [1]}, committed_at=(NOW + 1_000 * HOUR).isoformat())

    take(world, {"b.py": [1]}, at=NOW + HOUR, committed_at=NOW.isoformat())

    assert places() == [("b.py", 1)]


def test_report_that_is_cut_off__leaves_nothing_behind(world):
    take(world, {"a.py": [1]})

    def cut():
        yield FileReferences("b.py", (Found(KEY, "", 1, 1),))
        raise UnusableScan(0, "ends too early")

    head = ScanHead(str(uuid4()), "", "new", "main", "", "", (NOW + HOUR).isoformat(), "", 1, 0)
    with pytest.raises(UnusableScan):
        import_references(world.project, head, cut, actor=SCANNER, now=NOW + HOUR)

    assert places() == [("a.py", 1)]
    assert list(CodeRepository.objects.values_list("name", flat=True)) == ["shop"]
    assert CodeScan.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "7"),
        ("id", ""),
        ("branch", ""),
        ("branch", "x" * 201),
        ("branch", "a\u202eb"),
        ("repository", " "),
        ("commit", "HEAD"),
        ("commit", "a" * 65),
        ("root", "../x/"),
        ("root", "/x/"),
        ("root", "x"),
        ("root", "/"),
        ("scanned_at", ""),
        ("scanned_at", "2026-03-02"),
        ("scanned_at", (NOW + HOUR).isoformat()),
    ],
)
def test_scan_that_says_something_impossible__is_refused(field, value, world):
    with pytest.raises(InvalidInput):
        take(world, {"a.py": [1]}, **{field: value})
    assert not CodeReference.objects.exists()


def test_file_outside_the_root_of_the_scan__is_refused(world):
    with pytest.raises(UnusableScan):
        take(world, {"web/a.js": [1]}, root="shop/")


def test_counts__extinction__only_default_branches(world):
    flag = world.first_flag
    assert not is_scanned(world.project.pk)
    assert unreferenced_flags(world.project) == [flag]
    take(world, {"a.py": [1, 2]})
    take(world, {"a.py": [1]}, branch="feature")
    assert reference_counts(world.project.pk)[KEY].live == 2
    assert extinct_since([flag.pk]) == {}
    assert unreferenced_flags(world.project) == []

    take(world, {"a.py": [1]}, at=NOW + HOUR)
    assert extinct_since([flag.pk]) == {}
    take(world, {}, at=NOW + 2 * HOUR)

    assert extinct_since([flag.pk]) == {flag.pk: NOW + 2 * HOUR}
    assert is_scanned(world.project.pk)
    assert [each.vanished_at for each in references_of(flag)] == [None, NOW + 2 * HOUR, NOW + HOUR]
    line = repository_lines(world.project)[0]
    assert line.newest is not None
    assert (line.repository.name, line.newest.scanned_at, line.live) == ("shop", NOW + 2 * HOUR, 0)


def test_lines_of_default_branches__many_lines_elsewhere__are_not_crowded_out(world):
    take(world, {"a.py": [1, 2, 3]})
    take(world, {"b.py": list(range(1, MOST_SHOWN + 1))}, branch="feature/x")

    lines = live_references(world.first_flag)

    assert [(row.branch, row.path, row.line) for row in lines] == [("main", "a.py", n) for n in (1, 2, 3)]
    assert [row.branch for row in references_of(world.first_flag)[:4]] == ["main"] * 3 + ["feature/x"]


def test_extinction__for_any_number_of_flags__takes_two_queries(world, django_assert_num_queries):
    take(world, {"a.py": [1]})
    take(world, {}, at=NOW + HOUR)

    with django_assert_num_queries(2):
        assert len(extinct_since([flag.pk for flag in world.flags.values()])) == 1


def test_branches_nobody_scans__are_forgotten_after_a_month_with_the_next_scan(world):
    for branch in ("main", "gone", "old", "kept"):
        take(world, {"a.py": [1, 2]}, branch=branch)
        take(world, {"a.py": [1, 2]}, branch=branch, repository="web")
    take(world, {"a.py": [1, 2]}, branch="kept", at=NOW + HOUR)

    take(world, {"a.py": [1]}, branch="another", at=NOW + MONTH + HOUR)

    left = CodeReference.objects.order_by("branch").values_list("branch", flat=True)
    assert list(left.filter(repository__name="shop").distinct()) == ["another", "kept", "main"]
    assert left.filter(repository__name="web").count() == 8
    assert set(CodeScan.objects.filter(repository__name="shop").values_list("branch", flat=True)) == set(
        left.filter(repository__name="shop")
    )


def test_lines_that_vanished__are_forgotten_after_a_year__but_the_last_of_a_flag(world):
    take(world, {"a.py": [1, 2], "b.py": [1], "c.py": [1]})
    take(world, {"b.py": [1], "c.py": [1]}, at=NOW + HOUR)
    take(world, {"c.py": [1]}, at=NOW + 2 * HOUR)
    take(world, {}, at=NOW + 13 * MONTH)
    assert list(CodeReference.objects.values_list("path", flat=True)) == ["c.py"]

    take(world, {}, at=NOW + 26 * MONTH)

    assert extinct_since([world.first_flag.pk]) == {world.first_flag.pk: NOW + 13 * MONTH}


def test_lines_that_vanished__within_a_year__stay(world):
    take(world, {"a.py": [1, 2]})
    take(world, {"a.py": [1]}, at=NOW + HOUR)
    take(world, {"a.py": [1]}, at=NOW + 12 * MONTH)

    assert CodeReference.objects.count() == 2


def test_another_project__sees_nothing_of_it(world):
    other = make_world()
    take(world, {"a.py": [1]})

    assert reference_counts(other.project.pk) == {}
    assert repository_lines(other.project) == []
    assert archived_in_code(other.project) == []


@pytest.mark.parametrize(
    "template",
    [
        "javascript:alert(1)",
        "https://{branch}.example.org/{path}",
        "https://user@example.org/{path}",
        "https://example.org/{path}/{host}",
        "https://example.org/{path",
        "https://example.org/a b",
        "https://",
        "//example.org/{path}",
        "https://exämple.org/{path}",
        "https://example.org/\n{path}",
    ],
)
def test_template__that_is_no_address_of_a_line__is_refused(template):
    with pytest.raises(InvalidInput):
        checked_template(template)


def test_web_address__of_a_hostile_path__stays_on_the_server(world):
    take(world, {'x"><script>@evil/?a#b/%2e%2e.py': [3]}, branch="main")
    repository = CodeRepository.objects.get()
    set_repository(
        repository.pk,
        default_branch="main",
        url_template="https://code.example.org/shop/blob/{commit}/{path}#L{line}",
        actor=actor_of(world.rita),
        reason="Links",
        now=NOW,
    )

    address = web_address(CodeReference.objects.select_related("repository").get(), "ab12")

    assert address == ("https://code.example.org/shop/blob/ab12/x%22%3E%3Cscript%3E%40evil/%3Fa%23b/%252e%252e.py#L3")


def test_set_repository__by_a_viewer__is_refused(world):
    take(world, {"a.py": [1]})

    with pytest.raises(PermissionMissing):
        set_repository(
            CodeRepository.objects.get().pk,
            default_branch="other",
            url_template="",
            actor=actor_of(world.vera),
            reason="Why not",
            now=NOW,
        )
    assert CodeRepository.objects.get().default_branch == "main"


@pytest.mark.postgres
def test_row_that_arrives__is_copied_as_it_is(world):
    odd = "tab\\t \\N 'quote' \\. ü"

    take(world, {"a\\b.py": [1]}, text=odd)

    assert connection.vendor == "postgresql"
    assert list(CodeReference.objects.values_list("path", "text")) == [("a\\b.py", odd)]
