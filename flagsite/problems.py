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
from rest_framework.views import set_rollback

from audits.errors import GovernanceError
from flags.api.wire import PROBLEM_TYPE, problem_document

logger = structlog.get_logger(__name__)

API_PREFIXES = ("/api/", "/ofrep/")


def problem_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """REST framework's EXCEPTION_HANDLER. None for errors nobody raised on purpose: those Django logs as 500."""
    set_rollback()
    if isinstance(error, GovernanceError):
        return _problem(error.status, error.code, error.title, error.message, facts=_safe_facts(error.facts))
    if isinstance(error, RequestDataTooBig):
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        return _problem(
            413,
            "body_too_large",
            "The body is too large",
            f"The body is larger than {limit:,} bytes. Send less at once.",
        )
    if isinstance(error, Http404):
        error = exceptions.NotFound("There is no such thing here. Check the address.")
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, exceptions.APIException):
        return _api_problem(error)
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


def _page_or_problem(request: HttpRequest, status: int, page: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    if not request.path_info.startswith(API_PREFIXES):
        return page()
    code, detail = _WORDS[status]
    return _problem(status, code, HTTPStatus(status).phrase, detail)


def _api_problem(error: exceptions.APIException) -> HttpResponse:
    title = HTTPStatus(error.status_code).phrase
    headers = _headers(error)
    if isinstance(error, exceptions.ValidationError):
        problems = list(_problems(error.detail))
        detail = "Some values cannot be used: " + "; ".join(
            f"{item['path'] or 'body'}: {item['message']}" for item in problems
        )
        return _problem(
            error.status_code, "invalid_input", title, detail, headers=headers, facts={"problems": problems}
        )
    detail = error.detail if isinstance(error.detail, str) else title
    code = getattr(error.detail, "code", None) or error.default_code
    return _problem(error.status_code, str(code), title, str(detail), headers=headers)


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
        yield {"path": path, "message": str(detail)}


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
