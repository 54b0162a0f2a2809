"""What a flag serves in an environment: the editor, its live validation, and the history of versions."""

import uuid

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect, JsonResponse
from django.urls import URLPattern, reverse
from django.utils import timezone

from audits.errors import GovernanceError
from flags import permissions
from flags.admin.comparing import choices_for, chosen_sides, compared_sides
from flags.admin.config_editor import (
    Purpose,
    check,
    difference_facts,
    editor_page,
    finding_facts,
    findings_about,
    normalise,
    problems_in,
    starting_draft,
    surroundings,
)
from flags.admin.governed import GovernedAdmin, actor_of, signed_in
from flags.admin.places import Place, find_place
from flags.admin.posted import Draft, read_draft
from flags.documents import Problem
from flags.documents.lint import Finding
from flags.errors import PermissionMissing, StaleChange
from flags.models import FlagConfig
from flags.selectors.versions import versions_of
from flags.services.configs import edit_config
from flags.services.keys import checked_text

READING = ["GET", "HEAD"]
# Who breaks the glass prepares the change in the same editor.
EDITORS = (permissions.BREAK_GLASS, permissions.PROPOSE)
VERSIONS_SHOWN = 100
LONGEST_REASON = 4000
TOGETHER = "A request that holds this change alone is refused. Put what it takes into the same request."


