"""Link flags to the flags they require.

A prerequisite on a flag that always answers the same is decided here, once. The answers of all others are asked for at
most once per evaluation, however many flags require them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .conditions import Context
from .flags import Dependent, FlagCompiler, Known, Program
from .resolution import ErrorCode, Resolution

# A flag calls the flags it requires, which call theirs: this many calls deep, then it is asked in advance.
STRIDE = 64


@dataclass(frozen=True, slots=True)
class CompiledFlag:
    """One flag: its program, every resolution it can give, and how many flags stand in a row behind it.

    `parents` are the flags that an evaluation asks for; what is decided ahead is not among them.
    """

    program: Program
    answers: tuple[Resolution, ...]
    depth: int = 0
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Open:
    """A prerequisite that only an evaluation can decide."""

    key: str
    parent: Dependent
    variants: frozenset[str]
    depth: int


def link(
    flag: FlagCompiler, *, required: list[Mapping[str, Any]], find: Callable[[str], CompiledFlag | None], strict: bool
) -> CompiledFlag:
    """Return a flag that looks at its prerequisites first; `find` returns the compiled flag of a key.

    In strict mode a parent that misses its targeting key leaves the child without an answer too, unless another
    prerequisite is not met anyway.
    """
    pending = _open(required, find)
    if pending is None:
        off = flag.off()
        return CompiledFlag(Program(constant=off), (off,))
    body = flag.body()
    if not pending:
        return CompiledFlag(body, flag.answers())
    program = Program(dependent=_checked(pending, body, flag.off(), flag.without_key() if strict else None))
    parents = tuple(item.key for item in pending)
    return CompiledFlag(program, flag.answers(), 1 + max(item.depth for item in pending), parents)


def _open(required: list[Mapping[str, Any]], find: Callable[[str], CompiledFlag | None]) -> tuple[_Open, ...] | None:
    """The prerequisites that are not decided yet, or None where one is never met."""
    pending: list[_Open] = []
    for item in required:
        key, variants = item["flag"], frozenset(item["variants"])
        parent = find(key)
        if parent is None:
            return None
        constant = parent.program.constant
        if constant is None:
            pending.append(_Open(key, parent.program.as_dependent(), variants, parent.depth))
        elif constant.variant not in variants:
            return None
    return tuple(pending)


def _checked(pending: tuple[_Open, ...], body: Program, off: Resolution, without_key: Resolution | None) -> Dependent:
    checks = tuple((item.key, item.parent, item.variants) for item in pending)
    serve = body.as_dependent()

    def evaluate(context: Context, now: datetime, known: Known) -> Resolution:
        undecided: Resolution | None = None
        for key, parent, variants in checks:
            answer = known.get(key)
            if answer is None:
                answer = known[key] = parent(context, now, known)
            if answer.variant not in variants:
                if without_key is None or answer.error_code is not ErrorCode.TARGETING_KEY_MISSING:
                    return off
                undecided = without_key
        return serve(context, now, known) if undecided is None else undecided

    return evaluate
