"""A plan carried out on paper: when its stages come, whom they reach among made-up people, and what stands around them.

Nothing is written. One population is made for all stages, and the smaller the more flags and stages there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from flags.changes import ChangeSet, ConfigEdit
from flags.documents.references import flags_below
from flags.documents.schema import TARGETING_KEY
from flags.documents.words import describe_prerequisite
from flags.evaluation import FlagSource, Snapshot
from flags.models import ContextAttribute, Environment, Flag
from flags.snapshots.building import build
from rollouts.impact import Side, affected_flags, mentions_of, proposed_population
from rollouts.impact.scope import related_documents
from rollouts.impact.simulation import Simulation
from rollouts.models import ChangeRequest, PlanFlag
from rollouts.plans.definition import PlanDefinition
from rollouts.plans.dry_run import TimelineEntry, timeline
from rollouts.plans.patches import documents_at
from rollouts.policies import Finding, findings_of
from rollouts.selectors.facts import SMALLEST_POPULATION, facts_of
from rollouts.selectors.plans.freezes import freezes_ahead
from rollouts.selectors.rules import active_rules, directory_of
from rollouts.selectors.verdicts import policy_of

MOST_PEOPLE = 2_000
FEWEST_PEOPLE = 100
MOST_TARGETS = 500
# Answers of one dry run, people times flags times stages: well below a second of work.
MOST_ANSWERS = 40_000

Documents = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class TargetReach:
    """What a stage does to the keys of individual targets, which no made-up person has: `asked` of `keys` were."""

    keys: int
    asked: int
    gained: int
    lost: int
    changed: int
    exposed: int | None = None

    @property
    def sentence(self) -> str:
        """The counts for people."""
        of = f"{self.keys:,}" if self.asked == self.keys else f"the first {self.asked:,} of {self.keys:,}"
        return f"Of {of} individual target{'' if self.keys == 1 else 's'} {_moved(self)}."


@dataclass(frozen=True, slots=True)
class StageReach:
    """What a stage does to made-up people, compared with the stage before. `exposed` have what it brings, those of
    earlier stages among them; None where it moves several flags. `targets` are the individual ones, None without any.
    """

    people: int
    gained: int
    lost: int
    changed: int
    exposed: int | None
    targets: TargetReach | None = None

    @property
    def sentence(self) -> str:
        """The counts for people."""
        said = f"Of {self.people:,} made-up people {_moved(self)}."
        return f"{said} {self.targets.sentence}" if self.targets else said


@dataclass(frozen=True, slots=True)
class DryRun:
    """All that can be said of a plan before it starts. `approvals` is 0 where nobody is asked."""

    entries: tuple[TimelineEntry, ...]
    reach: tuple[StageReach, ...]
    depends: tuple[str, ...]
    findings: tuple[Finding, ...]
    approvals: int

    @property
    def ends_at(self) -> datetime:
        """When its last stage is over at the earliest."""
        return self.entries[-1].leaves_at


def dry_run(
    definition: PlanDefinition,
    environment: Environment,
    *,
    base: Mapping[str, Mapping[str, Any]],
    documents: Sequence[Documents],
    now: datetime,
    approvals_take: timedelta = timedelta(0),
) -> DryRun:
    """Carry a plan out on paper. `base` is document and version of each flag before it, `documents` those of stages."""
    freezes = freezes_ahead(environment, definition.flags, now)
    entries = timeline(definition, starts_at=now, freezes=freezes, approvals_take=approvals_take)
    known = {key: found["document"] for key, found in base.items()}
    served = build(environment.pk)
    reach, flipped = _reach(definition, known, documents, served, environment, entries)
    return DryRun(
        entries,
        reach,
        _dependencies(definition, known, served, environment),
        _findings(environment, base, documents, flipped, now=now) if environment.is_protected else (),
        policy_of(environment).required_approvals if environment.is_protected else 0,
    )


def _reach(
    definition: PlanDefinition,
    known: Documents,
    documents: Sequence[Documents],
    served: Snapshot,
    environment: Environment,
    entries: Sequence[TimelineEntry],
) -> tuple[tuple[StageReach, ...], tuple[int, int]]:
    """Every stage against the one before, and how many of how many the whole plan moves."""
    types = dict(
        Flag.objects.filter(project=environment.project_id, key__in=definition.flags).values_list("key", "value_type")
    )
    stages = [
        _with(served, documents_at(number, base=known, documents=documents), types)
        for number in range(len(documents) + 1)
    ]
    keys = sorted({key for stage in stages[1:] for key in affected_flags(Side.of(stages[0]), Side.of(stage))})
    contexts = _people(stages, keys, environment)
    targets = _target_keys(stages, keys)
    found = []
    for (before, after), entry in zip(pairwise(stages), entries, strict=True):
        counted = _counted(before, after, keys, contexts, at=entry.earliest_at)
        named = _target_reach(before, after, keys, targets, at=entry.earliest_at)
        found.append(StageReach(people=len(contexts), targets=named, **_kinds(counted)))
    whole = _counted(stages[0], stages[-1], keys, contexts, at=entries[-1].earliest_at)
    return tuple(found), (whole["flipped"], len(contexts))


def _target_keys(stages: Sequence[Snapshot], keys: Sequence[str]) -> list[str]:
    """Every key that one of these flags targets individually in any stage."""
    documents = (stage.flags[key].document for stage in stages for key in keys if key in stage.flags)
    return sorted({key for document in documents for target in document.get("targets", ()) for key in target["keys"]})


def _target_reach(
    before: Snapshot, after: Snapshot, keys: Sequence[str], targets: Sequence[str], *, at: datetime
) -> TargetReach | None:
    """The stage for the keys of individual targets, known by nothing but the key."""
    asked = targets[:MOST_TARGETS]
    if not asked:
        return None
    counted = _counted(before, after, keys, [{TARGETING_KEY: key} for key in asked], at=at)
    return TargetReach(keys=len(targets), asked=len(asked), **_kinds(counted))


def _kinds(counted: Mapping[str, Any]) -> dict[str, Any]:
    """Whom a stage moves, and how many have afterwards what the one flag it moves brings."""
    moved = [flag["exposed_after"] for flag in counted["flags"] if flag["flipped"]]
    kinds = {kind: counted[kind] for kind in ("gained", "lost", "changed")}
    return {**kinds, "exposed": moved[0] if len(moved) == 1 else None}


def _moved(reach: StageReach | TargetReach) -> str:
    """How many have it, how many of them are new, and whom it is taken from."""
    counts = [
        f"{count:,} {verb}{'s' if count == 1 else ''} {what}"
        for count, verb, what in ((reach.lost, "lose", "it"), (reach.changed, "get", "something else"))
        if count
    ]
    if reach.exposed is not None and (reach.gained or reach.lost):
        new = f", {reach.gained:,} of them new" if reach.gained else ""
        counts = [f"{reach.exposed:,} {'has' if reach.exposed == 1 else 'have'} it{new}", *counts]
    elif reach.gained:
        counts = [f"{reach.gained:,} new {'one gets' if reach.gained == 1 else 'ones get'} it", *counts]
    return "; ".join(counts) if counts else "nobody gets anything else"


def _counted(
    before: Snapshot, after: Snapshot, keys: Sequence[str], contexts: Sequence[Mapping[str, Any]], *, at: datetime
) -> dict[str, Any]:
    simulation = Simulation(before, after, keys, at=at, shows_keys=False)
    simulation.feed(contexts)
    return simulation.result()


def _with(served: Snapshot, documents: Documents, types: Mapping[str, str]) -> Snapshot:
    """What is served with these documents of the plan's flags; one that was never set up and is not yet stays away."""
    changed = {
        key: replace(served.flags[key], document=dict(document))
        if key in served.flags
        else FlagSource(types[key], dict(document), 0)
        for key, document in documents.items()
    }
    return replace(served, flags={**served.flags, **changed})


