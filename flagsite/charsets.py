"""A charset nobody uses makes the framework raise before any error handler is in place, so it is refused earlier."""

import codecs
import json
from collections.abc import Callable, Iterable
from typing import Any

from django.utils.http import parse_header_parameters

from flags.api.wire import PROBLEM_TYPE, problem_document

_KNOWN = frozenset({"utf-8", "ascii", "iso8859-1"})
_DETAIL = "The Content-Type header names a charset that is not supported. Send utf-8, or leave the charset out."

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def is_known_charset(content_type: str) -> bool:
    """Whether a Content-Type header names no charset, or one of utf-8, us-ascii and latin-1 by any of their names."""
    try:
        charset = parse_header_parameters(content_type)[1].get("charset")
        return charset is None or codecs.lookup(charset).name in _KNOWN
    except (LookupError, ValueError):
        return False


def only_known_charsets(application: Wsgi) -> Wsgi:
    """The application behind a guard that answers 400 to every other charset, as an RFC 9457 problem."""

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if is_known_charset(environ.get("CONTENT_TYPE") or ""):
            return application(environ, start_response)
        document = problem_document(400, code="bad_request", title="Bad Request", detail=_DETAIL)
        body = json.dumps(document).encode()
        headers = {
            "Content-Type": PROBLEM_TYPE,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        start_response("400 Bad Request", list(headers.items()))
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]

    return guarded
