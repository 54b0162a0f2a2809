"""What a flag does in an environment, at a glance."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from .deprecation import deprecation_of
from .deprecation_words import ARCHIVED, describe_withdrawal, told_words
from .schema import TOTAL_WEIGHT, named, quoted
from .words import describe_prerequisite, instant_words, percent, shown

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


def summarise(document: Mapping[str, Any], *, now: datetime | None = None) -> Summary:
    """Return the summary of a valid config document. Given `now`, a withdrawal that is over by then is not told."""
    found = document.get("deprecation")
    if found is None:
        return _summarised(document)
    if found.get("is_archived"):
        return Summary("off", "Archived", f"{ARCHIVED}.", None, _off_means(document))
    rest, told = _summarised(document), f"Services are told that it is deprecated {told_words(found)}."
    withdrawal = found.get("withdrawal")
    if not withdrawal or not document["enabled"] or _is_over(document, now):
        return replace(rest, headline=f"{rest.headline}, deprecated", sentence=f"{rest.sentence} {told}")
    words = describe_withdrawal(withdrawal)
    if withdrawal["weight"] < TOTAL_WEIGHT:
        return _withdrawn_from_some(document, rest, withdrawal, f"{words}. {rest.sentence} {told}")
    state, headline = _one_variant(document, withdrawal["serves"])
    if not withdrawal.get("until"):
        return Summary(state, f"Withdrawn: {_lower(headline)}", f"{words}. {told}", None, rest.off_means)
    headline = f"Brownout until {instant_words(withdrawal['until'])}: {_lower(headline)}"
    return Summary(state, headline, f"{words}. Then again: {_lower(rest.sentence)} {told}", None, rest.off_means)


def _is_over(document: Mapping[str, Any], now: datetime | None) -> bool:
    deprecation = deprecation_of(document) if now else None
    until = deprecation.withdrawal.until if deprecation and deprecation.withdrawal else None
    return now is not None and until is not None and until <= now


def _withdrawn_from_some(
    document: Mapping[str, Any], rest: Summary, withdrawal: Mapping[str, Any], sentence: str
) -> Summary:
    """Some have lost the flag already: `share` is who would still get what everyone did."""
    weight, (_, headline) = withdrawal["weight"], _one_variant(document, withdrawal["serves"])
    if headline == rest.headline:
        return replace(rest, headline=f"{headline}, deprecated", sentence=sentence)
    what = _lower(headline).removesuffix(" for everyone")
    state: State = "partial" if rest.state in {"on", "off"} else rest.state
    share = TOTAL_WEIGHT - weight if rest.state == "on" else None
    otherwise = _lower(rest.headline).removesuffix(" for everyone")
    return Summary(state, f"{percent(weight)} {what}, else {otherwise}", sentence, share, rest.off_means)


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
