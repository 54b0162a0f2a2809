"""Editors that end in a change request: propose, put a proposal on top of the present, and who else is at it."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import AbstractUser
from django.http import (
    Http404,
    HttpRequest,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    JsonResponse,
)
from django.urls import reverse
from django.utils import timezone

from audits.errors import GovernanceError
from flags import permissions
from flags.admin.config_editor import Purpose, check, editor_page, meanwhile, normalise, problems_in
from flags.admin.configs import purpose_of
from flags.admin.governed import GovernedAdmin, actor_of, signed_in
from flags.admin.places import Place, as_text, find_place
from flags.admin.posted import Draft, read_draft
from flags.admin.segments import (
    SegmentDraft,
    SegmentPlace,
    check_segment,
    find_segment_place,
    read_segment_draft,
    segment_page,
)
from flags.changes import ConfigEdit, SegmentEdit
from flags.errors import InvalidInput, PermissionMissing, StaleChange
from flags.models import Flag, Segment
from flags.services.keys import checked_key, checked_text
from rollouts.admin.proposals import (
    chosen_environments,
    missing_texts,
    own_drafts,
    propose,
    propose_everywhere,
    refuse_nothing,
    replace_edit,
)
from rollouts.models import ChangeRequest
from rollouts.selectors import open_requests_for, visible_requests
from rollouts.selectors.request_pages import RequestPage, request_page
from rollouts.transitions import Act, RequestState


class EditingViews(GovernedAdmin):
    """The views of `ChangeRequestAdmin` around the two editors."""

    def propose_view(self, request: HttpRequest, flag_id: uuid.UUID, environment_id: uuid.UUID) -> HttpResponseBase:
        """From the config editor to a draft. Whatever is refused, the editor comes back as it was."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        user = signed_in(request)
        place = find_place(user, flag_id, environment_id)
        permissions.require(actor_of(request), permissions.PROPOSE, place.environment)
        fields = _fields(request)
        draft = read_draft(fields)
        draft.problems += missing_texts(fields)
        check(place, draft)
        if draft.problems or draft.base_version != place.version:
            return self._editor_again(request, place, draft, fields)
        try:
            edit = _config_edit(place, draft)
            refuse_nothing(edit, place.document)
            proposal = self._proposed(request, place, edit, fields)
        except PermissionMissing:
            raise
        except GovernanceError as error:
            draft.problems, draft.error = problems_in(error), error.message
            return self._editor_again(request, place, draft, fields, status=error.status)
        return self._to_draft(request, proposal)

    def _proposed(self, request: HttpRequest, place: Place, edit: ConfigEdit, fields: dict[str, str]) -> ChangeRequest:
        """The draft; where other environments were ticked as well, in one bundle with theirs."""
        user, actor, now = signed_in(request), actor_of(request), timezone.now()
        others = [] if fields.get("draft") else chosen_environments(fields, place.environment, user)
        if not others:
            return propose(place.environment, edit, actor=actor, user=user, fields=fields, now=now)
        proposal, left_out = propose_everywhere(
            place.flag, place.environment, edit, others, actor=actor, fields=fields, now=now
        )
        for words in left_out:
            messages.warning(request, words)
        return proposal

    def propose_segment_view(self, request: HttpRequest, environment_id: uuid.UUID) -> HttpResponseBase:
        """From the segment editor to a draft."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        user = signed_in(request)
        fields = _fields(request)
        draft = read_segment_draft(fields)
        place = find_segment_place(user, environment_id, draft.key)
        permissions.require(actor_of(request), permissions.PROPOSE, place.environment)
        draft.problems += missing_texts(fields)
        check_segment(place, draft)
        if draft.problems:
            return segment_page(self, request, place, draft)
        try:
            edit = _segment_edit(place, draft)
            proposal = propose(
                place.environment, edit, actor=actor_of(request), user=user, fields=fields, now=timezone.now()
            )
        except PermissionMissing:
            raise
        except GovernanceError as error:
            draft.problems, draft.error = problems_in(error), error.message
            return segment_page(self, request, place, draft, status=error.status)
        return self._to_draft(request, proposal)

    def neighbours_view(self, request: HttpRequest, flag_id: uuid.UUID, environment_id: uuid.UUID) -> HttpResponseBase:
        """As JSON: the person's own drafts in the environment, and other open requests for the same flag."""
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseNotAllowed(["GET", "HEAD"])
        user = signed_in(request)
        place = find_place(user, flag_id, environment_id)
        drafts = own_drafts(user, place.environment)
        others = open_requests_for(place.flag, place.environment)
        return JsonResponse(
            {
                "drafts": [{"id": str(item.pk), "number": item.number, "title": item.title} for item in drafts],
                "open": [_brief(item) for item in others if item.current_state is not RequestState.DRAFT],
            }
        )

    def revise_view(self, request: HttpRequest, object_id: uuid.UUID, flag_key: str) -> HttpResponseBase:
        """The config editor with what the request proposes, on top of the current version where that has moved."""
        if request.method not in {"GET", "HEAD", "POST"}:
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        user = signed_in(request)
        page = _editable(object_id, user)
        edits = [edit for edit in page.request.content.edits if isinstance(edit, ConfigEdit)]
        edit = next((edit for edit in edits if edit.flag_key == flag_key), None)
        flag = Flag.objects.filter(project=page.request.project_id, key=flag_key).first() if edit else None
        if edit is None or flag is None:
            raise Http404
        place = find_place(user, flag.pk, page.request.environment_id)
        if request.method == "POST":
            return self._save_revision(request, page, place, read_draft(_fields(request)))
        behind = meanwhile(place, edit.base_version, edit.document)
        document = behind.merged if behind and behind.merged else edit.document
        draft = Draft(as_text(document), place.version, document)
        is_rebased = behind is not None and behind.merged is not None
        return self._revision_page(request, page, place, draft, status=200, behind=behind, is_rebased=is_rebased)

    def revise_segment_view(self, request: HttpRequest, object_id: uuid.UUID, key: str) -> HttpResponseBase:
        """The segment editor with what the request proposes."""
        if request.method not in {"GET", "HEAD", "POST"}:
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        user = signed_in(request)
        page = _editable(object_id, user)
        edits = [edit for edit in page.request.content.edits if isinstance(edit, SegmentEdit)]
        edit = next((edit for edit in edits if edit.segment_key == key), None)
        if edit is None:
            raise Http404
        place = find_segment_place(user, page.request.environment_id, key)
        purpose = _revision(page, reverse("admin:rollouts_changerequest_revisesegment", args=[object_id, key]))
        shown = {"purpose": purpose, "purpose_fields": {"digest": page.digest}, "back_url": _address(page.request)}
        if request.method != "POST":
            draft = SegmentDraft(as_text(edit.document), place.version, edit.document, key=key, name=edit.name)
            return segment_page(self, request, place, draft, **shown)
        fields = _fields(request)
        draft = read_segment_draft({**fields, "key": key})
        check_segment(place, draft)
        if draft.problems:
            return segment_page(self, request, place, draft, **shown)
        try:
            replace_edit(
                page.request,
                _segment_edit(place, draft),
                actor=actor_of(request),
                digest=fields.get("digest", ""),
                now=timezone.now(),
            )
        except PermissionMissing:
            raise
        except GovernanceError as error:
            draft.problems, draft.error = problems_in(error), error.message
            return segment_page(self, request, place, draft, status=error.status, **shown)
        return self._saved(request, page)

    def _save_revision(self, request: HttpRequest, page: RequestPage, place: Place, draft: Draft) -> HttpResponseBase:
        check(place, draft)
        if draft.problems or draft.base_version != place.version:
            return self._revision_page(request, page, place, draft)
        try:
            replace_edit(
                page.request,
                _config_edit(place, draft),
                actor=actor_of(request),
                digest=request.POST.get("digest", ""),
                now=timezone.now(),
            )
        except PermissionMissing:
            raise
        except GovernanceError as error:
            draft.problems, draft.error = problems_in(error), error.message
            return self._revision_page(request, page, place, draft, status=error.status)
        return self._saved(request, page)

    def _revision_page(
        self, request: HttpRequest, page: RequestPage, place: Place, draft: Draft, **context: Any
    ) -> HttpResponseBase:
        item = page.request
        action = reverse("admin:rollouts_changerequest_revise", args=[item.pk, place.flag.key])
        purpose_fields = {"digest": page.digest}
        return editor_page(
            self,
            request,
            place,
            draft,
            _revision(page, action),
            purpose_fields=purpose_fields,
            back_url=_address(item),
            revised=item,
            here=f"Edit request #{item.number}",
            title=f"Edit #{item.number}: {place.flag.name} in {place.environment.name}",
            neighbours_url="",
            **context,
        )

    def _editor_again(
        self, request: HttpRequest, place: Place, draft: Draft, fields: dict[str, str], **context: Any
    ) -> HttpResponseBase:
        draft.reason = fields.get("reason", "")
        title = fields.get("title", "")
        chosen = [other.pk for other in chosen_environments(fields, place.environment, signed_in(request))]
        return editor_page(
            self, request, place, draft, purpose_of(place), title_text=title, also_chosen=chosen, **context
        )

    def _to_draft(self, request: HttpRequest, proposal: ChangeRequest) -> HttpResponseBase:
        messages.info(request, f"#{proposal.number} is a draft: look at it once more, then submit it for review.")
        return HttpResponseRedirect(_address(proposal))

    def _saved(self, request: HttpRequest, page: RequestPage) -> HttpResponseBase:
        item = page.request
        void = "" if item.current_state is RequestState.DRAFT else " It needs its approvals again."
        messages.success(request, f"#{item.number} has its new content.{void}")
        return HttpResponseRedirect(_address(item))


