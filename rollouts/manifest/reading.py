"""A manifest out of its text: every problem with its line and column."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from .errors import InvalidManifest, Path, Problem, invalid
from .nodes import Node, compose
from .schema import Manifest

MOST_PROBLEMS = 100
_PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_NO_MAPPING = "Names and values belong here, such as “key: shop”."
_SENTENCES = {
    "extra_forbidden": "This field is not known. Check its spelling, or take it out.",
    "missing": "This field is missing.",
    "unexpected_keyword_argument": "This field is not known. Check its spelling, or take it out.",
    "missing_argument": "This field is missing.",
    "model_type": _NO_MAPPING,
    "dict_type": _NO_MAPPING,
    "dataclass_type": _NO_MAPPING,
    "string_pattern_mismatch": "A key starts with one of A-Z, a-z and 0-9 and goes on with these, dots, dashes or "
    "underscores, 100 characters at most. Letters of other alphabets may look the same.",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says. `manifest` holds what was said and nothing else; `root` knows the lines."""

    manifest: dict[str, Any]
    root: Node

    def located(self, problems: Iterable[Problem]) -> list[Problem]:
        """The problems with their lines, in the order of the text."""
        return _located(self.root, problems)

    def refuse(self, problems: Iterable[Problem]) -> None:
        """Raise InvalidManifest where there are problems."""
        if found := self.located(problems):
            raise invalid(found[:MOST_PROBLEMS])


def read_manifest(text: str | bytes) -> Reading:
    """The manifest in a text. Raises InvalidManifest naming every field that is wrong."""
    root = compose(text)
    try:
        manifest = Manifest.model_validate(root.plain())
    except ValidationError as error:
        raise _unusable(root, error) from None
    return Reading(manifest.model_dump(mode="json", exclude_unset=True), root)


def path_of(text: str) -> Path:
    """The path in an address such as `rules[0].condition`."""
    return tuple(int(number) if number else name for name, number in _PART.findall(text))


def _unusable(root: Node, error: ValidationError) -> InvalidManifest:
    found = []
    for item in error.errors(include_url=False, include_context=False):
        # A mapping's key that is no text, and such, is told at the mapping itself.
        path = tuple(part for part in item["loc"] if part != "[key]")
        found.append(Problem(path, _SENTENCES.get(item["type"], f"{item['msg']}.")))
    return invalid(_located(root, found)[:MOST_PROBLEMS])


def _located(root: Node, problems: Iterable[Problem]) -> list[Problem]:
    placed = []
    for problem in problems:
        line, column = root.place_of(problem.path)
        placed.append(replace(problem, line=line, column=column))
    return sorted(placed, key=lambda one: (one.line, one.column))
