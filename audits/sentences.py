"""Pure: events in plain words, for lists and timelines. The one place that says what an action is called."""

import re
from typing import Protocol

from audits.actions import Action

# {actor} opens every sentence; {target} is the target with its noun; {place} is " in Production" or nothing.
_SENTENCES: dict[str, str] = {
    Action.PROJECT_CREATED: "created {target}",
    Action.PROJECT_UPDATED: "changed the details of {target}",
    Action.ENVIRONMENT_CREATED: "created {target}",
    Action.ENVIRONMENT_UPDATED: "changed the details of {target}",
    Action.ENVIRONMENT_PROTECTION_CHANGED: "changed the protection of {target}",
    Action.CONTEXT_ATTRIBUTE_CHANGED: "changed {target}",
    Action.CONTEXT_ATTRIBUTE_REMOVED: "removed {target}",
    Action.FLAG_CREATED: "created {target}",
    Action.FLAG_UPDATED: "changed the details of {target}",
    Action.FLAG_ARCHIVED: "archived {target}",
    Action.FLAG_CONFIG_APPLIED: "applied a change to {target}{place}",
    Action.SEGMENT_APPLIED: "applied a change to {target}{place}",
    Action.LOCAL_KILL_NOTICED: "forced a variant of {target}{place}",
    Action.LOCAL_KILL_LIFTED: "stopped forcing a variant of {target}{place}",
    Action.ROLE_CHANGED: "changed the roles of {target}{place}",
    Action.ROLE_ENDED: "ended a role of {target}{place}",
    Action.CUSTOM_ROLE_CHANGED: "changed {target}",
    Action.TEAM_CHANGED: "changed {target}",
    Action.TEAM_MEMBER_ADDED: "added somebody to {target}",
    Action.TEAM_MEMBER_REMOVED: "took somebody out of {target}",
    Action.TOKEN_ISSUED: "issued {target}{place}",
    Action.TOKEN_REVOKED: "revoked {target}{place}",
    Action.CHANGE_REQUEST_CREATED: "drafted {target}{place}",
    Action.CHANGE_REQUEST_EDITED: "edited {target}{place}",
    Action.CHANGE_REQUEST_SUBMITTED: "submitted {target}{place}",
    Action.CHANGE_REQUEST_APPROVED: "approved {target}{place}",
    Action.CHANGE_REQUEST_APPROVED_BY_SERVICE: "approved {target}{place} as a service",
    Action.CHANGE_REQUEST_CHANGES_REQUESTED: "asked for changes to {target}{place}",
    Action.CHANGE_REQUEST_CHANGES_LIFTED: "took back the request for changes to {target}{place}",
    Action.CHANGE_REQUEST_ABSTAINED: "abstained from {target}{place}",
    Action.CHANGE_REQUEST_REJECTED: "rejected {target}{place}",
    Action.CHANGE_REQUEST_WITHDRAWN: "withdrew {target}{place}",
    Action.CHANGE_REQUEST_EXPIRED: "let {target} expire{place}",
    Action.CHANGE_REQUEST_COMMENTED: "commented on {target}{place}",
    Action.CHANGE_REQUEST_THREAD_RESOLVED: "called a thread on {target} resolved{place}",
    Action.CHANGE_REQUEST_THREAD_REOPENED: "opened a thread on {target} again{place}",
    Action.CHANGE_REQUEST_ENDED_TOGETHER: "ended {target} together with its bundle{place}",
    Action.CHANGE_BUNDLE_CREATED: "proposed {target} for several environments",
    Action.CHANGE_REQUEST_IMPACT_COUNTED: "counted who flips with {target}{place}",
    Action.CHANGE_REQUEST_SCHEDULED: "scheduled {target}{place}",
    Action.CHANGE_REQUEST_APPLIED: "applied {target}{place}",
    Action.CHANGE_REQUEST_APPLY_REFUSED: "could not apply {target}{place}",
    Action.CHANGE_REQUEST_ROLLED_BACK: "rolled back {target}{place}",
    Action.ROLLBACK_VERIFIED: "went back, and {target} serves what was meant",
    Action.ROLLBACK_MISMATCH: "went back, but {target} does not serve what was meant",
    Action.DRILL_ADDED: "set up {target}{place}",
    Action.DRILL_CHANGED: "changed {target}{place}",
    Action.DRILL_PASSED: "passed {target}{place}",
    Action.DRILL_FAILED: "failed {target}{place}",
    Action.DRILL_OVERDUE: "found {target} overdue{place}",
    Action.BREAK_GLASS_USED: "broke the glass{place}: {target}",
    Action.BREAK_GLASS_REVIEWED: "reviewed a use of break-glass{place}: {target}",
    Action.BREAK_GLASS_ESCALATED: "found the review of break-glass overdue{place}: {target}",
    Action.APPROVAL_POLICY_CHANGED: "changed {target}{place}",
    Action.POLICY_RULE_CHANGED: "changed {target}",
    Action.SETTINGS_PROPOSAL_OPENED: "proposed a change of settings{place}: {target}",
    Action.SETTINGS_PROPOSAL_CONFIRMED: "confirmed a change of settings{place}: {target}",
    Action.SETTINGS_PROPOSAL_DECLINED: "declined a change of settings{place}: {target}",
    Action.SETTINGS_PROPOSAL_WITHDRAWN: "withdrew a change of settings{place}: {target}",
    Action.SETTINGS_PROPOSAL_EXPIRED: "let a change of settings expire{place}: {target}",
    Action.CALENDAR_WINDOW_ADDED: "added {target} to the calendar",
    Action.CALENDAR_WINDOW_CHANGED: "changed {target} in the calendar",
    Action.CALENDAR_WINDOW_REMOVED: "removed {target} from the calendar",
    Action.FREEZE_EXCEPTION_ASKED: "asked for an exception from a freeze for {target}{place}",
    Action.FREEZE_EXCEPTION_GRANTED: "granted an exception from a freeze for {target}{place}",
    Action.FREEZE_EXCEPTION_DECLINED: "declined an exception from a freeze for {target}{place}",
    Action.INCIDENT_OPENED: "declared {target}{place}",
    Action.INCIDENT_RAISED: "raised the severity of {target}{place}",
    Action.INCIDENT_CLOSED: "closed {target}{place}",
    Action.PLAN_CREATED: "drafted {target}{place}",
    Action.PLAN_EDITED: "edited {target}{place}",
    Action.PLAN_PROPOSED: "proposed {target}{place}",
    Action.PLAN_RECALLED: "took the proposal of {target} back{place}",
    Action.PLAN_REBASED: "brought {target} up to date{place}",
    Action.PLAN_STARTED: "started {target}{place}",
    Action.PLAN_ADVANCED: "went on to the next stage of {target}{place}",
    Action.PLAN_STAGE_APPROVED: "approved a stage of {target}{place}",
    Action.PLAN_EXTENDED: "gave a stage of {target} more time{place}",
    Action.PLAN_SKIPPED: "left a stage of {target} early{place}",
    Action.PLAN_PAUSED: "paused {target}{place}",
    Action.PLAN_RESUMED: "resumed {target}{place}",
    Action.PLAN_JUMPED_BACK: "went back to an earlier stage of {target}{place}",
    Action.PLAN_ROLLED_BACK: "rolled back {target}{place}",
    Action.PLAN_HELD: "could not go on with {target}{place}",
    Action.PLAN_CLEARED: "could go on with {target} again{place}",
    Action.PLAN_ABORTED: "ended {target} for good{place}",
    Action.PLAN_COMPLETED: "completed {target}{place}",
    Action.PLAN_TEST_TRAFFIC_ASKED: "asked for test traffic for {target}{place}",
    Action.PLAN_TEMPLATE_SAVED: "saved {target}",
    Action.PLAN_TEMPLATE_RETIRED: "retired {target}",
    Action.GUARD_METRIC_SAVED: "saved {target}",
    Action.GUARD_METRIC_RETIRED: "retired {target}",
    Action.GUARD_VERDICT_GIVEN: "noted what a guard found about {target}{place}",
    Action.TRAIN_CREATED: "put together {target}",
    Action.TRAIN_EDITED: "put {target} together anew",
    Action.TRAIN_STARTED: "started {target}",
    Action.TRAIN_PAUSED: "paused {target}",
    Action.TRAIN_RESUMED: "resumed {target}",
    Action.TRAIN_ROLLED_BACK: "took back all plans of {target}",
    Action.TRAIN_COMPLETED: "completed {target}",
    Action.TRAIN_ABORTED: "ended {target} for good",
    Action.TIMELINE_CREATED: "drafted {target}{place}",
    Action.TIMELINE_EDITED: "edited {target}{place}",
    Action.TIMELINE_PROPOSED: "proposed {target}{place}",
    Action.TIMELINE_RECALLED: "took the proposal of {target} back{place}",
    Action.TIMELINE_STARTED: "started {target}{place}",
    Action.TIMELINE_MILESTONE_REACHED: "reached the next milestone of {target}{place}",
    Action.TIMELINE_MILESTONE_MISSED: "left out a brownout of {target}, whose window was over{place}",
    Action.TIMELINE_MILESTONE_APPROVED: "approved a milestone of {target}{place}",
    Action.TIMELINE_BROWNOUT_ENDED: "tidied up after a brownout of {target}{place}",
    Action.TIMELINE_POSTPONED: "postponed {target}{place}",
    Action.TIMELINE_PAUSED: "paused {target}{place}",
    Action.TIMELINE_RESUMED: "resumed {target}{place}",
    Action.TIMELINE_HELD: "could not go on with {target}{place}",
    Action.TIMELINE_CLEARED: "could go on with {target} again{place}",
    Action.TIMELINE_UNDONE: "undid milestones of {target}{place}",
    Action.TIMELINE_ENDED: "gave up {target}{place}",
    Action.TIMELINE_COMPLETED: "completed {target}{place}",
    Action.FLAG_REVIVED: "revived {target}",
    Action.FLAG_REPLACED: "gave the key of {target} to a new flag",
    Action.FLAG_SUCCESSOR_SET: "named the successor of {target}",
    Action.TOMBSTONE_RELEASED: "let {target} go",
    Action.FLAG_SNOOZED: "said that {target} is still wanted",
    Action.FLAG_SNOOZE_ENDED: "ended the snooze of {target}",
    Action.STALE_THRESHOLDS_CHANGED: "changed when flags count as stale in {target}",
    Action.STALE_FLAGS_FOUND: "looked for stale flags in {target}",
    Action.SERVICE_OWNER_SET: "said who answers for {target}",
    Action.CODE_REPOSITORY_SET: "set up {target}",
    Action.CODE_SCAN_IMPORTED: "took in a scan of {target}",
    Action.MANIFEST_APPLIED: "applied a manifest to {target}",
    Action.PAYLOADS_ARCHIVED: "archived old payloads of {target}",
    Action.PAYLOADS_RESTORED: "brought payloads of {target} back from an archive",
    Action.DIFFERENCE_INTENDED: "said that {target} differs on purpose{place}",
    Action.DIFFERENCE_ENDED: "said that {target} does not differ on purpose any longer{place}",
    Action.USER_CREATED: "added {target}",
    Action.USER_UPDATED: "changed the account of {target}",
    Action.USER_DEACTIVATED: "deactivated the account of {target}",
    Action.USER_PASSWORD_CHANGED: "changed the password of {target}",
    Action.USER_SIGNED_IN: "signed in",
    Action.USER_SIGNED_OUT: "signed out",
    Action.USER_SIGN_IN_FAILED: "failed to sign in as {target}",
    Action.AUDIT_EXPORTED: "exported the audit trail",
    Action.AUDIT_PERSON_ERASED: "erased the name of a person from the audit trail",
}

