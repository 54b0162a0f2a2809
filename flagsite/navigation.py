"""The sidebar: what people do every day on top, what they set up below."""

from typing import Any, cast

from django.contrib.auth.models import AbstractUser
from django.http import HttpRequest
from django.urls import reverse

from flags import permissions
from flagsite import desk

Item = dict[str, Any]


def groups(request: HttpRequest) -> list[Item]:
    """The two groups, without the pages this person cannot use."""
    user = cast(AbstractUser, request.user)
    administers = user.is_superuser or bool(permissions.environments_with(user, permissions.ADMINISTER))
    waiting = desk.waiting_count(user)
    work = [
        _item("Desk", "space_dashboard", "admin:index"),
        _item("Flags", "flag", "admin:flags_flag_changelist"),
        _item("Compare", "compare_arrows", "admin:rollouts_intendeddifference_changelist"),
        _item("Change requests", "rate_review", "admin:rollouts_changerequest_changelist", badge=waiting),
        _item("Rollout plans", "trending_up", "admin:rollouts_rolloutplan_changelist"),
        _item("Endings", "wb_twilight", "admin:rollouts_deprecationtimeline_changelist"),
        _item("Stale flags", "hourglass_disabled", "admin:rollouts_staleverdict_changelist"),
        _item("Keys kept back", "lock_clock", "admin:flags_tombstone_changelist"),
        _item("Release trains", "train", "admin:rollouts_releasetrain_changelist"),
        _item("Break-glass", "emergency_home", "admin:rollouts_breakglassuse_changelist"),
        _item("Rollback drills", "history", "admin:rollouts_rollbackdrill_changelist"),
        _item("Calendar", "calendar_month", "admin:rollouts_calendarwindow_changelist"),
        _item("Incidents", "emergency", "admin:rollouts_incident_changelist"),
        _item("Segments", "groups", "admin:flags_segment_changelist"),
        _item("Attributes", "badge", "admin:flags_contextattribute_changelist"),
        _item("Playground", "science", "admin:flags_playground"),
        _item("Audit trail", "history_edu", "admin:audits_auditevent_changelist"),
    ]
    setup = [
        _item("Environments", "dns", "admin:flags_environment_changelist"),
        _item("Access", "admin_panel_settings", "admin:flags_access"),
        _item("Teams", "diversity_3", "admin:flags_team_changelist"),
        _item("Roles", "assignment_ind", "admin:flags_customrole_changelist"),
        _item("Tokens", "key", "admin:flags_environmenttoken_changelist") if administers else None,
        _item("Telemetry", "monitoring", "admin:flags_telemetrybatch_changelist"),
        _item("Services", "hub", "admin:flags_serviceowner_changelist"),
        _item("Code references", "code", "admin:flags_coderepository_changelist"),
        _item("Approval policies", "policy", "admin:rollouts_approvalpolicy_changelist"),
        _item("Policy rules", "rule", "admin:rollouts_policyrule_changelist"),
        _item("Guard metrics", "health_and_safety", "admin:rollouts_guardmetric_changelist"),
        _item("Settings to confirm", "verified_user", "admin:rollouts_settingsproposal_changelist"),
        _item("People", "group", "admin:flagsite_user_changelist") if user.is_superuser else None,
    ]
    return [
        {"title": "Work", "items": work},
        {"title": "Setup", "separator": True, "items": [item for item in setup if item]},
    ]


def _item(title: str, symbol: str, name: str, *, badge: int = 0) -> Item:
    item: Item = {"title": title, "icon": symbol, "link": reverse(name)}
    if badge:
        item |= {"badge": str(badge), "badge_variant": "danger"}
    return item
