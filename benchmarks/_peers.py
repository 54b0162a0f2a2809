"""Other evaluators with the flags of `_shapes`, each asked in the cheapest way it offers.

Contexts are translated before the clock runs. Only value-returning calls of eppo are timed, although ours returns
the whole resolution. GrowthBook builds its evaluation context per call, as its own client does.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from benchmarks._shapes import COUNTRIES, SHARE, TARGETED, contexts, flag, snapshot
from flags.evaluation import Generation, compile_snapshot


class Engine(ABC):
    """An evaluator that holds flags: flag key -> shape."""

    name: str

    @abstractmethod
    def __init__(self, flags: dict[str, str]) -> None: ...

    @abstractmethod
    def translate(self, context: dict[str, Any]) -> Any:
        """The form in which this engine takes a context."""

    @abstractmethod
    def one(self, key: str, contexts: Sequence[Any]) -> Any:
        """Evaluate one flag for every context, and return the last answer. This is what is timed."""

    @abstractmethod
    def bulk(self, keys: Sequence[str], contexts: Sequence[Any]) -> None:
        """Evaluate every flag for every context. This is what is timed."""

    @abstractmethod
    def value(self, answer: Any) -> bool:
        """The value in an answer."""


class Eppo(Engine):
    """eppo-server-sdk: a Rust core behind a Python module."""

    name = "eppo-server-sdk"
    _OPERATORS = {"equals": "ONE_OF", "in": "ONE_OF", "version_greater_or_equal": "GTE", "greater_than": "GT"}

    def __init__(self, flags: dict[str, str]) -> None:
        import eppo_client
        from eppo_client import AssignmentLogger, ClientConfig, Configuration

        definition = {
            "createdAt": "2026-01-01T00:00:00.000Z",
            "format": "SERVER",
            "environment": {"name": "production"},
            "flags": {key: self._flag(key, shape) for key, shape in flags.items()},
        }
        self._client = eppo_client.init(
            ClientConfig(
                api_key="none",
                base_url="http://127.0.0.1:9",
                assignment_logger=AssignmentLogger(),
                poll_interval_seconds=None,
                initial_configuration=Configuration(flags_configuration=json.dumps(definition).encode()),
            )
        )

    def _flag(self, key: str, shape: str) -> dict[str, Any]:
        everyone = {"variationKey": "on", "shards": []}
        shares = [(f"{key}/", 0, SHARE, "on"), (f"{key}/", SHARE, 100_000, "off")]
        split = [
            {"variationKey": variant, "shards": [{"salt": salt, "ranges": [{"start": start, "end": end}]}]}
            for salt, start, end, variant in shares
        ]
        allocations = [
            {"key": f"r{n}", "rules": [self._rule(conditions)], "splits": [everyone | {"variationKey": variant}]}
            for n, (variant, conditions) in enumerate(TARGETED if shape == "rules" else ())
        ]
        allocations.append({"key": "last", "rules": [], "splits": [everyone] if shape == "plain" else split})
        return {
            "key": key,
            "enabled": True,
            "variationType": "BOOLEAN",
            "variations": {"on": {"key": "on", "value": True}, "off": {"key": "off", "value": False}},
            "totalShards": 100_000,
            "allocations": [allocation | {"doLog": False} for allocation in allocations],
        }

    def _rule(self, conditions: Any) -> dict[str, Any]:
        return {
            "conditions": [
                {"attribute": attribute, "operator": self._OPERATORS[op], "value": [value] if op == "equals" else value}
                for attribute, op, value in conditions
            ]
        }

    def translate(self, context: dict[str, Any]) -> Any:
        return context["targetingKey"], context

    def one(self, key: str, contexts: Sequence[Any]) -> Any:
        evaluate, answer = self._client.get_boolean_assignment, None
        for user, context in contexts:
            answer = evaluate(key, user, context, False)
        return answer

    def bulk(self, keys: Sequence[str], contexts: Sequence[Any]) -> None:
        evaluate = self._client.get_boolean_assignment
        for user, context in contexts:
            for key in keys:
                evaluate(key, user, context, False)

    def value(self, answer: Any) -> bool:
        return bool(answer)


class GrowthBook(Engine):
    """growthbook: the fastest evaluator in pure Python."""

    name = "growthbook"
    _OPERATORS = {"equals": "$eq", "in": "$in", "version_greater_or_equal": "$vgte", "greater_than": "$gt"}

    def __init__(self, flags: dict[str, str]) -> None:
        from growthbook.common_types import EvaluationContext, Feature, GlobalContext, Options, StackContext
        from growthbook.core import eval_feature

        features = {key: Feature(**self._feature(key, shape)) for key, shape in flags.items()}
        self._global = GlobalContext(options=Options(), features=features)
        self._evaluate, self._context, self._stack = eval_feature, EvaluationContext, StackContext

    def _feature(self, key: str, shape: str) -> dict[str, Any]:
        if shape == "plain":
            return {"defaultValue": True}
        rules = [
            {
                "condition": {
                    "$and": [{attribute: {self._OPERATORS[op]: value}} for attribute, op, value in conditions]
                },
                "force": variant == "on",
            }
            for variant, conditions in (TARGETED if shape == "rules" else ())
        ]
        share = {"force": True, "coverage": SHARE / 100_000, "hashAttribute": "id", "seed": key, "hashVersion": 2}
        return {"defaultValue": False, "rules": [*rules, share]}

    def translate(self, context: dict[str, Any]) -> Any:
        from growthbook.common_types import UserContext

        return UserContext(attributes=context | {"id": context["targetingKey"]})

    def one(self, key: str, contexts: Sequence[Any]) -> Any:
        evaluate, build, stack, shared = self._evaluate, self._context, self._stack, self._global
        answer = None
        for user in contexts:
            answer = evaluate(key, build(user=user, global_ctx=shared, stack=stack()))
        return answer

    def bulk(self, keys: Sequence[str], contexts: Sequence[Any]) -> None:
        evaluate, build, stack, shared = self._evaluate, self._context, self._stack, self._global
        for user in contexts:
            for key in keys:
                evaluate(key, build(user=user, global_ctx=shared, stack=stack()))

    def value(self, answer: Any) -> bool:
        return bool(answer.on)


class FlagdCore(Engine):
    """openfeature-flagd-core: what the in-process provider of flagd runs."""

    name = "flagd core"

    def __init__(self, flags: dict[str, str]) -> None:
        from openfeature.contrib.tools.flagd.core import FlagdCore as Core

        self._core = Core()
        self._core.set_flags({"flags": {key: self._flag(key, shape) for key, shape in flags.items()}})

    def _flag(self, key: str, shape: str) -> dict[str, Any]:
        definition = {
            "state": "ENABLED",
            "variants": {"on": True, "off": False},
            "defaultVariant": "on" if shape == "plain" else "off",
        }
        if shape == "plain":
            return definition
        share = [["on", SHARE], ["off", 100_000 - SHARE]]
        targeting: Any = {"fractional": [{"cat": [f"{key}/", {"var": "targetingKey"}]}, *share]}
        for variant, conditions in reversed(TARGETED if shape == "rules" else ()):
            targeting = {"if": [{"and": [self._condition(*condition) for condition in conditions]}, variant, targeting]}
        return definition | {"targeting": targeting}

    @staticmethod
    def _condition(attribute: str, operator: str, value: Any) -> dict[str, Any]:
        given = {"var": attribute}
        conditions: dict[str, dict[str, Any]] = {
            "equals": {"===": [given, value]},
            "in": {"in": [given, COUNTRIES]},
            "version_greater_or_equal": {"sem_ver": [given, ">=", value]},
            "greater_than": {">": [given, value]},
        }
        return conditions[operator]

    def translate(self, context: dict[str, Any]) -> Any:
        from openfeature.evaluation_context import EvaluationContext

        attributes = {key: value for key, value in context.items() if key != "targetingKey"}
        return EvaluationContext(context["targetingKey"], attributes)

    def one(self, key: str, contexts: Sequence[Any]) -> Any:
        evaluate, answer = self._core.resolve_boolean_value, None
        for context in contexts:
            answer = evaluate(key, False, context)
        return answer

    def bulk(self, keys: Sequence[str], contexts: Sequence[Any]) -> None:
        evaluate = self._core.resolve_boolean_value
        for context in contexts:
            for key in keys:
                evaluate(key, False, context)

    def value(self, answer: Any) -> bool:
        return bool(answer.value)


class Ours(Engine):
    """This repository, with the whole resolution: value, variant, reason, metadata."""

    name = "flagsite"
    _NOW = datetime(2026, 1, 1, tzinfo=UTC)

    def __init__(self, flags: dict[str, str], *, generation: Generation = Generation.FLAGD_V2) -> None:
        sources = {key: flag(key, shape) for key, shape in flags.items()}
        self.compiled = compile_snapshot(snapshot(sources, generation=generation))

    def translate(self, context: dict[str, Any]) -> Any:
        return context

    def one(self, key: str, contexts: Sequence[Any]) -> Any:
        evaluate, now, answer = self.compiled.evaluate, self._NOW, None
        for context in contexts:
            answer = evaluate(key, context, now)
        return answer

    def bulk(self, keys: Sequence[str], contexts: Sequence[Any]) -> None:
        evaluate_all, now = self.compiled.evaluate_all, self._NOW
        for context in contexts:
            evaluate_all(context, now)

    def value(self, answer: Any) -> bool:
        return bool(answer.value)


PEERS: tuple[type[Engine], ...] = (Eppo, GrowthBook, FlagdCore)


def check_agreement(engine: Engine, flags: dict[str, str]) -> None:
    """Check that an engine was set up with the same flags: where no split decides, it gives our values."""
    ours, decided = Ours(flags), 0
    for context in contexts(200):
        for key in flags:
            expected = ours.one(key, [context])
            if expected.reason != "SPLIT":
                decided += 1
                given = engine.value(engine.one(key, [engine.translate(context)]))
                assert given is expected.value, (engine.name, key, context)
    assert decided > 200
