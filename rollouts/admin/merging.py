"""Putting a request on top of what is live, or two requests into one: a click, or a choice for each conflict."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from audits.errors import GovernanceError
from flags.admin.governed import GovernedAdmin, actor_of, signed_in
from flags.documents import describe_condition, describe_deprecation, describe_prerequisite, describe_rule
from flags.documents.words import shown
from flags.errors import PermissionMissing
from flags.merging import Conflict
from rollouts.models import ChangeRequest
from rollouts.selectors import RequestPage, request_page, visible_requests
from rollouts.selectors.merges import MergedEdit, MergedRequest, merged_with_live, merged_with_request
from rollouts.services.change_requests import look_at_request
from rollouts.services.merging import MINE, THEIRS, bring_up_to_date, merge_request_into
from rollouts.transitions import OPEN_STATES, Act

READING = ["GET", "HEAD"]
# Neither kinds nor keys hold one; a path may.
_SEPARATOR = "|"
_NOTHING = "not there"


@dataclass(frozen=True, slots=True)
class Choice:
    """One conflict as the form asks about it. `name` is its field, `chosen` what was posted for it."""

    name: str
    words: str
    before: str
    mine: str
    theirs: str
    chosen: str


@dataclass(frozen=True, slots=True)
class MergedCard:
    """One flag or segment and the conflicts in it."""

    merged: MergedEdit
    choices: list[Choice]
    edit_url: str


class MergingViews(GovernedAdmin):
    """The views of `ChangeRequestAdmin` about merging."""

    def update_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """GET asks about conflicts with what is live now; POST brings the request up to date."""
        return self._merging(request, object_id, None)

    def merge_view(self, request: HttpRequest, object_id: uuid.UUID, other_id: uuid.UUID) -> HttpResponseBase:
        """GET shows what both requests change; POST takes the other one into this one."""
        others = visible_requests(signed_in(request)).filter(pk=other_id)
        other = others.exclude(pk=object_id).first()
        if other is None or other.current_state not in OPEN_STATES:
            raise Http404
        return self._merging(request, object_id, other)

    def _merging(self, request: HttpRequest, object_id: uuid.UUID, other: ChangeRequest | None) -> HttpResponseBase:
        if request.method not in [*READING, "POST"]:
            return HttpResponseNotAllowed([*READING, "POST"])
        page = self._page_to_edit(request, object_id)
        if other is not None and other.environment_id != page.request.environment_id:
            raise Http404
        if request.method != "POST":
            return self._merge_form(request, page, other)
        fields = {name: str(value) for name, value in request.POST.items()}
        try:
            done = _post(page.request, other, fields, request)
        except PermissionMissing:
            raise
        except GovernanceError as error:
            return self._merge_form(request, page, other, status=error.status, error=error.message, fields=fields)
        look_at_request(done.pk, actor=actor_of(request), digest=done.digest, now=timezone.now())
        messages.success(request, _outcome(done, other))
        return HttpResponseRedirect(_address(done))

    def _page_to_edit(self, request: HttpRequest, object_id: uuid.UUID) -> RequestPage:
        user = signed_in(request)
        if not visible_requests(user).filter(pk=object_id).exists():
            raise Http404
        page = request_page(object_id, user, now=timezone.now())
        if not page.may(Act.EDIT):
            raise PermissionMissing(page.refusals.get("edit", "This request cannot be edited."))
        return page

    def _merge_form(
        self,
        request: HttpRequest,
        page: RequestPage,
        other: ChangeRequest | None,
        *,
        status: int = 200,
        error: str = "",
        fields: Mapping[str, str] | None = None,
    ) -> HttpResponseBase:
        item = page.request
        merged = merged_with_live(item, page.edits) if other is None else merged_with_request(item, other)
        return self.page(
            request,
            "rollouts/merge.html",
            title=f"Bring #{item.number} up to date" if other is None else f"Merge #{other.number} into #{item.number}",
            status=status,
            crumbs=[
                ("Change requests", reverse("admin:rollouts_changerequest_changelist")),
                (f"#{item.number}", _address(item)),
                ("Bring up to date" if other is None else "Merge", ""),
            ],
            item=item,
            other=other,
            environment=item.environment,
            digest=page.digest,
            cards=_cards(item, merged, fields or {}),
            conflict_count=len(merged.conflicts),
            error=error,
        )


def _post(
    item: ChangeRequest, other: ChangeRequest | None, fields: Mapping[str, str], request: HttpRequest
) -> ChangeRequest:
    actor, digest, now = actor_of(request), fields.get("digest", ""), timezone.now()
    decisions = {
        (parts[0], parts[1], parts[2]): side
        for name, side in fields.items()
        if len(parts := name.split(_SEPARATOR, 2)) == 3
    }
    if other is None:
        return bring_up_to_date(item.pk, actor=actor, digest=digest, decisions=decisions, now=now)
    return merge_request_into(item.pk, other_id=other.pk, actor=actor, digest=digest, decisions=decisions, now=now)


def _cards(item: ChangeRequest, merged: MergedRequest, fields: Mapping[str, str]) -> list[MergedCard]:
    return [
        MergedCard(one, [_choice(one, conflict, fields) for conflict in one.conflicts], _edit_url(item, one))
        for one in merged.merged
    ]


def _choice(one: MergedEdit, conflict: Conflict, fields: Mapping[str, str]) -> Choice:
    name = _SEPARATOR.join((*one.target, conflict.path))
    chosen = fields.get(name, "")
    return Choice(
        name=name,
        words=conflict.words,
        before=_side(conflict.path, conflict.base),
        mine=_side(conflict.path, conflict.ours),
        theirs=_side(conflict.path, conflict.theirs),
        chosen=chosen if chosen in (MINE, THEIRS) else "",
    )


def _side(path: str, value: Any) -> str:
    """One side of a conflict in words."""
    kind = path.partition(".")[0]
    if kind == "condition":
        return describe_condition(value) if value is not None else "everyone"
    if value is None:
        return _NOTHING
    if kind == "rules":
        return ", then ".join(map(str, value)) if path == "rules" else describe_rule(value)
    if kind == "variants":
        return shown(value.get("value"), full=True)
    if kind == "prerequisites":
        return describe_prerequisite(value)
    if kind == "deprecation":
        return "; ".join(describe_deprecation(value))
    if kind == "targets":
        return ", ".join(f"{key}: “{variant}”" for key, variant in value.items()) or _NOTHING
    if isinstance(value, bool):
        return "on" if value else "off"
    return shown(value, full=True)


def _edit_url(item: ChangeRequest, one: MergedEdit) -> str:
    route = "revise" if one.target[0] == "flag" else "revisesegment"
    return reverse(f"admin:rollouts_changerequest_{route}", args=[item.pk, one.target[1]])


def _outcome(done: ChangeRequest, other: ChangeRequest | None) -> str:
    review = "" if done.current_state.value == "draft" else " It needs its approvals again."
    if other is None:
        return f"#{done.number} is on top of what is live now.{review}"
    other.refresh_from_db()
    rest = (
        "" if other.current_state not in OPEN_STATES else f" #{other.number} stays open: its requester can withdraw it."
    )
    return f"#{done.number} holds what #{other.number} asked for as well.{review}{rest}"


def _address(item: ChangeRequest) -> str:
    return reverse("admin:rollouts_changerequest_change", args=[item.pk])
