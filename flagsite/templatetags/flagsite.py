"""Template tags for what every page shows: instants, environments, states, people. Words first, colour second."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

KIND_WORDS = {
    "release": "Release: rolls a new thing out, then goes away",
    "experiment": "Experiment: compares variants, then goes away",
    "operational": "Operational: a setting that is tuned while running",
    "kill_switch": "Kill switch: turns something off in an emergency",
    "permission": "Permission: decides who may use something",
}
KIND_ICONS = {
    "release": "rocket_launch",
    "experiment": "science",
    "operational": "tune",
    "kill_switch": "emergency_home",
    "permission": "key",
}
ENVIRONMENT_ICONS = {"development": "construction", "staging": "experiment", "production": "public"}
REQUEST_STATES = {
    "draft": ("Draft", "edit_note", "quiet"),
    "in_review": ("In review", "rate_review", "wait"),
    "approved": ("Approved", "verified", "good"),
    "applied": ("Live", "check_circle", "good"),
    "rejected": ("Rejected", "block", "bad"),
    "withdrawn": ("Withdrawn", "undo", "quiet"),
    "expired": ("Expired", "timer_off", "quiet"),
    "rolled_back": ("Rolled back", "history", "bad"),
}
# What a request that asks for a timeline did when it was applied: nothing that is served changed by that.
TIMELINE_BEGAN = ("Approved, timeline began", "verified", "good")
STATE_ICONS = {"off": "toggle_off", "on": "toggle_on", "partial": "donut_large", "targeted": "filter_alt"}


@register.simple_tag(takes_context=True)
def relative_time(context: Mapping[str, Any], instant: datetime | None, empty: str = "never") -> SafeString | str:
    """An instant as people say it, with the exact one on hover: “in 4 min”, “2 days ago”."""
    if instant is None:
        return empty
    now = context.get("now") or timezone.now()
    words = time_words(instant, now)
    return format_html('<time datetime="{}" title="{}">{}</time>', instant.isoformat(), exact_time(instant), words)


@register.simple_tag
def exact_time(instant: datetime) -> str:
    """An instant to the minute, with its zone."""
    local = timezone.localtime(instant)
    return f"{date_format(local, 'j M Y, H:i')} {local.tzname()}"


@register.filter
def last_day(ends_at: datetime) -> str:
    """The last day on which something that ends then still holds: “3 Dec 2026”."""
    return str(date_format(timezone.localtime(ends_at - timedelta(microseconds=1)), "j M Y"))


def time_words(instant: datetime, now: datetime) -> str:
    """How far away an instant is, in one unit."""
    seconds = (instant - now).total_seconds()
    amount = abs(seconds)
    if amount < 45:
        return "just now" if seconds <= 0 else "in a moment"
    steps = ((3600, 60, "min"), (86400, 3600, "hour"), (14 * 86400, 86400, "day"), (70 * 86400, 7 * 86400, "week"))
    for below, unit, name in steps:
        if amount < below:
            return _said(max(1, round(amount / unit)), name, ahead=seconds > 0)
    if amount < 700 * 86400:
        return _said(round(amount / (30.4 * 86400)), "month", ahead=seconds > 0)
    return _said(round(amount / (365.25 * 86400)), "year", ahead=seconds > 0)


def _said(count: int, unit: str, *, ahead: bool) -> str:
    words = f"{count} {unit}" if count == 1 or unit == "min" else f"{count} {unit}s"
    return f"in {words}" if ahead else f"{words} ago"


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """A symbol of the theme's font; hidden from screen readers unless it has a label."""
    if label:
        return format_html(
            '<span class="material-symbols-outlined fs-icon" role="img" aria-label="{0}" title="{0}">{1}</span>',
            label,
            name,
        )
    return format_html('<span class="material-symbols-outlined fs-icon" aria-hidden="true">{}</span>', name)


@register.inclusion_tag("components/environment_chip.html")
def environment_chip(environment: Any, quiet: bool = False) -> dict[str, Any]:
    """The environment by name, in the colour of its kind; production always says so in words."""
    return {**_environment_facts(environment), "quiet": quiet}


