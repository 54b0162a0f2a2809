"""Changing what rules look at from the pages of flags and teams: in force at once, or proposed."""

from datetime import datetime
from typing import Any

from django.urls import reverse

from audits.context import Actor
from flags.models import Flag, Team
from flags.services.watches import DETAILS, MEMBER
from rollouts.services.settings import propose_setting
from rollouts.settings_kinds import Scope


def change_details(row: Flag, wanted: dict[str, Any], *, actor: Actor, reason: str, now: datetime) -> str:
    """Kind, tags and owner team of a flag; the address of the proposal, "" where they are in force."""
    return _propose(DETAILS, Scope(row.project, subject=row.key), wanted, actor=actor, reason=reason, now=now)


def add_member(row: Team, wanted: Any, *, actor: Actor, reason: str, now: datetime) -> str:
    """The person `wanted` in a team; the address of the proposal, "" where it is so."""
    scope = Scope(row.project, subject=f"{row.key}/{wanted.pk}")
    return _propose(MEMBER, scope, {"is_member": True}, actor=actor, reason=reason, now=now)


def _propose(kind: str, scope: Scope, wanted: Any, *, actor: Actor, reason: str, now: datetime) -> str:
    proposal = propose_setting(kind, scope, wanted, actor=actor, reason=reason, now=now)
    return reverse("admin:rollouts_settingsproposal_change", args=[proposal.pk]) if proposal else ""