def _editable(object_id: uuid.UUID, user: AbstractUser) -> RequestPage:
    if not visible_requests(user).filter(pk=object_id).exists():
        raise Http404
    page = request_page(object_id, user, now=timezone.now())
    if not page.may(Act.EDIT):
        raise PermissionMissing(page.refusals.get("edit", "This request cannot be edited."))
    return page


def _revision(page: RequestPage, action: str) -> Purpose:
    item = page.request
    is_draft = item.current_state is RequestState.DRAFT
    given = len(page.verdict.counted)
    void = f" {given} approval{'' if given == 1 else 's'} given so far will not count any more." if given else ""
    return Purpose(
        action=action,
        button="Save into the request",
        dialog_title=f"New content for #{item.number} {item.title}",
        submit=f"Save into #{item.number}",
        asks_reason=False,
        note="Nothing goes live by this." if is_draft else f"Reviewers are asked about the new content.{void}",
        may_post_unchanged=True,
    )


def _config_edit(place: Place, draft: Draft) -> ConfigEdit:
    document = normalise(place, draft.document)
    if not isinstance(document, dict):
        raise InvalidInput("The settings must be a JSON object.", problems=[])
    return ConfigEdit(place.flag.key, draft.base_version, document)


def _segment_edit(place: SegmentPlace, draft: SegmentDraft) -> SegmentEdit:
    key = checked_key(draft.key, what="segment")
    name = checked_text(draft.name, field="name", longest=120, required=True)
    if draft.base_version != place.version:
        raise StaleChange(
            f"“{key}” is at version {place.version} now, this was based on version {draft.base_version}. "
            "Compare with what is served now, then propose it again."
        )
    if not isinstance(draft.document, dict):
        raise InvalidInput("The segment must be a JSON object.", problems=[])
    edit = SegmentEdit(key, name, draft.base_version, draft.document)
    segment: Segment | None = place.segment
    if segment is None or segment.name == name:
        refuse_nothing(edit, segment.document if segment else None)
    return edit


def _brief(item: ChangeRequest) -> dict[str, Any]:
    requester = item.requester
    name = requester.get_full_name() or requester.get_username()
    return {"number": item.number, "title": item.title, "requester": name, "url": _address(item)}


def _address(item: ChangeRequest) -> str:
    return reverse("admin:rollouts_changerequest_change", args=[item.pk])


def _fields(request: HttpRequest) -> dict[str, str]:
    return {key: str(value) for key, value in request.POST.items()}
