"""Flags for people: the matrix of flags and environments, and what one flag serves, in words."""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db.models import Max

from flags.documents import Summary, describe_rule, rule_label, summarise
from flags.documents.words import describe_keys
from flags.evaluation.instants import parse_instant
from flags.models import Environment, Flag, FlagConfig, Project
from flags.permissions import (
    APPLY,
    PROPOSE,
    environments_with,
    visible_environments,
)
from flags.selectors.prerequisites import Dependent, Need, dependents_by_place, needs_by_place

PAGE_SIZE = 50
TARGETS_NAMED = 3
ARCHIVED = "archived"
STATES = {
    "off": "Off",
    "on": "On",
    "partial": "For a share",
    "targeted": "Targeted",
    "none": "Not set up",
    ARCHIVED: "Archived",
}
SORTS = {"name": "Name", "key": "Key", "changed": "Last changed", "newest": "Newest first"}


@dataclass(frozen=True, slots=True)
class MatrixQuery:
    """What a person looks for in the matrix; empty means any. `where` is the environment key that `state` is about.

    Archived flags are shown only when asked for, by the state `archived`.
    """

    text: str = ""
    kind: str = ""
    owner: str = ""
    tag: str = ""
    state: str = ""
    where: str = ""
    sort: str = "name"
    page: int = 1


@dataclass(frozen=True, slots=True)
class Cell:
    """One flag in one environment. `summary` is None where nothing was ever applied, `detail` names who is targeted."""

    environment: Environment
    summary: Summary | None
    version: int
    changed_at: datetime | None
    may_propose: bool
    detail: str = ""
    needs: Sequence[Need] = ()
    dependents: Sequence[Dependent] = ()
    is_client_visible: bool = False
    document: Mapping[str, Any] | None = None

    @property
    def unmet(self) -> Sequence[Need]:
        """The prerequisites whose parents serve none of what is wanted."""
        return [need for need in self.needs if need.is_unmet]


@dataclass(frozen=True, slots=True)
class Row:
    """One flag in every environment the person may look at."""

    flag: Flag
    cells: Sequence[Cell]

    @property
    def changed_at(self) -> datetime | None:
        """When anything this row shows was last changed."""
        return max((cell.changed_at for cell in self.cells if cell.changed_at), default=None)


@dataclass(frozen=True, slots=True)
class Matrix:
    """One page of the matrix. `total` counts all flags of the project, `found` those that match."""

    environments: Sequence[Environment]
    rows: Sequence[Row]
    total: int
    found: int
    page: int
    pages: int
    owners: Sequence[tuple[str, str]]
    tags: Sequence[str]


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule as its page says it: what people call it, what it does, and between which instants it is asked."""

    label: str
    sentence: str
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FlagCard:
    """What one flag serves in one environment, in words. `change` is the history row of the current version.

    `once_on`: what everyone gets once it is switched on, where no rule and no target tells people apart.
    `may_switch_off` is about protected environments, where that takes no approval.
    """

    cell: Cell
    enabled: bool = False
    rules: Sequence[RuleLine] = ()
    targets: Sequence[tuple[str, int, str]] = ()
    otherwise: str = ""
    once_on: str = ""
    off_means: str = ""
    change: Any = None
    may_switch_off: bool = False


def matrix(user: AbstractUser, project: Project, query: MatrixQuery, *, now: datetime) -> Matrix:
    """One page of a project's flags with what each serves in every environment the person may look at: 8 queries."""
    environments = list(visible_environments(user).filter(project=project).order_by("position", "key"))
    wanted = Flag.objects.filter(project=project, archived_at__isnull=query.state != ARCHIVED)
    flags = list(wanted.select_related("owner").defer("value_schema", "links"))
    proposes = environments_with(user, PROPOSE)
    chosen = _sorted([flag for flag in flags if _matches(flag, query)], query.sort, environments)
    if query.state and query.state != ARCHIVED:
        about = [item for item in environments if query.where in {"", item.key}]
        rows = [row for row in _rows(chosen, environments, proposes, now) if _in_state(row, query.state, about)]
        found, pages = len(rows), _pages(len(rows))
        rows = rows[_slice(query.page, pages)]
    else:
        found, pages = len(chosen), _pages(len(chosen))
        rows = _rows(chosen[_slice(query.page, pages)], environments, proposes, now)
    return Matrix(
        environments=environments,
        rows=_with_neighbours(rows, project.pk, now=now),
        total=len(flags),
        found=found,
        page=min(max(query.page, 1), pages),
        pages=pages,
        owners=sorted({(str(flag.owner_id), _name(flag.owner)) for flag in flags if flag.owner}, key=lambda o: o[1]),
        tags=sorted({tag for flag in flags for tag in flag.tags}),
    )


