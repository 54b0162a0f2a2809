"""The short way to the evaluation API, around everything that pages need.

`EvaluationFront` stands in front of Django and answers the two evaluation addresses itself. `EvaluationMiddleware` is
the same for requests that reach Django another way: the first middleware, it asks the view at once, so that none of
the others runs or adds a header. Behind both is the same function, and both send the same bytes.

What Django's middlewares would refuse is left to them: a host that is not served, plain HTTP where HTTPS is demanded,
a NUL in the address, a Content-Type nobody can read.
"""

from collections.abc import Callable, Iterable
from http.client import responses
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.wsgi import get_path_info
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponseBase
from django.urls import resolve

from flags import snapshots
from flags.api import door
from flags.api.ofrep import BULK_PATH, SINGLE_PREFIX
from flagsite.charsets import Wsgi, content_type_problem

_STATUS_LINES = {status: f"{status} {phrase}" for status, phrase in responses.items()}
_USUAL_TYPES = frozenset({"", "application/json", "application/json; charset=utf-8"})
_KEPT_HOSTS = 256


class EvaluationFront:
    """A WSGI application that answers evaluations and hands everything else to `application`."""

    def __init__(self, application: Wsgi) -> None:
        self._application = application
        self._is_ordinary = OrdinaryRequests()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer the request."""
        path = environ.get("PATH_INFO", "")
        if not is_evaluation(path) or not self._is_ordinary(environ):
            return self._application(environ, start_response)
        if not path.isascii():
            path = get_path_info(environ)
        is_first = not snapshots.store.is_loaded
        response = door.answer(environ, method=environ["REQUEST_METHOD"].upper(), path=path)
        if is_first:
            # Loading may have asked the database in this thread, and Django does not see the request end.
            close_old_connections()
        start_response(_STATUS_LINES[response.status], list(response.headers.items()))
        return [response.body]


class EvaluationMiddleware:
    """The first middleware: asks the views of the evaluation API without any of the others."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self._is_ordinary = OrdinaryRequests()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        if not is_evaluation(request.path_info) or not self._is_ordinary(request.META):
            return self.get_response(request)
        match = request.resolver_match = resolve(request.path_info)
        response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
        return response


def is_evaluation(path: str) -> bool:
    """Whether a path, decoded or not, is one of the two evaluation addresses."""
    return path.startswith(SINGLE_PREFIX) or path == BULK_PATH


class OrdinaryRequests:
    """Tells whether no middleware of Django would refuse a request. Hosts that were let in once are remembered."""

    def __init__(self) -> None:
        self._hosts: set[str] = set()
        self._is_https_demanded = settings.SECURE_SSL_REDIRECT

    def __call__(self, environ: dict[str, Any]) -> bool:
        """Whether the request may take the short way."""
        query = environ.get("QUERY_STRING", "")
        if "\x00" in environ["PATH_INFO"] or (query and ("\x00" in query or "%00" in query)):
            return False
        content_type = environ.get("CONTENT_TYPE") or ""
        if content_type not in _USUAL_TYPES and content_type_problem(content_type):
            return False
        if self._is_https_demanded and not _as_django(environ).is_secure():
            return False
        return environ.get("HTTP_HOST") in self._hosts or self._is_served(environ)

    def _is_served(self, environ: dict[str, Any]) -> bool:
        try:
            _as_django(environ).get_host()
        except DisallowedHost:
            return False
        host = environ.get("HTTP_HOST")
        # With a proxy's header or without a Host one, the answer does not depend on Host alone.
        if host and not settings.USE_X_FORWARDED_HOST and len(self._hosts) < _KEPT_HOSTS:
            self._hosts.add(host)
        return True


def _as_django(environ: dict[str, Any]) -> HttpRequest:
    request = _Headers()
    request.META = environ
    return request


class _Headers(HttpRequest):
    """As much of a request as its host and scheme need."""

    def _get_scheme(self) -> str | None:
        scheme: str | None = self.META.get("wsgi.url_scheme")
        return scheme
