"""Facts and constraints; workflows live in services."""

from flags.models.archives import ArchivedPayload
from flags.models.attributes import ContextAttribute
from flags.models.configs import FlagConfig
from flags.models.environments import Environment, EnvironmentUserGrant
from flags.models.flags import Flag
from flags.models.kills import LocalKill
from flags.models.lifecycles import FlagUse, ServiceOwner, Tombstone, UnknownKey
from flags.models.projects import Project
from flags.models.references import CodeReference, CodeRepository, CodeScan
from flags.models.roles import CustomRole, RoleGrant
from flags.models.samples import ContextSample
from flags.models.segments import Segment
from flags.models.teams import Team, TeamMember
from flags.models.telemetry import EvaluationCount, MetricCount, QuarantinedRow, TelemetryBatch
from flags.models.tickets import ApplyTicket, ArchiveTicket
from flags.models.tokens import EnvironmentToken

__all__ = [
    "ApplyTicket",
    "ArchiveTicket",
    "ArchivedPayload",
    "CodeReference",
    "CodeRepository",
    "CodeScan",
    "ContextAttribute",
    "ContextSample",
    "CustomRole",
    "Environment",
    "EnvironmentToken",
    "EnvironmentUserGrant",
    "EvaluationCount",
    "Flag",
    "FlagConfig",
    "FlagUse",
    "LocalKill",
    "MetricCount",
    "Project",
    "QuarantinedRow",
    "RoleGrant",
    "Segment",
    "ServiceOwner",
    "Team",
    "TeamMember",
    "TelemetryBatch",
    "Tombstone",
    "UnknownKey",
]
