"""Which keys that are no flag's may be kept in clear: what a flag could be called and what hardly names anybody.

Whether letters are somebody's name nobody can know. So what is kept is little, and not for long.
"""

import re
from dataclasses import dataclass

from flags.telemetry.labels import has_personal_word

# What a key may be; flags are made with the same rule.
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# Beside these, asks are counted under names that are no keys.
HIDDEN, FURTHER = "(hidden)", "(further)"
# Different keys in an environment, and in what is looked at at once.
MOST_KEYS = 200

_MOST_DIGITS = 6
_PART = re.compile(r"[A-Za-z0-9]+")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_DIGITS = re.compile(r"\d+")
_LONG = re.compile(r"[A-Z]{25}|[a-z]{25}")
# Where a word or a number begins inside of a part.
_BEGIN = re.compile(r"(?<=[a-z])[A-Z]|(?<=[A-Za-z])\d|(?<=\d)[A-Za-z]")
_REFUSED = re.compile(
    r"\d{5}"  # numbers of people, cards and telephones
    r"|\d+[._-]+\d+[._-]+\d"  # days, addresses of computers and telephones with dashes
    r"|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"  # a UUID
    r"|(?:[0-9a-f]{2}[._-]){5}[0-9a-f]{2}"  # the address of a network card
    r"|[bcdfghjklmnpqrstvwxz]{7}",  # letters of no word
    re.IGNORECASE,
)
_HEX = re.compile(r"[0-9a-f]{16,}|(?=[a-f]*\d)[0-9a-f]{8,}", re.IGNORECASE)


def may_be_kept(key: str) -> bool:
    """Whether a key that is no flag's may be kept and shown."""
    if KEY.fullmatch(key) is None or _REFUSED.search(key) or sum(map(str.isdigit, key)) > _MOST_DIGITS:
        return False
    return not has_personal_word(key, _WORD.findall(key)) and not any(map(_is_opaque, _PART.findall(key)))


@dataclass(slots=True)
class Unserved:
    """A key that is not served, as far as it may be kept, and how often it was asked for."""

    key: str
    count: int = 0


class Keeping:
    """As much of keys as may be kept. Only some are looked at, so that many different ones cost nothing."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}

    def kept(self, key: str) -> str:
        """The key, or the name under which it is counted."""
        if key not in self._kept:
            if len(self._kept) >= MOST_KEYS:
                return FURTHER
            self._kept[key] = key if may_be_kept(key) else HIDDEN
        return self._kept[key]


def _is_opaque(part: str) -> bool:
    """Whether letters and digits look like a token: hexadecimal, base 32 or 64, or longer than words are."""
    if len(part) < 8:
        return False
    if _HEX.fullmatch(part) or _LONG.search(part) or len(_DIGITS.findall(part)) > 1:
        return True
    begins = len(_BEGIN.findall(part))
    return len(part) >= 12 and begins * 4 > len(part) + 3