_NOUNS = {
    "project": "the project",
    "environment": "the environment",
    "flag": "the flag",
    "flag_config": "the flag",
    "context_attribute": "the attribute",
    "local_kill": "the flag",
    "segment": "the segment",
    "environment_token": "the token",
    "change_request": "change request",
    "change_bundle": "the bundle",
    "approval_policy": "the approval policy",
    "policy_rule": "the policy rule",
    "break_glass_use": "",
    "custom_role": "the role",
    "team": "the team",
    "settings_proposal": "",
    "calendar_window": "the window",
    "incident": "the incident",
    "plan": "plan",
    "plan_template": "the template",
    "timeline": "timeline",
    "tombstone": "the key",
    "service": "the service",
    "repository": "the repository",
    "guard_metric": "the guard metric",
    "train": "the release train",
    "rollback_drill": "the rollback drill",
    "person": "",
}

_ACTORS = {
    "rollouts.apply_due_changes": "The schedule",
    "rollouts.expire_old_requests": "The schedule",
    "rollouts.run_due_drills": "The drill schedule",
    "rollouts.expire_settings_proposals": "The schedule",
    "rollouts.end_roles": "The schedule",
    "rollouts.advance_plans": "The rollout engine",
    "rollouts.advance_timelines": "The deprecation timelines",
    "rollouts.escalate_break_glass": "The schedule",
    "flags.kill_list": "A kill list",
}


