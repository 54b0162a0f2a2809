"""Going back, with a look at what that changes first: one version, one change, one request, a whole environment."""

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone

from audits.errors import GovernanceError
from flags import permissions
from flags.admin.forms import ReasonForm
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, signed_in
from flags.admin.places import find_place
from flags.directions import Direction, FlagMovement
from flags.errors import InvalidInput
from flags.models import Environment, FlagConfig, Segment
from flags.showing import DiffRow, diff_rows
from rollouts.admin.schedules import ScheduleFields, instant_of
from rollouts.models import ChangeRequest
from rollouts.selectors import visible_requests
from rollouts.selectors.versions import (
    Fate,
    Line,
    Plan,
    plan_restore,
    plan_roll_back,
    plan_undo,
    plan_undo_request,
)
from rollouts.services import versions as services
from rollouts.services.verifying import Verification
from rollouts.services.versions import Restoration

READING = ["GET", "HEAD"]
QUICK = ((1, "an hour ago"), (24, "yesterday at this time"), (24 * 7, "a week ago"))
Make = Callable[..., Plan]
Act = Callable[..., Restoration]


@dataclass(frozen=True, slots=True)
class Journey:
    """One way of going back: how it is planned, carried out, and where the person comes from."""

    plan: Make
    act: Act
    home: str
    crumbs: list[tuple[str, str]]
    has_choices: bool = False


@dataclass(frozen=True, slots=True)
class LineCard:
    """One line of a plan as the page shows it."""

    line: Line
    rows: list[DiffRow]
    movement: FlagMovement | None
    requests: tuple[ChangeRequest, ...]
    edit_url: str

    @property
    def value(self) -> str:
        """The address as checkboxes post it."""
        return ":".join(self.line.address)


