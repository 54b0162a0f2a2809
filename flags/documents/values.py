"""Validation of variant values and of the JSON Schema that objects may have to satisfy."""

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from audits.integrity import canonical_json

from .schema import Problem, is_integer, is_number, join, json_problems

_MESSAGES = {
    "boolean": "This flag is a boolean: the value must be true or false.",
    "string": "This flag is a string: the value must be text.",
    "integer": "This flag is an integer: the value must be a whole number without a decimal point.",
    "float": "This flag is a float: the value must be a number.",
    "object": 'This flag is an object: the value must be a JSON object such as {"colour": "blue"}.',
}
# Keywords whose fields are names that authors choose, and keywords whose content is data and never read as a schema.
_NAMED = ("properties", "$defs", "definitions", "dependentSchemas")
_DATA = ("enum", "const", "default", "examples", "required", "dependentRequired")
_MAX_ERRORS = 5
_MAX_WORDS = 300
MAX_SCHEMA_BYTES = 16 * 1024
MAX_SCHEMA_REFERENCES = 20
# References to references multiply: a short schema can ask for more steps than anybody waits for.
_MAX_STEPS = 5_000
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# What a keyword of the library raises for a schema or a value nobody thought of.
_MISREAD = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def value_problems(value: object, path: str, *, value_type: str) -> list[Problem]:
    """What is wrong with the type of one variant's value."""
    fits = {
        "boolean": isinstance(value, bool),
        "string": isinstance(value, str),
        "integer": is_integer(value),
        "float": is_number(value),
        "object": isinstance(value, dict),
    }[value_type]
    return [] if fits else [Problem(path, _MESSAGES[value_type])]


def validate_value_schema(schema: object) -> list[Problem]:
    """What is wrong with a JSON Schema (draft 2020-12) for the values of an object flag."""
    if not isinstance(schema, dict):
        return [Problem("value_schema", "Give the schema as a JSON object, or leave it empty.")]
    problems = json_problems(schema, "value_schema") or _size_problems(schema)
    problems = problems or [problem for part, path in _subschemas(schema) for problem in _forbidden(part, path)]
    if problems:
        return problems
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return [Problem(_path("value_schema", error), f"This is not valid JSON Schema: {error.message[:_MAX_WORDS]}.")]
    except _MISREAD:
        return [_UNREADABLE]
    return []


_UNREADABLE = Problem("value_schema", "This schema cannot be followed. Check its references and keywords.")


class _TooManySteps(Exception):
    """The references of a schema were followed more often than `_MAX_STEPS`."""


def _size_problems(schema: dict[str, Any]) -> list[Problem]:
    size = len(canonical_json(schema))
    if size > MAX_SCHEMA_BYTES:
        return [Problem("value_schema", f"The schema has {size} bytes; at most {MAX_SCHEMA_BYTES} are allowed.")]
    count = sum(keyword in part for part, _ in _subschemas(schema) for keyword in ("$ref", "$dynamicRef"))
    if count > MAX_SCHEMA_REFERENCES:
        message = f"The schema has {count} references; at most {MAX_SCHEMA_REFERENCES} are allowed. Write parts out."
        return [Problem("value_schema", message)]
    return []


def schema_problems(value: dict[str, Any], path: str, *, schema: dict[str, Any]) -> list[Problem]:
    """Where an object value departs from a schema that `validate_value_schema` accepted. At most five problems."""
    # An empty registry: nothing is ever fetched, a reference that cannot be resolved here is an error.
    validator = _counting_validator()(
        {name: part for name, part in schema.items() if name != "$schema"}, registry=Registry()
    )
    problems: list[Problem] = []
    try:
        for error in validator.iter_errors(value):
            problems.append(
                Problem(_path(path, error), f"The schema of this flag refuses this: {error.message[:_MAX_WORDS]}.")
            )
            if len(problems) == _MAX_ERRORS:
                break
    except Unresolvable as error:
        problems.append(Problem("value_schema", f"The reference {error.ref!r} leads nowhere. Correct it."))
    except RecursionError:
        problems.append(Problem("value_schema", "The references of this schema run in a circle. Correct them."))
    except _TooManySteps:
        problems.append(Problem("value_schema", "The references of this schema multiply too often. Write parts out."))
    except _MISREAD:
        problems.append(_UNREADABLE)
    return problems


def _counting_validator() -> Any:
    """The validator of draft 2020-12 for one value: it gives up where references are followed without end."""
    steps = 0

    def counted(keyword: str) -> Any:
        follow = Draft202012Validator.VALIDATORS[keyword]

        def check(validator: Any, reference: Any, instance: Any, schema: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps > _MAX_STEPS:
                raise _TooManySteps
            return follow(validator, reference, instance, schema)

        return check

    return extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, {keyword: counted(keyword) for keyword in ("$ref", "$dynamicRef")}
    )


def _path(path: str, error: ValidationError | SchemaError) -> str:
    for part in error.absolute_path:
        path = f"{path}[{part}]" if isinstance(part, int) else join(path, str(part))
    return path


def _subschemas(schema: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Every object that could be read as a schema. A keyword nobody knows counts, since a reference can lead there."""
    pending: list[tuple[object, str, bool]] = [(schema, "value_schema", True)]
    while pending:
        item, path, is_schema = pending.pop()
        if isinstance(item, list):
            pending.extend((part, f"{path}[{index}]", True) for index, part in enumerate(item))
        if not isinstance(item, dict):
            continue
        if is_schema:
            yield item, path
        for key, child in item.items():
            if not is_schema:
                pending.append((child, join(path, key), True))
            elif key not in _DATA:
                pending.append((child, join(path, key), key not in _NAMED))


def _forbidden(schema: dict[str, Any], path: str) -> Iterator[Problem]:
    for keyword in ("$ref", "$dynamicRef"):
        reference = schema.get(keyword, "#")
        if not isinstance(reference, str) or not reference.startswith("#"):
            yield Problem(
                join(path, keyword), "Refer to parts of this schema only (“#/$defs/...”): nothing is fetched."
            )
        elif set(reference.split("/")) & set(_DATA):
            yield Problem(join(path, keyword), "Refer to a schema under “#/$defs/”, not to example or constant data.")
    for keyword in ("pattern", "patternProperties"):
        if keyword in schema:
            message = "Regular expressions are not supported: some run for hours. Use enum, minLength or maxLength."
            yield Problem(join(path, keyword), message)
    if "$schema" in schema and (path != "value_schema" or schema["$schema"] not in (_DIALECT, f"{_DIALECT}#")):
        yield Problem(join(path, "$schema"), f"Name {_DIALECT} at the top of the schema, or leave $schema out.")
    if "$id" in schema:
        yield Problem(join(path, "$id"), "Remove $id: a schema here has no address of its own.")
