"""How to answer several flags at once: what is known ahead, what the context decides, and then the rest. Pure."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from .flags import Dependent, Known
from .prerequisites import CompiledFlag
from .resolution import Resolution


class _Framed:
    """Room for what others write around the open answers of a plan once and for all. Empty until then."""

    __slots__ = ("frame",)

    frame: tuple[bytes, bytes]


class Plan(_Framed):
    """Some flags of a snapshot: `fixed` answers need no context, those of `open_keys` do.

    Flags that depend on others come behind them, so that nothing is asked twice and no call goes deep.
    """

    __slots__ = ("_dependents", "_evaluators", "_shared", "_simple", "_template", "fixed", "keys", "open_keys")

    def __init__(
        self,
        compiled: Mapping[str, CompiledFlag],
        keys: Collection[str],
        *,
        dependents: Mapping[str, Dependent] | None = None,
    ) -> None:
        flags = {key: flag for key, flag in compiled.items() if key in keys}
        self.keys = tuple(flags)
        # None stands for what the context decides; it is gone when the plan has run.
        self._template: dict[str, Any] = {key: flag.program.constant for key, flag in flags.items()}
        self._simple = tuple((key, flag.program.simple) for key, flag in flags.items() if flag.program.simple)
        self._evaluators = tuple(evaluate for _, evaluate in self._simple)
        behind = sorted((flag.depth, key) for key, flag in flags.items() if flag.program.dependent)
        self._dependents = tuple(
            (key, flags[key].program.as_dependent() if dependents is None else dependents[key]) for _, key in behind
        )
        # Without `dependents` the plan is for all flags, and what evaluations know is what they answer.
        self._shared = dependents is None
        self.fixed: dict[str, Resolution] = {
            key: answer for key, answer in self._template.items() if answer is not None
        }
        self.open_keys = tuple(key for key, _ in (*self._simple, *self._dependents))

    def run(self, context: dict[str, Any], now: datetime) -> dict[str, Resolution]:
        """Every answer, in the order of the snapshot. May raise for contexts that are no JSON."""
        answers: Known = self._template.copy()
        for key, evaluate in self._simple:
            answers[key] = evaluate(context)
        if self._dependents:
            known = answers if self._shared else answers.copy()
            for key, dependent in self._dependents:
                answer: Resolution | None = known.get(key)
                answers[key] = known[key] = dependent(context, now, known) if answer is None else answer
        return answers

    def decide(self, context: dict[str, Any], now: datetime) -> list[Resolution]:
        """The answers of `open_keys`. May raise for contexts that are no JSON."""
        if not self._dependents:
            return [evaluate(context) for evaluate in self._evaluators]
        answers = self.run(context, now)
        return [answers[key] for key in self.open_keys]
