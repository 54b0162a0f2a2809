"""Differences for people: now beside after, shares as bars, JSON line by line, hidden characters made visible."""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe

from audits.integrity import canonical_json
from flags.changes import Difference
from flags.contrast import condition_notes, is_cut, told_apart
from flags.documents import (
    TOTAL_WEIGHT,
    describe_condition,
    describe_keys,
    describe_prerequisite,
    describe_rule,
    describe_serve,
    describe_withdrawal,
    instant_words,
    percent,
    summarise,
)
from flags.documents.deprecation_words import told_words
from flags.documents.schema import quoted
from flags.documents.words import shown
from flags.lines import stretches
from flags.lookalikes import lookalike_words, lookalikes, named

COLOURS = 8
CONTEXT_LINES = 3
# Lines of one change that are in sight at once; the others are behind a fold that counts them.
CHANGED_LINES = 100
NAMES_SHOWN = 10
NAMES_LISTED = 3
# Letters and marks that draw nothing, although Unicode does not class them as format characters.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})


@dataclass(frozen=True, slots=True)
class Share:
    """One part of a split: its width in the bar, and how it is called there."""

    variant: str
    weight: int
    text: str
    colour: str


@dataclass(frozen=True, slots=True)
class Side:
    """What stands on one side of a difference. `is_absent`: there was, or will be, nothing."""

    text: str
    shares: tuple[Share, ...] = ()
    is_absent: bool = False


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One difference: the sentence, and both sides of it. `is_cut`: the sides do not show all that differs."""

    sentence: str
    kind: str
    label: str
    before: Side
    after: Side
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class JsonLine:
    """A line of the JSON difference. `mark` is "+", "-" or a blank."""

    mark: str
    text: str


@dataclass(frozen=True, slots=True)
class JsonBlock:
    """Lines that belong together; `is_fold` for those that are out of the way until somebody wants them."""

    lines: tuple[JsonLine, ...]
    is_fold: bool = False

    @property
    def summary(self) -> str:
        """What stands on a fold."""
        count = f"{len(self.lines):,} {'line' if len(self.lines) == 1 else 'lines'}"
        if self.lines[0].mark == " ":
            return f"{count} without a change"
        return f"{count} more {'added' if self.lines[0].mark == '+' else 'removed'}"


def visible(text: object, *, with_blanks: bool = True) -> SafeString:
    """Escaped text in which nothing deceives the eye.

    Every character that hides or reorders others is written as its code point, letters that pass for Latin ones are
    marked, and so are, unless `with_blanks` is off, blanks that nobody sees: several, or at the edge of a quotation.
    """
    words = str(text)
    if words.isascii() and words.replace("\n", "").replace("\t", "").isprintable():
        return _with_blanks(words) if with_blanks else conditional_escape(words)
    hiding = "".join(character for character in set(words) if is_hidden(character))
    marked = lookalikes(words)
    if not hiding and not marked:
        return _with_blanks(words) if with_blanks else conditional_escape(words)
    # Our own sentences keep a number and its unit on one line.
    hidden = re.compile(f"(?!\u00a0%)[{re.escape(hiding)}]") if hiding else None
    spots = {place: _lookalike(words[place]) for place in marked}
    spots |= {found.start(): _named(found.group()) for found in hidden.finditer(words)} if hidden else {}
    parts, start = [], 0
    for place in sorted(spots):
        parts += [_plain(words[start:place], with_blanks), spots[place]]
        start = place + 1
    return mark_safe("".join([*parts, _plain(words[start:], with_blanks)]))  # noqa: S308 - every part is escaped


def suspicions(*texts: str) -> list[str]:
    """What somebody should look at twice in these texts, in sentences."""
    found = []
    present = dict.fromkeys(character for text in texts if not text.isascii() for character in dict.fromkeys(text))
    # A no-break space in a sentence deceives nobody.
    hidden = [character for character in present if is_hidden(character) and character != "\u00a0"]
    if names := [f"U+{ord(character):04X}" for character in hidden]:
        found.append(f"It holds characters that draw nothing or turn others around: {_listed(names)}.")
    words = dict.fromkeys(word for text in texts for word in lookalike_words(text))
    if words:
        found.append(f"Letters that only look Latin stand in {_listed([f'“{word}”' for word in words])}.")
    return found


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - NAMES_LISTED
    return ", ".join(names[:NAMES_LISTED]) + (f" and {rest} more" if rest > 0 else "")


# Between words, except where a sentence begins: some people put two blanks there.
_UNSEEN_BLANKS = re.compile("(?<=“) +| +(?=”)|(?<=[^ \\n.:;!?]) {2,}(?=[^ \\n])")


def _with_blanks(words: str) -> SafeString:
    if " " not in words or not _UNSEEN_BLANKS.search(words):
        return conditional_escape(words)
    return mark_safe("".join(_blank_parts(words)))  # noqa: S308 - every part is escaped


def _blank_parts(words: str) -> Iterable[str]:
    start = 0
    for found in _UNSEEN_BLANKS.finditer(words):
        yield conditional_escape(words[start : found.start()])
        yield format_html(
            '<span class="fe-blank" title="{} × blank">{}</span>', len(found.group()), "␣" * len(found.group())
        )
        start = found.end()
    yield conditional_escape(words[start:])


def _plain(words: str, with_blanks: bool) -> SafeString:
    return _with_blanks(words) if with_blanks else conditional_escape(words)


def _lookalike(character: str) -> SafeString:
    """A letter that passes for a Latin one, marked as what it is."""
    return format_html('<span class="fe-lookalike" title="{}">{}</span>', named(character), character)


def _named(character: str) -> SafeString:
    """A character as its code point."""
    name = unicodedata.name(character, "unnamed character").lower()
    return format_html('<span class="fe-hidden-character" title="{}">U+{}</span>', name, f"{ord(character):04X}")


def is_hidden(character: str) -> bool:
    """Whether a character draws nothing or moves others around; blanks, line ends and tabs are what they seem."""
    if character in " \n\t" or character == "\r":
        return False
    return character in _BLANK or unicodedata.category(character) in _HIDDEN_CATEGORIES


def variant_colours(*documents: Mapping[str, Any] | None) -> dict[str, str]:
    """The colour class of each variant, as the editor gives it: off and false are quiet, the others take turns."""
    colours: dict[str, str] = {}
    rank = 0
    for document in documents:
        for variant in (document or {}).get("variants", []):
            name = variant["name"]
            if name in colours:
                continue
            is_quiet = variant["value"] is False or name == "off"
            colours[name] = "fe-c-quiet" if is_quiet else f"fe-c{rank % COLOURS}"
            rank += not is_quiet
    return colours


def shares_of(serve: Mapping[str, Any], colours: Mapping[str, str]) -> tuple[Share, ...]:
    """What a rule serves, as parts of a bar."""
    parts = serve["split"] if "split" in serve else [{"variant": serve["variant"], "weight": TOTAL_WEIGHT}]
    return tuple(
        Share(part["variant"], part["weight"], percent(part["weight"]), colours.get(part["variant"], "fe-c-none"))
        for part in parts
    )


def diff_rows(differences: Iterable[Difference], *documents: Mapping[str, Any] | None) -> list[DiffRow]:
    """Differences with both sides in words. `documents`: the two configs, for the colours of their variants."""
    colours = variant_colours(*documents)
    return [_row(difference, colours) for difference in differences]


def _row(difference: Difference, colours: Mapping[str, str]) -> DiffRow:
    path, old, new = difference.path, difference.before, difference.after
    before, after = _side(path, old, colours), _side(path, new, colours)
    cut = path.startswith("targets.") and max(len(old or ()), len(new or ())) > NAMES_SHOWN
    if path.endswith("condition") and difference.kind == "changed":
        cut = is_cut(old) or is_cut(new) or describe_condition(old) == describe_condition(new)
        words = told_apart(old, new, describe_condition)
        notes = condition_notes(old, new)
        before, after = Side(words[0]), Side(words[1] + (f" ({'; '.join(notes)})" if notes else ""))
    if before.text == after.text and canonical_json(old) != canonical_json(new):
        cut = True
        texts = told_apart(old, new, shown)
        before, after = replace(before, text=texts[0]), replace(after, text=texts[1])
    return DiffRow(difference.sentence, difference.kind, _label(difference), before, after, cut)


_LABELS = {
    "": "Settings",
    "enabled": "Switch",
    "default_variant": "For everyone else",
    "off_variant": "When switched off",
    "salt": "Salt",
    "condition": "Who belongs to it",
    "variants": "Variants",
    "client_visible": "Browsers and apps",
    "prerequisites": "Prerequisites",
    "targets": "Individual targets",
    "deprecation": "Deprecation",
    "deprecation.withdrawal": "Withdrawal",
    "deprecation.is_archived": "Archive",
}
_RULE_LABELS = {
    ".serve": " serves",
    ".condition": " is for",
    ".description": " is called",
    ".starts_at": " starts",
    ".ends_at": " ends",
    ".bucket_by": " is split by",
    ".salt": " has the salt",
}
# What stands for a field of a rule that is not there.
_RULE_ABSENT = {
    ".starts_at": "at once",
    ".ends_at": "never",
    ".bucket_by": "targeting key",
    ".salt": "the salt of the flag",
}
_SWITCHES = {
    "enabled": ("Off", "On"),
    "client_visible": ("do not see it", "can see it"),
    "deprecation.is_archived": ("served", "left out: services get their code default"),
}
_ENDINGS = {"deprecation": told_words, "deprecation.withdrawal": describe_withdrawal}


def _label(difference: Difference) -> str:
    path = difference.path
    if path.startswith("rules["):
        number, _, part = path.removeprefix("rules[").partition("]")
        return f"Rule {int(number) + 1}{_RULE_LABELS.get(part, '')}"
    for prefix, words in (("prerequisites.", "Needs"), ("targets.", "By name")):
        if path.startswith(prefix):
            return f"{words} {quoted(path.removeprefix(prefix))}"
    if path.startswith("variants."):
        name = path.removeprefix("variants.").removesuffix(".value").removesuffix(".description")
        return f"Variant {quoted(name)}"
    return _LABELS.get(path, path)


def _side(path: str, value: Any, colours: Mapping[str, str]) -> Side:
    if path in {"default_variant", "off_variant"}:
        return Side("the code default") if value is None else Side(quoted(value), _whole(value, colours))
    if path.endswith(".condition") or path == "condition":
        return Side(describe_condition(value)) if value is not None or path != "condition" else _ABSENT
    if path.startswith("rules["):
        return _rule_side(path.partition("]")[2], value, colours)
    if value is None:
        return _ABSENT
    words = _words(path, value)
    if words:
        return Side(words)
    if path == "" and isinstance(value, dict) and "rules" in value:
        return Side(summarise(value).sentence)
    if isinstance(value, dict) and "value" in value and "name" in value:
        return Side(shown(value["value"]))
    return Side(value if isinstance(value, str) else _json(value))


def _words(path: str, value: Any) -> str:
    """A field that has words of its own; empty for all others."""
    if path in _SWITCHES:
        return _SWITCHES[path][bool(value)]
    if path in _ENDINGS:
        return _ENDINGS[path](value)
    if path.startswith("targets."):
        return f"{len(value)}: {describe_keys(value, limit=NAMES_SHOWN)}"
    return describe_prerequisite(value) if path.startswith("prerequisites.") else ""


def _rule_side(part: str, value: Any, colours: Mapping[str, str]) -> Side:
    """One side of a difference inside a rule, or of a whole rule or its position where `part` is empty."""
    if part in _RULE_ABSENT:
        if value is None:
            return Side(_RULE_ABSENT[part])
        # Quoted, so that no name or salt can pass for the words that stand for nothing.
        return Side(instant_words(value) if part.endswith("_at") else quoted(value))
    if value is None:
        return _ABSENT
    if part == ".serve":
        return Side(describe_serve(value), shares_of(value, colours))
    if isinstance(value, dict) and "serve" in value:
        return Side(describe_rule(value), shares_of(value["serve"], colours))
    if isinstance(value, int):
        return Side(f"position {value}")
    return Side(value if isinstance(value, str) else _json(value))


_ABSENT = Side("nothing", is_absent=True)


def _whole(variant: str, colours: Mapping[str, str]) -> tuple[Share, ...]:
    return (Share(variant, TOTAL_WEIGHT, "100 %", colours.get(variant, "fe-c-none")),)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=False)


def json_blocks(before: object | None, after: object | None) -> list[JsonBlock]:
    """Two documents line by line; unchanged stretches, and the rest of long changed ones, are folds to be opened."""
    old = [] if before is None else _json(before).split("\n")
    new = [] if after is None else _json(after).split("\n")
    blocks: list[JsonBlock] = []
    found = stretches(old, new)
    for position, part in enumerate(found):
        if part.is_equal:
            is_first, is_last = position == 0, position == len(found) - 1
            blocks += _unchanged(old[part.a_from : part.a_to], is_first=is_first, is_last=is_last)
        else:
            blocks += _changed("-", old[part.a_from : part.a_to])
            blocks += _changed("+", new[part.b_from : part.b_to])
    return blocks


def blocks_html(blocks: Sequence[JsonBlock]) -> SafeString:
    """Blocks as the page shows them. All at once: a page may show tens of thousands of lines."""
    lines = "\n".join(line.text for block in blocks for line in block.lines)
    texts = iter(visible(lines, with_blanks=False).split("\n"))
    parts: list[str] = []
    for block in blocks:
        spans = "".join(
            f'<span class="fe-json-line{_LINE_CLASSES[line.mark]}" data-mark="{line.mark}">{next(texts)}</span>'
            for line in block.lines
        )
        if block.is_fold:
            spans = f'<details class="fe-json-fold"><summary>{block.summary}</summary>{spans}</details>'
        parts.append(spans)
    return mark_safe("".join(parts))  # noqa: S308 - every text is escaped above


_LINE_CLASSES = {"+": " fe-json-added", "-": " fe-json-removed", " ": ""}


def _changed(mark: str, lines: Sequence[str]) -> list[JsonBlock]:
    marked = tuple(JsonLine(mark, line) for line in lines)
    if len(marked) <= CHANGED_LINES:
        return [JsonBlock(marked)] if marked else []
    return [JsonBlock(marked[:CHANGED_LINES]), JsonBlock(marked[CHANGED_LINES:], is_fold=True)]


def _unchanged(lines: Sequence[str], *, is_first: bool, is_last: bool) -> list[JsonBlock]:
    head = 0 if is_first else CONTEXT_LINES
    tail = 0 if is_last else CONTEXT_LINES
    marked = tuple(JsonLine(" ", line) for line in lines)
    if len(lines) <= head + tail + 1:
        return [JsonBlock(marked)]
    end = len(lines) - tail
    parts = (JsonBlock(marked[:head]), JsonBlock(marked[head:end], is_fold=True), JsonBlock(marked[end:]))
    return [part for part in parts if part.lines]
