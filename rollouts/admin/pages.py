"""The request page: everything one person needs to decide, put together for the template."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractUser
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from flags.changes import ConfigEdit, Difference
from flags.documents.lint import Finding
from flags.models import FlagConfig
from flags.selectors.lint import findings_for_change_set
from flags.selectors.versions import Version, versions_of
from flags.showing import DiffRow, JsonBlock, diff_rows, json_blocks, suspicions, visible
from rollouts.admin.panels import panel_contexts
from rollouts.admin.schedules import fields_of
from rollouts.admin.stages import applied_versions, stage_line, timeline
from rollouts.selectors import EditView, RequestPage, request_page
from rollouts.transitions import AWAITING_STATES, Act, RequestState

CONTENT_STATES = frozenset({RequestState.DRAFT, *AWAITING_STATES})


@dataclass(frozen=True, slots=True)
class EditCard:
    """One flag or segment of the request: its difference, what moved meanwhile, and where to go from here."""

    edit: EditView
    rows: list[DiffRow]
    blocks: list[JsonBlock]
    meanwhile: tuple[Difference, ...]
    moved_by: Sequence[Version]
    target_url: str
    edit_url: str
    applied_version: int | None
    findings: list[Finding]


def request_context(
    request_id: UUID, user: AbstractUser, *, now: datetime, typed: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What the template shows. `typed`: the act that was refused, its error, and the fields posted with it."""
    page = request_page(request_id, user, now=now)
    request = page.request
    versions = applied_versions(page.timeline)
    findings = _findings(page, now=now)
    refused = typed or {}
    panels = panel_contexts(page, user, now=now)
    has_timeline = panels["ending"] is not None
    return {
        **panels,
        "page": page,
        "item": request,
        "environment": request.environment,
        "cards": [_card(page, edit, versions, findings.get((edit.kind, edit.key), [])) for edit in page.edits],
        "stages": stage_line(request, page.verdict, page.timeline, has_timeline=has_timeline),
        "moments": timeline(page.timeline, has_timeline=has_timeline),
        "may": {act: act in page.allowed for act in [act.value for act in Act]},
        "refusals": page.refusals,
        "primary": primary_act(page),
        "missing_dots": range(page.verdict.missing),
        "why_not_approve": _why_not_approve(page, user),
        "approvers": [approver for approver in page.verdict.may_still_approve if approver.id != str(user.pk)],
        "i_may_approve": page.may(Act.APPROVE),
        "is_draft": request.current_state is RequestState.DRAFT,
        "is_open": request.current_state in CONTENT_STATES,
        "is_awaiting": request.current_state in AWAITING_STATES,
        "schedule": refused.get("schedule") or fields_of(request.apply_at),
        "zone": timezone.localtime(now).tzname(),
        "earliest": timezone.localtime(now).strftime("%Y-%m-%dT%H:%M"),
        "applied": sorted(versions.items()),
        "blocked": _blocked(page),
        "suspicions": _suspicions(page),
        "crumbs": [
            ("Change requests", reverse("admin:rollouts_changerequest_changelist")),
            (format_html("#{} {}", request.number, visible(request.title)), ""),
        ],
        "refused": refused,
        "now": now,
    }


def _suspicions(page: RequestPage) -> list[str]:
    """What a reviewer should look at twice in everything people wrote into the request."""
    request = page.request
    documents = [json.dumps([edit.key, edit.name, edit.after], ensure_ascii=False) for edit in page.edits]
    comments = [comment.body for thread in page.threads for comment in (thread.root, *thread.replies)]
    return suspicions(request.title, request.reason, *documents, *comments)


def primary_act(page: RequestPage) -> str:
    """The one thing this person is here to do, empty where they can only wait."""
    may = page.allowed
    if page.request.current_state is RequestState.DRAFT:
        return "submit" if "submit" in may else ""
    if page.has_moved:
        return "rebase" if "edit" in may else ""
    for act in ("approve", "apply"):
        if act in may:
            return act
    return ""


def _why_not_approve(page: RequestPage, user: AbstractUser) -> str:
    """Why this person sees no button for approving, where they might look for one."""
    if page.request.current_state not in CONTENT_STATES or page.may(Act.APPROVE) or page.verdict.is_satisfied:
        return ""
    if page.request.requester_id == user.pk:
        return "You asked for this, so somebody else must approve it."
    if str(user.pk) in page.request.contributor_ids:
        return "You edited this, so somebody else must approve it."
    return "" if page.request.current_state is RequestState.DRAFT else page.refusals.get("approve", "")


def _blocked(page: RequestPage) -> str:
    """Why an approved request does not go live, unless its edits say so themselves."""
    if not page.request.is_blocked or page.has_moved:
        return ""
    return str(page.request.blocked_detail.get("message", "")) or "It cannot be applied as it is."


def _findings(page: RequestPage, *, now: datetime) -> dict[tuple[str, str], list[Finding]]:
    """What the linter says about each edit while the request can still change; nobody is stopped by it."""
    request = page.request
    if request.current_state not in CONTENT_STATES:
        return {}
    return {
        ("flag", edit.flag_key) if isinstance(edit, ConfigEdit) else ("segment", edit.segment_key): found
        for edit, found in findings_for_change_set(request.content, request.environment, now=now)
    }


def _card(page: RequestPage, edit: EditView, versions: dict[str, int], findings: list[Finding]) -> EditCard:
    before = edit.current if edit.has_moved else edit.before
    differences = edit.effect if edit.has_moved else edit.differences
    is_flag = edit.kind == "flag"
    documents = (before, edit.after) if is_flag else ()
    return EditCard(
        edit=edit,
        rows=diff_rows(differences, *documents),
        blocks=json_blocks(before, edit.after),
        meanwhile=edit.meanwhile,
        moved_by=_moved_by(page, edit),
        target_url=_target_url(edit),
        edit_url=_edit_url(page, edit) if page.may(Act.EDIT) else "",
        applied_version=versions.get(edit.key),
        findings=findings,
    )


def _moved_by(page: RequestPage, edit: EditView) -> list[Version]:
    """Who made the versions since the one the request was based on: five queries, for stale flags only."""
    if not edit.has_moved or edit.kind != "flag":
        return []
    config = FlagConfig.objects.filter(environment=page.request.environment_id, flag=edit.target_id).first()
    if config is None:
        return []
    return [version for version in versions_of(config) if version.number > edit.base_version]


def _target_url(edit: EditView) -> str:
    if edit.target_id is None:
        return ""
    name = "admin:flags_flag_change" if edit.kind == "flag" else "admin:flags_segment_edit"
    return reverse(name, args=[edit.target_id])


def _edit_url(page: RequestPage, edit: EditView) -> str:
    route = "revise" if edit.kind == "flag" else "revisesegment"
    return reverse(f"admin:rollouts_changerequest_{route}", args=[page.request.pk, edit.key])