def _people(stages: Sequence[Snapshot], keys: Sequence[str], environment: Environment) -> list[dict[str, Any]]:
    """Made-up people among whom the rules around the plan match at all."""
    size = max(FEWEST_PEOPLE, min(MOST_PEOPLE, MOST_ANSWERS // max(1, len(keys) * len(stages))))
    declared = dict(ContextAttribute.objects.filter(project=environment.project_id).values_list("name", "value_type"))
    mentions = mentions_of(related_documents(keys, *(Side.of(stage) for stage in stages)))
    return list(proposed_population(mentions, declared=declared, size=size).contexts())


def _dependencies(
    definition: PlanDefinition, known: Documents, served: Snapshot, environment: Environment
) -> tuple[str, ...]:
    """What flags of the plan need of other flags, how those stand, and which flags need them in turn: one query."""
    configs = {key: source.document for key, source in served.flags.items()}
    needed = [
        (key, item)
        for key, document in known.items()
        for item in document.get("prerequisites", ())
        if item["flag"] not in known
    ]
    children = sorted({child for key in definition.flags for child in flags_below(key, configs)} - set(known))
    around = {item["flag"] for _, item in needed} | set(children)
    rolling = _rolling(environment, around)
    found = []
    for key, item in needed:
        standing = _standing(item["flag"], configs, rolling)
        found.append(
            f"{key} needs {describe_prerequisite(item, verb='to serve')}{standing}. "
            "Whoever does not get that, gets nothing new here."
        )
    for child in children:
        found.append(
            f"{child} needs {_parents(child, definition, configs)}, so this plan moves it too{rolling.get(child, '')}."
        )
    return tuple(found)


def _standing(key: str, configs: Documents, rolling: Mapping[str, str]) -> str:
    if key not in configs:
        return ", which is not set up here"
    if not configs[key]["enabled"]:
        return ", which is switched off now"
    return rolling.get(key, "")


def _parents(child: str, definition: PlanDefinition, configs: Documents) -> str:
    return " and ".join(
        item["flag"] for item in configs[child].get("prerequisites", ()) if item["flag"] in definition.flags
    )


def _rolling(environment: Environment, keys: set[str]) -> dict[str, str]:
    """Which of these flags another plan moves at the same time, in words."""
    rows = PlanFlag.objects.filter(environment=environment, flag__key__in=keys, is_live=True)
    return {row.flag.key: f", and plan #{row.plan.number} moves it now" for row in rows.select_related("flag", "plan")}


def _findings(
    environment: Environment,
    base: Mapping[str, Mapping[str, Any]],
    documents: Sequence[Documents],
    flipped: tuple[int, int],
    *,
    now: datetime,
) -> tuple[Finding, ...]:
    """What the rules would say of a request for the plan, as far as anybody can know before there is one."""
    rules = active_rules(environment.project_id)
    if not rules:
        return ()
    last = documents_at(
        len(documents), base={key: found["document"] for key, found in base.items()}, documents=documents
    )
    edits = tuple(ConfigEdit(key, base[key]["version"], document) for key, document in last.items())
    content = ChangeSet(str(environment.pk), edits).as_json()
    facts = facts_of(
        ChangeRequest(project_id=environment.project_id, environment=environment, change_set=content), now=now
    )
    if flipped[1] >= SMALLEST_POPULATION:
        facts = replace(facts, flipped=flipped[0], population=flipped[1])
    return findings_of(rules, facts, directory_of([environment.project_id], rules))
