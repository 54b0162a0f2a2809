"""Which pages may evaluate from a browser (CORS). Pure. It protects people's browsers, it is no access control.

Errors carry the same headers as answers: without them a page sees a network error instead of the reason.
"""

from collections.abc import Collection, Mapping

ANY = "*"
ALLOWED_METHODS = "POST"
# What SDKs send, and what tracing in a page adds to every request.
ALLOWED_HEADERS = "authorization, content-type, if-none-match, traceparent, tracestate, x-api-key, x-request-id"
# Without these a page can neither ask again with its tag, nor wait as long as it is told, nor learn that a flag ends.
EXPOSED_HEADERS = "ETag, Retry-After, Deprecation, Sunset, Link"
PREFLIGHT_SECONDS = 86_400

_FOR_ANY = {"Access-Control-Allow-Origin": ANY, "Access-Control-Expose-Headers": EXPOSED_HEADERS}
PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": ALLOWED_METHODS,
    "Access-Control-Allow-Headers": ALLOWED_HEADERS,
    "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
}


def cors_headers(allowed: Collection[str], origin: str) -> Mapping[str, str]:
    """The headers of any answer to a page of `origin`.

    Credentials are never allowed: a token is sent by the page's code, cookies mean nothing here. Where the answer
    depends on the origin, `Vary` says so, also to those who get nothing.
    """
    if ANY in allowed:
        return _FOR_ANY
    if origin and origin in allowed:
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": EXPOSED_HEADERS,
            "Vary": "Origin",
        }
    return {"Vary": "Origin"}
