"""Who acts, and which acts belong together."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class ActorKind(StrEnum):
    """The three kinds of actor: a person, a service account (token), or a rule of the system itself."""

    PERSON = "person"
    SERVICE = "service"
    SYSTEM = "system"


# The target type of acts done to a person. Their names are kept outside the chains, as those of actors are.
PERSON_TARGET = "person"


class _PersonLike(Protocol):
    @property
    def pk(self) -> object: ...

    def get_full_name(self) -> str: ...

    def get_username(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: a stable `id`, the `label` people know, and the door (`via`) the act came through."""

    kind: ActorKind
    id: str
    label: str
    via: str = ""

    @classmethod
    def person(cls, user: _PersonLike, *, via: str = "") -> "Actor":
        """The actor for a signed-in person."""
        return cls(ActorKind.PERSON, str(user.pk), user.get_full_name() or user.get_username(), via)

    @classmethod
    def service(cls, token_id: object, name: str, *, via: str = "api") -> "Actor":
        """The actor for a service that authenticated with an environment token."""
        return cls(ActorKind.SERVICE, str(token_id), name, via)

    @classmethod
    def system(cls, rule: str, *, via: str = "task") -> "Actor":
        """The actor for a rule of the system, named by the function that carries it out."""
        return cls(ActorKind.SYSTEM, rule, rule, via)


_correlation: ContextVar[uuid.UUID | None] = ContextVar("correlation_id", default=None)


@contextmanager
def correlation(correlation_id: uuid.UUID | None = None) -> Iterator[uuid.UUID]:
    """Open a correlation for one user act; an id handed in continues the act of another process."""
    value = correlation_id or uuid.uuid4()
    token = _correlation.set(value)
    try:
        yield value
    finally:
        _correlation.reset(token)


def open_correlation_id() -> uuid.UUID | None:
    """The id of the act under way, None where no correlation is open."""
    return _correlation.get()


def current_correlation_id() -> uuid.UUID:
    """The id of the act under way; a fresh one that nothing else shares where no correlation is open."""
    return _correlation.get() or uuid.uuid4()
