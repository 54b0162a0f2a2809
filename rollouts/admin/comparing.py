"""What the page that compares environments shows, put together for the template."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.http import QueryDict

from flags import permissions
from flags.aspects import Aspect, aspect_of
from flags.changes import diff_configs
from flags.models import Environment, Project
from rollouts.models import IntendedDifference
from rollouts.selectors.drift import AspectLine, Comparison, DriftState, compare, differences_of, neighbours
from rollouts.selectors.unlike import Pair
from rollouts.services.differences import SAYERS

PAGE_SIZE = 50
STATES = {
    DriftState.UNEXPLAINED: ("Differs without a reason", "bad", "help"),
    DriftState.DIFFERS: ("Differs", "wait", "compare_arrows"),
    DriftState.INTENDED: ("Intended", "quiet", "verified"),
    DriftState.MISSING: ("Not set up", "quiet", "remove"),
    DriftState.SAME: ("The same", "good", "check"),
}
WORDS = {state.value: words for state, (words, _, _) in STATES.items()}


@dataclass(frozen=True, slots=True)
class CompareQuery:
    """What a person looks for; empty means any. `source` and `target` are environment keys."""

    text: str = ""
    flag: str = ""
    state: str = ""
    source: str = ""
    target: str = ""
    page: int = 1

    @classmethod
    def of(cls, params: QueryDict) -> "CompareQuery":
        """The query in an address; what it does not know means any."""
        page = params.get("page", "")
        state = params.get("state", "")
        return cls(
            text=params.get("q", "").strip()[:100],
            flag=params.get("flag", ""),
            state=state if state in WORDS else "",
            source=params.get("from", ""),
            target=params.get("to", ""),
            page=int(page) if page.isascii() and page.isdigit() and len(page) < 6 else 1,
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One aspect in words; `sentences` say what differs, where one flag is looked at."""

    line: AspectLine
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One flag in two environments, and what this person may do about it."""

    comparison: Comparison
    words: str
    tone: str
    symbol: str
    lines: tuple[Line, ...]
    may_promote: bool
    may_bring_back: bool
    may_intend: bool

    @property
    def missing_in(self) -> Environment | None:
        """Where the flag is not set up although the other one serves it."""
        if self.comparison.state is not DriftState.MISSING:
            return None
        return self.comparison.downstream if self.comparison.lower is None else self.comparison.upstream


@dataclass(frozen=True, slots=True)
class ComparePage:
    """One page of flags with a cell per pair, the counts of all of them, and the ledger of intended differences."""

    pairs: Sequence[Pair]
    rows: Sequence[tuple[Any, Sequence[Cell]]]
    sentence: str
    found: int
    page: int
    pages: int
    ledger: Sequence[tuple[IntendedDifference, bool, bool]]


@dataclass(frozen=True, slots=True)
class Rights:
    """In which environments a person may propose, and say that a difference is intended: a few queries."""

    person_id: object
    proposes: frozenset[Any]
    says: frozenset[Any]
    is_superuser: bool

    @classmethod
    def of(cls, user: AbstractUser) -> "Rights":
        """The rights of a person, now."""
        says = {place for permission in SAYERS for place in permissions.environments_with(user, permission)}
        proposes = frozenset(permissions.environments_with(user, permissions.PROPOSE))
        return cls(user.pk, proposes, frozenset(says), user.is_superuser)

    def may_say(self, environment_id: object) -> bool:
        """Whether a button makes sense; the service decides."""
        return self.is_superuser or environment_id in self.says


def compare_page(
    user: AbstractUser, project: Project, environments: Sequence[Environment], query: CompareQuery, *, now: datetime
) -> ComparePage:
    """Everything on the page: a constant number of queries."""
    pairs, rights = chosen_pairs(environments, query), Rights.of(user)
    rows = compare(project, pairs, now=now, flag_key=query.flag)
    matching = [row for row in rows if _matches(row, query)]
    pages = max((len(matching) - 1) // PAGE_SIZE + 1, 1)
    page = min(max(query.page, 1), pages)
    shown = matching[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    ledger = [
        (one, one.ended_at is None and one.expires_at > now, _may_end(one, rights)) for one in differences_of(project)
    ]
    return ComparePage(
        pairs=pairs,
        rows=[(row[0].flag, [_cell(cell, rights, is_told=bool(query.flag)) for cell in row]) for row in shown if row],
        sentence=summary(rows),
        found=len(matching),
        page=page,
        pages=pages,
        ledger=ledger if not query.flag else [line for line in ledger if line[0].flag.key == query.flag],
    )


def chosen_pairs(environments: Sequence[Environment], query: CompareQuery) -> list[Pair]:
    """The pair asked for, in the order of the environments, else all neighbours."""
    named = [one for one in environments if one.key in {query.source, query.target}]
    return neighbours(named if len(named) == 2 else environments)


def summary(rows: Iterable[Sequence[Comparison]]) -> str:
    """How many flags stand how, in a sentence."""
    states = [_worst_of(row) for row in rows]
    unexplained, differing, intended = (
        states.count(state) for state in (DriftState.UNEXPLAINED, DriftState.DIFFERS, DriftState.INTENDED)
    )
    parts = [
        f"{unexplained} {'differs' if unexplained == 1 else 'differ'} without a reason" if unexplained else "",
        f"{differing} {'differs' if differing == 1 else 'differ'} of late" if differing else "",
        f"{intended} {'differs' if intended == 1 else 'differ'} on purpose" if intended else "",
    ]
    told = [part for part in parts if part]
    total = f"Of {len(states)} {'flag' if len(states) == 1 else 'flags'},"
    return f"{total} {', '.join(told)}." if told else f"{total} none is served differently."


def _worst_of(row: Sequence[Comparison]) -> DriftState:
    states = {cell.state for cell in row}
    return next((state for state in STATES if state in states), DriftState.SAME)


def _matches(row: Sequence[Comparison], query: CompareQuery) -> bool:
    if not row:
        return False
    flag, text = row[0].flag, query.text.casefold()
    if text and text not in flag.key.casefold() and text not in flag.name.casefold():
        return False
    if query.state:
        return any(cell.state.value == query.state for cell in row)
    return True


def _cell(cell: Comparison, rights: Rights, *, is_told: bool) -> Cell:
    words, tone, symbol = STATES[cell.state]
    sentences = _sentences(cell) if is_told and cell.lines else {}
    differs = cell.state is not DriftState.SAME
    return Cell(
        cell,
        words,
        tone,
        symbol,
        tuple(Line(line, tuple(sentences.get(line.aspect, ()))) for line in cell.lines),
        may_promote=differs and cell.upper is not None and cell.downstream.pk in rights.proposes,
        may_bring_back=differs and cell.lower is not None and cell.upstream.pk in rights.proposes,
        may_intend=any(line.intended is None for line in cell.lines) and rights.may_say(cell.downstream.pk),
    )


def _sentences(cell: Comparison) -> dict[Aspect | None, list[str]]:
    """What promoting would change, by aspect."""
    found: dict[Aspect | None, list[str]] = {}
    if cell.upper is not None and cell.lower is not None:
        for difference in diff_configs(cell.lower.document, cell.upper.document):
            found.setdefault(aspect_of(difference.path), []).append(difference.sentence)
    for key in cell.segments:
        found.setdefault(Aspect.RULES, []).append(f"The segment {key} does not hold the same people in both.")
    return found


def _may_end(row: IntendedDifference, rights: Rights) -> bool:
    return row.owner_id == rights.person_id or rights.may_say(row.downstream_id)
