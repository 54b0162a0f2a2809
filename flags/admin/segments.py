"""Segments: the list per environment with who uses them, and the editor of one."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils import timezone

from audits.errors import GovernanceError
from flags import permissions
from flags.admin.comparing import compared_versions
from flags.admin.config_editor import problems_in
from flags.admin.editor_facts import attribute_names, segment_facts
from flags.admin.governed import GovernedAdmin, actor_of, signed_in
from flags.admin.places import as_text
from flags.admin.posted import Draft, read_draft, version_number
from flags.archives import note_of
from flags.changes import diff_segments
from flags.documents import Problem, describe_condition, normalise_segment, validate_segment
from flags.documents.lint import Finding
from flags.errors import PermissionMissing
from flags.models import Environment, Segment
from flags.selectors.environments import shown_project
from flags.selectors.lint import findings_for_segment
from flags.selectors.segments import SegmentUse, allowed_inside, usage
from flags.selectors.versions import versions_of
from flags.services.configs import edit_segment
from flags.services.keys import checked_key, checked_text

READING = ["GET", "HEAD"]
# Where problems of a draft are that say nothing about its document.
BESIDE = frozenset({"key", "name", "reason", "title"})
EMPTY: dict[str, Any] = {"schema": 1, "condition": {"attribute": "", "operator": "equals", "value": ""}}


@dataclass(frozen=True, slots=True)
class SegmentPlace:
    """A segment of an environment, or the place of a new one."""

    environment: Environment
    segment: Segment | None

    @property
    def version(self) -> int:
        """The current version; 0 for a new segment."""
        return self.segment.version if self.segment else 0


@dataclass(slots=True)
class SegmentDraft(Draft):
    """A segment document on its way, with its key and name."""

    key: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class SegmentPurpose:
    """What happens to the document, and how the page says so."""

    action: str
    button: str
    note: str
    asks_reason: bool = True
    asks_title: bool = False


@dataclass(frozen=True, slots=True)
class SegmentLine:
    """One segment in the list: who belongs to it, and who uses it."""

    segment: Segment
    sentence: str
    use: SegmentUse


def find_segment_place(user: AbstractUser, environment_id: uuid.UUID, key: str) -> SegmentPlace:
    """The segment with a key in an environment the person may look at; the segment is None where there is none."""
    environment = permissions.visible_environments(user).select_related("project").filter(pk=environment_id).first()
    if environment is None:
        raise Http404
    # PostgreSQL refuses even to look for a NUL.
    found = None if "\x00" in key else Segment.objects.filter(environment=environment, key=key).first()
    return SegmentPlace(environment, found)


def read_segment_draft(fields: Mapping[str, str]) -> SegmentDraft:
    """The draft in a form."""
    read = read_draft(fields)
    draft = SegmentDraft(read.text, read.base_version, read.document, read.is_json, read.reason, "", read.problems)
    draft.key, draft.name = fields.get("key", "").strip(), fields.get("name", "")
    return draft


def check_segment(place: SegmentPlace, draft: SegmentDraft) -> None:
    """Note in a draft what is wrong with its document."""
    if draft.is_json:
        keys = Segment.objects.filter(environment=place.environment).values_list("key", flat=True)
        draft.problems += validate_segment(draft.document, segment_keys=set(keys))


def segment_purpose(place: SegmentPlace) -> SegmentPurpose:
    """Save where that is allowed; propose where somebody else has to agree."""
    environment = place.environment
    if environment.is_protected:
        action = reverse("admin:rollouts_changerequest_proposesegment", args=[environment.pk])
        note = "Nothing changes yet: you see the whole request, and who can approve it, before you submit it."
        return SegmentPurpose(action, "Propose change", note, asks_title=True)
    note = f"{environment.name} is not protected: this takes effect at once, for every flag that uses the segment."
    if place.segment:
        action = reverse("admin:flags_segment_edit", args=[place.segment.pk])
    else:
        action = f"{reverse('admin:flags_segment_add')}?environment={environment.pk}"
    return SegmentPurpose(action, f"Save to {environment.name}", note)


def segment_page(
    owner: GovernedAdmin, request: HttpRequest, place: SegmentPlace, draft: SegmentDraft, **context: Any
) -> TemplateResponse:
    """The editor with a draft in it."""
    status = context.pop("status", 400 if draft.problems or draft.error else 200)
    environment, segment = place.environment, place.segment
    name = segment.name if segment else "New segment"
    use = usage([environment.pk]).get((environment.pk, segment.key)) if segment else None
    shown: dict[str, Any] = {
        "purpose": segment_purpose(place),
        "crumbs": [("Segments", _list_address(environment)), (f"{name} in {environment.name}", "")],
        "environment": environment,
        "segment": segment,
        "draft": draft,
        "use": use,
        "findings": _findings(place, draft),
        "is_behind": segment is not None and draft.base_version not in {place.version, -1},
        "meanwhile": [],
        "editor_data": _editor_data(place, draft),
        **context,
    }
    return owner.page(request, "flags/segment_edit.html", title=name, status=status, **shown)


def _findings(place: SegmentPlace, draft: SegmentDraft) -> list[Finding]:
    key = place.segment.key if place.segment else draft.key
    if not key or not draft.is_json or any(problem.path not in BESIDE for problem in draft.problems):
        return []
    return findings_for_segment(key, place.environment, normalise_segment(draft.document), now=timezone.now())


def _editor_data(place: SegmentPlace, draft: SegmentDraft) -> dict[str, Any]:
    segment = place.segment
    segments = list(Segment.objects.filter(environment=place.environment).order_by("name"))
    allowed = allowed_inside(segments, segment.key) if segment else segments
    documents = [item.document for item in segments]
    return {
        "segments": [segment_facts(item) for item in allowed],
        "attributes": attribute_names(place.environment.project_id, documents),
        "current": segment.document if segment else None,
        "currentName": segment.name if segment else "",
        "problems": [{"path": problem.path, "message": problem.message} for problem in draft.problems],
    }


@admin.register(Segment)
class SegmentAdmin(GovernedAdmin):
    """Audiences that rules refer to. They belong to one environment, and so do the approvals they need."""

    search_fields = ("key", "name")

    def visible_to(self, user: AbstractUser, queryset: QuerySet[Segment]) -> QuerySet[Segment]:
        return queryset.filter(environment__in=permissions.visible_environments(user))

    def get_urls(self) -> list[URLPattern]:
        return [
            self.door("", self.list_view, "flags_segment_changelist"),
            self.door("add/", self.add_segment_view, "flags_segment_add"),
            self.door("<uuid:segment_id>/", self.edit_view, "flags_segment_edit"),
            self.door("<uuid:segment_id>/history/", self.versions_view, "flags_segment_history"),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponseBase:
        """Every segment of a project by environment, with its usage: a constant number of queries."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        user = signed_in(request)
        asked = request.GET.get("project", "")
        projects, project = shown_project(user, asked)
        if project is None and asked:
            raise Http404
        environments = list(permissions.visible_environments(user).filter(project=project).order_by("position", "key"))
        proposes = permissions.environments_with(user, permissions.PROPOSE)
        lines = _lines(environments)
        return self.page(
            request,
            "flags/segment_list.html",
            title="Segments",
            crumbs=[("Segments", "")],
            projects=projects,
            project=project,
            groups=[(item, lines.get(item.pk, []), item.pk in proposes) for item in environments],
        )

    def add_segment_view(self, request: HttpRequest) -> HttpResponseBase:
        """A new segment in the environment named by `?environment=`."""
        environment_id = _as_uuid(request.GET.get("environment", ""))
        if environment_id is None:
            return HttpResponseRedirect(reverse("admin:flags_segment_changelist"))
        return self._editor(request, find_segment_place(signed_in(request), environment_id, ""))

    def edit_view(self, request: HttpRequest, segment_id: uuid.UUID) -> HttpResponseBase:
        """The editor of one segment."""
        segment = self.get_queryset(request).select_related("environment__project").filter(pk=segment_id).first()
        if segment is None:
            raise Http404
        return self._editor(request, SegmentPlace(segment.environment, segment))

    def versions_view(self, request: HttpRequest, segment_id: uuid.UUID) -> HttpResponseBase:
        """Every version of a segment, and the difference between any two. Reading only."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        user = signed_in(request)
        segment = self.get_queryset(request).select_related("environment__project").filter(pk=segment_id).first()
        if segment is None:
            raise Http404
        versions, environment = versions_of(segment), segment.environment
        asked = tuple(version_number(request.GET.get(name, "")) for name in ("from", "to"))
        numbers = {version.number for version in versions}
        newest = (segment.version - 1, segment.version) if segment.version > 1 else None
        may_propose = permissions.user_holds(user, permissions.PROPOSE, environment)
        return self.page(
            request,
            "flags/segment_history.html",
            title=f"Versions of {segment.name} in {environment.name}",
            crumbs=[("Segments", _list_address(environment)), (f"{segment.name} in {environment.name}", "")],
            segment=segment,
            environment=environment,
            versions=versions,
            may_propose=may_propose,
            may_go_back=may_propose or permissions.user_holds(user, permissions.APPLY, environment),
            **compared_versions(segment, (asked[0], asked[1]) if set(asked) <= numbers else newest),
        )

    def _editor(self, request: HttpRequest, place: SegmentPlace) -> HttpResponseBase:
        if request.method not in {*READING, "POST"}:
            return HttpResponseNotAllowed([*READING, "POST"])
        permissions.require(actor_of(request), permissions.PROPOSE, place.environment)
        if request.method == "POST":
            draft = read_segment_draft({k: str(v) for k, v in request.POST.items()})
            check_segment(place, draft)
            return self._save(request, place, draft)
        segment = place.segment
        document = segment.document if segment else EMPTY
        draft = SegmentDraft(as_text(document), place.version, document)
        draft.key, draft.name = (segment.key, segment.name) if segment else ("", "")
        return segment_page(self, request, place, draft)

    def _save(self, request: HttpRequest, place: SegmentPlace, draft: SegmentDraft) -> HttpResponseBase:
        if place.segment:
            draft.key = place.segment.key
        if not draft.reason.strip():
            draft.problems.append(Problem("reason", "Say why, in a few words: the audit trail shows it."))
        if draft.problems:
            return segment_page(self, request, place, draft)
        try:
            applied = edit_segment(
                place.environment.pk,
                actor=actor_of(request),
                key=checked_key(draft.key, what="segment"),
                name=checked_text(draft.name, field="name", longest=120, required=True),
                document=draft.document,
                base_version=draft.base_version,
                reason=checked_text(draft.reason, field="reason", longest=4000),
                now=timezone.now(),
            )
        except PermissionMissing:
            raise
        except GovernanceError as error:
            draft.problems, draft.error = problems_in(error), error.message
            place = find_segment_place(signed_in(request), place.environment.pk, draft.key)
            return segment_page(self, request, place, draft, status=error.status, meanwhile=_moved(place, draft))
        messages.success(
            request,
            f"{draft.name.strip()} is live in {place.environment.name} as version {applied.versions[draft.key]}.",
        )
        for finding in _findings(place, draft):
            if finding.severity == "warning":
                messages.warning(request, f"Worth a second look: {finding.message} {finding.advice}")
        return HttpResponseRedirect(_list_address(place.environment))


def _moved(place: SegmentPlace, draft: SegmentDraft) -> list[str]:
    """What others changed since the version the draft is based on, in sentences."""
    segment = place.segment
    if segment is None or draft.base_version == segment.version:
        return []
    row = segment.history.filter(version=draft.base_version).first()
    before = row.document if row and note_of(row.document) is None else None
    return [item.sentence for item in diff_segments(before, segment.document)]


def _lines(environments: list[Environment]) -> dict[uuid.UUID, list[SegmentLine]]:
    ids = [environment.pk for environment in environments]
    used = usage(ids)
    lines: dict[uuid.UUID, list[SegmentLine]] = {}
    for segment in Segment.objects.filter(environment__in=ids).order_by("name"):
        sentence = describe_condition(segment.document["condition"])
        line = SegmentLine(segment, sentence, used.get((segment.environment_id, segment.key), SegmentUse()))
        lines.setdefault(segment.environment_id, []).append(line)
    return lines


def _list_address(environment: Environment) -> str:
    return f"{reverse('admin:flags_segment_changelist')}?project={environment.project.key}"


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
