"""Compile a split to a closure. The hash is taken only when an evaluation gets here."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from .bucketing import MAX_TARGETING_KEY_CHARACTERS, Generation, hash_bytes, key_hash
from .conditions import Context
from .resolution import Resolution

Evaluator = Callable[[Context], Resolution]

TARGETING_KEY = "targetingKey"


def share_ends(weights: Sequence[int]) -> list[int]:
    """Where each share ends, as hashes: `bucket < end` is `hash < ceil(end * 2**32 / total)`.

    The multiplication is done here instead of once per evaluation.
    """
    total = sum(weights)
    return [-((-end << 32) // total) for end in accumulate(weights)]


def compile_split(
    shares: Sequence[tuple[Resolution, int]],
    *,
    attribute: str,
    salt: str,
    generation: Generation,
    otherwise: Resolution,
    without_key: Resolution | None = None,
) -> Evaluator:
    """Return the closure of a split by the text an attribute holds; `otherwise` answers for what cannot be bucketed.

    With `without_key`, that is the answer where there is no usable text, and an empty one is not usable.
    """
    answers = [answer for answer, _ in shares]
    ends = share_ends([weight for _, weight in shares])
    hash_of = key_hash(salt, generation=generation)
    if without_key is not None:
        return _strict(_many(answers, ends, attribute, hash_of, without_key), attribute, without_key)
    if len(answers) == 2 and generation is Generation.FLAGD_V2:
        return _two(answers, ends[0], attribute, salt.encode("utf-8"), otherwise)
    return _many(answers, ends, attribute, hash_of, otherwise)


def _two(answers: list[Resolution], end: int, attribute: str, salt: bytes, otherwise: Resolution) -> Evaluator:
    """The usual split. `key_hash` is written out here: its call would cost as much as the hash."""
    first, second = answers
    hashed = hash_bytes

    def serve(context: Context) -> Resolution:
        key: Any = context.get(attribute)
        if isinstance(key, str) and len(key) <= MAX_TARGETING_KEY_CHARACTERS:
            try:
                return first if hashed(salt + key.encode()) < end else second
            except UnicodeEncodeError:
                return otherwise
        return otherwise

    return serve


def _many(
    answers: list[Resolution], ends: list[int], attribute: str, hash_of: Callable[[str], int], otherwise: Resolution
) -> Evaluator:
    def serve(context: Context) -> Resolution:
        key: Any = context.get(attribute)
        if isinstance(key, str) and len(key) <= MAX_TARGETING_KEY_CHARACTERS:
            try:
                return answers[bisect_right(ends, hash_of(key))]
            except UnicodeEncodeError:
                return otherwise
        return otherwise

    return serve


def _strict(serve: Evaluator, attribute: str, without_key: Resolution) -> Evaluator:
    return lambda context: without_key if context.get(attribute) == "" else serve(context)
