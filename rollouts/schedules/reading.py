"""Pure: recurrence rules from text, and in words."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from rollouts.schedules.recurrences import FIRST_YEAR, LAST_YEAR, WEEKDAYS, Frequency, Rule
from rollouts.schedules.zones import UnusableSchedule

LONGEST_RULE = 500
MOST_REPEATS = 1000
LARGEST_INTERVAL = 366
_DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTH_NAMES = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_UNITS = {Frequency.DAILY: "day", Frequency.WEEKLY: "week", Frequency.MONTHLY: "month", Frequency.YEARLY: "year"}
_DAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL = re.compile(r"[0-9]{8}(T[0-9]{6}Z?)?")


def parse_rule(text: str) -> Rule:
    """The rule in the text of an RRULE. Raises UnusableSchedule with a sentence for what cannot be taken."""
    parts = _parts(text)
    frequency = _frequency(parts.pop("FREQ", ""))
    unknown = [name for name in parts if name not in _READERS]
    if unknown:
        raise UnusableSchedule(
            f"The rule says {unknown[0][:20]}, which windows do not have: they begin at one time of the day, on days "
            "chosen by weekday, day of the month and month. Leave it out."
        )
    rule = Rule(frequency, **{name: reader(parts[key]) for key, (name, reader) in _READERS.items() if key in parts})  # type: ignore[arg-type]
    _refuse_combinations(rule)
    return rule


def rule_in_words(rule: Rule) -> str:
    """Such as “every 2 weeks on Monday and Friday”."""
    unit = _UNITS[rule.frequency]
    words = [f"every {unit}" if rule.interval == 1 else f"every {rule.interval} {unit}s"]
    if rule.positions:
        words.append(f"the {_listed([_ordinal(number) for number in rule.positions])} of")
    if rule.weekdays:
        names = [
            f"{'the ' + _ordinal(number) + ' ' if number else ''}{_DAY_NAMES[day]}" for number, day in rule.weekdays
        ]
        words.append(f"on {_listed(names)}")
    if rule.month_days:
        words.append(f"on {_listed([_day_words(day) for day in rule.month_days])}")
    if rule.months:
        words.append(f"in {_listed([_MONTH_NAMES[month - 1] for month in rule.months])}")
    if rule.count is not None:
        words.append("once" if rule.count == 1 else f"{rule.count} times")
    if rule.until is not None:
        words.append(f"until {rule.until.day} {_MONTH_NAMES[rule.until.month - 1]} {rule.until.year}")
    return " ".join(words).replace(" of on ", " of ")


def _parts(text: str) -> dict[str, str]:
    if len(text) > LONGEST_RULE:
        raise UnusableSchedule(f"Shorten the rule to {LONGEST_RULE} characters.")
    parts: dict[str, str] = {}
    for part in text.strip().upper().removeprefix("RRULE:").strip(";").split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value or name in parts:
            raise UnusableSchedule("The rule cannot be read. Write it like FREQ=WEEKLY;BYDAY=FR.")
        parts[name] = value
    if "COUNT" in parts and "UNTIL" in parts:
        raise UnusableSchedule("The rule has both COUNT and UNTIL. Keep the one that is meant.")
    return parts


def _frequency(name: str) -> Frequency:
    if name in Frequency.__members__:
        return Frequency(name)
    if name in {"SECONDLY", "MINUTELY", "HOURLY"}:
        raise UnusableSchedule(
            f"A window cannot repeat {name.lower()}. Let it repeat daily, weekly, monthly or yearly, and give it the "
            "length it needs."
        )
    raise UnusableSchedule("The rule does not say how often. Begin with FREQ=DAILY, WEEKLY, MONTHLY or YEARLY.")


def _number(text: str, *, least: int, most: int, what: str) -> int:
    if re.fullmatch(r"[+-]?[0-9]{1,6}", text) and least <= int(text) <= most:
        return int(text)
    raise UnusableSchedule(f"{what} takes whole numbers from {least} to {most}, not “{text[:20]}”.")


def _numbers(what: str, *, most: int, may_be_negative: bool = True) -> Callable[[str], tuple[int, ...]]:
    def read(text: str) -> tuple[int, ...]:
        least = -most if may_be_negative else 1
        found = {_number(item, least=least, most=most, what=what) for item in text.split(",")}
        if 0 in found:
            raise UnusableSchedule(f"{what} counts from 1; there is no 0.")
        return tuple(sorted(found))

    return read


def _weekdays(text: str) -> tuple[tuple[int, int], ...]:
    found = set()
    for item in text.split(","):
        match = _DAY.fullmatch(item)
        if match is None or (match[1] is not None and not 1 <= abs(int(match[1])) <= 53):
            raise UnusableSchedule(f"“{item[:20]}” is no weekday. Write MO, TU, WE, TH, FR, SA or SU, or 2TU, -1FR.")
        found.add((int(match[1] or 0), WEEKDAYS.index(match[2])))
    return tuple(sorted(found))


def _week_start(text: str) -> int:
    if text not in WEEKDAYS:
        raise UnusableSchedule(f"“{text[:20]}” is no weekday for a week to begin with. Write MO or SU.")
    return WEEKDAYS.index(text)


def _until(text: str) -> datetime:
    if not _UNTIL.fullmatch(text):
        raise UnusableSchedule(f"“{text[:20]}” is no end of a rule. Write it like 20261231T235959Z.")
    try:
        until = datetime.strptime(text[:8] + (text[9:15] or "235959"), "%Y%m%d%H%M%S")  # noqa: DTZ007
    except ValueError:
        raise UnusableSchedule(f"“{text[:20]}” is no day or no time of the calendar.") from None
    if not FIRST_YEAR <= until.year <= LAST_YEAR:
        raise UnusableSchedule(f"Let the rule end between the years {FIRST_YEAR} and {LAST_YEAR}.")
    return until.replace(tzinfo=UTC) if text.endswith("Z") else until


_READERS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "INTERVAL": ("interval", lambda text: _number(text, least=1, most=LARGEST_INTERVAL, what="INTERVAL")),
    "BYDAY": ("weekdays", _weekdays),
    "BYMONTHDAY": ("month_days", _numbers("BYMONTHDAY", most=31)),
    "BYMONTH": ("months", _numbers("BYMONTH", most=12, may_be_negative=False)),
    "BYSETPOS": ("positions", _numbers("BYSETPOS", most=366)),
    "WKST": ("week_start", _week_start),
    "COUNT": ("count", lambda text: _number(text, least=1, most=MOST_REPEATS, what="COUNT")),
    "UNTIL": ("until", _until),
}


def _refuse_combinations(rule: Rule) -> None:
    has_short_period = rule.frequency in (Frequency.DAILY, Frequency.WEEKLY)
    if has_short_period and any(ordinal for ordinal, _ in rule.weekdays):
        raise UnusableSchedule("“The second Tuesday” needs a rule that repeats monthly or yearly.")
    if has_short_period and rule.positions:
        raise UnusableSchedule("BYSETPOS needs a rule that repeats monthly or yearly. Leave it out.")
    if rule.frequency is Frequency.WEEKLY and rule.month_days:
        raise UnusableSchedule("Days of the month need a rule that repeats monthly or yearly.")
    if rule.positions and not (rule.weekdays or rule.month_days or rule.months):
        raise UnusableSchedule("BYSETPOS chooses among days, and the rule names none. Add BYDAY or leave it out.")


def _ordinal(number: int) -> str:
    if number < 0:
        return "last" if number == -1 else f"{_ordinal(-number)} to last"
    return {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth"}.get(number, f"{number}th")


def _day_words(day: int) -> str:
    if day < 0:
        return f"the {_ordinal(day)} day of the month"
    return f"day {day}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
