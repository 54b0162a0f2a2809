"""Errors of the API as RFC 9457 problems with a stable code: REST framework's handler and Django's own error pages."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.serializers.json import DjangoJSONEncoder
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.authentication import SessionAuthentication
from rest_framework.views import set_rollback

from audits.errors import GovernanceError
from flags.api.titles import TITLES
from flags.api.tokens import TOKEN_REQUIRED, WAYS_TO_SEND
from flags.api.wire import PROBLEM_TYPE, problem_document
from flags.errors import InvalidInput

logger = structlog.get_logger(__name__)

API_PREFIXES = ("/api/", "/ofrep/")


def problem_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """REST framework's EXCEPTION_HANDLER. None for errors nobody raised on purpose: those Django logs as 500."""
    set_rollback()
    if isinstance(error, GovernanceError):
        return _problem(error.status, error.code, error.title, error.message, facts=_safe_facts(error.facts))
    if isinstance(error, RequestDataTooBig):
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        detail = f"The body is larger than {limit:,} bytes. Send less at once."
        return _problem(413, "body_too_large", TITLES["body_too_large"], detail)
    if isinstance(error, Http404):
        error = exceptions.NotFound("There is no such thing here. Check the address.")
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, exceptions.APIException):
        return _api_problem(error, context)
    return None


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler400."""
    return _page_or_problem(request, 400, lambda: defaults.bad_request(request, exception))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler403."""
    return _page_or_problem(request, 403, lambda: defaults.permission_denied(request, exception))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler404."""
    return _page_or_problem(request, 404, lambda: defaults.page_not_found(request, exception))


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django's handler500."""
    return _page_or_problem(request, 500, lambda: defaults.server_error(request))


_WORDS = {
    400: ("bad_request", "The request cannot be read. Check its address, headers and body."),
    403: ("permission_denied", "You may not do this."),
    404: ("not_found", "There is nothing at this address. Check it against the API's description at /api/docs/."),
    500: ("internal_error", "Something failed on our side. Its cause is in the server's log."),
}


# What the framework says, and the words for it that say what to send.
_CSRF = "CSRF Failed"
_CSRF_WORDS = (
    "A request of a session needs the header X-CSRFToken with the value of the cookie csrftoken, and over HTTPS a "
    "Referer of this site. Read a page to get the cookie, and send both again."
)
_NO_OBJECT = "Invalid data. Expected a dictionary"
_OBJECT_WORDS = "Send a JSON object, {…}."


def _page_or_problem(request: HttpRequest, status: int, page: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    if not request.path_info.startswith(API_PREFIXES):
        return page()
    code, detail = _WORDS[status]
    return _problem(status, code, TITLES[code], detail)


def _api_problem(error: exceptions.APIException, context: Mapping[str, Any]) -> HttpResponse:
    headers = _headers(error)
    if isinstance(error, exceptions.ValidationError):
        problems = list(_problems(error.detail))
        detail = f"{InvalidInput.title}: " + "; ".join(
            f"{item['path'] or 'body'}: {item['message']}" for item in problems
        )
        facts = {"problems": problems}
        return _problem(400, InvalidInput.code, InvalidInput.title, detail, headers=headers, facts=facts)
    code, detail = _words_of(error, context)
    # The framework may have codes that nothing here raises.
    title = TITLES.get(code) or HTTPStatus(error.status_code).phrase
    return _problem(error.status_code, code, title, detail, headers=headers)


def _words_of(error: exceptions.APIException, context: Mapping[str, Any]) -> tuple[str, str]:
    """Code and detail of an error: our own words where the framework raised it."""
    view, request = context["view"], context["request"]
    match error:
        case exceptions.NotAuthenticated():
            return "token_required", _what_is_missing(view, request)
        case exceptions.PermissionDenied() if str(error.detail).startswith(_CSRF):
            return "csrf_failed", _CSRF_WORDS
        case exceptions.MethodNotAllowed():
            methods = " or ".join(method for method in view.allowed_methods if method not in {"HEAD", "OPTIONS"})
            return "method_not_allowed", f"This address does not take {request.method}. Use {methods}."
        case exceptions.NotAcceptable():
            kinds = " or ".join(renderer.media_type for renderer in view.renderer_classes)
            return "not_acceptable", f"This address answers as {kinds}. Send that as Accept, or leave Accept out."
        case exceptions.UnsupportedMediaType():
            kinds = " or ".join(parser.media_type for parser in view.parser_classes)
            return "unsupported_media_type", f"The body must be {kinds} in UTF-8. Say so in Content-Type."
    code = str(getattr(error.detail, "code", None) or error.default_code)
    is_wordless = isinstance(error, exceptions.PermissionDenied) and code == "permission_denied"
    return code, _WORDS[403][1] if is_wordless else str(error.detail)


def _what_is_missing(view: Any, request: Any) -> str:
    """What to send to an address that knows nobody yet."""
    if any(issubclass(each, SessionAuthentication) for each in view.authentication_classes):
        return f"{TOKEN_REQUIRED} People who are signed in need none."
    if settings.SESSION_COOKIE_NAME in request.COOKIES:
        return f"No token was sent; this address takes a token, not a session. {WAYS_TO_SEND}"
    return TOKEN_REQUIRED


def _headers(error: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = str(challenge)
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait))
    return headers


def _problems(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """The tree of a validation error as a list of path and message."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _problems(inner, _inner_path(path, name))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            yield from _problems(inner, path if isinstance(inner, str) else f"{path}[{index}]")
    else:
        message = str(detail)
        yield {"path": path, "message": _OBJECT_WORDS if message.startswith(_NO_OBJECT) else message}


def _inner_path(path: str, name: str | int) -> str:
    if name == "non_field_errors":
        return path
    return f"{path}[{name}]" if isinstance(name, int) else f"{path}.{name}".strip(".")


class _FactsEncoder(DjangoJSONEncoder):
    def default(self, o: Any) -> Any:
        if dataclasses.is_dataclass(o) and not isinstance(o, type):
            return dataclasses.asdict(o)
        if isinstance(o, set | frozenset):
            return sorted(o, key=str)
        return super().default(o)


def _safe_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that JSON can hold. One that cannot be written must not turn a clear refusal into a server error."""
    safe = {}
    for name, value in facts.items():
        try:
            safe[name] = json.loads(json.dumps(value, cls=_FactsEncoder, allow_nan=False))
        except (TypeError, ValueError, RecursionError):
            logger.warning("fact_left_out", fact=name, type=type(value).__name__)
    return safe


def _problem(
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> HttpResponse:
    document = problem_document(status, code=code, title=title, detail=detail, facts=facts)
    headers = {"Cache-Control": "no-store", **(headers or {})}
    return JsonResponse(document, status=status, content_type=PROBLEM_TYPE, headers=headers)
