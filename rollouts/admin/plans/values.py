"""New values behind variants, typed one by one: read by the flag's type and schema, and written so that they come back.

An empty field leaves a value as it is. A text that is empty, has blanks around it or begins with a quote is written as
JSON, so that every text can be said.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError

from flags.admin.forms import read_value
from flags.documents.schema import json_problems
from flags.documents.values import schema_problems, value_problems
from flags.models import Flag
from flags.models.flags import ValueType
from rollouts.admin.plans.typed import Typed
from rollouts.plans.definition import Patch
from rollouts.plans.value_changes import ValueChange

_TRUTHS = {"true": True, "false": False}
_NOTHING = "Give at least one variant a new value; empty ones stay as they are."


@dataclass(frozen=True, slots=True)
class FlagValues:
    """What a flag's variants are worth now, by name, and what may stand behind them."""

    key: str
    value_type: str
    schema: Mapping[str, Any] | None
    present: Mapping[str, Any]

    @classmethod
    def of(cls, flag: Flag, document: Mapping[str, Any]) -> "FlagValues":
        """The values of a flag as a document has them."""
        present = {variant["name"]: variant["value"] for variant in document["variants"]}
        return cls(flag.key, flag.value_type, flag.value_schema, present)


@dataclass(frozen=True, slots=True)
class ShownChange:
    """A changed value in words, before and after."""

    flag_key: str
    variant: str
    before: str
    after: str


Known = Mapping[str, FlagValues]


@dataclass(frozen=True, slots=True)
class ValueField:
    """One variant of one flag as the form asks for its value."""

    id: str
    name: str
    flag_key: str
    variant: str
    value_type: str
    present: str
    typed: str
    problem: str


def value_fields(typed: Typed, prefix: str, known: Known) -> list[ValueField]:
    """Every field of a block of values."""
    places = [(flag, variant) for flag in known.values() for variant in flag.present]
    return [
        ValueField(
            f"{prefix}-new-{number}",
            name := _name(prefix, flag.key, variant),
            flag.key,
            variant,
            flag.value_type,
            value_text(flag.present[variant]),
            typed.fields.get(name, ""),
            typed.problems.get(name, ""),
        )
        for number, (flag, variant) in enumerate(places)
    ]


def value_patches(
    typed: Typed, prefix: str, keys: Sequence[str], known: Known, *, enabled: bool | None, needs_each: bool
) -> tuple[Patch, ...]:
    """What a block of values changes. `needs_each`: every flag has to get some; otherwise one of them is enough."""
    patches = []
    for flag in (known[key] for key in keys if key in known):
        values, is_empty = _typed_values(typed, prefix, flag)
        if values:
            patches.append(Patch(flag.key, enabled=enabled, values=values))
        if is_empty and needs_each:
            typed.problems[f"{prefix}-values"] = _NOTHING
            _mark(typed, prefix, flag)
    if not patches and not any(name.startswith(f"{prefix}-new/") for name in typed.problems):
        typed.problems[f"{prefix}-values"] = _NOTHING
    return tuple(patches)


def fields_of_values(prefix: str, patches: Sequence[Patch]) -> dict[str, str]:
    """The fields that show the values of some patches."""
    return {
        _name(prefix, patch.flag_key, variant): value_text(value)
        for patch in patches
        for variant, value in (patch.values or {}).items()
    }


def shown_changes(changes: Sequence[ValueChange]) -> list[ShownChange]:
    """What a stage changes behind variants, to be read."""
    return [ShownChange(one.flag_key, one.variant, value_text(one.before), value_text(one.after)) for one in changes]


def value_text(value: Any) -> str:
    """A value as a field shows it; `read_text` reads it back."""
    if isinstance(value, str):
        is_plain = value and value == value.strip() and not value.startswith('"') and value.isprintable()
        return value if is_plain else json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, indent=2)
    return json.dumps(value)


def read_text(text: str, value_type: str) -> Any:
    """The value that a text says. Raises ValidationError with a sentence."""
    if value_type == ValueType.BOOLEAN:
        if text.lower() not in _TRUTHS:
            raise ValidationError("Choose true or false.")
        return _TRUTHS[text.lower()]
    if value_type == ValueType.STRING and text.startswith('"'):
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, str):
            raise ValidationError('Close the quotes, as in "text"; without any, the text counts as it stands.')
        return value
    return read_value(text, value_type)


def _typed_values(typed: Typed, prefix: str, flag: FlagValues) -> tuple[dict[str, Any], bool]:
    """The values that can be used, and whether nothing was typed at all."""
    found, is_empty = {}, True
    for variant in flag.present:
        name = _name(prefix, flag.key, variant)
        text = typed.text(name)
        if not text:
            continue
        is_empty = False
        try:
            value = read_text(text, flag.value_type)
        except ValidationError as error:
            typed.problems[name] = str(error.messages[0])
            continue
        wrong = _wrong(value, flag)
        if wrong:
            typed.problems[name] = wrong
        else:
            found[variant] = value
    return found, is_empty


def _wrong(value: Any, flag: FlagValues) -> str:
    problems = value_problems(value, "", value_type=flag.value_type) or json_problems(value)
    if not problems and flag.schema is not None:
        problems = schema_problems(value, "", schema=dict(flag.schema))
    return " ".join(f"{problem.path}: {problem.message}".removeprefix(": ") for problem in problems)


def _mark(typed: Typed, prefix: str, flag: FlagValues) -> None:
    """Say it at the flag's first field."""
    first = next(iter(flag.present), None)
    if first is not None:
        typed.problems.setdefault(_name(prefix, flag.key, first), _NOTHING)


def _name(prefix: str, flag_key: str, variant: str) -> str:
    return f"{prefix}-new/{flag_key}/{variant}"
