"""Asking a Flagsite server for the keys of a project, and sending it a scan. The standard library alone."""

import gzip
import json
import tempfile
from collections.abc import Iterable
from http.client import HTTPException
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

TIMEOUT_SECONDS = 300
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_LARGEST_ANSWER = 50_000_000


class UploadRefused(Exception):
    """The server answered, and not as hoped."""


class ServerUnreachable(Exception):
    """No answer came."""


class _NoRedirects(HTTPRedirectHandler):
    """A token goes to the server it was meant for, and to nobody that server points to."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Never another request."""


def checked_address(url: str) -> str:
    """The address of a server without its last slash. Raises ValueError; a token travels over TLS or not at all."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"“{url}” is no address of a server. Give it like https://flags.example.org.")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("The token would travel unprotected. Use https:// (http:// is for this machine alone).")
    return url.rstrip("/")


def keys_of(server: str, project: str, token: str) -> list[str]:
    """The keys of all flags of a project. Raises UploadRefused and ServerUnreachable."""
    address = f"{server}/api/v1/projects/{quote(project, safe='')}/flag-keys"
    answer = _asked(Request(address, headers=_headers(token)))  # noqa: S310 - the scheme was checked
    keys = answer.get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, str) and key for key in keys):
        raise UploadRefused(f"{server} does not answer like a Flagsite server. Check the address.")
    return keys


def upload(server: str, lines: Iterable[bytes], token: str) -> dict[str, Any]:
    """Send the lines of a report, compressed. Raises UploadRefused and ServerUnreachable; what came of it otherwise."""
    with tempfile.TemporaryFile() as body:
        with gzip.GzipFile(fileobj=body, mode="wb", compresslevel=1) as packed:
            for line in lines:
                packed.write(line)
        return _asked(_report(server, body, token))


def _report(server: str, body: IO[bytes], token: str) -> Request:
    length = body.tell()
    body.seek(0)
    headers = {
        **_headers(token),
        "Content-Type": "application/x-ndjson",
        "Content-Encoding": "gzip",
        "Content-Length": str(length),
    }
    return Request(f"{server}/api/v1/code-references", data=body, headers=headers, method="POST")  # noqa: S310 - as above


def _headers(token: str) -> dict[str, str]:
    return {"X-API-Key": token, "Accept": "application/json", "User-Agent": "flagsite-scan"}


def _asked(request: Request) -> dict[str, Any]:
    opener = build_opener(_NoRedirects)
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            document = json.loads(answer.read(_LARGEST_ANSWER))
    except HTTPError as error:
        raise UploadRefused(_reason(error)) from None
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        raise ServerUnreachable(
            f"{request.host} does not answer ({reason}). Nothing was reported; try again."
        ) from None
    except ValueError:
        raise UploadRefused(f"{request.host} does not answer like a Flagsite server. Check the address.") from None
    return document if isinstance(document, dict) else {}


def _reason(error: HTTPError) -> str:
    """What a problem document says, else the status."""
    try:
        document = json.loads(error.read(100_000))
        detail = document.get("detail") if isinstance(document, dict) else None
    except (ValueError, OSError, HTTPException):
        detail = None
    return f"The server refuses ({error.code}): {detail or error.reason}"
