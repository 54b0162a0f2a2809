"""A thousand random orders of acts: nothing is applied without the required approvals of exactly that content.

The oracle below is written from the rules, not the code: it keeps its own notes of who said yes to what, who worked
on the request, which roles and policies were in force, and never asks the product for a digest or a verdict.
"""

import random
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from audits.errors import GovernanceError
from flags.changes import ChangeSet, ConfigEdit
from flags.models import FlagConfig
from flags.permissions import Role
from rollouts.models import ChangeRequest
from rollouts.services import change_requests as acts
from rollouts.transitions import RequestState
from tests.factories import NOW, actor_of, make_person, percent_document
from tests.rollouts.support import Bench

ORDERS, BATCHES, LENGTH = 1000, 10, 8
EDITORS = ("rita", "cora")
APPROVERS = ("abel", "anna", "cora", "rita")
SHARES = (20, 30)
Content = tuple[int, int, datetime | None]


@dataclass
class Notes:
    """What an attentive clerk would write down."""

    content: Content
    round: int
    policy_at_submit: tuple[int, frozenset[str]]
    said_yes: set[tuple[str, int]] = field(default_factory=set)
    worked_on_it: set[str] = field(default_factory=lambda: {"rita"})


@dataclass
class Office:
    """The facts around requests that outlive each of them."""

    bench: Bench
    people: dict[str, Any]
    approvers: set[str]
    closed: set[str] = field(default_factory=set)
    policy: tuple[int, frozenset[str]] = (1, frozenset())
    version: int = 1
    now: datetime = NOW

    def allows(self, notes: Notes) -> bool:
        """The rule itself: enough different people who may, since the last edit, none of whom worked on it."""
        yes = {person for person, number in notes.said_yes if number == notes.round}
        yes -= notes.worked_on_it | self.closed
        yes &= self.approvers
        for _, named in (self.policy, notes.policy_at_submit):
            yes &= named or yes
        return len(yes) >= max(self.policy[0], notes.policy_at_submit[0])


def _office(bench: Bench) -> Office:
    people = {name: getattr(bench.world, name) for name in ("rita", "abel", "anna")} | {"cora": make_person("cora")}
    office = Office(bench, people, set())
    for name in people:
        _set_roles(office, name, is_approver=True)
    return office


def _set_roles(office: Office, name: str, *, is_approver: bool) -> None:
    roles = [Role.EDITOR] * (name in EDITORS) + [Role.APPROVER] * is_approver
    office.bench.world.grant(office.people[name], office.bench.production, *roles)
    (office.approvers.add if is_approver else office.approvers.discard)(name)


def _change_set(office: Office, content: Content) -> ChangeSet:
    share, base, _ = content
    document = percent_document(office.bench.flag.key, share)
    return ChangeSet(str(office.bench.production.pk), (ConfigEdit(office.bench.flag.key, base, document),))


