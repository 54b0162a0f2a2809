"""Switching a flag off at once: one page that says what happens, one reason, one button."""

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from flags import permissions
from flags.admin.forms import ReasonForm
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, signed_in
from flags.admin.places import Place, find_place
from flags.admin.posted import version_number
from flags.authority import Narrowing
from flags.changes import ChangeSet, ConfigEdit
from flags.directions import Movement
from flags.documents import summarise
from flags.selectors.movements import movement_of_change_set
from rollouts.services.narrowing import switch_off


class NarrowingViews(GovernedAdmin):
    """The page of `ChangeRequestAdmin` that switches off without a request."""

    def switch_off_view(self, request: HttpRequest, flag_id: uuid.UUID, environment_id: uuid.UUID) -> HttpResponseBase:
        """What switching off would do, and the button for it. The version on the page is the one switched off."""
        if request.method not in {"GET", "HEAD", "POST"}:
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        place = find_place(signed_in(request), flag_id, environment_id)
        permissions.require_any(actor_of(request), Narrowing.permissions, place.environment)
        address = reverse("admin:flags_flag_change", args=[place.flag.pk])
        if place.config is None or place.config.document["enabled"] is not True:
            messages.info(request, f"{place.flag.name} is not switched on in {place.environment.name}.")
            return HttpResponseRedirect(address)
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                applied = switch_off(
                    place.flag.pk,
                    place.environment.pk,
                    actor=actor_of(request),
                    base_version=version_number(request.POST.get("base_version", "")),
                    reason=form.cleaned_data["reason"],
                    now=timezone.now(),
                )
                name = place.environment.name
                messages.success(request, f"{place.flag.name} is off in {name} now (revision {applied.revision}).")
                return HttpResponseRedirect(address)
        return self._switch_off_page(request, place, form, address)

    def _switch_off_page(self, request: HttpRequest, place: Place, form: ReasonForm, address: str) -> HttpResponseBase:
        movement = _movement(place)
        name = place.environment.name
        return self.page(
            request,
            "rollouts/switch_off.html",
            title=f"Switch off {place.flag.name} in {name}",
            status=400 if form.errors else 200,
            place=place,
            environment=place.environment,
            form=form,
            summary=summarise(place.config.document) if place.config else None,
            others=[flag for flag in movement.flags if flag.is_indirect],
            widening=movement.widening,
            propose_address=reverse("admin:flags_config_edit", args=[place.flag.pk, place.environment.pk]),
            address=address,
            crumbs=[("Flags", reverse("admin:flags_flag_changelist")), (place.flag.name, address), ("Switch off", "")],
        )


def _movement(place: Place) -> Movement:
    edit = ConfigEdit(place.flag.key, place.version, {**(place.document or {}), "enabled": False})
    return movement_of_change_set(ChangeSet(str(place.environment.pk), (edit,)), place.environment)
