"""Who asks the environments that sample contexts: a fair choice of requests, in the memory of this process.

Of a chosen context nothing enters memory but an HMAC of its targeting key and attributes that the project declared.
"""

import hmac
import os
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import isfinite
from random import Random
from typing import Any

SIZE = 500
FLUSHED_EVERY = timedelta(minutes=1)
MOST_CHARACTERS = 100
MOST_NUMBER = 2**53


@dataclass(frozen=True, slots=True)
class Sample:
    """One context as it is kept."""

    key_hash: str
    attributes: Mapping[str, Any]


class Reservoir:
    """Some requests to one environment since `began_at`: each of them is in it with the same chance.

    `names` are the attributes to keep, `key` is what targeting keys are hashed with.
    """

    def __init__(self, *, names: Collection[str], key: bytes, now: datetime) -> None:
        self._lock = threading.Lock()
        self._random = Random()  # noqa: S311 - chooses whom to count, protects nothing
        self._key = key
        self._start(names, now)

    def offer(self, context: Mapping[str, Any]) -> None:
        """Take a context in, or not. One without a targeting key cannot be told from others and is passed over."""
        targeting_key = context.get("targetingKey")
        if not isinstance(targeting_key, str) or not targeting_key:
            return
        with self._lock:
            self._offered += 1
            if self._offered <= SIZE:
                self._samples.append(self._sample(targeting_key, context))
                return
            place = self._random.randrange(self._offered)
            if place < SIZE:
                self._samples[place] = self._sample(targeting_key, context)

    def is_due(self, now: datetime) -> bool:
        """Whether it is time to write down what is in it."""
        return abs(now - self.began_at) >= FLUSHED_EVERY

    def take(self, *, names: Collection[str], now: datetime) -> list[Sample]:
        """Everybody in it once, with those of their attributes that are declared still; it then begins anew."""
        with self._lock:
            samples = self._samples
            self._start(names, now)
        found = {sample.key_hash: sample for sample in samples}
        return [
            replace(sample, attributes={name: value for name, value in sample.attributes.items() if name in names})
            for sample in found.values()
        ]

    def _start(self, names: Collection[str], now: datetime) -> None:
        self._names, self.began_at = frozenset(names), now
        self._samples: list[Sample] = []
        self._offered = 0

    def _sample(self, targeting_key: str, context: Mapping[str, Any]) -> Sample:
        given = ((name, kept(context[name])) for name in self._names & context.keys())
        attributes = {name: value for name, value in given if value is not None}
        return Sample(hashed(targeting_key, self._key), attributes)


class Reservoirs:
    """The reservoirs of this process by environment id. None is open until the polling thread has opened it."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything: a forked child has neither the parent's requests nor its polling thread."""
        self._open: dict[str, Reservoir] = {}

    def offer(self, environment_id: str, context: Mapping[str, Any]) -> None:
        """See `Reservoir.offer`."""
        reservoir = self._open.get(environment_id)
        if reservoir is not None:
            reservoir.offer(context)

    def get(self, environment_id: str) -> Reservoir | None:
        """The open reservoir of an environment."""
        return self._open.get(environment_id)

    def open(self, environment_id: str, *, names: Collection[str], key: bytes, now: datetime) -> None:
        """Begin to sample an environment."""
        self._open[environment_id] = Reservoir(names=names, key=key, now=now)

    def close(self, environment_id: str) -> None:
        """Forget what was sampled of an environment."""
        self._open.pop(environment_id, None)

    def keep_only(self, environment_ids: Collection[str]) -> None:
        """Forget what was sampled of all others."""
        for environment_id in self._open.keys() - set(environment_ids):
            self.close(environment_id)


reservoirs = Reservoirs()
os.register_at_fork(after_in_child=reservoirs.reset)


def environment_key(secret_key: str, environment_id: str) -> bytes:
    """What targeting keys of one environment are hashed with: the same person differs between environments."""
    return hmac.digest(secret_key.encode(), f"flagsite.context-samples:{environment_id}".encode(), "sha256")


def hashed(targeting_key: str, key: bytes) -> str:
    """A targeting key as it is kept: nobody without the server's secret finds out whose it is."""
    return hmac.digest(key, targeting_key.encode("utf-8", "surrogatepass"), "sha256").hex()


def kept(value: object) -> object:
    """A value as it is kept: a text cut short, a number, true or false; None where nothing of it is."""
    if isinstance(value, str):
        is_storable = "\x00" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
        return value[:MOST_CHARACTERS] if is_storable else None
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if isfinite(value) and abs(value) <= MOST_NUMBER else None
    return None
