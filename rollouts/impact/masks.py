"""Targeting keys that can be told apart and not recognised."""

import re

# Words that say what a key is of, and nothing about whom.
_KINDS = (
    "account", "acct", "anon", "anonymous", "client", "company", "customer", "cust", "device", "guest", "id", "member",
    "org", "session", "store", "subscriber", "team", "tenant", "user", "usr", "visitor", "workspace",
)  # fmt: skip
_PREFIX = re.compile(rf"(?:{'|'.join(_KINDS)})[-_:./]", re.IGNORECASE)
_SHORTEST = 6


def masked(key: object) -> str:
    """A key as results may show it: what kind of key it is and its last two characters, such as “user-…4f”.

    Of a short key nothing is shown.
    """
    if not isinstance(key, str) or not key:
        return "no key"
    found = _PREFIX.match(key)
    prefix = found[0] if found else ""
    rest = key[len(prefix) :]
    ending = rest[-2:] if len(rest) >= _SHORTEST and rest[-2:].isascii() and rest[-2:].isalnum() else ""
    return f"{prefix}…{ending}"
