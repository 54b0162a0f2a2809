"""Facts and constraints; workflows live in services."""

from rollouts.models.approvals import Approval
from rollouts.models.change_requests import ChangeRequest
from rollouts.models.comments import Comment
from rollouts.models.policies import ApprovalPolicy

__all__ = ["Approval", "ApprovalPolicy", "ChangeRequest", "Comment"]
