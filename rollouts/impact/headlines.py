"""What a result comes to, in one sentence that a product manager can repeat."""

from collections.abc import Mapping
from typing import Any

_VERBS = {"gained": ("gains", "gain"), "lost": ("loses", "lose"), "changed": ("gets", "get")}


def headline(result: Mapping[str, Any]) -> str:
    """“12 % of the people in this population gain checkout; nobody loses it.”"""
    people = result["population"]
    moved = [flag for flag in result["flags"] if flag["flipped"]]
    if not moved:
        return f"Nobody in this population of {people:,} gets another answer.{_targets(result)}"
    first, others = moved[0], len(moved) - 1
    sentence = _flag_words(first, people)
    if others:
        sentence += f" {others} more flag{'' if others == 1 else 's'} move{'s' if others == 1 else ''} people too."
    return sentence + _targets(result)


def share(count: int, people: int) -> str:
    """How many of so many: “nobody”, “12 %”, “everybody”. Few are never nobody, and most are never everybody."""
    if not count:
        return "nobody"
    if count == people:
        return "everybody"
    percent = 100 * count / people
    if percent < 0.01:
        return f"{count} of {people:,} people"
    digits = 0 if 10 <= percent <= 90 else 1 if 1 <= percent <= 99 else 2
    text = f"{percent:.{digits}f}"
    if float(text) == 100:
        text = "99.9"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def _flag_words(flag: Mapping[str, Any], people: int) -> str:
    key = flag["key"]
    if flag["changed"] and not flag["gained"] and not flag["lost"]:
        who = _who(flag["changed"], people, "changed", is_first=True)
        return f"{who} another answer of {key}; nobody gains or loses it."
    order = ("gained", "lost") if flag["gained"] else ("lost", "gained")
    first, second = (_who(flag[kind], people, kind, is_first=kind is order[0]) for kind in order)
    sentence = f"{first} {key}; {second} it"
    if flag["changed"]:
        sentence += f"; {_who(flag['changed'], people, 'changed', is_first=False)} another variant"
    return f"{sentence}."


def _who(count: int, people: int, kind: str, *, is_first: bool) -> str:
    words = share(count, people)
    one, many = _VERBS[kind]
    is_one = words in ("nobody", "everybody") or (count == 1 and "of" in words)
    if words in ("nobody", "everybody"):
        words = f"{words.capitalize()} in this population" if is_first else words
    elif is_first and "%" in words:
        words += " of the people in this population"
    return f"{words} {one if is_one else many}"


def _targets(result: Mapping[str, Any]) -> str:
    """What becomes of people who are listed one by one, whom no made-up population holds."""
    sentences = []
    for flag in result["flags"]:
        targets = flag["targets"] or {}
        for kind, words in (("gained", "gain it"), ("lost", "lose it"), ("changed", "get another answer")):
            if count := targets.get(kind):
                one = f"{words.split()[0]}s {' '.join(words.split()[1:])}"
                noun = f"{count} individually targeted key{'' if count == 1 else 's'} of {flag['key']}"
                sentences.append(f" {noun} {one if count == 1 else words}.")
    return "".join(sentences[:3])
