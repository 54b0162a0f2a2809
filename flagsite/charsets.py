"""Content-Type headers that nothing here reads are refused before the framework parses them.

A charset nobody uses makes the framework raise before any error handler is in place; a long header takes a parser time
that grows with the square of its length. And Python's codec registry keeps every name it was ever asked for, so names
that strangers choose must not reach it: not from here, and not from a multipart body or an Accept header either.
"""

import codecs
import encodings
import encodings.aliases
import json
import pkgutil
from collections.abc import Callable, Iterable
from typing import Any

from django.utils.http import parse_header_parameters

from flags.api.titles import TITLES
from flags.api.wire import PROBLEM_TYPE, problem_document

MAX_CONTENT_TYPE_CHARACTERS = 256
MAX_CHARSET_CHARACTERS = 40
# In lower case, with hyphens.
_KNOWN = frozenset(
    {
        *("utf-8", "utf8", "utf-8-strict", "u8", "cp65001"),
        *("ascii", "us-ascii", "us", "646", "ansi-x3.4-1968", "iso646-us", "iso-ir-6"),
        *("latin-1", "latin1", "latin", "l1", "iso-8859-1", "iso8859-1", "iso88591", "8859", "cp819", "iso-ir-100"),
    }
)
_TOO_LONG = (
    f"The Content-Type header is longer than {MAX_CONTENT_TYPE_CHARACTERS} characters. Send the media type, and at "
    "most a charset or a boundary."
)
_UNKNOWN = "The Content-Type header names a charset that is not supported. Send utf-8, or leave the charset out."

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def content_type_problem(content_type: str) -> str:
    """Why a Content-Type header is refused, in words; "" if it can be read.

    It can be if it is short and names no charset, or one of utf-8, us-ascii and latin-1 by any of their names.
    """
    if len(content_type) > MAX_CONTENT_TYPE_CHARACTERS:
        return _TOO_LONG
    if ";" not in content_type:
        return ""
    # An asterisk is how RFC 2231 gives a parameter a charset of its own, which the parser would look up.
    if "*" in content_type:
        return _UNKNOWN
    try:
        charset = parse_header_parameters(content_type)[1].get("charset")
    except ValueError:
        return _UNKNOWN
    return "" if charset is None or _is_known(charset) else _UNKNOWN


def _is_known(charset: str) -> bool:
    return len(charset) <= MAX_CHARSET_CHARACTERS and charset.lower().replace("_", "-") in _KNOWN


def only_readable_content_types(application: Wsgi) -> Wsgi:
    """The application behind a guard that answers 400 to every other Content-Type, as an RFC 9457 problem."""

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        problem = content_type_problem(environ.get("CONTENT_TYPE") or "")
        if not problem:
            return application(environ, start_response)
        document = problem_document(400, code="bad_request", title=TITLES["bad_request"], detail=problem)
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


def look_up_only_codecs_that_exist() -> None:
    """Let no unknown name reach Python's own search for codecs, which remembers each for as long as the process lives.

    The parsers of multipart bodies and Accept headers look up names that strangers chose. For codecs that exist
    nothing changes.
    """
    codecs.unregister(encodings.search_function)
    codecs.register(_search)


def _search(name: str) -> codecs.CodecInfo | None:
    plain = encodings.normalize_encoding(name).lower().replace(".", "_")
    return encodings.search_function(name) if plain in _CODECS else None


_CODECS = frozenset(
    {*encodings.aliases.aliases, *(module.name for module in pkgutil.iter_modules(encodings.__path__))} - {"aliases"}
)
