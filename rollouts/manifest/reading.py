"""A manifest out of its text: every problem with its line and column."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from pydantic import ValidationError

from .errors import InvalidManifest, Path, Problem, invalid
from .nodes import MAX_NODES, Node, compose
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

    def refuse(self, problems: Iterable[Problem]) -> None:
        """Raise InvalidManifest where there are problems; it tells the first 100."""
        if found := _located(self.root, problems):
            raise invalid(found)


def read_manifest(text: str | bytes, *, most: int = MAX_NODES) -> Reading:
    """The manifest in a text of at most so many values. Raises InvalidManifest naming the fields that are wrong."""
    root = compose(text, most=most)
    try:
        # As JSON, because strict reading then takes times and lists from text, and nothing that is only like them.
        manifest = Manifest.model_validate_json(json.dumps(root.plain()), strict=True)
    except ValidationError as error:
        raise _unusable(root, error) from None
    return Reading(manifest.model_dump(mode="json", exclude_unset=True), root)


def path_of(text: str) -> Path:
    """The path in an address such as `rules[0].condition`."""
    return tuple(int(number) if number else name for name, number in _PART.findall(text))


def _unusable(root: Node, error: ValidationError) -> InvalidManifest:
    found = []
    for item in error.errors(include_url=False, include_context=False, include_input=False)[:MOST_PROBLEMS]:
        # A mapping's key that is no text, and such, is told at the mapping itself.
        path = tuple(part for part in item["loc"] if part != "[key]")
        found.append(Problem(path, _SENTENCES.get(item["type"], f"{item['msg']}.")))
    return invalid(_located(root, found))


def _located(root: Node, problems: Iterable[Problem]) -> list[Problem]:
    """The first of the problems with their lines, in the order of the text."""
    placed = []
    for problem in islice(problems, MOST_PROBLEMS):
        line, column = root.place_of(problem.path)
        placed.append(replace(problem, line=line, column=column))
    return sorted(placed, key=lambda one: (one.line, one.column))
