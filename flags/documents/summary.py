"""What a flag does in an environment, at a glance."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from .deprecation_words import ARCHIVED, describe_withdrawal, told_words
from .schema import TOTAL_WEIGHT, named, quoted
from .words import describe_prerequisite, percent, shown

State = Literal["off", "on", "partial", "targeted"]


@dataclass(frozen=True, slots=True)
class Summary:
    """`headline` fits a table cell, `sentence` a page.

    `share` is the first weight (out of 100000) of the split that everyone is in, if there is one.
    `off_means` says what switching off does, since there are two kinds of off.
    """

    state: State
    headline: str
    sentence: str
    share: int | None
    off_means: str


def summarise(document: Mapping[str, Any]) -> Summary:
    """Return the summary of a valid config document. It knows no clock: a withdrawal is told with its end."""
    found = document.get("deprecation")
    if found is None:
        return _summarised(document)
    if found.get("is_archived"):
        return Summary("off", "Archived", f"{ARCHIVED}.", None, _off_means(document))
    withdrawal, told = found.get("withdrawal"), f"Services are told that it is deprecated {told_words(found)}."
    if not withdrawal or not document["enabled"]:
        rest = _summarised(document)
        return replace(rest, headline=f"{rest.headline}, deprecated", sentence=f"{rest.sentence} {told}")
    words = describe_withdrawal(withdrawal)
    if withdrawal["weight"] == TOTAL_WEIGHT and not withdrawal.get("until"):
        state, headline = _one_variant(document, withdrawal["serves"])
        headline = f"Withdrawn: {_lower(headline)}"
        return Summary(state, headline, f"{words}. {told}", None, _off_means(document))
    rest = _summarised(document)
    return replace(rest, headline=f"{rest.headline}, deprecated", sentence=f"{words}. {rest.sentence} {told}")


def _summarised(document: Mapping[str, Any]) -> Summary:
    off_means = _off_means(document)
    if not document["enabled"]:
        return Summary("off", "Off", f"Switched off. {off_means}", None, off_means)
    targeted, everyone = _audience(document)
    share = everyone["split"][0]["weight"] if "split" in everyone else None
    state, headline = _everyone(document, everyone)
    some = [*_counted(sum(len(item["keys"]) for item in document.get("targets", ())), "individual target")]
    some += _counted(targeted, "rule")
    sentence = f"Switched on: {_lower(headline)}."
    if some:
        otherwise = _lower(headline).removesuffix(" for everyone")
        sentence = f"Switched on: {' and '.join(some)} for some, {otherwise} for everyone else."
        state, headline = "targeted", f"{', '.join(some)}, else {otherwise}"
    parents = document.get("prerequisites", ())
    if not parents:
        return Summary(state, headline, sentence, share, off_means)
    needs = " and ".join(describe_prerequisite(item, verb="serves") for item in parents)
    sentence = f"{sentence} Only where {needs}; else as if switched off. {off_means}"
    behind = named(parents[0]["flag"]) if len(parents) == 1 else f"{len(parents)} flags"
    return Summary("targeted" if state != "off" else "off", f"{headline}, behind {behind}", sentence, share, off_means)


def _counted(number: int, noun: str) -> list[str]:
    return [f"{number} {noun}{'s' if number > 1 else ''}"] if number else []


def _off_means(document: Mapping[str, Any]) -> str:
    name = document["off_variant"]
    if name is None:
        return "Off means that the application's own default decides."
    return f"Off serves the variant {quoted(name)} ({shown(_value(document, name))})."


def _audience(document: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
    """How many rules are for some people only, and what everyone else is served."""
    for index, rule in enumerate(document["rules"]):
        if rule["condition"] is None and not rule.keys() & {"starts_at", "ends_at"}:
            return index, rule["serve"]
    return len(document["rules"]), {"variant": document["default_variant"]}


def _everyone(document: Mapping[str, Any], serve: Mapping[str, Any]) -> tuple[State, str]:
    if "variant" in serve:
        return _one_variant(document, serve["variant"])
    first = serve["split"][0]
    whole = next((share["variant"] for share in serve["split"] if share["weight"] == TOTAL_WEIGHT), None)
    if whole is None:
        return "partial", f"{percent(first['weight'])} {named(first['variant'])}"
    state, headline = _one_variant(document, whole)
    return (state, headline) if whole == first["variant"] else (state, f"0 % {named(first['variant'])}")


def _one_variant(document: Mapping[str, Any], name: str | None) -> tuple[State, str]:
    if name is None:
        return "on", "Code default for everyone"
    value = _value(document, name)
    if value is True:
        return "on", "On for everyone"
    if value is False:
        return "off", "Off for everyone"
    return "on", f"{quoted(name)} for everyone"


def _value(document: Mapping[str, Any], name: str) -> Any:
    return next((variant["value"] for variant in document["variants"] if variant["name"] == name), None)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
