"""Pure: which names stand for a flag in code: its key, and the spellings a project uses for it."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

_WORDS = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")
_PARTS = re.compile(r"[A-Za-z0-9_]+")
_PLAIN = re.compile(r"[A-Z]?[a-z0-9]*|[A-Z0-9]+")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")


class UnusableAlias(ValueError):
    """An alias that cannot be looked for; the message says why."""


@dataclass(frozen=True, slots=True)
class Names:
    """What is looked for, as bytes because files are. Keys that are plain words count only between quotes.

    `marks` are all aliases and one word of each key: a file that holds none of them names no flag.
    """

    keys: frozenset[bytes]
    quoted: frozenset[bytes]
    aliases: Mapping[bytes, tuple[str, ...]]
    marks: frozenset[bytes]


def names_of(
    keys: Iterable[str], *, kinds: Iterable[str] = (), explicit: Mapping[str, Iterable[str]] | None = None
) -> Names:
    """The names of flags: keys, spellings of the kinds asked for (`ALIAS_KINDS`), and explicit aliases by key.

    Raises UnusableAlias for an unknown kind, an alias that is no identifier, and aliases of a flag that is not there.
    """
    keys = frozenset(keys)
    spellings = [_spelling(kind) for kind in kinds]
    found: dict[str, set[str]] = {}
    for key in keys:
        words = words_of(key)
        for alias in {spell(words) for spell in spellings} if len(words) > 1 else ():
            if not alias[0].isdigit():
                found.setdefault(alias, set()).add(key)
    for key, aliases in (explicit or {}).items():
        if key not in keys:
            raise UnusableAlias(f"There are aliases for “{key}”, but the project has no flag of this key.")
        for alias in aliases:
            found.setdefault(_identifier(alias, key), set()).add(key)
    quoted = frozenset(key.encode() for key in keys if is_plain(key))
    return Names(
        keys=frozenset(key.encode() for key in keys) - quoted,
        quoted=quoted,
        aliases={alias.encode(): tuple(sorted(named)) for alias, named in found.items()},
        marks=frozenset(name.encode() for name in (*found, *_marks(keys))),
    )


def _marks(keys: Collection[str]) -> Iterator[str]:
    """Of each key the word that the fewest others have, numbers last: they stand anywhere."""
    counts = Counter(word for key in keys for word in set(_PARTS.findall(key)))
    for key in keys:
        yield min(_PARTS.findall(key), key=lambda word: (word.isdigit(), counts[word], -len(word), word))


def is_plain(key: str) -> bool:
    """Whether a key would stand anywhere by chance: a single word, a number, or one that ends like a sentence."""
    return bool(_PLAIN.fullmatch(key)) or key[-1] in ".-" or not any(map(str.isalpha, key))


def words_of(key: str) -> tuple[str, ...]:
    """The words of a key in lower case: `new-checkout`, `new_checkout` and `newCheckout` have the same two."""
    return tuple(word.lower() for word in _WORDS.findall(key))


def _camel(words: tuple[str, ...]) -> str:
    return words[0] + "".join(map(str.capitalize, words[1:]))


def _pascal(words: tuple[str, ...]) -> str:
    return "".join(map(str.capitalize, words))


def _snake(words: tuple[str, ...]) -> str:
    return "_".join(words)


def _screaming(words: tuple[str, ...]) -> str:
    return "_".join(words).upper()


ALIAS_KINDS: Mapping[str, Callable[[tuple[str, ...]], str]] = {
    "camel": _camel,
    "pascal": _pascal,
    "screaming": _screaming,
    "snake": _snake,
}


def _spelling(kind: str) -> Callable[[tuple[str, ...]], str]:
    if kind not in ALIAS_KINDS:
        raise UnusableAlias(f"“{kind}” is no way to spell a key. Choose among {', '.join(ALIAS_KINDS)}.")
    return ALIAS_KINDS[kind]


def _identifier(alias: object, key: str) -> str:
    if not isinstance(alias, str) or not _IDENTIFIER.fullmatch(alias):
        raise UnusableAlias(
            f"“{alias}” of “{key}” cannot be an alias: it needs letters, digits and underscores, and no digit first."
        )
    return alias
