"""What an installation decides about the edge of its evaluation API, read once per process from the settings."""

import os
import threading
from collections.abc import Collection, Mapping

from django.conf import settings

from flags.api import cors
from flags.api.limits import (
    EXPLANATIONS_A_MINUTE,
    SCANS_A_MINUTE,
    TELEMETRY_BATCHES_A_MINUTE,
    RateLimiter,
    RedisPermits,
)


class Edge:
    """Without a limiter all are admitted. Explanations, telemetry and scans have their own. `headers` go with all."""

    def __init__(
        self,
        *,
        allowed_origins: Collection[str] = (cors.ANY,),
        limiter: RateLimiter | None = None,
        explanation_limiter: RateLimiter | None = None,
        telemetry_limiter: RateLimiter | None = None,
        reference_limiter: RateLimiter | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.limiter = limiter
        self.explanation_limiter = explanation_limiter
        self.telemetry_limiter = telemetry_limiter
        self.reference_limiter = reference_limiter
        self._allowed_origins = allowed_origins
        self._headers = headers or {}
        self._for_any = {**self._headers, **cors.cors_headers({cors.ANY}, "")} if cors.ANY in allowed_origins else None

    def headers(self, origin: str) -> Mapping[str, str]:
        """What every answer to a page of `origin`, or to a service without one, carries."""
        return self._for_any or {**self._headers, **cors.cors_headers(self._allowed_origins, origin)}


def edge() -> Edge:
    """The edge of this process."""
    return _edge or _build()


def reset() -> None:
    """Read the settings again at the next request: in a forked child, whose locks nobody may ever release."""
    global _building, _edge
    _building, _edge = threading.Lock(), None


def _build() -> Edge:
    global _edge
    with _building:
        # A limiter made twice would count twice.
        _edge = _edge or _from_settings()
        return _edge


def _from_settings() -> Edge:
    limit = settings.EVALUATION_RATE_LIMIT
    return Edge(
        allowed_origins=settings.CORS_ALLOWED_ORIGINS,
        limiter=_limiter(limit, "evaluations") if limit else None,
        # A low one of its own, also where evaluations have none: an explanation costs hundreds of evaluations.
        explanation_limiter=_limiter(min(limit or EXPLANATIONS_A_MINUTE, EXPLANATIONS_A_MINUTE), "explanations"),
        telemetry_limiter=_limiter(TELEMETRY_BATCHES_A_MINUTE, "telemetry"),
        reference_limiter=_limiter(SCANS_A_MINUTE, "scans"),
        headers={"X-Content-Type-Options": "nosniff", **_strict_transport_security()},
    )


def _limiter(limit: int, name: str) -> RateLimiter:
    return RateLimiter(limit, permits=RedisPermits(settings.REDIS_URL, name=name) if settings.REDIS_URL else None)


def _strict_transport_security() -> dict[str, str]:
    """What Django's security middleware sends; the evaluation API has no middleware."""
    seconds = settings.SECURE_HSTS_SECONDS
    if not seconds:
        return {}
    words = [f"max-age={seconds}"]
    words += ["includeSubDomains"] * bool(settings.SECURE_HSTS_INCLUDE_SUBDOMAINS)
    words += ["preload"] * bool(settings.SECURE_HSTS_PRELOAD)
    return {"Strict-Transport-Security": "; ".join(words)}


_building = threading.Lock()
_edge: Edge | None = None
os.register_at_fork(after_in_child=reset)