class VersionViews(GovernedAdmin):
    """The pages of `ChangeRequestAdmin` that go back. GET shows the plan, POST carries out what was shown."""

    def version_urls(self) -> list[URLPattern]:
        """Their addresses."""
        here, name = "<uuid:flag_id>/<uuid:environment_id>/<int:version>", "rollouts_changerequest"
        return [
            self.door(f"roll-back/{here}/", self.roll_back_view, f"{name}_rollback"),
            self.door(f"undo/{here}/", self.undo_view, f"{name}_undo"),
            self.door(
                "roll-back-segment/<uuid:segment_id>/<int:version>/", self.segment_back_view, f"{name}_rollbacksegment"
            ),
            self.door("restore/<uuid:environment_id>/", self.restore_view, f"{name}_restore"),
            self.door("<uuid:object_id>/roll-back/", self.request_back_view, f"{name}_rollbackrequest"),
        ]

    def roll_back_view(
        self, request: HttpRequest, flag_id: uuid.UUID, environment_id: uuid.UUID, version: int
    ) -> HttpResponseBase:
        """Serve again what a version of a flag served."""
        config, home, crumbs = _flag_facts(request, flag_id, environment_id)

        def act(**facts: Any) -> Restoration:
            return services.roll_back_flag(environment_id, flag_id, version=version, **facts)

        return self._travel(request, Journey(lambda: plan_roll_back(config, version), act, home, crumbs))

    def undo_view(
        self, request: HttpRequest, flag_id: uuid.UUID, environment_id: uuid.UUID, version: int
    ) -> HttpResponseBase:
        """Take back what one version changed."""
        config, home, crumbs = _flag_facts(request, flag_id, environment_id)

        def act(**facts: Any) -> Restoration:
            return services.undo_version(environment_id, flag_id, version=version, **facts)

        return self._travel(request, Journey(lambda: plan_undo(config, version), act, home, crumbs))

    def segment_back_view(self, request: HttpRequest, segment_id: uuid.UUID, version: int) -> HttpResponseBase:
        """Give a segment the people of one of its versions again."""
        visible = permissions.visible_environments(signed_in(request))
        rows = Segment.objects.select_related("environment__project").filter(environment__in=visible)
        segment = rows.filter(pk=segment_id).first()
        if segment is None:
            raise Http404
        home = reverse("admin:flags_segment_history", args=[segment.pk])

        def act(**facts: Any) -> Restoration:
            return services.roll_back_segment(segment_id, version=version, **facts)

        crumbs = [("Segments", reverse("admin:flags_segment_changelist")), (segment.name, home)]
        return self._travel(request, Journey(lambda: plan_roll_back(segment, version), act, home, crumbs))

    def request_back_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """Take back what an applied request changed."""
        item = visible_requests(signed_in(request)).filter(pk=object_id).first()
        if item is None:
            raise Http404

        def make(*, leave: Collection[str] = (), **_: Any) -> Plan:
            return plan_undo_request(item, leave=leave)

        def act(**facts: Any) -> Restoration:
            facts.pop("switch_off", None)
            return services.roll_back_request(object_id, **facts)

        home = reverse("admin:rollouts_changerequest_change", args=[item.pk])
        crumbs = [("Change requests", reverse("admin:rollouts_changerequest_changelist")), (f"#{item.number}", home)]
        return self._travel(request, Journey(make, act, home, crumbs, has_choices=True))

    def restore_view(self, request: HttpRequest, environment_id: uuid.UUID) -> HttpResponseBase:
        """Put a whole environment back to an instant that the person chooses."""
        visible = permissions.visible_environments(signed_in(request)).select_related("project")
        environment = visible.filter(pk=environment_id).first()
        if environment is None:
            raise Http404
        permissions.require_any(actor_of(request), (permissions.PROPOSE, permissions.APPLY), environment)
        home = reverse("admin:flags_environment_change", args=[environment.pk])
        crumbs = [("Environments", reverse("admin:flags_environment_changelist")), (environment.name, home)]
        now = timezone.now()
        try:
            instant = _instant(request, now=now)
        except GovernanceError as error:
            return self._instant_page(request, environment, crumbs, now=now, problem=error.message)
        if instant is None:
            return self._instant_page(request, environment, crumbs, now=now)

        def make(**choices: Any) -> Plan:
            return plan_restore(environment, instant, **choices)

        def act(**facts: Any) -> Restoration:
            return services.restore_environment(environment_id, instant=instant, **facts)

        journey = Journey(make, act, home, crumbs, has_choices=True)
        return self._travel(request, journey, at=timezone.localtime(instant), instant=instant)

    def _instant_page(
        self,
        request: HttpRequest,
        environment: Environment,
        crumbs: list[tuple[str, str]],
        *,
        now: datetime,
        problem: str = "",
    ) -> HttpResponseBase:
        local = timezone.localtime(now)
        quick = [(words, (local - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M")) for hours, words in QUICK]
        return self.page(
            request,
            "rollouts/restore_when.html",
            title=f"Restore {environment.name}",
            status=400 if problem else 200,
            environment=environment,
            crumbs=[*crumbs, ("Restore", "")],
            quick=quick,
            latest=local.strftime("%Y-%m-%dT%H:%M"),
            at=request.GET.get("at", ""),
            zone=local.tzname(),
            problem=problem,
        )

    def _travel(self, request: HttpRequest, journey: Journey, **context: Any) -> HttpResponseBase:
        if request.method not in {*READING, "POST"}:
            return HttpResponseNotAllowed([*READING, "POST"])
        whole = journey.plan()
        wanted = (permissions.PROPOSE, permissions.APPLY)
        permissions.require_any(actor_of(request), wanted, whole.environment)
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                done = _carry_out(request, journey, whole, form.cleaned_data["reason"])
                _tell(request, done)
                if done.request is not None:
                    return HttpResponseRedirect(reverse("admin:rollouts_changerequest_change", args=[done.request.pk]))
                return HttpResponseRedirect(journey.home)
        return self._plan_page(request, journey, whole, form, **context)

    def _plan_page(
        self, request: HttpRequest, journey: Journey, plan: Plan, form: ReasonForm, **context: Any
    ) -> HttpResponseBase:
        cards = [_card(plan, line) for line in plan.lines]
        return self.page(
            request,
            "rollouts/restore.html",
            title=plan.title,
            status=400 if form.errors else 200,
            plan=plan,
            environment=plan.environment,
            form=form,
            home=journey.home,
            crumbs=[*journey.crumbs, ("Go back", "")],
            has_choices=journey.has_choices,
            changing=[card for card in cards if card.line.fate in (Fate.CHANGES, Fate.SWITCHED_OFF)],
            conflicts=[card for card in cards if card.line.fate is Fate.CONFLICT],
            newer=[card for card in cards if card.line.fate is Fate.NEWER],
            same=sum(card.line.fate is Fate.SAME for card in cards),
            kept=[card for card in cards if card.line.fate is Fate.KEPT],
            widening=plan.movement.held,
            losing=[flag for flag in plan.movement.flags if flag.direction is Direction.NARROWS],
            indirect=[flag for flag in plan.movement.flags if flag.is_indirect],
            **context,
        )


def _flag_facts(
    request: HttpRequest, flag_id: uuid.UUID, environment_id: uuid.UUID
) -> tuple[FlagConfig, str, list[tuple[str, str]]]:
    place = find_place(signed_in(request), flag_id, environment_id)
    if place.config is None:
        raise Http404
    home = reverse("admin:flags_config_history", args=[flag_id, environment_id])
    config = FlagConfig.objects.select_related("flag", "environment__project").get(pk=place.config.pk)
    flags = (place.flag.name, reverse("admin:flags_flag_change", args=[flag_id]))
    return config, home, [("Flags", reverse("admin:flags_flag_changelist")), flags, ("Versions", home)]


def _instant(request: HttpRequest, *, now: datetime) -> datetime | None:
    """The instant in the address, None while none is chosen. Raises InvalidInput."""
    at = request.GET.get("at", "")
    if not at:
        return None
    instant = instant_of(ScheduleFields("time", at))
    if instant is None or instant >= now:
        raise InvalidInput("Choose a time in the past to go back to.", problems=[])
    return instant


def _carry_out(request: HttpRequest, journey: Journey, whole: Plan, reason: str) -> Restoration:
    """Carry out what is ticked, provided that the whole plan is still the one on the page."""
    facts: dict[str, Any] = {"actor": actor_of(request), "reason": reason, "now": timezone.now()}
    seen = request.POST.get("seen", "")
    if not journey.has_choices or seen != whole.digest:
        return journey.act(**facts, seen=seen)
    ticked = set(request.POST.getlist("back"))
    choices = {
        "leave": [":".join(line.address) for line in whole.lines if _is_unticked(line, ticked)],
        "switch_off": request.POST.getlist("switch_off"),
    }
    return journey.act(**facts, **choices, seen=journey.plan(**choices).digest)


def _is_unticked(line: Line, ticked: Collection[str]) -> bool:
    has_box = line.fate in (Fate.CHANGES, Fate.CONFLICT)
    return has_box and ":".join(line.address) not in ticked


def _card(plan: Plan, line: Line) -> LineCard:
    documents = (line.before, line.after) if line.kind == "flag" else ()
    name = "flags_config_edit" if line.kind == "flag" else "flags_segment_edit"
    arguments = [line.target_id, plan.environment.pk] if line.kind == "flag" else [line.target_id]
    return LineCard(
        line,
        diff_rows(line.differences, *documents),
        plan.moved.get(line.key) if line.kind == "flag" else None,
        plan.open_requests.get(line.address, ()),
        reverse(f"admin:{name}", args=arguments),
    )


def _tell(request: HttpRequest, done: Restoration) -> None:
    """Say what happened, and whether it is really served."""
    name = done.plan.environment.name
    if done.applied is None and done.request is None:
        messages.success(request, f"All of it was taken back in {name} before. The request is marked as rolled back.")
        return
    if done.applied is None or done.verification is None:
        words = f"Going back shows something to people who do not get it now, so {name} needs its approvals first. "
        messages.warning(request, words + "The draft below holds everything: look at it and submit it for review.")
        return
    changed = [line.key for line in done.plan.lines if line.edit is not None]
    what = changed[0] if len(changed) == 1 else f"{len(changed)} flags and segments"
    told = verification_words(done.verification, name)
    level = messages.SUCCESS if done.verification.is_good else messages.ERROR
    messages.add_message(request, level, f"{what}: back in {name} (revision {done.applied.revision}). {told}")
    for key in done.verification.forced:
        messages.warning(request, f"A kill list on this server forces {key}, so people get that and not what is set.")


def verification_words(verification: Verification, name: str) -> str:
    """What the check found, in a sentence."""
    if verification.problem:
        return f"Not checked: {verification.problem} Look at the environment's page in a minute."
    if verification.mismatches:
        listed = ", ".join(verification.mismatches[:5])
        return f"Checked, and {name} does NOT serve what was meant: {listed}. Tell whoever runs this server at once."
    return f"Checked: {name} serves it, {verification.seconds:.1f} s after your click."
