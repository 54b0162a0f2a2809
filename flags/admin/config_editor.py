"""The config editor as a page: what it needs to know, whoever sends the result where."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from audits.errors import GovernanceError
from flags import permissions
from flags.admin.editor_facts import editor_facts
from flags.admin.governed import GovernedAdmin, signed_in
from flags.admin.places import Place, as_text
from flags.admin.posted import Draft, version_number
from flags.changes import ChangeSet, ConfigEdit, Difference, diff_configs
from flags.documents import Problem, describe_deprecation, normalise_config, validate_config
from flags.documents.lint import Finding
from flags.merging import merge_documents
from flags.models import Environment, Segment
from flags.permissions import PROPOSE, environments_with
from flags.selectors.lint import findings_for
from flags.selectors.versions import Version, document_at, versions_of
from flags.services.surroundings import surrounding_problems


@dataclass(frozen=True, slots=True)
class Purpose:
    """What happens to the document: where it is posted, and how the page says so."""

    action: str
    button: str
    dialog_title: str
    submit: str
    asks_reason: bool = True
    asks_title: bool = False
    note: str = ""
    is_revision: bool = False
    may_post_unchanged: bool = False


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What others changed since the version a draft is based on, and both changes put together."""

    versions: list[Version]
    differences: list[Difference]
    merged: dict[str, Any] | None
    clashes: list[str]


def examine(place: Place, document: Any) -> tuple[list[Problem], list[Difference]]:
    """What is wrong with a posted document, and what it changes against the current version if nothing is."""
    flag = place.flag
    normal = normalise(place, document)
    segment_keys = set(Segment.objects.filter(environment=place.environment).values_list("key", flat=True))
    problems = validate_config(
        normal, value_type=flag.value_type, value_schema=flag.value_schema, segment_keys=segment_keys
    )
    return problems, [] if problems else diff_configs(place.document, normal)


def check(place: Place, draft: Draft) -> list[Difference]:
    """Note the problems of a draft in it; what it changes against the current version if there are none."""
    if not draft.is_json:
        return []
    problems, differences = examine(place, draft.document)
    draft.problems += problems
    return differences


def surroundings(place: Place, draft: Draft) -> list[Problem]:
    """What a draft without problems would break around it if it went live alone: three queries."""
    if draft.problems or not draft.is_json:
        return []
    edit = ConfigEdit(place.flag.key, place.version, normalise(place, draft.document))
    found = surrounding_problems(
        ChangeSet(str(place.environment.pk), (edit,)),
        place.environment,
        configs={place.flag.key: place.config} if place.config else {},
        segments={segment.key: segment for segment in Segment.objects.filter(environment=place.environment)},
    )
    return [Problem(item["path"] if item["key"] == place.flag.key else "", item["message"]) for item in found]


def normalise(place: Place, document: Any) -> Any:
    """The stored form of a posted document; what is no object stays as it is for the validator to refuse."""
    if not isinstance(document, dict):
        return document
    if not isinstance(document.get("rules", []), list) or not isinstance(document.get("variants", []), list):
        return document
    return normalise_config(document, value_type=place.flag.value_type, flag_key=place.flag.key)


def problems_in(error: GovernanceError) -> list[Problem]:
    """The problems by path that a service found."""
    return [
        Problem(str(item.get("path", "")), str(item.get("message", "")))
        for item in error.facts.get("problems") or []
        if isinstance(item, dict)
    ]


def meanwhile(place: Place, base_version: int, mine: Any) -> Meanwhile | None:
    """What moved since `base_version`, None when nothing did."""
    if place.config is None or base_version == place.version:
        return None
    current = dict(place.config.document)
    base = document_at(place.config, base_version) if base_version > 0 else None
    versions = [version for version in versions_of(place.config) if version.number > base_version]
    merged: dict[str, Any] | None = None
    clashes: list[str] = []
    if base is not None and isinstance(mine, dict) and not examine(place, mine)[0]:
        merge = merge_documents(base, normalise(place, mine), current)
        merged, clashes = merge.document, [conflict.words for conflict in merge.conflicts]
    return Meanwhile(versions, diff_configs(base, current), merged, clashes)


