"""Bodies of scans: kept in a file while they come, capped before and after they are unpacked, read line by line."""

import gzip
import json
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, cast

from flags.api.door import Environ
from flags.api.refusals import length_required, refused
from flags.api.wire import Refused
from flags.scanning.wire import LONGEST_WIRE_LINE, UnusableScan

MAX_BYTES = 100_000_000
MAX_UNPACKED_BYTES = 600_000_000
MAX_JSON_BYTES = 10_000_000
NDJSON_TYPE, JSON_TYPE = "application/x-ndjson", "application/json"
_IN_MEMORY = 1_000_000
_PART = 256_000


class ReportBody:
    """The body of a report, which can be read more than once. Close it."""

    def __init__(self, environ: Environ) -> None:
        self._type = environ.get("CONTENT_TYPE", "").split(";")[0].strip().lower()
        if self._type not in {NDJSON_TYPE, JSON_TYPE}:
            raise refused(415, "unsupported_media_type", f"Send {NDJSON_TYPE}, or a small report as {JSON_TYPE}.")
        encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
        if encoding not in {"", "identity", "gzip", "x-gzip"}:
            raise refused(415, "unsupported_encoding", "The body may be compressed with gzip, or not at all.")
        self._is_packed = encoding in {"gzip", "x-gzip"}
        self._file = _spooled(environ)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def lines(self) -> Iterator[bytes]:
        """The lines from the first on. Raises UnusableScan for a body that is cut off, Refused for one too large."""
        self._file.seek(0)
        try:
            if self._is_packed:
                with gzip.GzipFile(fileobj=self._file, mode="rb") as unpacked:
                    yield from self._lines_of(cast(IO[bytes], unpacked))
            else:
                yield from self._lines_of(self._file)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise UnusableScan(0, "The body is no complete gzip, though Content-Encoding says so.") from None

    def _lines_of(self, source: IO[bytes]) -> Iterator[bytes]:
        if self._type == JSON_TYPE:
            yield from _lines_of_document(source.read(MAX_JSON_BYTES + 1))
            return
        size = 0
        while line := source.readline(LONGEST_WIRE_LINE + 2):
            size += len(line)
            if size > MAX_UNPACKED_BYTES:
                raise _too_large(MAX_UNPACKED_BYTES)
            yield line


def _spooled(environ: Environ) -> IO[bytes]:
    if "HTTP_TRANSFER_ENCODING" in environ and not environ.get("wsgi.input_terminated"):
        raise Refused(length_required())
    missing = MAX_BYTES + 1 if "HTTP_TRANSFER_ENCODING" in environ else _declared(environ)
    if missing > MAX_BYTES + 1:
        raise _too_large(MAX_BYTES)
    file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - whoever reads it closes it
    try:
        while missing > 0 and (part := environ["wsgi.input"].read(min(missing, _PART))):
            missing -= len(part)
            file.write(part)
    except OSError:
        # The client went away; whatever came lacks its end.
        pass
    if file.tell() > MAX_BYTES:
        file.close()
        raise _too_large(MAX_BYTES)
    return cast(IO[bytes], file)


def _declared(environ: Environ) -> int:
    try:
        return max(int(environ.get("CONTENT_LENGTH") or 0), 0)
    except ValueError:
        return 0


def _lines_of_document(content: bytes) -> Iterator[bytes]:
    """A small report in one document, {“scan”: …, “files”: […]}, as the lines it stands for."""
    if len(content) > MAX_JSON_BYTES:
        raise _too_large(MAX_JSON_BYTES)
    try:
        document = json.loads(content)
    except ValueError:
        raise UnusableScan(0, "The body is not JSON in UTF-8.") from None
    except RecursionError:
        raise UnusableScan(0, "The body is nested too deep. Send {“scan”: {…}, “files”: […]}.") from None
    if not isinstance(document, dict) or document.keys() - {"scan", "files"}:
        raise UnusableScan(0, "The body is not {“scan”: {…}, “files”: […]}.")
    files = document.get("files", [])
    if not isinstance(files, list) or any(isinstance(file, dict) and "end" in file for file in files):
        raise UnusableScan(0, "“files” is no list of files.")
    counts = (_count(file) for file in files)
    end = {"end": {"references": sum(counts)}}
    yield from map(_dumped, [{"scan": document.get("scan")}, *files, end])


def _count(file: Any) -> int:
    found = file.get("found") if isinstance(file, Mapping) else None
    return len(found) if isinstance(found, list) else 0


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def _too_large(limit: int) -> Refused:
    return refused(413, "body_too_large", f"The report is larger than {limit:,} bytes. Scan folder by folder.")


def after_first(lines: Iterable[bytes]) -> Iterator[bytes]:
    """All lines but the first."""
    iterator = iter(lines)
    next(iterator, None)
    return iterator
