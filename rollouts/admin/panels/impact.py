"""Who flips with this request: the latest run, how far it is or what it found, and the form for another."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser

from flags import permissions
from flags.archives import note_of
from flags.permissions import roles_of
from rollouts.admin.flow import Flow, answer_words, flow_of
from rollouts.impact import Population, headline
from rollouts.impact.headlines import share
from rollouts.models import ChangeRequest, ImpactRun, ImpactState
from rollouts.selectors import RequestPage
from rollouts.selectors.impact import default_population, last_run, latest_impact, usable_samples
from rollouts.services.impact import ASKERS
from rollouts.transitions import OPEN_STATES

KINDS = {"gained": "gain it", "lost": "lose it", "changed": "get another variant"}
MOST_FLAGS = 10


@dataclass(frozen=True, slots=True)
class Bar:
    """One group of people and what becomes of them, with widths in percent of the group."""

    label: str
    people: int
    parts: Sequence[tuple[str, float, float]]
    words: str


@dataclass(frozen=True, slots=True)
class Sample:
    """Somebody who gets another answer. `context` is there for made-up people only."""

    kind: str
    key: str
    old: str
    new: str
    context: str


@dataclass(frozen=True, slots=True)
class FlagImpact:
    """What becomes of one flag."""

    key: str
    counts: Sequence[tuple[str, str, int, str]]
    exposed: str
    flow: Flow
    rows: Sequence[tuple[str, str, str, int, str]]
    segments: Sequence[Bar]
    attributes: Sequence[tuple[str, Sequence[Bar]]]
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class ImpactPanel:
    """`run` is the one shown, `stale` why its numbers are not of now, `proposed` the population to begin with.

    `sampled` is how many sampled contexts could be asked instead, 0 where there are none or too few.
    """

    run: ImpactRun | None
    is_under_way: bool
    population: str
    sentence: str
    stale: str
    flags: Sequence[FlagImpact]
    more_flags: int
    may_ask: bool
    proposed: str
    sampled: int

    @property
    def is_done(self) -> bool:
        """Whether there are numbers to show."""
        return bool(self.sentence)


def impact_panel(page: RequestPage, user: AbstractUser, now: datetime) -> ImpactPanel | None:
    """The panel; None where nobody asked and nobody can. Nine queries at most."""
    request = page.request
    run = last_run(request)
    if run is not None and run.current_state is ImpactState.FAILED:
        run = latest_impact(request) or run
    may_ask = request.current_state in OPEN_STATES and _may_ask(user, request)
    if run is None and not may_ask:
        return None
    note = note_of(run.result) if run else None
    result = run.result if run and not note else None
    is_under_way = run is not None and not run.has_ended
    return ImpactPanel(
        run=run,
        is_under_way=is_under_way,
        population=_population_words(run.population) if run else "",
        sentence=headline(result) if result else note.words if note else "",
        stale=_stale_words(run, request) if run and result else "",
        flags=_flags(run) if run and result else [],
        more_flags=max(0, len(_moved(result)) - MOST_FLAGS) if result else 0,
        may_ask=may_ask,
        proposed=_proposed(request, run) if may_ask and not is_under_way else "",
        sampled=usable_samples(request.environment) if may_ask and not is_under_way else 0,
    )


def _may_ask(user: AbstractUser, request: ChangeRequest) -> bool:
    held = {permissions.ROLE_PERMISSION[role] for role in roles_of(user, request.environment)}
    return user.is_active and (user.is_superuser or not held.isdisjoint(ASKERS))


def _proposed(request: ChangeRequest, run: ImpactRun | None) -> str:
    """The description of the last run, so that running it again compares; at first one made from the rules."""
    if run is not None and run.population["kind"] == "synthetic":
        described = {name: value for name, value in run.population.items() if name != "kind"}
    else:
        described = default_population(request).as_json()
    return json.dumps(described, indent=1, ensure_ascii=False)


def _population_words(population: Mapping[str, Any]) -> str:
    size = f"{population['size']:,}"
    if population["kind"] == "upload":
        return f"{size} contexts handed in for this run and deleted since"
    if population["kind"] == "sampled":
        return f"{size} people whose contexts were sampled. {population['note']}"
    names = ", ".join(population["attributes"])
    return f"{size} made-up people{f' with {names}' if names else ''}"


def _stale_words(run: ImpactRun, request: ChangeRequest) -> str:
    if run.digest != request.digest:
        return "The request was edited since, so these numbers are not about what is asked for now."
    result: Mapping[str, Any] = run.result or {}
    if request.current_state in OPEN_STATES and result["revision"] != request.environment.revision:
        return f"{request.environment.name} has changed since this was counted, so the numbers may differ now."
    return ""


def _moved(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [flag for flag in result["flags"] if flag["flipped"]]


def _flags(run: ImpactRun) -> list[FlagImpact]:
    result: Mapping[str, Any] = run.result or {}
    return [_flag(flag, run, people=result["population"]) for flag in _moved(result)[:MOST_FLAGS]]


def _flag(flag: Mapping[str, Any], run: ImpactRun, *, people: int) -> FlagImpact:
    before, after = (share(flag[name], people) for name in ("exposed_before", "exposed_after"))
    return FlagImpact(
        key=flag["key"],
        counts=[(kind, words, flag[kind], share(flag[kind], people)) for kind, words in KINDS.items()],
        exposed=f"Exposed before: {before}. Exposed after: {after}.",
        flow=flow_of(flag["transitions"], people=people),
        rows=[
            (
                answer_words(row["from"]),
                answer_words(row["to"]),
                KINDS.get(row["kind"], "keep what they have"),
                row["people"],
                share(row["people"], people),
            )
            for row in flag["transitions"]
        ],
        segments=[_bar({**row, "label": row["key"]}) for row in flag.get("segments", ())],
        attributes=[(row["name"], [_bar(value) for value in row["values"]]) for row in flag.get("attributes", ())],
        samples=_samples(flag.get("samples", ()), run),
    )


def _bar(row: Mapping[str, Any]) -> Bar:
    parts, start, words = [], 0.0, []
    for kind, verb in KINDS.items():
        if row[kind]:
            width = 100 * row[kind] / row["people"]
            parts.append((kind, round(start, 2), round(width, 2)))
            start += width
            words.append(f"{share(row[kind], row['people'])} {verb}")
    nothing = "no change" if row["people"] else "nobody here"
    return Bar(row["label"], row["people"], parts, ", ".join(words) or nothing)


def _samples(rows: Sequence[Mapping[str, Any]], run: ImpactRun) -> list[Sample]:
    """Five of each kind; made-up people are made up again from their number."""
    population = None
    if run.population["kind"] == "synthetic":
        population = Population.from_json({name: run.population[name] for name in run.population if name != "kind"})
    found = []
    for kind in KINDS:
        for row in [row for row in rows if row["kind"] == kind][:5]:
            context = json.dumps(population.context(row["number"]), ensure_ascii=False) if population else ""
            found.append(Sample(kind, row["key"], answer_words(row["from"]), answer_words(row["to"]), context))
    return found
