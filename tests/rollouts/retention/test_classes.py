"""The classes of payloads: how long each is kept at least."""

import pytest

from rollouts.retention.classes import TERMS, PayloadClass, checked_days, retention_of
from rollouts.selectors.retention import SOURCES


def test_terms_and_sources__cover_every_class():
    assert set(TERMS) == set(SOURCES) == set(PayloadClass)
    assert all(terms.usual_days >= terms.least_days > 0 for terms in TERMS.values())


def test_retention__some_named__others_are_as_usual():
    found = retention_of(" versions=800 , rounds=180d,")

    assert found[PayloadClass.VERSIONS] == 800
    assert found[PayloadClass.ROUNDS] == 180
    assert found[PayloadClass.DRILL_RUNS] == TERMS[PayloadClass.DRILL_RUNS].usual_days


@pytest.mark.parametrize("text", ["events=800", "versions", "versions=", "versions=-1", "versions=1e3", "=400"])
def test_retention__what_cannot_be_used__is_refused(text):
    with pytest.raises(ValueError, match=r"no class|no number of days"):
        retention_of(text)


@pytest.mark.parametrize("kind", PayloadClass)
def test_days__fewer_than_the_class_allows__are_refused(kind):
    least = TERMS[kind].least_days

    assert checked_days(kind, f"{least}d") == least
    with pytest.raises(ValueError, match=f"for {least} days at least"):
        checked_days(kind, str(least - 1))


@pytest.mark.parametrize("text", ["", "d", "400 days", "40000", "٤٠٠"])
def test_days__no_number__is_refused(text):
    with pytest.raises(ValueError, match="no number of days"):
        checked_days(PayloadClass.VERSIONS, text)
