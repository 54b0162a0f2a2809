"""Database triggers on the tables that decide about consent. Same mechanism as `flags.guards`."""

from dataclasses import replace
from typing import Any

from flags.archive_guards import reinstall
from flags.guards import EVIDENCE, Guard

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
    "rollouts_requestround": replace(EVIDENCE, archivable=("change_set",)),
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
    "rollouts_drillrun": replace(EVIDENCE, archivable=("evidence",)),
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
    "rollouts_guardsample": replace(EVIDENCE, archivable=("intervals",)),
    "rollouts_guardverdict": replace(EVIDENCE, archivable=("intervals",)),
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
