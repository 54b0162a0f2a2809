"""Pure: letters that pass for Latin ones, so that "pаyments" with a Cyrillic letter is not read as "payments"."""

import re
import unicodedata
from collections.abc import Iterator

# Greek and Coptic, Cyrillic, Armenian, Cherokee, full-width letters, letters for mathematics: all else is told apart.
_OTHER = re.compile("[\u0370-\u058f\u1c80-\u1c8f\u13a0-\u13ff\uab70-\uabbf\uff21-\uff5a\U0001d400-\U0001d7ff]")
_WORD = re.compile(r"[^\W_]+(?:[-_.’'][^\W_]+)*")
_LIKE_LATIN = frozenset("аеорсухіјѕԁһԛԝӏѵАВЕЅІЈКМНОРСТУХԌԚԜѴοναρτυχικΑΒΕΖΗΙΚΜΝΟΡΤΥΧօսոհցԼՕՍ")
_ALWAYS = ("FULLWIDTH", "MATHEMATICAL", "CHEROKEE")


def lookalikes(text: str) -> frozenset[int]:
    """The positions of letters that pass for Latin ones: beside Latin letters in one word, or where every letter of
    their script in the text would pass for one. Words of another language are left alone."""
    if text.isascii() or not _OTHER.search(text):
        return frozenset()
    found = {place.start() for place in _OTHER.finditer(text) if _script(text[place.start()]) in _ALWAYS}
    scripts: dict[str, list[int]] = {}
    for word in _WORD.finditer(text):
        others = [place for place in range(*word.span()) if _OTHER.match(text[place]) and text[place].isalpha()]
        for place in others:
            scripts.setdefault(_script(text[place]), []).append(place)
        if len(others) < sum(character.isalpha() for character in word.group()):
            found.update(others)
    for places in scripts.values():
        if all(text[place] in _LIKE_LATIN for place in places):
            found.update(places)
    return frozenset(found)


def lookalike_words(text: str) -> list[str]:
    """The words in which such letters stand, each once, in their order."""
    found = lookalikes(text)
    return list(dict.fromkeys(_words(text, found))) if found else []


def named(character: str) -> str:
    """What a letter really is: "cyrillic small letter a"."""
    return unicodedata.name(character, "unnamed letter").lower()


def _words(text: str, found: frozenset[int]) -> Iterator[str]:
    for word in _WORD.finditer(text):
        if any(place in found for place in range(*word.span())):
            yield word.group()


def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]
