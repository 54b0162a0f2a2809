"""What the stream process counts, for Prometheus. Pure."""

import hmac
from dataclasses import dataclass

from flags.api.tokens import presented_secret
from flags.api.wire import WireRequest, WireResponse

METRICS_PATH = "/metrics"
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_FAMILIES = (
    ("flagsite_stream_clients", "gauge", "Streams that are open."),
    ("flagsite_stream_opened_total", "counter", "Streams that were opened."),
    ("flagsite_stream_notices_total", "counter", "Notices of a change that were written to a client."),
    ("flagsite_stream_stuck_total", "counter", "Streams given up because the client took nothing for a minute."),
)


@dataclass(slots=True)
class Figures:
    """Counters of one process."""

    opened: int = 0
    notices: int = 0
    stuck: int = 0


def metrics_answer(request: WireRequest, figures: Figures, *, clients: int, token: str) -> WireResponse:
    """The figures for whoever presents METRICS_TOKEN; without such a setting there is nothing at this address."""
    if not token or request.method not in {"GET", "HEAD"}:
        return _text(404, "There is nothing at this address.\n")
    presented = presented_secret("", request.headers.get("authorization", ""))
    if not hmac.compare_digest(presented.encode("utf-8", "surrogatepass"), token.encode()):
        return _text(401, "Send the value of METRICS_TOKEN as `Authorization: Bearer`.\n")
    values = (clients, figures.opened, figures.notices, figures.stuck)
    return _text(200, "".join(_family(*family, value) for family, value in zip(_FAMILIES, values, strict=True)))


def _family(name: str, kind: str, text: str, value: int) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n{name} {value}\n"


def _text(status: int, text: str) -> WireResponse:
    headers = {"Content-Type": _TEXT, "Cache-Control": "no-store"}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="flagsite-metrics"'
    return WireResponse(status, headers, text.encode())