class EventLike(Protocol):
    """What a sentence needs to know of an event; names already filled in."""

    action: str
    actor_kind: str
    actor_label: str
    target_type: str
    target_name: str
    environment_key: str


def sentence_of(event: EventLike) -> str:
    """An event as one sentence without a full stop: "Ben Okafor approved change request #12 in Production"."""
    return sentence(
        event.action,
        actor=event.actor_label,
        target=event.target_name,
        target_type=event.target_type,
        environment_key=event.environment_key,
    )


def sentence(action: str, *, actor: str, target: str, target_type: str = "", environment_key: str = "") -> str:
    """An act in plain words. An action this version does not know is shown by its name, never hidden."""
    pattern = _SENTENCES.get(action, f"did {action} to {{target}}{{place}}")
    place = f" in {place_name(environment_key)}" if environment_key else ""
    # Replaced in one pass: a label with braces in it stays a label.
    parts = {"target": _with_noun(target_type, target), "place": place}
    words = re.sub(r"\{(target|place)\}", lambda found: parts[found[1]], pattern)
    return f"{actor_name(actor)} {words}"


def action_title(action: str) -> str:
    """The name of an action for filters: "Change request approved"."""
    return action.replace(".", " ").replace("_", " ").capitalize()


def actor_name(label: str) -> str:
    """An actor at the start of a sentence; rules of the system have a name people understand."""
    return _ACTORS.get(label, label) or "Someone"


def place_name(environment_key: str) -> str:
    """An environment key as people write the name: `production` is Production, `eu-west-1` stays."""
    return environment_key.capitalize() if environment_key.isalpha() else environment_key


def _with_noun(target_type: str, label: str) -> str:
    noun = _NOUNS.get(target_type, target_type.replace("_", " "))
    if not label:
        return noun or "someone"
    bare = noun.removeprefix("the ")
    return label if not noun or label.lower().startswith(f"{bare} ") else f"{noun} {label}"
