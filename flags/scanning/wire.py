"""Pure: a scan as lines of JSON, as it travels: the scan itself, one line for each file, and how many there were.

What was cut off on its way lacks its last line, so it is told from what is complete.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from flags.scanning.matching import LONGEST_TEXT
from flags.scanning.scans import FileReferences, Found, Scan

MOST_REFERENCES = 2_000_000
LARGEST_LINE_NUMBER = 2_147_483_647
LONGEST_PATH = 1_000
LONGEST_ALIAS = 200
LONGEST_WIRE_LINE = 16_000_000
_HEAD_FIELDS = {
    "id",
    "project",
    "repository",
    "branch",
    "commit",
    "root",
    "scanned_at",
    "committed_at",
    "files_read",
    "files_skipped",
}
_NEEDED_FIELDS = ("id", "project", "repository", "branch", "scanned_at")
_FOUND_FIELDS = {"flag", "alias", "line", "column", "text"}


class UnusableScan(ValueError):
    """A report that cannot be taken in; the message names its line and says what is wrong."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(f"Line {number:,} of the report: {message}" if number else message)
        self.line = number


@dataclass(frozen=True, slots=True)
class ScanHead:
    """What is said of a scan before its references. Instants are texts; `id` is the sender's, another for each scan."""

    id: str
    project: str
    repository: str
    branch: str
    commit: str
    root: str
    scanned_at: str
    committed_at: str
    files_read: int
    files_skipped: int


def head_of(scan: Scan, *, scan_id: str, project: str, repository: str, scanned_at: str, committed_at: str) -> ScanHead:
    """What is said of a scan before its references."""
    return ScanHead(
        id=scan_id,
        project=project,
        repository=repository,
        branch=scan.branch,
        commit=scan.commit,
        root=scan.root,
        scanned_at=scanned_at,
        committed_at=committed_at,
        files_read=scan.files_read,
        files_skipped=scan.binary_files + scan.large_files + scan.other_files,
    )


def written(head: ScanHead, files: Iterable[FileReferences]) -> Iterator[bytes]:
    """The lines of a report, each with its line end. `files` come sorted by path, each path once."""
    fields = {name: getattr(head, name) for name in sorted(_HEAD_FIELDS)}
    yield _line({"scan": fields})
    count = 0
    for file in files:
        count += len(file.found)
        yield _line({"path": file.path, "found": [_as_json(found) for found in file.found]})
    yield _line({"end": {"references": count}})


def read_head(line: bytes) -> ScanHead:
    """The first line of a report. Raises UnusableScan."""
    document = _object(line, 1)
    fields = document.get("scan")
    if set(document) != {"scan"} or not isinstance(fields, dict):
        raise UnusableScan(1, "it is not {“scan”: {…}}, with which a report begins.")
    _check_fields(fields, _HEAD_FIELDS, 1)
    missing = [f"“{name}”" for name in _NEEDED_FIELDS if name not in fields]
    if missing:
        raise UnusableScan(1, f"“scan” lacks {', '.join(missing)}.")
    counts = {"files_read", "files_skipped"}
    texts = {name: fields.get(name, "") for name in _HEAD_FIELDS - counts}
    wrong = [name for name, value in sorted(texts.items()) if not isinstance(value, str) or not value.isprintable()]
    if wrong:
        raise UnusableScan(1, f"“{wrong[0]}” is no text, or holds control characters.")
    numbers = {name: fields.get(name, 0) for name in counts}
    if not all(_is_count(number, least=0) for number in numbers.values()):
        raise UnusableScan(1, "“files_read” and “files_skipped” are numbers of files.")
    return ScanHead(**texts, **numbers)


def read_files(lines: Iterable[bytes]) -> Iterator[FileReferences]:
    """The files of a report, from its second line on; they come as they are read. Raises UnusableScan.

    The end must be there and count right, so whoever keeps nothing before this has ended keeps no half of a report.
    """
    count, before, ended = 0, "", False
    for number, line in enumerate(lines, 2):
        if ended:
            raise UnusableScan(number, "something follows the end.")
        document = _object(line, number)
        if "end" in document:
            _check_end(document, count, number)
            ended = True
            continue
        file = _file(document, number)
        if file.path <= before:
            raise UnusableScan(number, "paths come sorted by their characters, each once.")
        before, count = file.path, count + len(file.found)
        if count > MOST_REFERENCES:
            raise UnusableScan(number, f"there are more than {MOST_REFERENCES:,} references. Scan folder by folder.")
        yield file
    if not ended:
        raise UnusableScan(0, "The report ends too early: its last line, {“end”: …}, is missing. Nothing was kept.")


