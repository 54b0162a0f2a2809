"""The tables that decide about consent refuse every write that does not come through a service."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction
from django.db.models import ProtectedError

from flags.services.tickets import governed_write
from rollouts.guards import ROLLOUTS_GUARDS, reinstall_guards
from rollouts.models import Approval, ApprovalPolicy, ChangeRequest, Comment
from rollouts.services import change_requests as acts
from rollouts.transitions import RequestState
from tests.factories import NOW, SOON, actor_of, make_world
from tests.rollouts.support import Bench

pytestmark = pytest.mark.engines

# They decide nothing: what somebody has seen, what is worked out anew.
OPEN_TABLES = {
    "rollouts_look",
    "rollouts_drift",
    "rollouts_guardwatch",
    "rollouts_stagecheck",
    "rollouts_staleverdict",
    "rollouts_debtscore",
    "rollouts_ownernudge",
}
MODELS: tuple[type[models.Model], ...] = (ChangeRequest, Approval, Comment, ApprovalPolicy)


def _sql(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, [_plain(value) for value in values])


def _plain(value: Any) -> Any:
    return value.hex if isinstance(value, uuid.UUID) and connection.vendor == "sqlite" else value


def _saved(row: models.Model, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(row, name, value)
    row.save()


def _bulk_updated(row: Any, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(row, name, value)
    type(row)._default_manager.bulk_update([row], list(fields))


def _copied(row: Any) -> None:
    row.pk = uuid.uuid4()
    row._state.adding = True
    if isinstance(row, Approval):
        row.digest = "0" * 64
    if isinstance(row, ChangeRequest):
        row.number += 100
    type(row)._default_manager.bulk_create([row])


DOORS: dict[str, Callable[[], object]] = {
    "request update": lambda: ChangeRequest.objects.update(state="approved"),
    "request update of what is not the state": lambda: ChangeRequest.objects.update(policy_snapshot={"required": 0}),
    "request save": lambda: _saved(ChangeRequest.objects.get(), state="approved"),
    "request bulk_update": lambda: _bulk_updated(ChangeRequest.objects.get(), state="approved"),
    "request bulk_create": lambda: _copied(ChangeRequest.objects.get()),
    "request delete": lambda: ChangeRequest.objects.all()._raw_delete("default"),
    "request raw update": lambda: _sql("UPDATE rollouts_changerequest SET state = 'approved'"),
    "request raw delete": lambda: _sql("DELETE FROM rollouts_changerequest"),
    "approval create": lambda: Approval.objects.create(
        request=ChangeRequest.objects.get(),
        environment=ChangeRequest.objects.get().environment,
        approver=Approval.objects.get().approver,
        digest="0" * 64,
        created_at=NOW,
    ),
    "approval bulk_create": lambda: _copied(Approval.objects.get()),
    "approval update": lambda: Approval.objects.update(digest="0" * 64),
    "approval save": lambda: _saved(Approval.objects.get(), digest="0" * 64),
    "approval delete": lambda: Approval.objects.all().delete(),
    "approval raw update": lambda: _sql("UPDATE rollouts_approval SET digest = 'x'"),
    "approval raw delete": lambda: _sql("DELETE FROM rollouts_approval"),
    "comment update": lambda: Comment.objects.update(body="Fine with me"),
    "comment delete": lambda: Comment.objects.all().delete(),
    "comment raw delete": lambda: _sql("DELETE FROM rollouts_comment"),
    "policy update": lambda: ApprovalPolicy.objects.update(required_approvals=1),
    "policy save": lambda: _saved(ApprovalPolicy.objects.get(), required_approvals=1),
    "policy bulk_update": lambda: _bulk_updated(ApprovalPolicy.objects.get(), required_approvals=1),
    "policy delete": lambda: ApprovalPolicy.objects.all().delete(),
    "policy raw update": lambda: _sql("UPDATE rollouts_approvalpolicy SET required_approvals = 1"),
    "policy create": lambda: ApprovalPolicy.objects.create(
        environment=ChangeRequest.objects.get().project.environments.get(key="staging"), updated_at=NOW
    ),
}
# With a ticket a service may write, but some things nobody may.
EVEN_WITH_A_TICKET: dict[str, Callable[[], object]] = {
    "request delete": lambda: ChangeRequest.objects.all()._raw_delete("default"),
    "request number": lambda: ChangeRequest.objects.update(number=77),
    "request requester": lambda: ChangeRequest.objects.update(requester=Approval.objects.get().approver),
    "request environment": lambda: ChangeRequest.objects.update(
        environment=ChangeRequest.objects.get().project.environments.get(key="staging")
    ),
    "approval update": lambda: Approval.objects.update(digest="0" * 64),
    "approval delete": lambda: Approval.objects.all().delete(),
    "comment update": lambda: Comment.objects.update(body="Fine with me"),
    "unknown state": lambda: ChangeRequest.objects.update(state="done"),
    "approved without having been submitted": lambda: ChangeRequest.objects.update(submitted_at=None),
    "applied without a revision": lambda: ChangeRequest.objects.update(state="applied"),
    "no approvals required": lambda: ApprovalPolicy.objects.update(required_approvals=0),
    "never expires": lambda: ApprovalPolicy.objects.update(expires_after_hours=0),
    "approval twice": lambda: Approval.objects.bulk_create(
        [
            Approval(
                request=row.request,
                environment=row.environment,
                approver=row.approver,
                digest=row.digest,
                created_at=NOW,
            )
            for row in Approval.objects.all()
        ]
    ),
}


@pytest.fixture
def decided(bench: Bench) -> ChangeRequest:
    """A request under review with one of two approvals and a comment."""
    bench.require(2)
    request = bench.approve(bench.submitted(apply_at=SOON))
    acts.comment_on_change_request(request.pk, actor=actor_of(bench.world.vera), body="Why?", now=NOW)
    return request


def _everything() -> list[list[dict[str, Any]]]:
    return [list(model._default_manager.order_by("pk").values()) for model in MODELS]


@pytest.mark.parametrize("door", DOORS)
def test_write__without_a_service__is_refused_by_the_database(decided: ChangeRequest, door: str) -> None:
    before = _everything()

    with pytest.raises(IntegrityError, match="flagsite: "), transaction.atomic():
        DOORS[door]()

    assert _everything() == before


def test_write__with_the_ticket_of_another_environment__is_refused(decided: ChangeRequest) -> None:
    elsewhere = make_world().production
    before = _everything()

    for door, write in DOORS.items():
        with pytest.raises(IntegrityError, match="flagsite: "), governed_write(elsewhere.pk):
            write()
        assert _everything() == before, door


@pytest.mark.parametrize("door", EVEN_WITH_A_TICKET)
def test_write__even_with_a_ticket__is_refused_by_the_database(decided: ChangeRequest, door: str) -> None:
    before = _everything()

    with pytest.raises(IntegrityError), governed_write(decided.environment_id):
        EVEN_WITH_A_TICKET[door]()

    assert _everything() == before


def test_delete__people_and_environments_with_evidence__are_protected(decided: ChangeRequest) -> None:
    for row in (decided.requester, decided.environment, decided.project):
        with pytest.raises((ProtectedError, IntegrityError)), transaction.atomic():
            row.delete()

    assert ChangeRequest.objects.get().current_state is RequestState.IN_REVIEW


def test_guards__cover_every_table_of_the_app() -> None:
    tables = {model._meta.db_table for model in apps.get_app_config("rollouts").get_models()}

    assert set(ROLLOUTS_GUARDS) == tables - OPEN_TABLES


def test_reinstall_guards__twice__changes_nothing(decided: ChangeRequest) -> None:
    for _ in range(2):
        reinstall_guards(using="default")

    with pytest.raises(IntegrityError, match="flagsite: "), transaction.atomic():
        ChangeRequest.objects.update(state="approved")
