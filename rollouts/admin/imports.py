"""From a flagd definition to a draft: choose an environment, see what can be taken over, make the change request."""

import base64
import binascii
import zlib
from typing import Any

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from audits.errors import GovernanceError
from flags import permissions
from flags.admin.forms import PlainForm
from flags.admin.governed import GovernedAdmin, actor_of, signed_in
from flags.errors import PermissionMissing
from flags.interop import Grade
from flags.interop.flagd_reading import MAX_BYTES
from flags.models import Environment
from rollouts.services.checks import LONGEST_TEXT, LONGEST_TITLE, MOST_EDITS
from rollouts.services.imports import ImportPlan, PlannedFlag, plan_import, propose_import, suggested_title

# What travels through the page is compressed, and stays well below what a form may hold.
MAX_PACKED_CHARACTERS = 900_000
TOO_LARGE = "The definition is too large for this page. Use manage.py import_flagd, or split it up."
GRADES = {
    Grade.EXACT: ("Exact", "good", "check_circle", "Means the same here."),
    Grade.ADAPTED: ("Adapted", "wait", "tune", "Taken over in another form; read what changed."),
    Grade.UNSUPPORTED: ("Unsupported", "bad", "block", "Not taken over; the reason is below."),
}


class PlaceChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A choice of environments by project and name."""

    def label_from_instance(self, obj: Any) -> str:
        """Such as “Shop · Production”."""
        return f"{obj.project.name} · {obj.name}"


class ImportForm(PlainForm):
    """Where to, and what."""

    environment = PlaceChoice(
        queryset=Environment.objects.none(), empty_label=None, help_text="Where these flags should serve."
    )
    definition = forms.FileField(
        label="flagd definition",
        help_text="A JSON file of at most 1 MB. Nothing changes until you have seen what is in it.",
        widget=forms.FileInput(attrs={"accept": ".json,application/json"}),
    )

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["environment"].queryset = _open_to(user)  # type: ignore[attr-defined]

    def clean_definition(self) -> bytes:
        """The bytes of the file, as far as they are read."""
        upload: UploadedFile[bytes] = self.cleaned_data["definition"]
        if upload.size is None or upload.size > MAX_BYTES:
            raise forms.ValidationError("The file is larger than 1 MB. Split it up.")
        return bytes(upload.read())


class ImportViews(GovernedAdmin):
    """The pages of `ChangeRequestAdmin` that take definitions."""

    def import_view(self, request: HttpRequest) -> HttpResponseBase:
        """The form, and after an upload the graded report."""
        if request.method not in {"GET", "HEAD", "POST"}:
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        user = signed_in(request)
        initial = {"environment": request.GET.get("environment", "")}
        given = (request.POST, request.FILES) if request.method == "POST" else ()
        form = ImportForm(*given, user=user, initial=initial)
        if not given or not form.is_valid():
            has_place = _open_to(user).exists()
            return self.page(
                request,
                "rollouts/import.html",
                form=form,
                has_place=has_place,
                **_words(),
                status=400 if given else 200,
            )
        environment, definition = form.cleaned_data["environment"], form.cleaned_data["definition"]
        plan = plan_import(environment, definition)
        packed = pack(definition)
        if plan.report.problems or len(packed) > MAX_PACKED_CHARACTERS:
            form.add_error("definition", plan.report.problems[0].message if plan.report.problems else TOO_LARGE)
            return self._form(request, form, status=400)
        return self._report(request, plan, packed)

    def _form(self, request: HttpRequest, form: ImportForm, *, status: int) -> HttpResponseBase:
        has_place = _open_to(signed_in(request)).exists()
        return self.page(request, "rollouts/import.html", form=form, has_place=has_place, status=status, **_words())

    def propose_import_view(self, request: HttpRequest) -> HttpResponseBase:
        """From the report to a draft. What is refused comes back on the report."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        user, packed = signed_in(request), request.POST.get("packed", "")
        environment = _open_to(user).filter(pk=_as_uuid(request.POST.get("environment", ""))).first()
        definition = unpack(packed)
        if environment is None or definition is None:
            messages.error(request, "This report is not complete any more. Upload the definition again.")
            return HttpResponseRedirect(reverse("admin:rollouts_changerequest_import"))
        keys = request.POST.getlist("flag")
        texts = {name: request.POST.get(name, "").strip() for name in ("title", "reason")}
        try:
            made = propose_import(
                environment, definition, keys=keys, actor=actor_of(request), now=timezone.now(), **texts
            )
        except PermissionMissing:
            raise
        except GovernanceError as error:
            plan = plan_import(environment, definition)
            return self._report(request, plan, packed, error=error, chosen=set(keys), texts=texts)
        messages.success(request, "This is your draft. Check it, then ask for review.")
        return HttpResponseRedirect(reverse("admin:rollouts_changerequest_change", args=[made.pk]))

    def _report(
        self,
        request: HttpRequest,
        plan: ImportPlan,
        packed: str,
        *,
        error: GovernanceError | None = None,
        chosen: set[str] | None = None,
        texts: dict[str, str] | None = None,
    ) -> HttpResponseBase:
        if chosen is None:
            # What one request can hold: ticking more would only be refused.
            chosen = {flag.imported.key for flag in plan.proposable[:MOST_EDITS]}
        return self.page(
            request,
            "rollouts/import_report.html",
            **_words(),
            status=200 if error is None else error.status,
            plan=plan,
            packed=packed,
            error=error,
            rows=[_row(flag, chosen) for flag in plan.flags],
            counts=[(grade, GRADES[grade], _count(plan, grade)) for grade in Grade],
            texts=texts or {"title": suggested_title(min(len(plan.proposable), MOST_EDITS)), "reason": ""},
            most=MOST_EDITS if len(plan.proposable) > MOST_EDITS else 0,
            longest={"title": LONGEST_TITLE, "reason": LONGEST_TEXT},
        )


def pack(definition: bytes) -> str:
    """A definition as text that a form field can carry."""
    return base64.b64encode(zlib.compress(definition)).decode()


def unpack(packed: str) -> bytes | None:
    """What `pack` was given, None for anything else. Never unpacks more than a definition may have."""
    try:
        reader = zlib.decompressobj()
        definition = reader.decompress(base64.b64decode(packed, validate=True), MAX_BYTES + 1)
    except (binascii.Error, ValueError, zlib.error):
        return None
    return definition if reader.eof and len(definition) <= MAX_BYTES else None


def _open_to(user: Any) -> Any:
    """The environments where the person may propose changes."""
    mine = permissions.environments_with(user, permissions.PROPOSE)
    rows = permissions.visible_environments(user).filter(pk__in=mine).select_related("project")
    return rows.order_by("project__name", "position", "name")


def _row(flag: PlannedFlag, chosen: set[str]) -> dict[str, Any]:
    words, tone, symbol, meaning = GRADES[flag.imported.grade]
    key = flag.imported.key
    is_chosen = flag.is_proposable and key in chosen
    facts = {"words": words, "tone": tone, "symbol": symbol, "meaning": meaning, "is_chosen": is_chosen}
    return {"flag": flag, "key": key, "notes": flag.imported.notes, **facts}


def _count(plan: ImportPlan, grade: Grade) -> int:
    return sum(flag.imported.grade is grade for flag in plan.flags)


def _words() -> dict[str, Any]:
    crumbs = [("Change requests", reverse("admin:rollouts_changerequest_changelist")), ("Take over flags", "")]
    return {"title": "Take over flags from flagd", "crumbs": crumbs}


def _as_uuid(text: str) -> Any:
    try:
        return forms.UUIDField().clean(text)
    except forms.ValidationError:
        return None
