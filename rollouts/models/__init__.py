"""Facts and constraints; workflows live in services."""

from rollouts.models.approvals import Approval
from rollouts.models.break_glass import BreakGlassOutcome, BreakGlassUse
from rollouts.models.bundles import BundleMember, ChangeBundle
from rollouts.models.calendar import CalendarWindow, FreezeException, WindowKind
from rollouts.models.change_requests import ChangeRequest
from rollouts.models.comments import Comment, ThreadMark
from rollouts.models.dissent import Dissent, DissentKind
from rollouts.models.drills import DrillRun, DrillTarget, RollbackDrill
from rollouts.models.guard_metrics import GuardMetric, GuardSample, GuardVerdict, GuardWatch, StageCheck
from rollouts.models.impact import ImpactRun, ImpactState, ImpactUpload
from rollouts.models.incidents import Incident, Severity
from rollouts.models.plans import PlanFlag, PlanStep, PlanTemplate, RolloutPlan, StageApproval
from rollouts.models.policies import ApprovalPolicy
from rollouts.models.promotion import Drift, IntendedDifference
from rollouts.models.rounds import Look, RequestRound
from rollouts.models.rules import Judgement, PolicyRule, PolicyRuleVersion, ServiceApproval
from rollouts.models.settings_proposals import SettingsProposal
from rollouts.models.staleness import DebtScore, OwnerNudge, Snooze, StaleThresholds, StaleVerdict
from rollouts.models.timelines import DeprecationTimeline, MilestoneApproval, TimelineStep
from rollouts.models.trains import ReleaseTrain, TrainMember

__all__ = [
    "Approval",
    "ApprovalPolicy",
    "BreakGlassOutcome",
    "BreakGlassUse",
    "BundleMember",
    "CalendarWindow",
    "ChangeBundle",
    "ChangeRequest",
    "Comment",
    "DebtScore",
    "DeprecationTimeline",
    "Dissent",
    "DissentKind",
    "Drift",
    "DrillRun",
    "DrillTarget",
    "FreezeException",
    "GuardMetric",
    "GuardSample",
    "GuardVerdict",
    "GuardWatch",
    "ImpactRun",
    "ImpactState",
    "ImpactUpload",
    "Incident",
    "IntendedDifference",
    "Judgement",
    "Look",
    "MilestoneApproval",
    "OwnerNudge",
    "PlanFlag",
    "PlanStep",
    "PlanTemplate",
    "PolicyRule",
    "PolicyRuleVersion",
    "ReleaseTrain",
    "RequestRound",
    "RollbackDrill",
    "RolloutPlan",
    "ServiceApproval",
    "SettingsProposal",
    "Severity",
    "Snooze",
    "StageApproval",
    "StageCheck",
    "StaleThresholds",
    "StaleVerdict",
    "ThreadMark",
    "TimelineStep",
    "TrainMember",
    "WindowKind",
]
