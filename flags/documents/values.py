"""Validation of variant values and of the JSON Schema that objects may have to satisfy."""

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

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
    problems = json_problems(schema, "value_schema") or [
        problem for part, path in _subschemas(schema) for problem in _forbidden(part, path)
    ]
    if problems:
        return problems
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return [Problem(_path("value_schema", error), f"This is not valid JSON Schema: {error.message}.")]
    return []


def schema_problems(value: dict[str, Any], path: str, *, schema: dict[str, Any]) -> list[Problem]:
    """Where an object value departs from a schema that `validate_value_schema` accepted. At most five problems."""
    # An empty registry: nothing is ever fetched, a reference that cannot be resolved here is an error.
    validator = Draft202012Validator(schema, registry=Registry())
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
    return problems


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
    if "$id" in schema:
        yield Problem(join(path, "$id"), "Remove $id: a schema here has no address of its own.")
