"""What the headers of a single evaluation say of a deprecated flag. Pure.

`Deprecation` is RFC 9745, `Sunset` RFC 8594, the relation `successor-version` RFC 5829. They are sent as long as the
metadata of the answer says that the flag is deprecated.
"""

from collections.abc import Mapping
from dataclasses import replace
from email.utils import format_datetime
from functools import lru_cache
from urllib.parse import quote

from flags.evaluation.compile import CompiledSnapshot
from flags.evaluation.deprecations import Deprecation, deprecation_of
from flags.evaluation.resolution import Resolution

# What may stand in an address as it is; everything else, such as what would end the address or the header, is escaped.
_SAFE_IN_LINKS = "%/:?#[]@!$&'()*+,;=~"
_NOTHING: Mapping[str, str] = {}


def deprecation_headers(
    snapshot: CompiledSnapshot, flag_key: str, resolution: Resolution, *, prefix: str
) -> Mapping[str, str]:
    """The headers for one answer. `prefix` is the path under which flags are evaluated one by one."""
    if "deprecated" not in resolution.metadata:
        return _NOTHING
    deprecation = deprecation_of(snapshot.snapshot.flags[flag_key].document)
    if deprecation is None:
        return _NOTHING
    return _headers(replace(deprecation, successor=str(resolution.metadata.get("successor", ""))), prefix)


@lru_cache(maxsize=1_024)
def _headers(deprecation: Deprecation, prefix: str) -> Mapping[str, str]:
    headers = {"Deprecation": f"@{int(deprecation.deprecated_at.timestamp())}"}
    if deprecation.sunset_at is not None:
        headers["Sunset"] = format_datetime(deprecation.sunset_at, usegmt=True)
    links = []
    if deprecation.successor:
        links.append(f'<{prefix}{quote(deprecation.successor, safe="")}>; rel="successor-version"')
    if deprecation.link:
        links.append(f'<{quote(deprecation.link, safe=_SAFE_IN_LINKS)}>; rel="deprecation"')
    if links:
        headers["Link"] = ", ".join(links)
    return headers
