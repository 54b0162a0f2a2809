"""Forms of the calendar: they turn what is typed into the document of a window; the rules are the services'."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone

from flags.admin.forms import REASON_HELP, PlainForm
from flags.models import Environment
from rollouts.ical import MAX_BYTES
from rollouts.models import CalendarWindow, Severity, WindowKind
from rollouts.schedules import Recurrence, UnusableSchedule, instant_in, zone_of

RULE = "rule"
REPEATS = [
    ("", "Does not repeat"),
    ("FREQ=DAILY", "Every day"),
    ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "Monday to Friday"),
    ("FREQ=WEEKLY", "Every week"),
    ("FREQ=WEEKLY;INTERVAL=2", "Every 2 weeks"),
    ("FREQ=MONTHLY", "Every month"),
    ("FREQ=YEARLY", "Every year"),
    (RULE, "By a rule of calendars (RRULE)"),
]
COMMON_ZONES = (
    "UTC",
    "Europe/London",
    "Europe/Berlin",
    "America/New_York",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Sydney",
)
_TIME = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
_FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]


class WallTimeField(forms.CharField):
    """A time as a clock on a wall shows it, without a zone."""

    def clean(self, value: Any) -> Any:
        """The naive time, to the minute."""
        text = super().clean(value)
        for pattern in _FORMATS:
            try:
                return datetime.strptime(text, pattern).replace(second=0)  # noqa: DTZ007 - wall time
            except ValueError:
                continue
        raise forms.ValidationError("Choose a day and a time.")


class WindowForm(PlainForm):
    """When, where and why: the same start and end serve a window that runs once and the first of many."""

    kind = forms.ChoiceField(
        choices=[
            (WindowKind.FREEZE, "Freeze: nothing widens while it runs"),
            (WindowKind.ALLOW, "Allow window: changes widen only inside one"),
        ],
        widget=forms.RadioSelect,
        label="What it does",
    )
    title = forms.CharField(max_length=120, help_text="What people call it: “Black Friday freeze”.")
    reason = forms.CharField(
        max_length=4000,
        label="Why?",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Shown to everybody whose change has to wait, and kept in the audit trail.",
    )
    starts_at = WallTimeField(label="From", widget=_TIME)
    ends_at = WallTimeField(label="To", widget=_TIME, help_text="The first minute in which it does not run any more.")
    zone = forms.CharField(
        max_length=60,
        label="By the clocks of",
        widget=forms.TextInput(attrs={"list": "zones", "autocomplete": "off", "spellcheck": "false"}),
        help_text="A time zone such as Europe/Berlin. Repetitions follow its daylight-saving time.",
    )
    repeats = forms.ChoiceField(choices=REPEATS, required=False, label="Repeats")
    rule = forms.CharField(
        max_length=500,
        required=False,
        label="Rule",
        widget=forms.TextInput(attrs={"spellcheck": "false", "placeholder": "FREQ=MONTHLY;BYDAY=-1FR"}),
        help_text="Only for “By a rule”.",
    )
    environments = forms.MultipleChoiceField(
        required=False,
        label="Where",
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen: in every environment, also in those that are added later.",
    )
    tags = forms.CharField(
        max_length=1300,
        required=False,
        label="Only flags tagged",
        help_text="Separated by commas. Empty: every flag. One tag in common is enough.",
    )
    why = forms.CharField(
        max_length=4000, label="Why this change?", help_text=REASON_HELP, widget=forms.Textarea(attrs={"rows": 2})
    )

    def __init__(self, *args: Any, places: Sequence[Environment], is_new: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(str(place.pk), place.name) for place in places]
        self.fields["environments"].choices = choices  # type: ignore[attr-defined]
        if is_new:
            del self.fields["why"]

    def clean_zone(self) -> str:
        """The name of a zone that exists."""
        name: str = self.cleaned_data["zone"]
        try:
            return zone_of(name).key
        except UnusableSchedule as error:
            raise forms.ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        """A rule where one is announced, and an end after the start."""
        cleaned = super().clean() or {}
        if cleaned.get("repeats") == RULE and not cleaned.get("rule"):
            self.add_error("rule", "Write the rule, or choose another way to repeat.")
        starts_at, ends_at = cleaned.get("starts_at"), cleaned.get("ends_at")
        if starts_at and ends_at and ends_at <= starts_at:
            self.add_error("ends_at", "The window ends before it begins. Choose a later end.")
        return cleaned

    def document(self) -> dict[str, Any]:
        """The window as the service takes it."""
        data = self.cleaned_data
        return {
            "kind": data["kind"],
            "title": data["title"],
            "reason": data["reason"],
            "environments": data["environments"],
            "tags": sorted({tag.strip() for tag in data["tags"].split(",") if tag.strip()}),
            "timing": self._timing(),
        }

    def _timing(self) -> dict[str, Any]:
        data, zone = self.cleaned_data, zone_of(self.cleaned_data["zone"])
        starts_at, ends_at = data["starts_at"], data["ends_at"]
        rule = data["rule"] if data["repeats"] == RULE else data["repeats"]
        if rule:
            minutes = (ends_at - starts_at) // timedelta(minutes=1)
            start = starts_at.isoformat(timespec="minutes")
            return {"zone": zone.key, "local_start": start, "duration_minutes": minutes, "rrule": rule}
        try:
            return {
                "starts_at": instant_in(zone, starts_at).isoformat(),
                "ends_at": instant_in(zone, ends_at).isoformat(),
            }
        except OverflowError:
            # A year at the edge of the calendar; the service says what is allowed.
            return {
                "starts_at": starts_at.replace(tzinfo=UTC).isoformat(),
                "ends_at": ends_at.replace(tzinfo=UTC).isoformat(),
            }

    @staticmethod
    def initial_of(row: CalendarWindow) -> dict[str, Any]:
        """The form as the window is now."""
        timing, repeats, rule = row.timing, "", ""
        zone = timezone.get_current_timezone_name()
        if isinstance(timing, Recurrence):
            zone, starts_at, ends_at = timing.zone, timing.local_start, timing.local_start + timing.duration
            known = {value for value, _ in REPEATS}
            repeats, rule = (row.rrule, "") if row.rrule in known else (RULE, row.rrule)
        else:
            starts_at, ends_at = (_wall(instant, zone) for instant in (timing.starts_at, timing.ends_at))
        return {
            "kind": row.kind,
            "title": row.title,
            "reason": row.reason,
            "starts_at": f"{starts_at:%Y-%m-%dT%H:%M}",
            "ends_at": f"{ends_at:%Y-%m-%dT%H:%M}",
            "zone": zone,
            "repeats": repeats,
            "rule": rule,
            "environments": row.environment_ids,
            "tags": ", ".join(row.flag_tags),
        }


class CalendarImportForm(PlainForm):
    """A calendar file, and what it leaves open."""

    calendar = forms.FileField(
        label="Calendar file",
        help_text="An iCalendar file (.ics) of at most 256 kB. Nothing changes until you have seen what is in it.",
        widget=forms.FileInput(attrs={"accept": ".ics,text/calendar"}),
    )
    kind = forms.ChoiceField(
        choices=[(WindowKind.FREEZE, "Freezes"), (WindowKind.ALLOW, "Allow windows")],
        widget=forms.RadioSelect,
        initial=WindowKind.FREEZE,
        label="Its events are",
        help_text="Where an event does not say it itself.",
    )
    zone = forms.CharField(
        max_length=60,
        label="Times without a zone are those of",
        widget=forms.TextInput(attrs={"list": "zones", "autocomplete": "off"}),
    )

    clean_zone = WindowForm.clean_zone

    def clean_calendar(self) -> bytes:
        """The bytes of the file, as far as they are read."""
        upload: UploadedFile[bytes] = self.cleaned_data["calendar"]
        if upload.size is None or upload.size > MAX_BYTES:
            raise forms.ValidationError("The file is larger than 256 kB. Export fewer events.")
        return bytes(upload.read())


class IncidentForm(PlainForm):
    """What is broken, where and how badly."""

    title = forms.CharField(max_length=200, label="What is broken?", help_text="“Checkout answers slowly”.")
    severity = forms.ChoiceField(choices=Severity.choices, widget=forms.RadioSelect, initial=Severity.MAJOR)
    environment = forms.ChoiceField(label="Where")
    link = forms.CharField(
        max_length=500,
        required=False,
        label="Where people talk about it",
        help_text="An address that begins with https://: the channel, the page of the incident.",
    )

    def __init__(self, *args: Any, places: Sequence[Environment], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["environment"].choices = _grouped(places)  # type: ignore[attr-defined]


def zone_choices(*more: str) -> list[str]:
    """Zones to suggest: the installation's, those in use, and common ones."""
    return list(dict.fromkeys([timezone.get_current_timezone_name(), *more, *COMMON_ZONES]))


def _grouped(places: Sequence[Environment]) -> list[tuple[str, list[tuple[str, str]]]]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for place in places:
        groups.setdefault(place.project.name, []).append((str(place.pk), place.name))
    whole = {place.project.name: f"project:{place.project_id}" for place in places}
    return [(name, [*choices, (whole[name], f"All of {name}")]) for name, choices in groups.items()]


def _wall(instant: datetime, zone: str) -> datetime:
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
