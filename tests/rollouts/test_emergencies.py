"""Break-glass: who may, what is checked nevertheless, who hears of it, and the review that has to follow."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import IntegrityError, transaction
from structlog.testing import capture_logs

from audits.context import Actor
from audits.models import AuditEvent
from flags.authority import NotProtected
from flags.changes import ChangeSet, ConfigEdit
from flags.errors import InvalidDocument, InvalidInput, NotFound, PermissionMissing, StaleChange
from flags.models import FlagConfig
from flags.permissions import Role
from rollouts.errors import ReviewRefused
from rollouts.models import BreakGlassOutcome, BreakGlassUse
from rollouts.selectors.desk_tasks import desk_tasks
from rollouts.selectors.emergencies import open_count, open_uses_of, overdue_uses, use_cards, visible_uses
from rollouts.services.emergencies import break_glass, escalate_if_overdue, review_break_glass
from rollouts.tasks import escalate_break_glass
from tests.factories import NOW, actor_of, make_person, percent_document
from tests.rollouts.support import Bench

DUE = NOW + timedelta(hours=24)
JUSTIFIED = BreakGlassOutcome.JUSTIFIED


@pytest.fixture
def holder(bench: Bench) -> Any:
    """Rolf, who may break the glass in production beside what he may do anyway."""
    bench.world.grant(bench.world.rolf, bench.production, Role.RELEASE_MANAGER, Role.BREAK_GLASS)
    return bench.world.rolf


def broken(bench: Bench, who: Any = None, **changes: Any) -> BreakGlassUse:
    call: dict[str, Any] = {"change_set": bench.content(60), "reason": "Checkout is down", "now": NOW} | changes
    actor = who if isinstance(who, Actor) else actor_of(who or bench.world.rolf)
    return break_glass(bench.production.pk, actor=actor, **call)


def reviewed(use: BreakGlassUse, who: Any, **changes: Any) -> BreakGlassUse:
    call: dict[str, Any] = {"outcome": JUSTIFIED, "comment": "It could not wait", "now": NOW} | changes
    return review_break_glass(use.pk, actor=actor_of(who), **call)


def events(action: str) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=action).order_by("sequence"))


def test_break_glass__widening_change__is_live_and_leaves_an_open_review(bench, holder):
    with capture_logs() as logs:
        use = broken(bench)

    row = BreakGlassUse.objects.get(pk=use.pk)
    applied, [used] = events("flag_config.applied")[-1], events("break_glass.used")
    assert (bench.version(), row.revision, row.is_open) == (2, applied.details["revision"], True)
    assert (row.review_due_at, row.reason, row.user_id) == (DUE, "Checkout is down", holder.pk)
    assert (applied.details["authority"], applied.details["use_id"]) == ("break_glass", str(use.pk))
    assert (used.reason, used.details["direction"], used.flag_key) == ("Checkout is down", "widens", bench.flag.key)
    assert used.correlation_id == applied.correlation_id == row.correlation_id
    alarms = [line for line in logs if line["event"] == "break_glass_used"]
    assert [(line["log_level"], line["user_id"]) for line in alarms] == [("critical", str(holder.pk))]


@pytest.mark.parametrize("who", ["rita", "abel", "vera", "otto", "ada", "system", "service"])
def test_break_glass__without_the_role__is_refused(bench, who):
    others = {"system": Actor.system("rollouts.apply_due_changes"), "service": Actor.service(1, "robot")}

    with pytest.raises(PermissionMissing):
        broken(bench, others.get(who) or getattr(bench.world, who))

    assert (bench.version(), BreakGlassUse.objects.count()) == (1, 0)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda bench: {"reason": "  "}, InvalidInput),
        (lambda bench: {"change_set": bench.content(60, base=0)}, StaleChange),
        (lambda bench: {"change_set": _with(bench, {"enabled": "maybe"})}, InvalidDocument),
        (lambda bench: {"change_set": ChangeSet(str(bench.world.staging.pk), bench.content(60).edits)}, InvalidInput),
    ],
    ids=["no reason", "stale", "invalid", "elsewhere"],
)
def test_break_glass__something_amiss__is_refused_and_nobody_is_alarmed(bench, holder, change, error):
    with pytest.raises(error), capture_logs() as logs:
        broken(bench, **change(bench))

    assert (bench.version(), BreakGlassUse.objects.count(), events("break_glass.used")) == (1, 0, [])
    assert not [line for line in logs if line["event"] == "break_glass_used"]


def _with(bench: Bench, fields: dict[str, Any]) -> ChangeSet:
    edit = ConfigEdit(bench.flag.key, 1, {**percent_document(bench.flag.key, 5), **fields})
    return ChangeSet(str(bench.production.pk), (edit,))


def test_break_glass__environment_without_protection__is_refused(bench, holder):
    staging = bench.world.staging
    bench.world.grant(holder, staging, Role.BREAK_GLASS)
    version = FlagConfig.objects.get(flag=bench.flag, environment=staging).version
    edit = ConfigEdit(bench.flag.key, version, percent_document(bench.flag.key, 60))

    with pytest.raises(NotProtected):
        break_glass(
            staging.pk,
            change_set=ChangeSet(str(staging.pk), (edit,)),
            actor=actor_of(holder),
            reason="Down",
            now=NOW,
        )


def test_break_glass__after_commit__approvers_and_administrators_get_a_mail(
    bench, holder, settings, django_capture_on_commit_callbacks
):
    settings.SITE_URL = "https://flags.example.org"
    ada2 = make_person("ada2")
    bench.world.grant(ada2, bench.production, Role.ADMINISTRATOR)

    with django_capture_on_commit_callbacks(execute=True):
        use = broken(bench)

    told = {message.to[0] for message in mail.outbox}
    assert told == {person.email for person in (bench.world.abel, bench.world.anna, ada2)}
    assert mail.outbox[0].subject == "Break-glass: Production was changed without approval"
    assert f"https://flags.example.org/admin/rollouts/breakglassuse/{use.pk}/" in mail.outbox[0].body
    assert "Checkout is down" in mail.outbox[0].body


@pytest.mark.parametrize(("who", "waits"), [("abel", True), ("anna", True), ("rolf", False), ("rita", False)])
def test_desk_tasks__open_use__waits_for_those_who_may_review_it(bench, holder, who, waits):
    use = broken(bench)

    tasks = desk_tasks(getattr(bench.world, who), now=NOW)

    assert [task.arguments for task in tasks if "break-glass" in task.title] == ([(use.pk,)] if waits else [])


def test_desk_tasks__overdue__say_so(bench, holder):
    broken(bench)

    [task] = desk_tasks(bench.world.abel, now=DUE)

    assert (task.tone, task.due_at) == ("bad", DUE)


@pytest.mark.parametrize("outcome", BreakGlassOutcome)
def test_review__by_an_approver__ends_it(bench, holder, outcome):
    use = broken(bench)

    reviewed(use, bench.world.abel, outcome=outcome)

    row, [event] = BreakGlassUse.objects.get(pk=use.pk), events("break_glass.reviewed")
    assert (row.outcome, row.reviewer_id, row.reviewed_at, row.is_open) == (outcome, bench.world.abel.pk, NOW, False)
    assert (event.details["outcome"], event.details["is_late"], event.reason) == (outcome, False, "It could not wait")
    assert (open_count(bench.world.abel), desk_tasks(bench.world.abel, now=NOW)) == (0, [])


@pytest.mark.parametrize(
    ("who", "changes", "error"),
    [
        ("rolf", {}, ReviewRefused),
        ("rita", {}, PermissionMissing),
        ("vera", {}, PermissionMissing),
        ("abel", {"comment": " "}, InvalidInput),
    ],
)
def test_review__otherwise__is_refused(bench, holder, who, changes, error):
    bench.world.grant(holder, bench.production, Role.BREAK_GLASS, Role.APPROVER, Role.ADMINISTRATOR)
    use = broken(bench)

    with pytest.raises(error):
        reviewed(use, getattr(bench.world, who), **changes)

    assert BreakGlassUse.objects.get(pk=use.pk).is_open


def test_review__a_second_time__is_refused(bench, holder):
    use = broken(bench)
    reviewed(use, bench.world.abel)

    with pytest.raises(ReviewRefused):
        reviewed(use, bench.world.anna, outcome=BreakGlassOutcome.NOT_JUSTIFIED)

    assert BreakGlassUse.objects.get(pk=use.pk).outcome == JUSTIFIED


def test_review__unknown_use__is_not_found(bench):
    with pytest.raises(NotFound):
        reviewed(BreakGlassUse(), bench.world.abel)


@pytest.mark.parametrize(("now", "is_due"), [(DUE - timedelta(microseconds=1), False), (DUE, True)])
def test_escalate__review_due__happens_from_the_instant_on_and_once(bench, holder, now, is_due):
    use = broken(bench)

    assert overdue_uses(now).exists() is is_due
    assert [escalate_if_overdue(use.pk, now=now) for _ in range(2)] == [is_due, False]
    assert len(events("break_glass.escalated")) == is_due


def test_escalate__overdue__administrators_of_the_project_and_superusers_hear_of_it(
    bench, holder, django_capture_on_commit_callbacks
):
    elsewhere = make_person("administrator-of-staging")
    bench.world.grant(elsewhere, bench.world.staging, Role.ADMINISTRATOR)
    use = broken(bench)

    with django_capture_on_commit_callbacks(execute=True), capture_logs() as logs:
        escalate_if_overdue(use.pk, now=DUE)

    assert {message.to[0] for message in mail.outbox} == {elsewhere.email, bench.world.ada.email}
    assert [line["log_level"] for line in logs if line["event"] == "break_glass_review_overdue"] == ["critical"]


def test_escalate__reviewed_in_time__nothing_happens(bench, holder):
    use = broken(bench)
    reviewed(use, bench.world.abel)

    assert not escalate_if_overdue(use.pk, now=DUE)
    assert not overdue_uses(DUE).exists()


def test_escalate_task__one_overdue__is_counted(bench, holder):
    broken(bench, now=NOW - timedelta(days=3650))

    assert [escalate_break_glass(), escalate_break_glass()] == [1, 0]


@pytest.mark.parametrize(
    "write",
    [
        lambda rows: rows.update(outcome="justified"),
        lambda rows: rows.update(reason="Nothing happened"),
        lambda rows: rows._raw_delete(rows.db),
    ],
    ids=["review", "reason", "delete"],
)
def test_uses__written_around_the_services__are_refused_by_the_database(bench, holder, write):
    use = broken(bench)

    with pytest.raises(IntegrityError), transaction.atomic():
        write(BreakGlassUse.objects.filter(pk=use.pk))


def test_selectors__people__see_what_they_may(bench, holder):
    use = broken(bench)

    assert list(visible_uses(bench.world.otto)) == []
    [mine] = use_cards([use], holder, now=NOW)
    [theirs] = use_cards([use], bench.world.abel, now=DUE)
    assert ((mine.may_review, mine.is_overdue), (theirs.may_review, theirs.is_overdue)) == (
        (False, False),
        (True, True),
    )
    assert open_uses_of(bench.production.pk, ["another"]) == []
    assert open_uses_of(bench.production.pk, [bench.flag.key, "another"]) == [use]
