"""Break-glass: the page that does it, the list of uses, and the page on which one is reviewed."""

import uuid
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone

from flags import permissions
from flags.admin.config_editor import editor_page, examine, normalise
from flags.admin.configs import purpose_of
from flags.admin.forms import REASON_HELP, PlainForm, ReasonForm
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, signed_in
from flags.admin.places import Place, find_place
from flags.admin.posted import Draft, read_draft
from flags.changes import ChangeSet, ConfigEdit
from flags.selectors.movements import movement_of_change_set
from flags.showing import diff_rows
from rollouts.models import BreakGlassOutcome, BreakGlassUse
from rollouts.selectors.emergencies import UseCard, use_cards, visible_uses
from rollouts.services.emergencies import break_glass, review_break_glass

READING = ["GET", "HEAD"]
MOST_SHOWN = 100


class BreakForm(ReasonForm):
    """The name of the environment, typed, so that nobody breaks the wrong glass."""

    field_order = ("name", "reason")
    name = forms.CharField(max_length=120, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args: Any, environment_name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._name = environment_name
        self.fields["name"].label = f"Type “{environment_name}” to confirm"
        self.fields["reason"].label = "What is the emergency?"

    def clean_name(self) -> str:
        """The name as it is. Capital letters and blanks around it do not matter."""
        typed = str(self.cleaned_data["name"])
        if typed.strip().casefold() != self._name.strip().casefold():
            raise forms.ValidationError(f"This is not the name of the environment. Type “{self._name}”.")
        return typed


class ReviewForm(PlainForm):
    """What the review found, and why."""

    outcome = forms.ChoiceField(label="Was it justified?", choices=BreakGlassOutcome.choices, widget=forms.RadioSelect)
    comment = forms.CharField(
        label="Why?", max_length=4000, help_text=REASON_HELP, widget=forms.Textarea(attrs={"rows": 3})
    )


@admin.register(BreakGlassUse)
class BreakGlassUseAdmin(GovernedAdmin):
    """Emergencies: everybody who may look at an environment sees how often its rules were set aside."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[BreakGlassUse]) -> QuerySet[BreakGlassUse]:
        return queryset.filter(environment__in=permissions.visible_environments(user))

    def get_urls(self) -> list[URLPattern]:
        name = "rollouts_breakglassuse"
        return [
            self.door("", self.list_view, f"{name}_changelist"),
            self.door("break/<uuid:flag_id>/<uuid:environment_id>/", self.break_view, f"{name}_break"),
            self.door("<uuid:object_id>/", self.use_view, f"{name}_change"),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponseBase:
        """Every use the person may know of, those nobody has reviewed on top."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        now, user = timezone.now(), signed_in(request)
        cards = use_cards(list(visible_uses(user)[:MOST_SHOWN]), user, now=now)
        return self.page(
            request,
            "rollouts/break_glass_list.html",
            title="Break-glass",
            waiting=[card for card in cards if card.use.is_open],
            reviewed=[card for card in cards if not card.use.is_open],
            crumbs=[("Break-glass", "")],
        )

    def use_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """One use: what was changed, by whom and why, and the form for its review."""
        if request.method not in {*READING, "POST"}:
            return HttpResponseNotAllowed([*READING, "POST"])
        user = signed_in(request)
        use = visible_uses(user).filter(pk=object_id).first()
        if use is None:
            raise Http404
        form = ReviewForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                review_break_glass(
                    use.pk,
                    actor=actor_of(request),
                    outcome=BreakGlassOutcome(form.cleaned_data["outcome"]),
                    comment=form.cleaned_data["comment"],
                    now=timezone.now(),
                )
                messages.success(request, "Thank you: the review is in the audit trail.")
                return HttpResponseRedirect(request.path)
        [card] = use_cards([use], user, now=timezone.now())
        return self._use_page(request, card, form)

    def break_view(self, request: HttpRequest, flag_id: uuid.UUID, environment_id: uuid.UUID) -> HttpResponseBase:
        """From the editor: what the posted document changes, and the button that applies it without approval."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        place = find_place(signed_in(request), flag_id, environment_id)
        permissions.require(actor_of(request), permissions.BREAK_GLASS, place.environment)
        draft = read_draft(request.POST)
        problems, differences = examine(place, draft.document) if draft.is_json else (draft.problems, [])
        if problems or not differences or draft.base_version != place.version:
            draft.problems = problems
            draft.error = "" if problems else "There is nothing to apply: this is what is live now, or it has moved."
            return editor_page(self, request, place, draft, purpose_of(place))
        edit = ConfigEdit(place.flag.key, draft.base_version, normalise(place, draft.document))
        change_set = ChangeSet(str(place.environment.pk), (edit,))
        is_confirmed = "confirmed" in request.POST
        form = BreakForm(request.POST if is_confirmed else None, environment_name=place.environment.name)
        if is_confirmed and form.is_valid():
            with form_errors(form):
                use = break_glass(
                    place.environment.pk,
                    change_set=change_set,
                    actor=actor_of(request),
                    reason=form.cleaned_data["reason"],
                    now=timezone.now(),
                )
                messages.warning(request, f"Live in {place.environment.name}. Somebody else reviews it afterwards.")
                return HttpResponseRedirect(reverse("admin:rollouts_breakglassuse_change", args=[use.pk]))
        rows = diff_rows(differences, place.document, edit.document)
        return self._break_page(request, place, draft, form, change_set, rows=rows)

    def _break_page(
        self,
        request: HttpRequest,
        place: Place,
        draft: Draft,
        form: BreakForm,
        change_set: ChangeSet,
        **context: Any,
    ) -> HttpResponseBase:
        movement = movement_of_change_set(change_set, place.environment)
        address = reverse("admin:flags_flag_change", args=[place.flag.pk])
        return self.page(
            request,
            "rollouts/break_glass.html",
            title=f"Break glass in {place.environment.name}",
            status=400 if form.errors else 200,
            place=place,
            environment=place.environment,
            draft=draft,
            form=form,
            movement=movement,
            address=address,
            crumbs=[("Flags", reverse("admin:flags_flag_changelist")), (place.flag.name, address), ("Break glass", "")],
            **context,
        )

    def _use_page(self, request: HttpRequest, card: UseCard, form: ReviewForm) -> HttpResponseBase:
        use = card.use
        return self.page(
            request,
            "rollouts/break_glass_use.html",
            title=f"Break-glass in {use.environment.name}",
            status=400 if form.errors else 200,
            card=card,
            use=use,
            environment=use.environment,
            form=form,
            is_mine=use.user_id == request.user.pk,
            events=_events_address(use),
            crumbs=[("Break-glass", reverse("admin:rollouts_breakglassuse_changelist")), (", ".join(use.keys), "")],
        )


def _events_address(use: BreakGlassUse) -> str:
    return f"{reverse('admin:audits_auditevent_changelist')}?act={use.correlation_id}"
