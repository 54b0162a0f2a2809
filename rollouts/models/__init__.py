"""Facts and constraints; workflows live in services."""

from rollouts.models.approvals import Approval
from rollouts.models.break_glass import BreakGlassOutcome, BreakGlassUse
from rollouts.models.calendar import CalendarWindow, FreezeException, WindowKind
from rollouts.models.change_requests import ChangeRequest
from rollouts.models.comments import Comment
from rollouts.models.drills import DrillRun, DrillTarget, RollbackDrill
from rollouts.models.incidents import Incident, Severity
from rollouts.models.policies import ApprovalPolicy
from rollouts.models.rules import Judgement, PolicyRule, PolicyRuleVersion, ServiceApproval
from rollouts.models.settings_proposals import SettingsProposal

__all__ = [
    "Approval",
    "ApprovalPolicy",
    "BreakGlassOutcome",
    "BreakGlassUse",
    "CalendarWindow",
    "ChangeRequest",
    "Comment",
    "DrillRun",
    "DrillTarget",
    "FreezeException",
    "Incident",
    "Judgement",
    "PolicyRule",
    "PolicyRuleVersion",
    "RollbackDrill",
    "ServiceApproval",
    "SettingsProposal",
    "Severity",
    "WindowKind",
]
