"""What each semantic version brought, for people: grouped, in sentences, as Markdown or plain text.

Names and reasons were written by anybody, so nothing in them may become markup, a link or a line of its own.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from flags.differences import Difference
from flags.documents.schema import quoted

from .semantic_versions import Number, Part, part_of

NO_LONGER_KEPT: Final = "What it changed is no longer kept."


class Audience(StrEnum):
    """Whom a sentence is for."""

    PEOPLE = "people"
    DEVELOPERS = "developers"
    DETAILS = "details"

    @property
    def heading(self) -> str:
        """What stands above its sentences."""
        return _HEADINGS[self]


_HEADINGS: Final = {
    Audience.PEOPLE: "What changed for people",
    Audience.DEVELOPERS: "For developers",
    Audience.DETAILS: "Details",
}
# Nobody gets anything else by these, and code has to know them.
_FOR_CODE: Final = frozenset({"client_visible", "deprecation", "deprecation.is_archived"})


@dataclass(frozen=True, slots=True)
class Note:
    """A semantic version as people read it. `environment` is empty for the flag as a whole, `request` such as “#12”."""

    number: Number
    part: Part
    at: datetime
    environment: str
    person: str
    reason: str = ""
    request: str = ""
    groups: Mapping[Audience, Sequence[str]] = field(default_factory=dict)

    @property
    def sections(self) -> list[tuple[str, Sequence[str]]]:
        """Headings with their sentences, in their order."""
        return [(audience.heading, self.groups[audience]) for audience in Audience if self.groups.get(audience)]


def grouped(differences: Iterable[Difference]) -> dict[Audience, tuple[str, ...]]:
    """The sentences of differences by whom they are for."""
    found: dict[Audience, list[str]] = {}
    for difference in differences:
        found.setdefault(_audience(difference), []).append(difference.sentence)
    return {audience: tuple(sentences) for audience, sentences in found.items()}


def _audience(difference: Difference) -> Audience:
    if difference.path in _FOR_CODE:
        return Audience.DEVELOPERS
    match part_of(difference):
        case Part.MAJOR:
            return Audience.DEVELOPERS
        case Part.MINOR:
            return Audience.PEOPLE
        case Part.PATCH:
            return Audience.DETAILS


def details_sentences(
    changed: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]
) -> dict[Audience, tuple[str, ...]]:
    """What an edit of the flag itself changed. `names` are people's by their ids, as they are called today."""
    found: dict[Audience, tuple[str, ...]] = {}
    for name, sides in changed.items():
        audience = Audience.DEVELOPERS if name in _CODE_FIELDS else Audience.DETAILS
        sentence = _field_sentence(name, sides.get("from"), sides.get("to"), names)
        found[audience] = (*found.get(audience, ()), sentence)
    return found


_CODE_FIELDS: Final = {
    "value_schema": "The schema of its values changed",
    "value_type": "The type of its values changed",
}
_REWRITTEN: Final = {"description": "Description", "owner_team_id": "Owning team"}


def _field_sentence(name: str, old: Any, new: Any, names: Mapping[str, str]) -> str:
    if name in _CODE_FIELDS:
        return _CODE_FIELDS[name]
    if name in _REWRITTEN:
        verb = "added" if not old else "changed" if new else "removed"
        return f"{_REWRITTEN[name]} {verb}"
    if name in {"tags", "links"}:
        return f"{name.capitalize()}: {_moves(old, new)}"
    if name == "owner_id":
        return f"Owner: {_person(old, names)} → {_person(new, names)}"
    words = (quoted(str(side).replace("_", " ") if name == "kind" else str(side)) for side in (old, new))
    return f"{name.replace('_', ' ').capitalize()}: {' → '.join(words)}"


def _moves(old: Any, new: Any) -> str:
    was, becomes = (list(side or ()) for side in (old, new))
    moves = [("added", [item for item in becomes if item not in was])]
    moves.append(("removed", [item for item in was if item not in becomes]))
    said = [f"{verb} {', '.join(quoted(str(item)) for item in items)}" for verb, items in moves if items]
    return "; ".join(said) or "the same in another order"


def _person(person_id: Any, names: Mapping[str, str]) -> str:
    return names.get(str(person_id), "somebody") if person_id else "nobody"


def as_markdown(title: str, notes: Iterable[Note]) -> str:
    """Notes as Markdown, newest as they come."""
    lines = [f"# {_marked(title)}"]
    for note in notes:
        lines += ["", f"## {' · '.join(_marked(word) for word in _headline(note))}", "", _marked(_byline(note))]
        for heading, sentences in note.sections:
            lines += ["", f"### {heading}", "", *(f"- {_marked(sentence)}" for sentence in sentences)]
    return "\n".join(lines) + "\n"


def as_text(title: str, notes: Iterable[Note]) -> str:
    """Notes as plain text."""
    lines = [one_line(title), "=" * len(one_line(title))]
    for note in notes:
        lines += ["", " · ".join(one_line(word) for word in _headline(note)), f"  {one_line(_byline(note))}"]
        for heading, sentences in note.sections:
            lines += [f"  {heading}:", *(f"    - {one_line(sentence)}" for sentence in sentences)]
    return "\n".join(lines) + "\n"


def _headline(note: Note) -> list[str]:
    when = f"{note.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return [word for word in (str(note.number), note.environment, when) if word]


def _byline(note: Note) -> str:
    request = f", change request {note.request}" if note.request else ""
    return f"By {note.person}{request}{f': “{note.reason}”' if note.reason else ''}"


def one_line(text: str) -> str:
    """Text on one line in which nothing is hidden: characters that draw nothing stand there as their code point."""
    words = re.sub(r"[ \t\r\n\v\f]+", " ", text).strip()
    return "".join(f"U+{ord(char):04X}" if unicodedata.category(char) in _HIDDEN else char for char in words)


_HIDDEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# Of addresses what would make links of them; at the beginning what would make a list or a line under a heading.
_MARKUP: Final = re.compile(
    r"[\\`*_{}\[\]#|~@$^&<>]|:(?=//)|(?<=www)\.|^[-+=](?![^\s=-])|(?<=^\d)[.)](?=\s)|(?<=^\d\d)[.)](?=\s)",
    re.IGNORECASE,
)


def _marked(text: str) -> str:
    """Text that Markdown shows as it is: no heading, list, link, image, table, code or HTML comes of it."""
    return _MARKUP.sub(_escaped, one_line(text))


def _escaped(found: re.Match[str]) -> str:
    return _ENTITIES.get(found.group(), f"\\{found.group()}")
