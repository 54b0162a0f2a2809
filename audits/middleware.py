"""One correlation id per request."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from audits.context import correlation


class CorrelationMiddleware:
    """Opens a correlation for each request and names it in the answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request inside its own correlation."""
        with correlation() as correlation_id:
            response = self.get_response(request)
            response.headers["X-Correlation-Id"] = str(correlation_id)
            return response