@admin.register(FlagConfig)
class FlagConfigAdmin(GovernedAdmin):
    """Three pages per flag and environment. There is no list: flags are found in the matrix."""

    def get_urls(self) -> list[URLPattern]:
        place = "<uuid:flag_id>/<uuid:environment_id>"
        return [
            self.door(f"{place}/edit/", self.edit_view, "flags_config_edit"),
            self.door(f"{place}/validate/", self.validate_view, "flags_config_validate"),
            self.door(f"{place}/history/", self.versions_view, "flags_config_history"),
        ]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False

    def edit_view(self, request: HttpRequest, flag_id: uuid.UUID, environment_id: uuid.UUID) -> HttpResponseBase:
        """The editor. POST saves where nothing is protected; elsewhere the form goes to a change request."""
        place = find_place(signed_in(request), flag_id, environment_id)
        if request.method not in {*READING, "POST"}:
            return HttpResponseNotAllowed([*READING, "POST"])
        permissions.require_any(actor_of(request), EDITORS, place.environment)
        if request.method == "POST":
            return self._save(request, place, read_draft(request.POST))
        draft = starting_draft(place, signed_in(request), request.GET.get("from_version", ""))
        return editor_page(self, request, place, draft, purpose_of(place), status=200)

    def validate_view(self, request: HttpRequest, flag_id: uuid.UUID, environment_id: uuid.UUID) -> HttpResponseBase:
        """What the server would say to a document, as JSON. Changes nothing."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        place = find_place(signed_in(request), flag_id, environment_id)
        permissions.require_any(actor_of(request), EDITORS, place.environment)
        draft = read_draft(request.POST)
        differences = check(place, draft)
        around, findings = surroundings(place, draft), findings_about(place, draft)
        if place.environment.is_protected or request.POST.get("digest"):
            # The request it goes into may hold what is missing here, so this stops nobody yet.
            findings = [
                Finding("surroundings", "warning", item.path, item.message, TOGETHER) for item in around
            ] + findings
        else:
            draft.problems += around
        return JsonResponse(
            {
                "problems": [{"path": problem.path, "message": problem.message} for problem in draft.problems],
                "differences": [difference_facts(difference) for difference in differences],
                "findings": [finding_facts(finding) for finding in findings],
                "is_stale": draft.base_version != place.version,
                "current_version": place.version,
            }
        )

    def versions_view(self, request: HttpRequest, flag_id: uuid.UUID, environment_id: uuid.UUID) -> HttpResponseBase:
        """Every version, and the difference between any two. Reading only."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        place = find_place(signed_in(request), flag_id, environment_id)
        versions = versions_of(place.config) if place.config else []
        user = signed_in(request)
        choices = choices_for(place, user)
        sides = chosen_sides(choices, request.GET.get("from", ""), request.GET.get("to", ""))
        return self.page(
            request,
            "flags/config_history.html",
            title=f"Versions of {place.flag.name} in {place.environment.name}",
            crumbs=_crumbs(place),
            place=place,
            flag=place.flag,
            environment=place.environment,
            versions=versions[:VERSIONS_SHOWN],
            all_versions=versions,
            choices=choices,
            may_propose=permissions.user_holds(user, permissions.PROPOSE, place.environment),
            may_go_back=any(
                permissions.user_holds(user, one, place.environment) for one in (permissions.PROPOSE, permissions.APPLY)
            ),
            **compared_sides(place.flag.pk, sides),
        )

    def _save(self, request: HttpRequest, place: Place, draft: Draft) -> HttpResponseBase:
        """Save directly. Whatever is refused, the page comes back with the document as it was posted.

        A second press of the button finds that everything is live already.
        """
        if not draft.reason.strip():
            draft.problems.append(Problem("reason", "Say why, in a few words: history and audit trail show it."))
        differences = check(place, draft)
        if draft.problems:
            return editor_page(self, request, place, draft, purpose_of(place))
        if place.config is not None and not differences:
            messages.info(request, f"{place.environment.name} serves exactly this already. Nothing was changed.")
            return HttpResponseRedirect(reverse("admin:flags_flag_change", args=[place.flag.pk]))
        try:
            applied = edit_config(
                place.flag.pk,
                place.environment.pk,
                actor=actor_of(request),
                document=normalise(place, draft.document),
                base_version=draft.base_version,
                reason=checked_text(draft.reason, field="reason", longest=LONGEST_REASON, required=True),
                now=timezone.now(),
            )
        except PermissionMissing:
            raise
        except GovernanceError as error:
            return self._refused(request, place, draft, error)
        where = f"in {place.environment.name} as version {applied.versions[place.flag.key]}"
        messages.success(request, f"{place.flag.name} is live {where} (revision {applied.revision}).")
        for finding in findings_about(place, draft):
            if finding.severity == "warning":
                messages.warning(request, f"Worth a second look: {finding.message} {finding.advice}")
        return HttpResponseRedirect(reverse("admin:flags_flag_change", args=[place.flag.pk]))

    def _refused(self, request: HttpRequest, place: Place, draft: Draft, error: GovernanceError) -> HttpResponseBase:
        draft.problems, draft.error = problems_in(error), error.message
        if isinstance(error, StaleChange):
            place = find_place(signed_in(request), place.flag.pk, place.environment.pk)
        return editor_page(self, request, place, draft, purpose_of(place), status=error.status)


def purpose_of(place: Place) -> Purpose:
    """Save where that is allowed; propose where somebody else has to agree."""
    name = place.environment.name
    if place.environment.is_protected:
        return Purpose(
            action=reverse("admin:rollouts_changerequest_propose", args=[place.flag.pk, place.environment.pk]),
            button="Propose change",
            dialog_title=f"Propose this change to {name}",
            submit="Create the request",
            asks_title=True,
            note="Nothing changes yet: you see the whole request, and who can approve it, before you submit it.",
        )
    return Purpose(
        action=reverse("admin:flags_config_edit", args=[place.flag.pk, place.environment.pk]),
        button="Review and save",
        dialog_title=f"Save this change to {name}",
        submit=f"Save to {name}",
        note=f"{name} is not protected: this takes effect at once.",
    )


def _crumbs(place: Place) -> list[tuple[str, str]]:
    return [
        ("Flags", f"{reverse('admin:flags_flag_changelist')}?project={place.flag.project.key}"),
        (place.flag.name, reverse("admin:flags_flag_change", args=[place.flag.pk])),
        (f"Versions in {place.environment.name}", ""),
    ]
