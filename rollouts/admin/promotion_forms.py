"""Forms of the pages about promotion and intended differences."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.http import QueryDict
from django.utils import timezone

from flags.admin.forms import REASON_HELP, PersonChoice, PlainForm
from flags.aspects import Aspect
from flags.models import Environment, EnvironmentUserGrant
from rollouts.selectors.drift import AspectLine
from rollouts.services.promotion import FlagChoice, SegmentChoice

USUAL = timedelta(days=90)
_PARTS = 3


class PromoteForm(PlainForm):
    """What the request is called and why; what it copies are checkboxes that the page itself lists."""

    title = forms.CharField(max_length=200)
    reason = forms.CharField(
        label="Why now?",
        max_length=4000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=REASON_HELP,
    )


class IntendForm(PlainForm):
    """Which aspects, who answers for it, why and until when."""

    aspects = forms.MultipleChoiceField(label="What differs on purpose?", widget=forms.CheckboxSelectMultiple)
    owner = PersonChoice(queryset=get_user_model().objects.none(), label="Who answers for it?", empty_label=None)
    reason = forms.CharField(
        label="Why is it meant to differ?", max_length=4000, widget=forms.Textarea(attrs={"rows": 3})
    )
    last_day = forms.DateField(
        label="Until",
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text="At most a year. Afterwards it counts as unexplained again, so that somebody looks.",
    )

    def __init__(
        self,
        *args: Any,
        user: AbstractUser,
        pair: tuple[Environment, Environment],
        lines: Sequence[AspectLine],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        choices = [(line.aspect.value, line.aspect.label) for line in lines]
        self.fields["aspects"].choices = choices  # type: ignore[attr-defined]
        self.fields["owner"].queryset = _people(pair)  # type: ignore[attr-defined]
        open_ones = [line.aspect.value for line in lines if line.intended is None]
        last = timezone.localtime() + USUAL
        self.initial = {"aspects": open_ones, "owner": user.pk, "last_day": last.date(), **self.initial}

    def clean_last_day(self) -> date:
        """A day the calendar can be counted on from; the service says how far away it may be."""
        day: date = self.cleaned_data["last_day"]
        if not date.min < day < date.max - timedelta(days=2):
            raise forms.ValidationError("Choose a day within the next year.")
        return day

    def values(self) -> dict[str, Any]:
        """What the service takes. The day itself still counts."""
        return {
            "aspects": self.cleaned_data["aspects"],
            "owner_id": self.cleaned_data["owner"].pk,
            "reason": self.cleaned_data["reason"],
            "expires_at": _end_of(self.cleaned_data["last_day"]),
        }


def flag_choices(posted: QueryDict) -> list[FlagChoice]:
    """The flags on the page with the aspects that were ticked; what cannot be read is left out."""
    ticked: dict[str, set[Aspect]] = {}
    for text in posted.getlist("aspect"):
        name, _, key = text.partition(":")
        if name in set(Aspect):
            ticked.setdefault(key, set()).add(Aspect(name))
    return [
        FlagChoice(key, frozenset(ticked[key]), source, target)
        for key, source, target in _versions(posted, "flag_version")
        if key in ticked
    ]


def segment_choices(posted: QueryDict) -> list[SegmentChoice]:
    """The segments that were ticked."""
    ticked = set(posted.getlist("segment"))
    return [SegmentChoice(*found) for found in _versions(posted, "segment_version") if found[0] in ticked]


def _versions(posted: QueryDict, name: str) -> list[tuple[str, int, int]]:
    """Key and the two versions that were looked at, as the page wrote them: `3:7:checkout`."""
    found = []
    for text in dict.fromkeys(posted.getlist(name)):
        parts = text.split(":", 2)
        if len(parts) == _PARTS and all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts[:2]):
            found.append((parts[2], int(parts[0]), int(parts[1])))
    return found


def _people(pair: tuple[Environment, Environment]) -> Any:
    """Active people who may look at both environments, by name."""
    people = get_user_model().objects.filter(is_active=True)
    for environment in pair:
        grants = EnvironmentUserGrant.objects.filter(content_object=environment)
        people = people.filter(pk__in=grants.values("user_id")) | people.filter(is_superuser=True)
    return people.order_by("first_name", "last_name", "username")


def _end_of(day: date) -> datetime:
    midnight = datetime.combine(day + timedelta(days=1), time(), timezone.get_current_timezone())
    return midnight.astimezone(UTC)
