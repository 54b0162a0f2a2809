import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.scanning.scans import FileReferences, Found, Scan
from flags.scanning.wire import UnusableScan, head_of, is_path, read_files, read_head, written

SCAN = Scan("main", "ab12", "src/", (), files_read=3, seconds=0.1, binary_files=1, large_files=2, other_files=4)
SAID = {"scan_id": "1", "project": "shop", "repository": "web", "scanned_at": "now", "committed_at": ""}
HEAD = head_of(SCAN, **SAID)
FILES = (
    FileReferences("a.py", (Found("new-checkout", "", 1, 4), Found("search", "SEARCH_BOX", 9, 1, "x = “ü”"))),
    FileReferences("b/ä.py", (Found("search", "", 2_147_483_647, 1),)),
)


def lines_with(**changes):
    """A report of one file whose reference is changed."""
    found = {"flag": "search", "line": 1, "column": 1, **changes}
    return [json.dumps({"path": "a.py", "found": [found]}).encode(), b'{"end":{"references":1}}']


def test_report__written_and_read__is_the_same():
    lines = list(written(HEAD, FILES))

    assert read_head(lines[0]) == HEAD
    assert tuple(read_files(lines[1:])) == FILES
    assert HEAD.files_skipped == 7


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20),
            st.lists(st.integers(1, 1_000), min_size=1, max_size=5, unique=True),
        ),
        unique_by=lambda each: each[0],
    )
)
def test_report__of_anything__comes_back(found):
    files = tuple(
        FileReferences(path, tuple(Found("k", "", line, 1) for line in sorted(lines))) for path, lines in sorted(found)
    )

    assert tuple(read_files(list(written(HEAD, files))[1:])) == files


@pytest.mark.parametrize("cut", [1, 2])
def test_report__without_its_last_lines__is_refused(cut):
    lines = list(written(HEAD, FILES))[1:-cut]

    with pytest.raises(UnusableScan, match="too early"):
        list(read_files(lines))


@pytest.mark.parametrize(
    "path",
    [
        "../a.py",
        "a/../b",
        "a/..",
        "..",
        ".",
        "./a",
        "/etc/passwd",
        "a//b",
        "a/",
        "",
        "a\0b",
        "a\nb",
        "a\u202eb",
        "a\ud800",
        "x" * 1_001,
        "ä" * 501,
        7,
        None,
    ],
)
def test_path__that_leads_elsewhere_or_cannot_be_shown__is_refused(path):
    line = json.dumps({"path": path, "found": [{"flag": "search", "line": 1}]}).encode()

    with pytest.raises(UnusableScan, match="Line 2 of the report"):
        list(read_files([line, b'{"end":{"references":1}}']))


@pytest.mark.parametrize("path", ["a", "<script>alert(1)</script>.js", "a b/..c/.d", "x" * 1_000, "dev\\x2d.swap", "€"])
def test_path__that_is_merely_odd__is_taken(path):
    assert is_path(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"line": 0},
        {"line": -1},
        {"line": 2_147_483_648},
        {"line": 10**400},
        {"line": 1.5},
        {"line": True},
        {"line": "1"},
        {"column": 0},
        {"flag": ""},
        {"flag": "x" * 101},
        {"flag": "a\0"},
        {"flag": None},
        {"alias": "x" * 201},
        {"alias": 7},
        {"text": "x" * 501},
        {"text": "a\nb"},
        {"text": None},
        {"secret": "x"},
    ],
)
def test_reference__that_says_something_impossible__is_refused(changes):
    with pytest.raises(UnusableScan):
        list(read_files(lines_with(**changes)))


@pytest.mark.parametrize(
    "lines",
    [
        [b"[]"],
        [b"{"],
        [b"[" * 100_000],
        [b"\xff"],
        [b""],
        [b'{"end":{"references":0}}', b'{"end":{"references":0}}'],
        [b'{"end":{"references":1}}'],
        [b'{"end":{"references":true}}'],
        [b'{"end":7}'],
        [b'{"end":{"references":0},"path":"a"}'],
        [b'{"path":"a","found":[]}'],
        [b'{"path":"a"}'],
        [b'{"path":"a","found":[7]}'],
        [*lines_with()[:1] * 2, b'{"end":{"references":2}}'],
        [b'{"path":"a","found":[{"flag":"x","line":2},{"flag":"x","line":1}]}', b'{"end":{"references":2}}'],
        [b'{"path":"a","found":[{"flag":"x","line":2},{"flag":"x","line":2}]}', b'{"end":{"references":2}}'],
    ],
)
def test_lines__that_are_no_report__are_refused(lines):
    with pytest.raises(UnusableScan):
        list(read_files(lines))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b'{"scan":[]}',
        b'{"scan":{},"path":"a"}',
        b'{"scan":{"token":"x"}}',
        b'{"scan":{"branch":7}}',
        b'{"scan":{"branch":"a\\u0000"}}',
        b'{"scan":{"files_read":-1}}',
        b'{"scan":{"files_read":99999999999}}',
    ],
)
def test_head__that_is_none__is_refused(line):
    with pytest.raises(UnusableScan):
        read_head(line)
