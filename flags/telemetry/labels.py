"""Which texts telemetry may carry: keys, metric names, labels of services. Whoever is counted is never among them."""

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

# The label of what has no place of its own.
OTHER = "(other)"
# What people send to try the guards of a plan; never to be believed in production.
TEST_TRAFFIC = "Test traffic"
# What this installation evaluated by itself and counted by itself; no service can call itself that.
EVALUATED_HERE = "(evaluated here)"
# The same, in answers to clients that ask for all flags at once: which of them they use, nobody knows.
ALL_AT_ONCE = "(all flags at once)"
MOST_SOURCES = 20
MOST_METRICS = 200

REASONS = frozenset(
    {"STATIC", "DEFAULT", "TARGETING_MATCH", "SPLIT", "DISABLED", "CACHED", "STALE", "ERROR", "UNKNOWN"}
)

_METRIC = re.compile(r"[a-z][a-z0-9_.-]{0,99}", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/+-]{0,99}", re.ASCII)
_BATCH_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
_TELLABLE = re.compile(r"[A-Za-z0-9._:/+-]{1,100}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}", re.ASCII)
_LETTERS = re.compile(r"[^a-z0-9]")
_PERSONAL = re.compile(
    "targeting|context|attribute|user|mail|session|device|customer|person|subject|phone|account|cookie|address"
    "|anonymous|distinct|identi|visitor|member"
)
_PERSONAL_WHOLE = frozenset({"key", "keys", "id", "ip", "name", "who"})


class Source(NamedTuple):
    """What a batch says of its sender."""

    service: str
    version: str


def said(service: str) -> str:
    """A service in the middle of a sentence."""
    return "clients that ask for all flags at once" if service == ALL_AT_ONCE else service


def is_metric_name(text: object) -> bool:
    """Whether this can name a metric: lower-case letters, digits and “_.-”, 100 characters at most."""
    return isinstance(text, str) and _METRIC.fullmatch(text) is not None


def is_service(text: object) -> bool:
    """Whether this can name a service."""
    return isinstance(text, str) and _LABEL.fullmatch(text) is not None


def is_version(text: object) -> bool:
    """Whether this can be the version of a service; it may be empty."""
    return text == "" or is_service(text)


def is_batch_id(text: object) -> bool:
    """Whether this can be the id of a batch."""
    return isinstance(text, str) and _BATCH_ID.fullmatch(text) is not None


def is_tellable(text: str) -> bool:
    """Whether a text has the shape of a key."""
    return _TELLABLE.fullmatch(text) is not None


def tellable_name(name: str) -> str:
    """The name of a field nobody asked for, as far as it may be shown."""
    return name if _NAME.fullmatch(name) else "(a name that cannot be shown)"


def flag_mark(key: str) -> str:
    """A mark by which a key is known again among those of flags, and that tells nothing of one that is not."""
    return blake2b(key.encode(errors="replace"), digest_size=12).hexdigest()


def is_personal(name: str) -> bool:
    """Whether a field of this name is likely to say who somebody is, or what is known of him."""
    letters = _LETTERS.sub("", name.lower())
    return letters in _PERSONAL_WHOLE or _PERSONAL.search(letters) is not None


def has_personal_word(text: str, words: Iterable[str]) -> bool:
    """Whether a text holds a word that is likely to say who somebody is, or what is known of him."""
    return _PERSONAL.search(text.lower()) is not None or not _PERSONAL_WHOLE.isdisjoint(map(str.lower, words))