def is_path(path: str) -> bool:
    """Whether a text is a path below a repository's root, `LONGEST_PATH` bytes at most, that leads nowhere else."""
    parts = path.split("/")
    return (
        0 < len(path.encode(errors="replace")) <= LONGEST_PATH
        and path.isprintable()
        and not any(part in {"", ".", ".."} for part in parts)
    )


def _line(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _as_json(found: Found) -> dict[str, Any]:
    document: dict[str, Any] = {"flag": found.flag_key, "line": found.line, "column": found.column}
    if found.alias:
        document["alias"] = found.alias
    if found.text:
        document["text"] = found.text
    return document


def _object(line: bytes, number: int) -> dict[str, Any]:
    if len(line) > LONGEST_WIRE_LINE:
        raise UnusableScan(number, f"it is longer than {LONGEST_WIRE_LINE:,} bytes.")
    try:
        document = json.loads(line)
    except ValueError:
        raise UnusableScan(number, "it is not JSON in UTF-8.") from None
    except RecursionError:
        raise UnusableScan(number, "it is nested too deep.") from None
    if not isinstance(document, dict):
        raise UnusableScan(number, "it is no JSON object.")
    return document


def _check_fields(document: Mapping[str, Any], known: set[str], number: int) -> None:
    others = sorted(document.keys() - known)
    if others:
        raise UnusableScan(number, f"“{others[0][:100]}” is not part of the contract.")


def _check_end(document: Mapping[str, Any], count: int, number: int) -> None:
    end = document["end"]
    if not isinstance(end, dict) or end.keys() != {"references"} or len(document) != 1:
        raise UnusableScan(number, "the end is {“end”: {“references”: how many}}.")
    if end["references"] != count or isinstance(end["references"], bool):
        raise UnusableScan(number, f"the end counts other references than the {count:,} that came. Nothing was kept.")


def _file(document: dict[str, Any], number: int) -> FileReferences:
    _check_fields(document, {"path", "found"}, number)
    path, found = document.get("path"), document.get("found")
    if not isinstance(path, str) or not is_path(path):
        raise UnusableScan(number, "“path” is no path below the repository's root, such as “src/shop/basket.py”.")
    if not isinstance(found, list) or not found:
        raise UnusableScan(number, "“found” is no list of references, or an empty one.")
    references = tuple(_found(each, number) for each in found)
    places = [(each.line, each.column) for each in references]
    if places != sorted(places) or len({(each.line, each.flag_key) for each in references}) != len(references):
        raise UnusableScan(number, "the references of a file come in the order of its lines, a flag once in a line.")
    return FileReferences(path, references)


def _found(document: Any, number: int) -> Found:
    if not isinstance(document, dict):
        raise UnusableScan(number, "a reference is no JSON object.")
    _check_fields(document, _FOUND_FIELDS, number)
    flag, alias, text = document.get("flag"), document.get("alias", ""), document.get("text", "")
    line, column = document.get("line"), document.get("column", 1)
    if not isinstance(flag, str) or not 0 < len(flag) <= 100 or not flag.isprintable():
        raise UnusableScan(number, "“flag” is no key of a flag.")
    if not isinstance(alias, str) or len(alias) > LONGEST_ALIAS or not alias.isprintable():
        raise UnusableScan(number, f"“alias” is no name of up to {LONGEST_ALIAS} characters.")
    if not isinstance(text, str) or len(text) > LONGEST_TEXT or not text.isprintable():
        raise UnusableScan(number, f"“text” is no line of up to {LONGEST_TEXT} characters.")
    if not _is_count(line, least=1) or not _is_count(column, least=1):
        raise UnusableScan(number, f"“line” and “column” are whole numbers from 1 to {LARGEST_LINE_NUMBER:,}.")
    return Found(flag, alias, line, column, text)


def _is_count(value: object, *, least: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= LARGEST_LINE_NUMBER
