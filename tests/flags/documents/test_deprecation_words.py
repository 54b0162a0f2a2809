"""A flag that ends in words: summary, linter, what fits together in an environment, and who may still be served."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flags.documents import describe_deprecation, initial_document, summarise
from flags.documents.lint import lint_config
from flags.documents.references import environment_problems, problems_added
from flags.documents.serving import variants_served

NOW = datetime(2027, 4, 1, 12, tzinfo=UTC)
MARCH, JUNE = "2027-03-03T09:00:00Z", "2027-06-01T00:00:00Z"
TOLD = "Services are told that it is deprecated since 2027-03-03 09:00 UTC"
GONE = "Archived: services get their own code default, as if there were no such flag"


def flag(*prerequisites: str, **fields: Any) -> dict[str, Any]:
    needs = {"prerequisites": [{"flag": key, "variants": ["on"]} for key in prerequisites]} if prerequisites else {}
    return {**initial_document("flag", "boolean"), "enabled": True, "default_variant": "on", **needs, **fields}


def ends(weight: int = 0, serves: str | None = "off", until: str = "", **told: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"deprecated_at": MARCH, **told}
    if weight:
        found["withdrawal"] = {"weight": weight, "serves": serves, **({"until": until} if until else {})}
    return {"deprecation": found}


@pytest.mark.parametrize(
    ("fields", "sentences"),
    [
        (ends(), [TOLD]),
        (
            ends(sunset_at=JUNE, successor="new-checkout", link="https://a.test/x"),
            [f"{TOLD}; sunset 2027-06-01 00:00 UTC; successor new-checkout; more at https://a.test/x"],
        ),
        (ends(successor="a; sunset never"), [f"{TOLD}; successor “a; sunset never”"]),
        (ends(25_000, None), [TOLD, "25 % of people get the code default"]),
        (ends(500, "off", JUNE), [TOLD, "0.5 % of people get “off” until 2027-06-01 00:00 UTC"]),
        (ends(100_000, "off", JUNE), [TOLD, "Brownout until 2027-06-01 00:00 UTC: everybody gets “off”"]),
        (ends(100_000, None), [TOLD, "Withdrawn: everybody gets the code default"]),
        (ends(100_000, "off", is_archived=True), [TOLD, "Withdrawn: everybody gets “off”", GONE]),
    ],
)
def test_describe_deprecation__every_kind__is_read_by_anybody(fields: dict[str, Any], sentences: list[str]) -> None:
    assert describe_deprecation(fields["deprecation"]) == sentences


@pytest.mark.parametrize(
    ("fields", "state", "headline", "begins"),
    [
        (ends(), "on", "On for everyone, deprecated", "Switched on: on for everyone. Services are told"),
        (ends(25_000), "partial", "25 % off, else on", "25 % of people get “off”. Switched on"),
        (ends(25_000, None), "partial", "25 % code default, else on", "25 % of people get the code default."),
        (ends(25_000) | {"default_variant": "off"}, "off", "Off for everyone, deprecated", "25 % of people get “off”."),
        (
            ends(100_000, "off", JUNE),
            "off",
            "Brownout until 2027-06-01 00:00 UTC: off for everyone",
            "Brownout until 2027-06-01 00:00 UTC: everybody gets “off”. Then again: switched on: on for everyone.",
        ),
        (ends(100_000), "off", "Withdrawn: off for everyone", "Withdrawn: everybody gets “off”."),
        (ends(100_000, None), "on", "Withdrawn: code default for everyone", "Withdrawn: everybody gets the code"),
        (ends(100_000) | {"enabled": False}, "off", "Off, deprecated", "Switched off."),
        (ends(is_archived=True), "off", "Archived", f"{GONE}."),
    ],
)
def test_summarise__flag_that_ends__says_so(fields: dict[str, Any], state: str, headline: str, begins: str) -> None:
    summary = summarise(flag(**fields))
    assert (summary.state, summary.headline) == (state, headline)
    assert summary.sentence.startswith(begins)


def test_summarise__ramp_down__has_the_share_that_is_left() -> None:
    assert summarise(flag(**ends(25_000))).share == 75_000


@pytest.mark.parametrize(
    ("until", "headline"),
    [
        ("2027-04-01T12:00:00Z", "On for everyone, deprecated"),
        ("2027-04-01T12:00:01Z", "Brownout until 2027-04-01 12:00:01 UTC: off for everyone"),
    ],
)
def test_summarise__brownout_that_is_over__is_not_told(until: str, headline: str) -> None:
    assert summarise(flag(**ends(100_000, "off", until)), now=NOW).headline == headline


CONFIGS = {"old": flag(**ends(sunset_at=JUNE, successor="new")), "new": flag(), "plain": flag(**ends())}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            flag("old"),
            [
                (
                    "prerequisite_deprecated",
                    "prerequisites[0]",
                    "Let it depend on new instead before old is gone.",
                )
            ],
        ),
        (
            flag("plain"),
            [("prerequisite_deprecated", "prerequisites[0]", "Remove the prerequisite before plain is gone.")],
        ),
        (flag("new"), []),
        (flag(**ends(successor="new")), []),
        (flag(**ends(successor="gone")), [("successor_missing", "deprecation.successor", "Set it up here")]),
        (flag(**ends(successor="old")), [("successor_deprecated", "deprecation.successor", "Name a flag that stays.")]),
        (
            flag(**ends(successor="new"), client_visible=True),
            [("successor_hidden", "deprecation.successor", "Let browsers see the successor as well.")],
        ),
        (flag(**ends(1, until=JUNE)), []),
        (
            flag(**ends(1, until="2027-04-01T12:00:00Z")),
            [("withdrawal_over", "deprecation.withdrawal.until", "It goes with the next milestone")],
        ),
    ],
)
def test_lint_config__what_leans_on_a_flag_that_ends__is_told(
    document: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    found = lint_config(
        document, flag_key="flag", segments={}, configs=CONFIGS, attributes={}, known_attributes=(), now=NOW
    )
    assert [(item.code, item.path) for item in found] == [(code, path) for code, path, _ in expected]
    assert all(item.advice.startswith(advice) for item, (_, _, advice) in zip(found, expected, strict=True))


def test_lint_config__prerequisite_that_is_sunset__is_never_met() -> None:
    configs = {"old": flag(**ends(100_000))}
    found = lint_config(
        flag("old"), flag_key="flag", segments={}, configs=configs, attributes={}, known_attributes=(), now=NOW
    )
    assert [item.code for item in found] == ["prerequisite_never_met", "prerequisite_deprecated"]


def test_environment_problems__archived_prerequisite__names_both_flags() -> None:
    before = {"old": flag(), "child": flag("old")}
    after = {**before, "old": flag(**ends(is_archived=True))}

    (problem,) = problems_added((before, {}), (after, {}))

    assert (problem.key, problem.path) == ("child", "prerequisites[0].flag")
    assert problem.message == (
        "“child” needs “old”, which is archived in this environment and serves nobody. "
        "Remove that prerequisite of “child”, or archive “child” first."
    )
    assert problems_added((after, {}), (after, {})) == []
    assert environment_problems({**after, "child": flag("old", **ends(is_archived=True))}, {}) == []


def test_environment_problems__flag_as_its_own_successor__is_refused() -> None:
    (problem,) = environment_problems({"old": flag(**ends(successor="old"))}, {})
    assert (problem.key, problem.path) == ("old", "deprecation.successor")


@pytest.mark.parametrize(
    ("fields", "served"),
    [
        (ends(), {"on"}),
        (ends(25_000), {"on", "off"}),
        (ends(100_000), {"off"}),
        (ends(100_000, None), set()),
        (ends(100_000, "off", JUNE), {"on", "off"}),
        (ends(100_000, "off", MARCH), {"on"}),
        (ends(100_000, "on") | {"enabled": False}, {"off"}),
        (ends(is_archived=True), set()),
    ],
)
def test_variants_served__flag_that_ends__names_what_somebody_may_get(fields: dict[str, Any], served: set[str]) -> None:
    assert variants_served("flag", {"flag": flag(**fields)}, now=NOW) == served
