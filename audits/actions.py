"""The closed list of what can be recorded. A name, once used, keeps its meaning: it is part of hashed evidence."""

from enum import StrEnum


class Action(StrEnum):
    """What an actor did, as `<kind of target>.<past participle>`."""

    PROJECT_CREATED = "project.created"
    PROJECT_UPDATED = "project.updated"

    ENVIRONMENT_CREATED = "environment.created"
    ENVIRONMENT_UPDATED = "environment.updated"
    ENVIRONMENT_PROTECTION_CHANGED = "environment.protection_changed"

    CONTEXT_ATTRIBUTE_CHANGED = "context_attribute.changed"
    CONTEXT_ATTRIBUTE_REMOVED = "context_attribute.removed"

    FLAG_CREATED = "flag.created"
    FLAG_UPDATED = "flag.updated"
    FLAG_ARCHIVED = "flag.archived"
    FLAG_CONFIG_APPLIED = "flag_config.applied"
    SEGMENT_APPLIED = "segment.applied"
    LOCAL_KILL_NOTICED = "local_kill.noticed"
    LOCAL_KILL_LIFTED = "local_kill.lifted"

    ROLE_CHANGED = "role.changed"
    ROLE_ENDED = "role.ended"
    CUSTOM_ROLE_CHANGED = "custom_role.changed"
    TEAM_CHANGED = "team.changed"
    TEAM_MEMBER_ADDED = "team.member_added"
    TEAM_MEMBER_REMOVED = "team.member_removed"
    TOKEN_ISSUED = "token.issued"  # noqa: S105 - the name of an act, not a secret
    TOKEN_REVOKED = "token.revoked"  # noqa: S105

    CHANGE_REQUEST_CREATED = "change_request.created"
    CHANGE_REQUEST_EDITED = "change_request.edited"
    CHANGE_REQUEST_SUBMITTED = "change_request.submitted"
    CHANGE_REQUEST_APPROVED = "change_request.approved"
    CHANGE_REQUEST_APPROVED_BY_SERVICE = "change_request.approved_by_service"
    CHANGE_REQUEST_CHANGES_REQUESTED = "change_request.changes_requested"
    CHANGE_REQUEST_CHANGES_LIFTED = "change_request.changes_lifted"
    CHANGE_REQUEST_ABSTAINED = "change_request.abstained"
    CHANGE_REQUEST_REJECTED = "change_request.rejected"
    CHANGE_REQUEST_WITHDRAWN = "change_request.withdrawn"
    CHANGE_REQUEST_EXPIRED = "change_request.expired"
    CHANGE_REQUEST_COMMENTED = "change_request.commented"
    CHANGE_REQUEST_THREAD_RESOLVED = "change_request.thread_resolved"
    CHANGE_REQUEST_THREAD_REOPENED = "change_request.thread_reopened"
    CHANGE_REQUEST_ENDED_TOGETHER = "change_request.ended_together"
    CHANGE_REQUEST_IMPACT_COUNTED = "change_request.impact_counted"
    CHANGE_REQUEST_SCHEDULED = "change_request.scheduled"
    CHANGE_REQUEST_APPLIED = "change_request.applied"
    CHANGE_REQUEST_APPLY_REFUSED = "change_request.apply_refused"
    CHANGE_REQUEST_ROLLED_BACK = "change_request.rolled_back"

    ROLLBACK_VERIFIED = "rollback.verified"
    ROLLBACK_MISMATCH = "rollback.mismatch"
    DRILL_ADDED = "drill.added"
    DRILL_CHANGED = "drill.changed"
    DRILL_PASSED = "drill.passed"
    DRILL_FAILED = "drill.failed"
    DRILL_OVERDUE = "drill.overdue"

    CHANGE_BUNDLE_CREATED = "change_bundle.created"

    BREAK_GLASS_USED = "break_glass.used"
    BREAK_GLASS_REVIEWED = "break_glass.reviewed"
    BREAK_GLASS_ESCALATED = "break_glass.escalated"

    APPROVAL_POLICY_CHANGED = "approval_policy.changed"
    POLICY_RULE_CHANGED = "policy_rule.changed"
    SETTINGS_PROPOSAL_OPENED = "settings_proposal.opened"
    SETTINGS_PROPOSAL_CONFIRMED = "settings_proposal.confirmed"
    SETTINGS_PROPOSAL_DECLINED = "settings_proposal.declined"
    SETTINGS_PROPOSAL_WITHDRAWN = "settings_proposal.withdrawn"
    SETTINGS_PROPOSAL_EXPIRED = "settings_proposal.expired"

    CALENDAR_WINDOW_ADDED = "calendar_window.added"
    CALENDAR_WINDOW_CHANGED = "calendar_window.changed"
    CALENDAR_WINDOW_REMOVED = "calendar_window.removed"
    FREEZE_EXCEPTION_ASKED = "freeze_exception.asked"
    FREEZE_EXCEPTION_GRANTED = "freeze_exception.granted"
    FREEZE_EXCEPTION_DECLINED = "freeze_exception.declined"
    INCIDENT_OPENED = "incident.opened"
    INCIDENT_RAISED = "incident.raised"
    INCIDENT_CLOSED = "incident.closed"

    DIFFERENCE_INTENDED = "difference.intended"
    DIFFERENCE_ENDED = "difference.ended"

    USER_CREATED = "user.created"
    USER_UPDATED = "user.updated"
    USER_DEACTIVATED = "user.deactivated"
    USER_PASSWORD_CHANGED = "user.password_changed"  # noqa: S105
    USER_SIGNED_IN = "user.signed_in"
    USER_SIGNED_OUT = "user.signed_out"
    USER_SIGN_IN_FAILED = "user.sign_in_failed"

    AUDIT_EXPORTED = "audit.exported"
    AUDIT_PERSON_ERASED = "audit.person_erased"
