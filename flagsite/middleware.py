"""What is done to every request: the first look at it, and the line about it in the log."""

import re
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponseBase
from django.utils.encoding import escape_uri_path
from django_structlog.middlewares import RequestMiddleware

from flagsite.charsets import content_type_problem

# What Django makes session keys from. Anything else was never handed out, and a NUL in it breaks PostgreSQL.
_SESSION_KEY = re.compile(r"[a-z0-9]+")


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
