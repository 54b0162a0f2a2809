"""Compile what a deprecation adds to a flag: who is withdrawn before all else is asked, and what services are told.

Both go by the instant of the question, so nothing is compiled again when a withdrawal ends.
"""

from collections.abc import Callable
from datetime import datetime

from .bucketing import MAX_TARGETING_KEY_CHARACTERS, Generation, key_hash
from .conditions import Condition, Context
from .deprecations import WITHDRAWAL_WEIGHT, Withdrawal
from .flags import FlagCompiler, Known, Program
from .prerequisites import CompiledFlag
from .resolution import Resolution
from .splits import TARGETING_KEY, share_ends


def told_from(told_at: datetime, before: CompiledFlag, after: CompiledFlag) -> CompiledFlag:
    """Return the flag that is `after` from an instant on. Both are the same flag, but for their metadata."""
    earlier, later = before.program.as_dependent(), after.program.as_dependent()

    def evaluate(context: Context, now: datetime, known: Known) -> Resolution:
        return later(context, now, known) if now >= told_at else earlier(context, now, known)

    return CompiledFlag(
        Program(dependent=evaluate), (*before.answers, *after.answers), max(before.depth, after.depth), after.parents
    )


def withdrawn(
    flag: FlagCompiler,
    withdrawal: Withdrawal,
    rest: Callable[[], CompiledFlag],
    *,
    salt: str,
    generation: Generation,
    strict: bool,
) -> CompiledFlag:
    """Return a flag that looks at its withdrawal first; `rest` compiles what is asked after it.

    A share goes by targeting key; in strict mode an empty one counts as none.
    """
    answer = flag.withdrawn(withdrawal.serves, is_for_everyone=withdrawal.is_for_everyone)
    if withdrawal.is_for_everyone and withdrawal.until is None:
        return CompiledFlag(Program(constant=answer), (answer,))
    otherwise = rest()
    is_withdrawn = None if withdrawal.is_for_everyone else _in_share(withdrawal.weight, salt, generation, strict)
    program = _program(answer, is_withdrawn, withdrawal.until, otherwise.program)
    return CompiledFlag(program, (answer, *otherwise.answers), otherwise.depth, otherwise.parents)


def _program(answer: Resolution, is_withdrawn: Condition | None, until: datetime | None, rest: Program) -> Program:
    if until is None and is_withdrawn is not None and rest.dependent is None:
        simple = rest.as_simple()
        return Program(simple=lambda context: answer if is_withdrawn(context) else simple(context))
    serve = rest.as_dependent()

    def evaluate(context: Context, now: datetime, known: Known) -> Resolution:
        is_over = until is not None and now >= until
        if is_over or (is_withdrawn is not None and not is_withdrawn(context)):
            return serve(context, now, known)
        return answer

    return Program(dependent=evaluate)


def _in_share(weight: int, salt: str, generation: Generation, strict: bool) -> Condition:
    """Whether a targeting key falls into the first `weight` of the buckets; without a usable key it does not."""
    end = share_ends([weight, WITHDRAWAL_WEIGHT - weight])[0]
    hash_of = key_hash(salt, generation=generation)

    def holds(context: Context) -> bool:
        key = context.get(TARGETING_KEY)
        if not isinstance(key, str) or len(key) > MAX_TARGETING_KEY_CHARACTERS or (strict and key == ""):
            return False
        try:
            return hash_of(key) < end
        except UnicodeEncodeError:
            return False

    return holds
