"""Rules of recurring windows: the same days as a general implementation finds, and nothing that costs more."""

import time
from datetime import date, datetime, timedelta

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from rollouts.schedules import UnusableSchedule, parse_rule, rule_in_words
from rollouts.schedules.recurrences import days_of

DAYS = st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"])
FIRSTS = st.dates(date(2023, 1, 1), date(2029, 12, 31))


def _joined(items: st.SearchStrategy[str], most: int = 3) -> st.SearchStrategy[str]:
    return st.lists(items, min_size=1, max_size=most, unique=True).map(",".join)


def _parts(**parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Any of the optional parts after a frequency."""
    return st.fixed_dictionaries({}, optional=parts).map(
        lambda chosen: "".join(f";{name}={value}" for name, value in chosen.items())
    )


NUMBERS = st.integers(1, 5).map(str)
MONTHS = _joined(st.integers(1, 12).map(str))
MONTH_DAYS = _joined(st.sampled_from(["1", "13", "28", "29", "30", "31", "-1", "-2"]))
ORDINALS = _joined(st.builds(lambda number, day: f"{number}{day}", st.sampled_from([1, 2, 5, -1, -2]), DAYS))
RULES = st.one_of(
    _parts(INTERVAL=NUMBERS, COUNT=NUMBERS, BYDAY=_joined(DAYS), BYMONTH=MONTHS).map("FREQ=DAILY{}".format),
    _parts(INTERVAL=NUMBERS, BYMONTHDAY=MONTH_DAYS, BYMONTH=MONTHS).map("FREQ=DAILY{}".format),
    _parts(INTERVAL=NUMBERS, COUNT=NUMBERS, BYDAY=_joined(DAYS), WKST=DAYS).map("FREQ=WEEKLY{}".format),
    _parts(INTERVAL=NUMBERS, COUNT=NUMBERS, BYDAY=ORDINALS, BYMONTH=MONTHS).map("FREQ=MONTHLY{}".format),
    _parts(INTERVAL=NUMBERS, COUNT=NUMBERS, BYMONTHDAY=MONTH_DAYS).map("FREQ=MONTHLY{}".format),
    st.builds("FREQ=MONTHLY;BYDAY={};BYSETPOS={}".format, _joined(DAYS, 5), st.sampled_from([1, 2, -1])),
    _parts(INTERVAL=NUMBERS, BYMONTH=MONTHS, BYMONTHDAY=MONTH_DAYS).map("FREQ=YEARLY{}".format),
    _parts(INTERVAL=NUMBERS, BYDAY=ORDINALS).map("FREQ=YEARLY{}".format),
)


@settings(max_examples=400, deadline=None)
@given(rule=RULES, first=FIRSTS)
def test_days__any_rule__are_those_of_a_general_implementation(rule: str, first: date) -> None:
    horizon = first + timedelta(days=800)
    start = datetime.combine(first, datetime.min.time())
    bounded = rule if "COUNT" in rule else f"{rule};UNTIL={horizon:%Y%m%d}T000000"

    expected = [day.date() for day in rrulestr(bounded, dtstart=start) if day.date() <= horizon]

    assert list(days_of(parse_rule(rule), first, since=first, until=horizon)) == expected


@settings(max_examples=150, deadline=None)
@given(rule=RULES, first=FIRSTS, skipped=st.integers(0, 700))
def test_days__asked_for_a_later_part__are_the_same_days(rule: str, first: date, skipped: int) -> None:
    since, until = first + timedelta(days=skipped), first + timedelta(days=800)
    parsed = parse_rule(rule)

    everything = list(days_of(parsed, first, since=first, until=until))

    assert list(days_of(parsed, first, since=since, until=until)) == [day for day in everything if day >= since]


@given(rule=RULES)
def test_text__any_rule__reads_back_as_the_same_rule(rule: str) -> None:
    parsed = parse_rule(rule)

    assert parse_rule(parsed.text) == parsed


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("FREQ=SECONDLY", "cannot repeat secondly"),
        ("FREQ=MINUTELY;COUNT=5", "cannot repeat minutely"),
        ("FREQ=HOURLY", "cannot repeat hourly"),
        ("FREQ=WEEKLY;BYHOUR=1,2,3", "BYHOUR"),
        ("FREQ=DAILY;BYSECOND=1", "BYSECOND"),
        ("FREQ=YEARLY;BYWEEKNO=20", "BYWEEKNO"),
        ("FREQ=YEARLY;BYYEARDAY=200", "BYYEARDAY"),
        ("FREQ=DAILY;COUNT=1000000", "COUNT takes whole numbers from 1 to 1000"),
        ("FREQ=DAILY;COUNT=0", "COUNT"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL"),
        ("FREQ=DAILY;INTERVAL=99999", "INTERVAL"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "both COUNT and UNTIL"),
        ("FREQ=DAILY;UNTIL=99991231T000000Z", "between the years"),
        ("FREQ=DAILY;UNTIL=20261345", "no day"),
        ("FREQ=DAILY;UNTIL=soon", "no end of a rule"),
        ("FREQ=WEEKLY;BYDAY=2TU", "second Tuesday"),
        ("FREQ=WEEKLY;BYDAY=XX", "no weekday"),
        ("FREQ=WEEKLY;BYMONTHDAY=3", "Days of the month"),
        ("FREQ=WEEKLY;BYDAY=MO;BYSETPOS=1", "BYSETPOS"),
        ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "no 0"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY"),
        ("FREQ=MONTHLY;BYMONTH=-1", "BYMONTH"),
        ("FREQ=WEEKLY;WKST=XX", "week to begin with"),
        ("BYDAY=MO", "how often"),
        ("FREQ=WEEKLY;FREQ=DAILY", "cannot be read"),
        ("FREQ", "cannot be read"),
        ("", "cannot be read"),
        ("FREQ=DAILY;" + "BYDAY=MO," * 100, "Shorten"),
    ],
)
def test_parse__unusable_rule__is_refused_with_a_sentence(rule: str, sentence: str) -> None:
    with pytest.raises(UnusableSchedule, match=sentence):
        parse_rule(rule)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("FREQ=DAILY", "every day"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=FR,MO", "every 2 weeks on Monday and Friday"),
        ("FREQ=MONTHLY;BYDAY=2TU", "every month on the second Tuesday"),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", "every month on the last day of the month"),
        ("FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1", "every month the last of Monday and Tuesday"),
        ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24;COUNT=3", "every year on day 24 in December 3 times"),
        ("FREQ=DAILY;UNTIL=20261231", "every day until 31 December 2026"),
    ],
)
def test_words__rule__is_said_plainly(rule: str, words: str) -> None:
    assert rule_in_words(parse_rule(rule)) == words


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;INTERVAL=7;BYDAY=TU",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=366",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=1000",
        "FREQ=DAILY;BYMONTH=2,4,6,9,11;BYMONTHDAY=31",
        "FREQ=MONTHLY;BYDAY=1MO;BYMONTHDAY=20",
        "FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYSETPOS=366;BYMONTH=1,2,3,4,5,6,7,8,9,10,11",
    ],
)
def test_days__rule_that_never_comes_true__costs_next_to_nothing(rule: str) -> None:
    first, parsed, began = date(2026, 3, 2), parse_rule(rule), time.process_time()

    for _ in range(20):
        assert list(days_of(parsed, first, since=first, until=date(2035, 3, 2))) == []

    assert time.process_time() - began < 1
