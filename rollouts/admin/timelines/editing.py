"""The editor of timelines: a form that loses nothing, a preview beside it, and one service call to save."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import AbstractUser
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from audits.errors import GovernanceError
from flags import permissions
from flags.admin.governed import GovernedAdmin, actor_of, signed_in
from flags.errors import PermissionMissing
from flags.models import Flag
from rollouts.admin.plans.typed import Typed
from rollouts.admin.timelines.form import (
    Desk,
    desk_of,
    field_of,
    fill_problem,
    filled,
    first_fields,
    form_context,
    say_what_is_known,
)
from rollouts.admin.timelines.posted import definition_from, fields_of, with_row
from rollouts.admin.timelines.preview import Preview, preview_of
from rollouts.deprecations.definition import MilestoneKind, TimelineDefinition
from rollouts.deprecations.transitions import TimelineAct
from rollouts.models import DeprecationTimeline
from rollouts.selectors.timelines.ground import definition_of
from rollouts.selectors.timelines.reading import visible_timelines
from rollouts.selectors.timelines.rights import possible_acts
from rollouts.services.timelines.drafting import create_timelines, edit_timeline, propose_drafts

ENDINGS = "admin:rollouts_deprecationtimeline_changelist"
TIMELINE = "admin:rollouts_deprecationtimeline_change"
_METHODS = ["GET", "HEAD", "POST"]
_SAVES = frozenset({"save", "propose"})
_MOST_CHOICES = 500


class EditorViews(GovernedAdmin):
    """The views of `DeprecationTimelineAdmin` around the editor."""

    def add_timeline_view(self, request: HttpRequest) -> HttpResponseBase:
        """A new timeline. Without a flag the page asks for it first."""
        if request.method not in _METHODS:
            return HttpResponseNotAllowed(_METHODS)
        user = signed_in(request)
        wanted = request.POST.get("flag") or request.GET.get("flag", "")
        if not wanted:
            return self._choose(request, user)
        desk = desk_of(_flag(user, wanted), user)
        if not desk.configs:
            return self._choose(request, user, desk.flag)
        if request.method == "POST":
            return self._answer(request, desk)
        typed = Typed(first_fields(desk))
        return self._look(request, desk, typed)

    def edit_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """A draft as it is, milestone by milestone."""
        if request.method not in _METHODS:
            return HttpResponseNotAllowed(_METHODS)
        user = signed_in(request)
        timeline = visible_timelines(user).filter(pk=object_id).first()
        if timeline is None:
            raise Http404
        permissions.require(actor_of(request), permissions.PROPOSE, timeline.environment)
        refusal = next(act.why_not for act in possible_acts(timeline, user) if act.act is TimelineAct.EDIT)
        if refusal:
            messages.error(request, refusal)
            return HttpResponseRedirect(reverse(TIMELINE, args=[timeline.pk]))
        desk = desk_of(timeline.flag, user, timeline)
        if request.method == "POST":
            return self._answer(request, desk)
        fields = {**fields_of(definition_of(timeline)), "reason": timeline.reason, "digest": timeline.digest}
        return self._look(request, desk, Typed(fields))

    def _answer(self, request: HttpRequest, desk: Desk) -> HttpResponseBase:
        """What was posted: saved, or shown again with what the pressed button does."""
        typed = Typed({name: str(value) for name, value in request.POST.dict().items()})
        do = typed.text("do")
        _press(typed, do, desk)
        if do not in _SAVES:
            return self._look(request, desk, typed)
        definition = definition_from(typed, desk.flag.key, desk.variants)
        say_what_is_known(typed, desk, to_propose=do == "propose")
        if definition is None:
            return self._editor(request, desk, typed, Preview(), status=400)
        if typed.problems:
            preview = preview_of(definition, desk.flag, desk.chosen(typed), now=timezone.now())
            return self._editor(request, desk, typed, preview, status=400)
        return self._save(request, desk, typed, definition)

    def _look(self, request: HttpRequest, desk: Desk, typed: Typed) -> HttpResponseBase:
        """The form with what comes of it; what cannot be read yet is no error before somebody saves."""
        definition = definition_from(typed, desk.flag.key, desk.variants)
        if typed.text("do") != "preview":
            typed.problems = {}
        if typed.text("do") == "fill" and (problem := fill_problem(typed.fields)):
            typed.problems["starts_on"] = problem
        preview = Preview()
        if definition is not None:
            preview = preview_of(definition, desk.flag, desk.chosen(typed), now=timezone.now())
        return self._editor(request, desk, typed, preview)

    def _save(self, request: HttpRequest, desk: Desk, typed: Typed, definition: TimelineDefinition) -> HttpResponseBase:
        now, reason = timezone.now(), typed.fields.get("reason", "")

        def save() -> list[DeprecationTimeline]:
            return _saved(request, desk, typed, definition, now=now)

        is_proposed = typed.text("do") == "propose"
        try:
            made = propose_drafts(save, actor=actor_of(request), now=now, reason=reason) if is_proposed else save()
        except PermissionMissing:
            raise
        except GovernanceError as error:
            for path, message in _problems(error):
                typed.problems.setdefault(field_of(path), message)
            preview = preview_of(definition, desk.flag, desk.chosen(typed), now=now)
            return self._editor(request, desk, typed, preview, error=error, status=error.status)
        if is_proposed:
            _say_proposed(request, made)
        else:
            ahead = "propose it" if any(one.environment.is_protected for one in made) else "start it"
            messages.success(request, f"{_drafts(made)} Nothing has changed yet: {ahead} next.")
        address = reverse(TIMELINE, args=[made[0].pk]) if len(made) == 1 else reverse(ENDINGS)
        return HttpResponseRedirect(address)

    def _editor(
        self,
        request: HttpRequest,
        desk: Desk,
        typed: Typed,
        preview: Preview,
        *,
        error: GovernanceError | None = None,
        status: int = 200,
    ) -> HttpResponseBase:
        context = form_context(typed, desk, preview)
        timeline = desk.timeline
        title = f"Edit the end of {desk.flag.name}" if timeline else f"Plan the end of {desk.flag.name}"
        return self.page(
            request,
            "rollouts/timelines/edit.html",
            title=title,
            status=status,
            crumbs=[("Endings", reverse(ENDINGS)), (title, "")],
            flag=desk.flag,
            timeline=timeline,
            preview=preview,
            error=error,
            said=_said(error),
            has_problems=bool(typed.problems) and status != 200,
            is_protected=any(one.is_protected for one in desk.chosen(typed)),
            now=timezone.now(),
            **context,
        )

    def _choose(self, request: HttpRequest, user: AbstractUser, refused: Flag | None = None) -> HttpResponseBase:
        allowed = permissions.environments_with(user, permissions.PROPOSE)
        rows = Flag.objects.filter(configs__environment__in=allowed, archived_at=None).distinct()
        return self.page(
            request,
            "rollouts/timelines/choose.html",
            title="Plan an end",
            crumbs=[("Endings", reverse(ENDINGS)), ("Plan an end", "")],
            flags=rows.select_related("project").order_by("project__name", "name")[:_MOST_CHOICES],
            refused=refused,
        )


def _flag(user: AbstractUser, text: str) -> Flag:
    """The flag with that id. Raises Http404 for what this person may not see."""
    rows = Flag.objects.filter(project__in=permissions.visible_projects(user)).select_related("project")
    try:
        found = rows.filter(pk=uuid.UUID(text)).first()
    except ValueError:
        found = None
    if found is None:
        raise Http404
    return found


def _press(typed: Typed, do: str, desk: Desk) -> None:
    """What a button of the form does to its fields."""
    name, _, number = do.partition("-")
    place = int(number) if number.isdecimal() and number.isascii() and len(number) < 3 else -1
    if do == "fill":
        typed.fields = filled(typed.fields, desk)
    elif do in {"add_brownout", "add_ramp_down"}:
        typed.fields = with_row(typed.fields, MilestoneKind(do.removeprefix("add_")))
    elif name == "remove" and 0 <= place < typed.count("rows"):
        typed.fields = _without_row({**typed.fields, "rows": str(typed.count("rows"))}, place)


def _without_row(fields: dict[str, str], gone: int) -> dict[str, str]:
    kept = {name: value for name, value in fields.items() if not name.startswith("row-")}
    known = {str(number) for number in range(int(fields["rows"]))}
    for name, value in fields.items():
        number, _, rest = name.removeprefix("row-").partition("-")
        if name.startswith("row-") and number in known and int(number) != gone:
            kept[f"row-{int(number) - (int(number) > gone)}-{rest}"] = value
    return {**kept, "rows": str(max(0, int(fields["rows"]) - 1))}


def _saved(
    request: HttpRequest, desk: Desk, typed: Typed, definition: TimelineDefinition, *, now: datetime
) -> list[DeprecationTimeline]:
    told: dict[str, Any] = {"actor": actor_of(request), "now": now, "reason": typed.fields.get("reason", "")}
    if desk.timeline is not None:
        return [edit_timeline(desk.timeline.pk, digest=typed.text("digest"), definition=definition, **told)]
    places = [one.pk for one in desk.chosen(typed)]
    return create_timelines(desk.flag.pk, places, definition, **told)


def _say_proposed(request: HttpRequest, made: Sequence[DeprecationTimeline]) -> None:
    """Which request asks for each timeline in a protected environment; the others wait for somebody to start them."""
    for timeline in made:
        place = timeline.environment.name
        if timeline.request is None:
            messages.info(request, f"The draft for {place} is saved: it needs no approval, start it on its page.")
        else:
            number = timeline.request.number
            messages.success(request, f"Change request #{number} asks for the timeline in {place}.")


def _drafts(made: Sequence[DeprecationTimeline]) -> str:
    names = ", ".join(one.environment.name for one in made)
    return f"The draft for {names} is saved." if len(made) == 1 else f"Drafts for {names} are saved."


def _said(error: GovernanceError | None) -> list[str]:
    return [message for _, message in _problems(error)]


def _problems(error: GovernanceError | None) -> Iterator[tuple[str, str]]:
    """Path and sentence of everything that an error names."""
    for one in (error.facts.get("problems") or []) if error else []:
        if isinstance(one, dict):
            yield str(one.get("path", "")), str(one.get("message"))