class Order:
    """One request and the acts upon it; every act that the product accepts is noted."""

    def __init__(self, office: Office, dice: random.Random) -> None:
        self.office, self.dice = office, dice
        content = (dice.choice(SHARES), office.version, None)
        self.request = office.bench.draft(change_set=_change_set(office, content), now=office.now)
        office.bench.submit(self.request, now=office.now)
        self.notes = Notes(content, 1, office.policy)

    def edit(self) -> None:
        """An editor changes share or time, or puts the request on top of the present."""
        name = self.dice.choice(EDITORS)
        apply_at = self.office.now + timedelta(minutes=1) if self.dice.random() < 0.2 else None
        content = (self.dice.choice(SHARES), self.office.version, apply_at)
        change_set = _change_set(self.office, content)
        self.office.bench.edit(
            self.request, by=self.office.people[name], change_set=change_set, apply_at=apply_at, now=self.office.now
        )
        self.notes.content = content
        self.notes.round += 1
        self.notes.worked_on_it.add(name)

    def approve(self) -> None:
        """Somebody says yes; that may apply the change on the spot, so the note comes first."""
        name, seen = self.dice.choice(APPROVERS), self.notes.round
        note = (name, seen)
        is_new = note not in self.notes.said_yes
        self.notes.said_yes.add(note)
        try:
            self.office.bench.approve(self.request, by=self.office.people[name], now=self.office.now)
        except GovernanceError:
            if is_new:
                self.notes.said_yes.discard(note)
            raise

    def withdraw(self) -> None:
        """Rita gives up, now and then."""
        if self.dice.random() < 0.2:
            actor = actor_of(self.office.people["rita"])
            acts.withdraw_change_request(self.request.pk, actor=actor, reason="", now=self.office.now)

    def apply(self) -> None:
        """Rolf applies."""
        self.office.bench.apply(self.request, now=self.office.now)

    def tick(self) -> None:
        """A sweeper comes by."""
        acts.pass_review_if_due(self.request.pk, now=self.office.now)
        acts.apply_if_due(self.request.pk, now=self.office.now)

    def change_policy(self) -> None:
        """Ada changes the policy."""
        named = self.dice.choice([(), (), ("abel", "anna"), ("abel", "cora")])
        required = self.dice.choice([1, 1, 2])
        self.office.bench.require(required, *(self.office.people[name] for name in named), now=self.office.now)
        self.office.policy = (required, frozenset(named))

    def change_role(self) -> None:
        """Ada takes the role approver from somebody, or gives it back."""
        name = self.dice.choice([name for name in APPROVERS if name not in self.office.closed])
        _set_roles(self.office, name, is_approver=name not in self.office.approvers)

    def change_account(self) -> None:
        """An account is closed or opened again."""
        name = self.dice.choice(("abel", "anna"))
        person = self.office.people[name]
        person.is_active = name in self.office.closed
        person.save(update_fields=["is_active"])
        (self.office.closed.discard if person.is_active else self.office.closed.add)(name)

    def somebody_else(self) -> None:
        """Another change reaches production."""
        if self.dice.random() < 0.3:
            self.office.bench.move_on()
            self.office.version += 1

    def wait(self) -> None:
        """Time goes by."""
        self.office.now += timedelta(minutes=2)

    ACTS = (
        edit,
        *(approve,) * 5,
        withdraw,
        *(apply,) * 2,
        *(tick,) * 2,
        change_policy,
        change_role,
        change_account,
        somebody_else,
        wait,
    )

    def play(self) -> RequestState:
        """Some acts at random; after each, what is served is what the notes allow."""
        state = RequestState.IN_REVIEW
        for _ in range(LENGTH):
            act = self.dice.choice(self.ACTS)
            with suppress(GovernanceError):
                act(self)
            state = self._check(act.__name__)
            if state not in (RequestState.IN_REVIEW, RequestState.APPROVED):
                break
        return state

    def _check(self, act: str) -> RequestState:
        row = ChangeRequest.objects.get(pk=self.request.pk)
        config = FlagConfig.objects.get(flag=self.office.bench.flag, environment=self.office.bench.production)
        if row.current_state is RequestState.APPLIED:
            share, base, apply_at = self.notes.content
            assert self.office.allows(self.notes), f"{act} applied #{row.number} without its approvals"
            assert apply_at is None or apply_at <= self.office.now
            assert (base, config.version) == (self.office.version, self.office.version + 1)
            assert config.document["rules"][0]["serve"]["split"][0]["weight"] == share * 1000
            self.office.version += 1
        assert config.version == self.office.version, f"{act} changed what is served"
        return row.current_state


# The rules do not depend on the engine, so each order is played on one of them: three in ten on PostgreSQL.
@pytest.mark.parametrize(
    "batch",
    [
        pytest.param(batch, marks=pytest.mark.postgres if batch % 10 in (0, 3, 6) else pytest.mark.sqlite)
        for batch in range(BATCHES)
    ],
)
def test_orders__whatever_happens__nothing_is_applied_without_its_approvals(bench: Bench, batch: int) -> None:
    dice = random.Random(f"orders {batch}")
    office = _office(bench)

    ends = [Order(office, dice).play() for _ in range(ORDERS // BATCHES)]

    # The property is worth nothing where changes never get through.
    assert ends.count(RequestState.APPLIED) >= 15
    assert ends.count(RequestState.IN_REVIEW) >= 5