def _pages(count: int) -> int:
    return max(1, -(-count // PAGE_SIZE))


def _slice(page: int, pages: int) -> slice:
    first = (min(max(page, 1), pages) - 1) * PAGE_SIZE
    return slice(first, first + PAGE_SIZE)


def _matches(flag: Flag, query: MatrixQuery) -> bool:
    if query.kind and flag.kind != query.kind:
        return False
    if query.owner and (str(flag.owner_id) if flag.owner_id else "nobody") != query.owner:
        return False
    if query.tag and query.tag not in flag.tags:
        return False
    haystack = " ".join([flag.key, flag.name, flag.description, *flag.tags]).casefold()
    return all(word in haystack for word in query.text.casefold().split())


def _sorted(flags: list[Flag], sort: str, environments: Collection[Environment]) -> list[Flag]:
    flags = sorted(flags, key=lambda flag: (flag.name.casefold(), flag.key))
    if sort == "key":
        flags.sort(key=lambda flag: flag.key)
    elif sort == "newest":
        flags.sort(key=lambda flag: flag.created_at, reverse=True)
    elif sort == "changed":
        configs = FlagConfig.objects.filter(environment__in=environments).values_list("flag_id")
        latest = {flag_id: changed_at.timestamp() for flag_id, changed_at in configs.annotate(Max("updated_at"))}
        flags.sort(key=lambda flag: latest.get(flag.pk, 0.0), reverse=True)
    return flags


def _in_state(row: Row, state: str, about: Collection[Environment]) -> bool:
    keys = {environment.pk for environment in about}
    return any(
        (cell.summary.state if cell.summary else "none") == state for cell in row.cells if cell.environment.pk in keys
    )


def _rows(
    flags: Sequence[Flag], environments: Sequence[Environment], proposes: Collection[uuid.UUID], now: datetime
) -> list[Row]:
    configs = {
        (config.flag_id, config.environment_id): config
        for config in FlagConfig.objects.filter(flag__in=flags, environment__in=environments)
    }
    return [
        Row(flag, [_cell(item, configs.get((flag.pk, item.pk)), item.pk in proposes, now) for item in environments])
        for flag in flags
    ]


def _cell(environment: Environment, config: FlagConfig | None, may_propose: bool, now: datetime) -> Cell:
    if config is None:
        return Cell(environment, None, 0, None, may_propose)
    summary = summarise(config.document, now=now)
    return Cell(
        environment,
        summary,
        config.version,
        config.updated_at,
        may_propose,
        detail=_targets(config.document) if summary.state == "targeted" else "",
        is_client_visible=config.document.get("client_visible", False),
        document=config.document,
    )


def _with_neighbours(rows: Sequence[Row], project_id: uuid.UUID, *, now: datetime) -> list[Row]:
    """The rows with what each flag needs and which flags need it: five queries at most."""
    cells = {(cell.environment.pk, row.flag.key): cell for row in rows for cell in row.cells}
    documents = {place: cell.document for place, cell in cells.items() if cell.document is not None}
    needs = needs_by_place(documents, project_id, now=now)
    dependents = dependents_by_place({place[0] for place in cells})
    return [
        Row(
            row.flag,
            [
                replace(cell, needs=needs.get(place, ()), dependents=dependents.get(place, ()))
                for cell in row.cells
                for place in [(cell.environment.pk, row.flag.key)]
            ],
        )
        for row in rows
    ]


def _targets(document: Mapping[str, Any]) -> str:
    """Whom the rules of a config are for: the first two by name."""
    labels = [rule_label(rule).strip("“”") for rule in document["rules"] if rule["condition"] is not None]
    return ", ".join(labels[:2]) + (f" and {len(labels) - 2} more" if len(labels) > 2 else "")


def flag_cards(user: AbstractUser, flag: Flag, *, now: datetime) -> list[FlagCard]:
    """What a flag serves in every environment the person may look at: eight queries."""
    environments = list(visible_environments(user).filter(project=flag.project_id).order_by("position", "key"))
    proposes, applies = environments_with(user, PROPOSE), environments_with(user, APPLY)
    configs = {config.environment_id: config for config in flag.configs.filter(environment__in=environments)}
    changes = _current_changes(configs.values())
    cells = [_cell(item, configs.get(item.pk), item.pk in proposes, now) for item in environments]
    cards = []
    for cell in _with_neighbours([Row(flag, cells)], flag.project_id, now=now)[0].cells:
        config = configs.get(cell.environment.pk)
        if config is None:
            cards.append(FlagCard(cell))
        else:
            card = _described(cell, config.document, changes.get(config.pk))
            may_narrow = cell.may_propose or cell.environment.pk in applies
            cards.append(replace(card, may_switch_off=may_narrow and cell.environment.is_protected and card.enabled))
    return cards


def _current_changes(configs: Iterable[FlagConfig]) -> dict[uuid.UUID, Any]:
    """The history row of each config's current version, by config."""
    versions = {config.pk: config.version for config in configs}
    history = FlagConfig.history.filter(id__in=versions).defer("document").select_related("history_user")
    return {row.id: row for row in history if row.version == versions[row.id]}


def _described(cell: Cell, document: Mapping[str, Any], change: Any) -> FlagCard:
    rules = [_rule_line(rule) for rule in document["rules"]]
    everyone_has_a_rule = any(
        rule["condition"] is None and not rule.keys() & {"starts_at", "ends_at"} for rule in document["rules"]
    )
    off_means = cell.summary.off_means if cell.summary else ""
    return FlagCard(
        cell,
        enabled=document["enabled"],
        rules=rules,
        targets=[
            (entry["variant"], len(entry["keys"]), describe_keys(entry["keys"], limit=TARGETS_NAMED))
            for entry in document.get("targets", ())
        ],
        otherwise="" if everyone_has_a_rule else _otherwise(document, bool(rules or document.get("targets"))),
        once_on="" if rules or document.get("targets") else _default_words(document),
        off_means=off_means,
        change=change,
    )


def _rule_line(rule: Mapping[str, Any]) -> RuleLine:
    starts_at, ends_at = (parse_instant(rule[name]) if name in rule else None for name in ("starts_at", "ends_at"))
    return RuleLine(str(rule["description"]).strip(), describe_rule(rule), starts_at, ends_at)


def _otherwise(document: Mapping[str, Any], has_rules: bool) -> str:
    who = "Everyone else" if has_rules else "Everyone"
    return f"{who}: {_default_words(document)}"


def _default_words(document: Mapping[str, Any]) -> str:
    name = document["default_variant"]
    return "the default of the application’s own code" if name is None else f"“{name}”"


def _name(person: Any) -> str:
    return str(person.get_full_name() or person.get_username())