@register.inclusion_tag("components/environment_band.html")
def environment_band(environment: Any, act: str = "", *, may_narrow: bool = False) -> dict[str, Any]:
    """A band across a page that is about one environment; `act` says what the page does there, `may_narrow` that it
    takes things back, which needs no approval.
    """
    return {**_environment_facts(environment), "act": act, "may_narrow": may_narrow}


def _environment_facts(environment: Any) -> dict[str, Any]:
    name = str(environment.name)
    is_production = environment.kind == "production"
    says_so = "production" in name.casefold()
    return {
        "environment": environment,
        "name": name.upper() if is_production and says_so else name,
        "suffix": "PRODUCTION" if is_production and not says_so else "",
        "symbol": ENVIRONMENT_ICONS.get(environment.kind, "dns"),
        "is_production": is_production,
    }


@register.inclusion_tag("components/state_chip.html")
def state_chip(summary: Any, detail: str = "") -> dict[str, Any]:
    """What a flag serves in an environment, at a glance; None is “not set up”. `detail` goes below it."""
    if summary is None:
        return {"state": "none", "symbol": "remove", "headline": "Not set up", "sentence": NOT_SET_UP, "percent": None}
    percent = None if summary.share is None else summary.share / 1000
    symbol = STATE_ICONS[summary.state]
    return {
        "state": summary.state,
        "symbol": symbol,
        "headline": unbroken(summary.headline),
        "sentence": summary.sentence,
        "percent": percent,
        "detail": detail,
    }


NOT_SET_UP = "Nothing was ever applied here. Services get the default of their own code."


@register.inclusion_tag("components/person.html")
def person(user: Any, empty: str = "nobody") -> dict[str, Any]:
    """A person: initials and name. Takes a user or a plain name."""
    name = user if isinstance(user, str) else ((user.get_full_name() or user.get_username()) if user else "")
    words = [word for word in str(name).split() if word]
    initials = "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper()
    return {"name": name, "initials": initials, "empty": empty, "hue": sum(map(ord, str(name))) * 47 % 360}


@register.inclusion_tag("components/chip.html")
def request_state_chip(state: str, timeline: object = None) -> dict[str, Any]:
    """The state of a change request; `timeline` is the one that it asks for, if any."""
    text, symbol, tone = REQUEST_STATES.get(str(state), (str(state), "help", "quiet"))
    if timeline and state == "applied":
        text, symbol, tone = TIMELINE_BEGAN
    return {"text": text, "symbol": symbol, "tone": tone}


@register.inclusion_tag("components/chip.html")
def chip(text: str, tone: str = "quiet", symbol: str = "") -> dict[str, Any]:
    """A small label. Tones: quiet, good, wait, bad, accent."""
    return {"text": text, "symbol": symbol, "tone": tone}


@register.inclusion_tag("components/empty.html")
def empty_state(symbol: str, title: str, text: str, url: str = "", action: str = "") -> dict[str, Any]:
    """What to say, and what to do next, where a list has nothing in it."""
    return {"symbol": symbol, "title": title, "text": text, "url": url, "action": action}


@register.filter
def kind_words(kind: str) -> str:
    """A flag's kind with what it is for."""
    return KIND_WORDS.get(kind, kind)


@register.filter
def kind_purpose(kind: str) -> str:
    """What flags of a kind are for."""
    words = KIND_WORDS.get(str(kind), "").partition(": ")[2]
    return words[:1].upper() + words[1:]


@register.filter
def kind_icon(kind: str) -> str:
    """The symbol of a flag's kind."""
    return KIND_ICONS.get(kind, "flag")


@register.filter
def web_link(value: object) -> str:
    """The address if a browser may safely follow it (http, https), else nothing."""
    text = str(value).strip()
    return text if text.lower().startswith(("https://", "http://")) else ""


@register.filter
def unbroken(text: object) -> str:
    """A sentence whose numbers stay together with their percent signs."""
    return str(text).replace(" %", "\u00a0%")


@register.filter
def get(mapping: Mapping[Any, Any], key: Any) -> Any:
    """An entry of a mapping, None where there is none."""
    return mapping.get(key) if mapping else None


@register.filter
def cell_requests(requests: Mapping[tuple[Any, str], Any], cell: Any) -> dict[str, Any]:
    """The open requests in a cell's environment, by flag key."""
    return {key: found for (environment_id, key), found in requests.items() if environment_id == cell.environment.pk}
