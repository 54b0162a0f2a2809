"""What can go wrong on the way of a change request."""

from audits.errors import GovernanceError
from flags.errors import ConcurrentUpdate, StaleChange
from rollouts.transitions import InvalidTransition

__all__ = [
    "ApprovalMissing",
    "ApprovalRefused",
    "BundleNotReady",
    "ChangesRequested",
    "ConcurrentUpdate",
    "ConfirmationMissing",
    "DigestMismatch",
    "ExceptionRefused",
    "FlagInOtherPlan",
    "FlagIsEnding",
    "Frozen",
    "InvalidTransition",
    "MergeConflict",
    "NotDueYet",
    "NothingToRestore",
    "PartOfBundle",
    "PartOfPlan",
    "PlanMovedGround",
    "PlanMovedOn",
    "PolicyRefused",
    "RequestExpired",
    "RestoreConflict",
    "SkipRefused",
    "TimelineMovedGround",
    "TimelineMovedOn",
    "TimelineOutdated",
]


class DigestMismatch(GovernanceError):
    """The content that was looked at is not the content the request has now."""

    code = "digest_mismatch"
    status = 409
    title = "The request changed since the page was opened"


class ApprovalRefused(GovernanceError):
    """This person may not approve this request: four-eyes rule, role, or not among the named approvers."""

    code = "approval_refused"
    status = 403
    title = "You may not approve this request"


class ChangesRequested(GovernanceError):
    """Somebody asks for changes to the content, so those who shaped it do not apply it without an approval."""

    code = "changes_requested"
    status = 409
    title = "Changes were asked for"


class ApprovalMissing(GovernanceError):
    """The approvals that count now do not reach what the policy demands."""

    code = "approval_missing"
    status = 409
    title = "Approvals are missing"


class PolicyRefused(GovernanceError):
    """A rule of the project refuses this change, at this time or at all."""

    code = "policy_refused"
    status = 409
    title = "A rule of this project refuses this change"


class NotDueYet(GovernanceError):
    """The request was approved for a later time."""

    code = "not_due_yet"
    status = 409
    title = "The scheduled time has not come"


class BundleNotReady(GovernanceError):
    """Another request of the same bundle is not approved yet, not due yet, or held back."""

    code = "bundle_not_ready"
    status = 409
    title = "The bundle is not ready"


class MergeConflict(GovernanceError):
    """Two changes meet in something that only a person can decide."""

    code = "merge_conflict"
    status = 409
    title = "Both sides changed the same"


class RequestExpired(GovernanceError):
    """The request was not applied before it expired."""

    code = "request_expired"
    status = 409
    title = "The request has expired"


class Frozen(GovernanceError):
    """The calendar holds the change back; `facts` say which windows, until when, and because of which flags."""

    code = "frozen"
    status = 409
    title = "The calendar holds this back"


class ExceptionRefused(GovernanceError):
    """This person may not decide on an exception from a freeze, or nobody can any more."""

    code = "exception_refused"
    status = 403
    title = "This exception is not for you to decide"


class NothingToRestore(GovernanceError):
    """What was to be put back is served already."""

    code = "nothing_to_restore"
    status = 409
    title = "There is nothing to put back"


class RestoreConflict(GovernanceError):
    """Something later changed what was to be undone; `facts["conflicts"]` lists keys and paths."""

    code = "restore_conflict"
    status = 409
    title = "This was changed again since"


class PartOfBundle(GovernanceError):
    """The request is one of several that are decided and applied together."""

    code = "part_of_bundle"
    status = 409
    title = "This request belongs to a bundle"


class ReviewRefused(GovernanceError):
    """This person may not review this use of break-glass, or somebody has done so already."""

    code = "review_refused"
    status = 409
    title = "You cannot review this use of break-glass"


class ImpactUnderWay(GovernanceError):
    """Somebody has asked already who flips with this request; `facts["run"]` is the id of that run."""

    code = "impact_under_way"
    status = 409
    title = "An impact run is under way"


class PartOfPlan(GovernanceError):
    """A change request asks for a rollout plan or a deprecation timeline, which alone reaches its content."""

    code = "part_of_plan"
    status = 409
    title = "This request asks for a plan or a timeline"


class PlanMovedGround(StaleChange):
    """Somebody else changed a flag that a plan writes; `facts["moved"]` says which."""

    code = "plan_moved_ground"
    title = "Somebody else changed a flag of this plan"


class PlanMovedOn(GovernanceError):
    """The plan is not any more as it was on the page that was looked at."""

    code = "plan_moved_on"
    status = 409
    title = "The plan moved on since the page was opened"


class FlagInOtherPlan(GovernanceError):
    """Another plan is at work on one of the flags in the same environment."""

    code = "flag_in_other_plan"
    status = 409
    title = "Another plan is at work on this flag"


class ConfirmationMissing(GovernanceError):
    """A plan takes something away from people on its way forward, and nobody confirmed that this is meant."""

    code = "confirmation_missing"
    status = 409
    title = "This plan takes something away from people"


class PlanHeld(GovernanceError):
    """An incident or a kill list holds every plan of the place; `facts["held_by"]` is the code of what does."""

    code = "plan_held"
    status = 409
    title = "Something holds this plan"


class SkipRefused(GovernanceError):
    """A person may not leave this stage of a plan early."""

    code = "skip_refused"
    status = 409
    title = "This stage cannot be left early"


class TrainWaits(GovernanceError):
    """It is not the plan's turn in its release train; `facts["waits_for"]` is the position it waits for, 0 for none."""

    code = "train_waits"
    status = 409
    title = "The release train holds this plan"


class TrainRefused(GovernanceError):
    """These plans cannot make a release train, or it cannot start yet."""

    code = "train_refused"
    status = 409
    title = "This release train is not possible"


class TrainMovedOn(GovernanceError):
    """The train is not any more as it was on the page that was looked at."""

    code = "train_moved_on"
    status = 409
    title = "The train moved on since the page was opened"


class FlagIsEnding(GovernanceError):
    """A deprecation timeline is at work on the flag in the same environment; `facts["timeline_id"]` says which."""

    code = "flag_is_ending"
    status = 409
    title = "This flag is being ended"


class TimelineMovedGround(StaleChange):
    """Somebody else changed the flag that a timeline ends."""

    code = "timeline_moved_ground"
    title = "Somebody else changed the flag of this timeline"


class TimelineMovedOn(GovernanceError):
    """The timeline is not any more as it was on the page that was looked at."""

    code = "timeline_moved_on"
    status = 409
    title = "The timeline moved on since the page was opened"


class TimelineOutdated(GovernanceError):
    """Dates of a timeline that is to begin or go on are past, so nobody would get the time that was planned."""

    code = "timeline_outdated"
    status = 409
    title = "Dates of this timeline are past"


class StillNeeded(GovernanceError):
    """A flag was to be archived or revived at once, and something stands against it; `facts["blockers"]` says what."""

    code = "still_needed"
    status = 409
    title = "This flag cannot be archived or revived like this"
