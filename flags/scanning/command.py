"""The command line of the scanner: the same options for `python -m flags.scanning` and `manage.py scan_code`."""

import argparse
import json
import os
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from flags.scanning.git import Checkout, checkout_of
from flags.scanning.names import ALIAS_KINDS, UnusableAlias, names_of
from flags.scanning.running import scan_folder
from flags.scanning.scans import Scan
from flags.scanning.uploading import ServerUnreachable, UploadRefused, checked_address, keys_of, upload
from flags.scanning.wire import ScanHead, head_of, written

ALIAS_FILE = "flagsite-aliases.json"
DONE, UNUSABLE, REFUSED, UNREACHABLE = 0, 2, 3, 4
EXIT_CODES = (
    "Ends with 0 when the scan was taken in, 2 when it cannot begin, 3 when it was refused, 4 without an answer."
)


class CannotScan(Exception):
    """The scan ends here; the message says why and what to do."""

    def __init__(self, message: str, code: int = UNUSABLE) -> None:
        super().__init__(message)
        self.code = code


class Prepared(NamedTuple):
    """A scan that is done, and what is said of it."""

    scan: Scan
    head: ScanHead


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a scan looks, and what it calls that."""

    folder: Path
    top: Path
    root: str
    branch: str
    commit: str
    committed_at: str
    repository: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a scan."""
    parser.add_argument("path", type=Path, metavar="PATH", help="the checkout, or a folder in it")
    parser.add_argument("--project", required=True, metavar="KEY", help="the project whose flags are looked for")
    parser.add_argument("--repository", metavar="NAME", help="its name in Flagsite; otherwise that of its folder")
    parser.add_argument("--branch", help="otherwise git is asked; CI that checks out a commit must say it")
    parser.add_argument("--commit", help="otherwise git is asked")
    parser.add_argument(
        "--alias",
        default="",
        metavar="KIND,…",
        help=f"also look for keys spelt as {', '.join(ALIAS_KINDS)}; {ALIAS_FILE} in the root names further ones",
    )
    parser.add_argument("--lines", action="store_true", help="send the lines too; nothing in them is masked")
    parser.add_argument("--upload", metavar="URL", help="send the scan to this Flagsite server")
    parser.add_argument(
        "--token-env", default="FLAGSITE_TOKEN", metavar="NAME", help="the environment variable that holds the token"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what was found and keep nothing")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print the report itself, line by line")


def prepare(options: Mapping[str, Any], keys: Iterable[str], *, now: datetime) -> Prepared:
    """Scan as the options say. Raises CannotScan."""
    place = _place(options)
    try:
        names = names_of(keys, kinds=filter(None, options["alias"].split(",")), explicit=_explicit(place))
    except UnusableAlias as error:
        raise CannotScan(str(error)) from None
    scan = scan_folder(
        place.folder,
        names,
        branch=place.branch,
        commit=place.commit,
        root=place.root,
        with_text=options["lines"],
    )
    head = head_of(
        scan,
        scan_id=str(uuid.uuid4()),
        project=options["project"],
        repository=place.repository,
        scanned_at=now.isoformat(),
        committed_at=place.committed_at,
    )
    return Prepared(scan, head)


def lines_of(prepared: Prepared) -> Iterable[bytes]:
    """The lines of the report."""
    return written(prepared.head, prepared.scan.files)


def told(prepared: Prepared) -> str:
    """What a scan found, in two sentences."""
    scan, head = prepared
    flags = len({found.flag_key for file in scan.files for found in file.found})
    where = f"{head.repository}, branch {scan.branch}" + (f" at {scan.commit[:12]}" if scan.commit else "")
    return (
        f"{where}: {scan.references:,} references to {flags:,} flags in {len(scan.files):,} of {scan.files_read:,} "
        f"files, {scan.seconds:.1f} s. Passed over: {scan.binary_files:,} binary, {scan.large_files:,} large, "
        f"{scan.other_files:,} links and unreadable."
    )


def server_of(options: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[str, str]:
    """The server to send to and the token for it. Raises CannotScan."""
    try:
        server = checked_address(options["upload"])
    except ValueError as error:
        raise CannotScan(str(error)) from None
    token = environ.get(options["token_env"], "").strip()
    if not token or not token.isascii() or not token.isprintable():
        raise CannotScan(
            f"The environment variable {options['token_env']} holds no token. Put one of the scope references there."
        )
    return server, token


def scan_and_upload(options: Mapping[str, Any], environ: Mapping[str, str], say: Callable[[str], object]) -> None:
    """Ask a server for the keys, scan, and send what was found. Raises CannotScan."""
    server, token = server_of(options, environ)
    try:
        prepared = prepare(options, keys_of(server, options["project"], token), now=datetime.now(UTC))
        report(prepared, options, say)
        if not options["dry_run"]:
            answer = upload(server, lines_of(prepared), token)
            say(f"Taken in: {answer.get('added', 0):,} new, {answer.get('vanished', 0):,} gone.")
    except UploadRefused as error:
        raise CannotScan(str(error), REFUSED) from None
    except ServerUnreachable as error:
        raise CannotScan(str(error), UNREACHABLE) from None


def report(prepared: Prepared, options: Mapping[str, Any], say: Callable[[str], object]) -> None:
    """Print what was found, as sentences on the error output where the report itself is asked for."""
    if options["as_json"]:
        for line in lines_of(prepared):
            sys.stdout.write(line.decode())
        sys.stdout.flush()
    say(told(prepared))


def main(arguments: list[str] | None = None) -> int:
    """Scan and upload without Django."""
    parser = argparse.ArgumentParser(
        prog="python -m flags.scanning",
        description="Finds flag keys in a checkout and reports them.",
        epilog=EXIT_CODES,
    )
    add_arguments(parser)
    options = vars(parser.parse_args(arguments))
    if not options["upload"]:
        parser.error("name the server with --upload; without it use manage.py scan_code")
    try:
        scan_and_upload(options, os.environ, lambda text: sys.stderr.write(f"{text}\n"))
    except CannotScan as error:
        sys.stderr.write(f"{error}\n")
        return error.code
    return DONE


def _place(options: Mapping[str, Any]) -> _Place:
    folder = Path(options["path"])
    if not folder.is_dir():
        raise CannotScan(f"There is no folder {folder}. Give the path of a checkout.")
    checkout = checkout_of(folder) or Checkout(folder.resolve(), "", "", "", "")
    branch, commit = options["branch"] or checkout.branch, options["commit"] or checkout.commit
    if not branch:
        raise CannotScan("This checkout is on no branch, as in most CI. Say which one it is with --branch.")
    return _Place(
        folder=folder,
        top=checkout.root,
        root=checkout.below,
        branch=branch,
        commit=commit,
        committed_at=checkout.committed_at if commit == checkout.commit else "",
        repository=options["repository"] or checkout.root.name,
    )


def _explicit(place: _Place) -> dict[str, list[str]]:
    """The aliases that the checkout itself names: {key: [alias, …]}."""
    file = place.top / ALIAS_FILE
    if not file.is_file() or file.is_symlink():
        return {}
    try:
        document = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise CannotScan(f"{ALIAS_FILE} cannot be read as JSON: {error}.") from None
    if not isinstance(document, dict) or not all(isinstance(each, list) for each in document.values()):
        raise CannotScan(f"{ALIAS_FILE} is not of the form {{“new-checkout”: [“useNewCheckout”]}}.")
    return document