def editor_page(
    admin: GovernedAdmin, request: HttpRequest, place: Place, draft: Draft, purpose: Purpose, **context: Any
) -> TemplateResponse:
    """The editor with a draft in it. A draft that was refused comes back as it was typed, with status 400 or 409."""
    behind = context.pop("behind", None) or meanwhile(place, draft.base_version, draft.document)
    status = context.pop("status", 409 if behind else 400 if draft.problems or draft.error else 200)
    data = _data(place, draft, behind, purpose)
    flag, environment = place.flag, place.environment
    shown = {
        "subtitle": "",
        "crumbs": _crumbs(place, context.pop("here", "Edit")),
        "place": place,
        "flag": flag,
        "environment": environment,
        "draft": draft,
        "purpose": purpose,
        "behind": behind,
        "editor_data": data,
        "validate_url": reverse("admin:flags_config_validate", args=[flag.pk, environment.pk]),
        "neighbours_url": _neighbours_url(place) if environment.is_protected else "",
        "break_glass_url": _break_glass_url(place, signed_in(request)),
        "also": _also(place, request) if purpose.asks_title else [],
        "last": versions_of(place.config)[0] if place.config else None,
        "endings": _endings(place, draft),
        **context,
    }
    title = shown.pop("title", f"Edit {flag.name} in {environment.name}")
    return admin.page(request, "flags/config_edit.html", title=title, status=status, **shown)


def _endings(place: Place, draft: Draft) -> list[str]:
    """How the flag ends, in words: as the draft says where nothing is wrong with it, else as it is stored."""
    document = place.document if draft.problems or not draft.is_json else draft.document
    found = normalise(place, document).get("deprecation") if isinstance(document, dict) else None
    return describe_deprecation(found) if found else []


def _also(place: Place, request: HttpRequest) -> list[Environment]:
    """The other environments of the project to which this person may propose the same change."""
    editable = environments_with(signed_in(request), PROPOSE)
    rows = Environment.objects.filter(project=place.environment.project_id, pk__in=editable)
    return list(rows.exclude(pk=place.environment.pk).order_by("position"))


def _data(place: Place, draft: Draft, behind: Meanwhile | None, purpose: Purpose) -> dict[str, Any]:
    is_good = not draft.problems and draft.document is not None
    differences = examine(place, draft.document)[1] if is_good else []
    return {
        **editor_facts(place),
        "problems": [{"path": problem.path, "message": problem.message} for problem in draft.problems],
        "differences": [difference_facts(difference) for difference in differences],
        "findings": [finding_facts(finding) for finding in (findings_about(place, draft) if is_good else [])],
        "merged": behind.merged if behind else None,
        "mayPostUnchanged": purpose.may_post_unchanged,
    }


def findings_about(place: Place, draft: Draft) -> list[Finding]:
    """What the linter says about a draft. Nothing is refused for it, and it waits until nothing is wrong."""
    if draft.problems or not draft.is_json:
        return []
    return findings_for(place.flag, place.environment, normalise(place, draft.document), now=timezone.now())


def finding_facts(finding: Finding) -> dict[str, str]:
    """A finding as the editor's panel shows it."""
    return {
        "severity": finding.severity,
        "path": finding.path,
        "message": finding.message,
        "advice": finding.advice,
    }


def difference_facts(difference: Difference) -> dict[str, str]:
    """A difference as the editor's panel shows it."""
    return {"path": difference.path, "kind": difference.kind, "sentence": difference.sentence}


def _crumbs(place: Place, here: str) -> list[tuple[str, str]]:
    return [
        ("Flags", f"{reverse('admin:flags_flag_changelist')}?project={place.flag.project.key}"),
        (place.flag.name, reverse("admin:flags_flag_change", args=[place.flag.pk])),
        (f"{here} in {place.environment.name}", ""),
    ]


def _neighbours_url(place: Place) -> str:
    return reverse("admin:rollouts_changerequest_neighbours", args=[place.flag.pk, place.environment.pk])


def _break_glass_url(place: Place, user: AbstractUser) -> str:
    """Where those may post a draft in an emergency who hold the role for it; empty for everybody else."""
    environment = place.environment
    if not environment.is_protected or not permissions.user_holds(user, permissions.BREAK_GLASS, environment):
        return ""
    return reverse("admin:rollouts_breakglassuse_break", args=[place.flag.pk, environment.pk])


def starting_draft(place: Place, user: AbstractUser, from_version: str = "") -> Draft:
    """What the editor opens with: the current version, or an earlier one on top of it."""
    document: dict[str, Any] | None = None
    error = ""
    if from_version and place.config is not None:
        document = document_at(place.config, version_number(from_version))
        error = "" if document else f"There is no version {from_version[:20]}; this is the current one."
    document = document or place.starting_document(user)
    return Draft(as_text(document), place.version, document, error=error)
