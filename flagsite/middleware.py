"""What is done to every request: the first look at it, and the line about it in the log."""

import re
from collections.abc import Callable

import structlog
from django.conf import settings
from django.core.exceptions import BadRequest, DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.encoding import escape_uri_path
from django_structlog.middlewares import RequestMiddleware

from flags.api.titles import TITLES
from flags.api.wire import PROBLEM_TYPE, problem_document
from flagsite.charsets import content_type_problem

logger = structlog.get_logger(__name__)

# What Django makes session keys from. Anything else was never handed out, and a NUL in it breaks PostgreSQL.
_SESSION_KEY = re.compile(r"[a-z0-9]+")
# Anybody may send any host, so a line holds no more of it.
_LONGEST_HOST_CHARACTERS = 80
_NOT_SERVED = "This name is not served here; ask the administrator to add it to ALLOWED_HOSTS."
_PROBLEM_PREFIXES = ("/api/", "/ofrep/", "/healthz")


class ServedHostMiddleware:
    """Answers 400 to a host that is not served, with one line in the log and no traceback."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request if its host is served."""
        try:
            request.get_host()
        except DisallowedHost:
            forwarded = request.META.get("HTTP_X_FORWARDED_HOST") if settings.USE_X_FORWARDED_HOST else None
            host = forwarded or request.META.get("HTTP_HOST") or ""
            logger.warning("host_not_served", host=ascii(host[:_LONGEST_HOST_CHARACTERS]))
            return _not_served(request)
        return self.get_response(request)


def _not_served(request: HttpRequest) -> HttpResponse:
    headers = {"Cache-Control": "no-store"}
    if not request.path_info.startswith(_PROBLEM_PREFIXES):
        return HttpResponse(f"{_NOT_SERVED}\n", status=400, content_type="text/plain; charset=utf-8", headers=headers)
    problem = problem_document(400, code="bad_request", title=TITLES["bad_request"], detail=_NOT_SERVED)
    return JsonResponse(problem, status=400, content_type=PROBLEM_TYPE, headers=headers)


class ReadableRequestMiddleware:
    """Answers 400 to a NUL in the address and a Content-Type nobody reads; forgets cookies that hold no session."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request if it can be read."""
        query = request.META.get("QUERY_STRING", "")
        if "\x00" in request.path_info or "\x00" in query or "%00" in query:
            raise BadRequest("The address holds a NUL character, which nothing here can hold.")
        # REST framework falls back on the second, which some servers make of “Content_Type”.
        for name in ("CONTENT_TYPE", "HTTP_CONTENT_TYPE"):
            if problem := content_type_problem(request.META.get(name) or ""):
                raise BadRequest(problem)
        cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        if cookie is not None and not _SESSION_KEY.fullmatch(cookie):
            del request.COOKIES[settings.SESSION_COOKIE_NAME]
        return self.get_response(request)


class RequestLogMiddleware(RequestMiddleware):
    """Logs requests by method and path, without the query, which may hold the ticket of a stream."""

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        """How a line names the request."""
        return f"{request.method} {escape_uri_path(request.path)}"
