"""Database triggers on the tables that decide about consent. Same mechanism as `flags.guards`."""

from dataclasses import replace
from typing import Any

from flags.archive_guards import reinstall
from flags.guards import EVIDENCE, Guard
from rollouts.plans.transitions import PlanState
from rollouts.transitions import OPEN_STATES

_OPEN = ", ".join(f"'{state.value}'" for state in sorted(OPEN_STATES))
_ENDED = ", ".join(f"'{state.value}'" for state in (PlanState.COMPLETED, PlanState.ABORTED))
_REQUEST_IS_OPEN = (
    f"EXISTS (SELECT 1 FROM rollouts_changerequest r WHERE r.id = OLD.request_id AND r.state IN ({_OPEN}))"  # noqa: S608
)
_PLAN_GOES_ON = f"EXISTS (SELECT 1 FROM rollouts_rolloutplan p WHERE p.id = OLD.plan_id AND p.state NOT IN ({_ENDED}))"  # noqa: S608
_IS_NEWEST_RUN = (
    "NOT EXISTS (SELECT 1 FROM rollouts_drillrun later "
    "WHERE later.drill_id = OLD.drill_id AND later.started_at > OLD.started_at)"
)

ROLLOUTS_GUARDS: dict[str, Guard] = {
    "rollouts_approvalpolicy": Guard(immutable=("environment_id",)),
    "rollouts_approval": Guard(ticketed=("INSERT",), refused=("UPDATE", "DELETE")),
    "rollouts_changerequest": Guard(
        ticketed=("INSERT", "UPDATE"),
        refused=("DELETE",),
        immutable=("id", "project_id", "environment_id", "requester_id", "number", "created_at"),
    ),
    "rollouts_calendarwindow": Guard(
        environment_column="project_id",
        refused=("DELETE",),
        immutable=("id", "project_id", "created_by_id", "created_at"),
    ),
    "rollouts_freezeexception": Guard(
        refused=("DELETE",),
        immutable=(
            "id",
            "request_id",
            "environment_id",
            "window_id",
            "digest",
            "covers_from",
            "covers_until",
            "asked_by_id",
            "asked_at",
        ),
    ),
    "rollouts_incident": Guard(
        environment_column="project_id",
        refused=("DELETE",),
        immutable=("id", "project_id", "environment_id", "opened_at", "opened_by_id", "opened_by_service"),
    ),
    "rollouts_settingsproposal": Guard(
        environment_column="project_id",
        ticketed=("INSERT", "UPDATE"),
        refused=("DELETE",),
        immutable=(
            "id",
            "project_id",
            "environment_id",
            "kind",
            "subject",
            "title",
            "before",
            "after",
            "digest",
            "reason",
            "proposed_by_id",
            "created_at",
            "expires_at",
        ),
    ),
    "rollouts_comment": Guard(ticketed=(), refused=("UPDATE", "DELETE")),
    "rollouts_threadmark": Guard(ticketed=(), refused=("UPDATE", "DELETE")),
    "rollouts_dissent": EVIDENCE,
    "rollouts_requestround": replace(EVIDENCE, archivable=("change_set",), needed=_REQUEST_IS_OPEN),
    "rollouts_changebundle": Guard(environment_column="project_id", ticketed=("INSERT",), refused=("UPDATE", "DELETE")),
    "rollouts_bundlemember": EVIDENCE,
    "rollouts_breakglassuse": Guard(
        ticketed=("INSERT", "UPDATE"),
        refused=("DELETE",),
        immutable=(
            "id",
            "environment_id",
            "user_id",
            "reason",
            "change_set",
            "digest",
            "movement",
            "revision",
            "correlation_id",
            "created_at",
            "review_due_at",
        ),
        final=("justified", "not_justified"),
        final_column="outcome",
    ),
    "rollouts_policyrule": Guard(
        environment_column="project_id", refused=("DELETE",), immutable=("id", "project_id", "key", "created_at")
    ),
    "rollouts_policyruleversion": Guard(
        environment_column="project_id", ticketed=("INSERT",), refused=("UPDATE", "DELETE")
    ),
    "rollouts_judgement": EVIDENCE,
    "rollouts_serviceapproval": EVIDENCE,
    "rollouts_rollbackdrill": Guard(refused=("DELETE",), immutable=("id", "environment_id", "flag_id", "created_at")),
    "rollouts_drillrun": replace(EVIDENCE, archivable=("evidence",), needed=_IS_NEWEST_RUN),
    "rollouts_impactrun": Guard(
        ticketed=("INSERT", "UPDATE"),
        refused=("DELETE",),
        immutable=(
            "id",
            "request_id",
            "environment_id",
            "digest",
            "population",
            "asked_by_id",
            "token_id",
            "created_at",
        ),
        final=("done", "failed"),
        archivable=("result",),
        needed=_REQUEST_IS_OPEN,
    ),
    "rollouts_impactupload": Guard(ticketed=(), refused=("UPDATE",)),
    "rollouts_intendeddifference": Guard(
        environment_column="project_id",
        ticketed=("INSERT", "UPDATE"),
        refused=("DELETE",),
        immutable=(
            "id",
            "project_id",
            "flag_id",
            "upstream_id",
            "downstream_id",
            "aspects",
            "owner_id",
            "reason",
            "created_by_id",
            "created_at",
            "expires_at",
        ),
    ),
    "rollouts_rolloutplan": Guard(
        ticketed=("INSERT", "UPDATE"),
        refused=("DELETE",),
        immutable=("id", "project_id", "environment_id", "number", "created_by_id", "created_at", "correlation_id"),
    ),
    "rollouts_planflag": Guard(),
    "rollouts_planstep": EVIDENCE,
    "rollouts_stageapproval": EVIDENCE,
    "rollouts_deprecationtimeline": Guard(
        ticketed=("INSERT", "UPDATE"),
        refused=("DELETE",),
        immutable=(
            "id",
            "project_id",
            "environment_id",
            "flag_id",
            "number",
            "created_by_id",
            "created_at",
            "correlation_id",
        ),
    ),
    "rollouts_timelinestep": EVIDENCE,
    "rollouts_milestoneapproval": EVIDENCE,
    "rollouts_snooze": Guard(
        environment_column="project_id",
        ticketed=("INSERT", "UPDATE"),
        refused=("DELETE",),
        immutable=("id", "project_id", "flag_id", "until", "reason", "created_by_id", "created_at"),
        once=("ended_at",),
    ),
    "rollouts_stalethresholds": Guard(
        environment_column="project_id", refused=("DELETE",), immutable=("id", "project_id", "kind")
    ),
    "rollouts_guardsample": replace(EVIDENCE, archivable=("intervals",), needed=_PLAN_GOES_ON),
    "rollouts_guardverdict": replace(EVIDENCE, archivable=("intervals",), needed=_PLAN_GOES_ON),
    "rollouts_plantemplate": Guard(
        environment_column="project_id",
        ticketed=("INSERT", "UPDATE"),
        refused=("DELETE",),
        immutable=("id", "project_id", "key", "version", "definition", "kinds", "created_by_id", "created_at"),
    ),
    "rollouts_guardmetric": Guard(
        environment_column="project_id", refused=("DELETE",), immutable=("id", "project_id", "key")
    ),
    "rollouts_trainmember": Guard(environment_column="project_id", immutable=("id", "project_id", "train_id")),
    "rollouts_releasetrain": Guard(
        environment_column="project_id", refused=("DELETE",), immutable=("id", "project_id", "created_by_id")
    ),
}


def reinstall_guards(*, using: str, **kwargs: Any) -> None:
    """`post_migrate`: put back what a rebuilt SQLite table lost. Tables that do not exist yet are passed over."""
    reinstall(using, ROLLOUTS_GUARDS)
