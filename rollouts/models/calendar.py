"""The calendar: windows in which nothing may widen, or only then, and exceptions from them."""

import uuid
from datetime import datetime, timedelta
from typing import Literal

from django.conf import settings
from django.db import models
from django.db.models import Q

from rollouts.schedules import Recurrence, Span, Window, recurring


class WindowKind(models.TextChoices):
    """What a window does while it runs."""

    FREEZE = "freeze", "Freeze"
    ALLOW = "allow", "Allow"


class CalendarWindow(models.Model):
    """A freeze or an allow window of a project; which of the two and where it applies decides what may be applied.

    Either `starts_at` and `ends_at` are set (once, in UTC) or `rrule`, `zone`, `local_start` and `duration_minutes`
    (recurring, by the clocks of that zone). `environment_ids` and `flag_tags` narrow it down; empty: everything in the
    project. `uid` is what calendars call it: importing the same file twice finds the window again. Windows are never
    deleted, only removed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="calendar_windows")
    uid = models.CharField(max_length=255)
    kind = models.CharField(max_length=10, choices=WindowKind.choices)
    title = models.CharField(max_length=120)
    reason = models.TextField()
    environment_ids = models.JSONField(default=list, blank=True)
    flag_tags = models.JSONField(default=list, blank=True)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    rrule = models.CharField(max_length=500, blank=True)
    zone = models.CharField(max_length=60, blank=True)
    local_start = models.CharField(max_length=16, blank=True)
    duration_minutes = models.PositiveIntegerField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)
    lock_version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "uid"],
                condition=Q(removed_at__isnull=True),
                name="calendar_window_uid_unique_in_project",
            ),
            models.CheckConstraint(condition=Q(kind__in=WindowKind.values), name="calendar_window_kind_valid"),
            models.CheckConstraint(
                condition=Q(
                    starts_at__isnull=False,
                    ends_at__gt=models.F("starts_at"),
                    rrule="",
                    zone="",
                    local_start="",
                    duration_minutes__isnull=True,
                )
                | (
                    Q(starts_at__isnull=True, ends_at__isnull=True, duration_minutes__gte=1)
                    & ~Q(rrule="")
                    & ~Q(zone="")
                    & ~Q(local_start="")
                ),
                name="calendar_window_once_or_recurring",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def timing(self) -> Span | Recurrence:
        """When it runs, as a value."""
        if self.starts_at is not None and self.ends_at is not None:
            return Span(self.starts_at, self.ends_at)
        length = timedelta(minutes=self.duration_minutes or 0)
        return recurring(self.zone, datetime.fromisoformat(self.local_start), length, self.rrule)

    def as_window(self) -> Window:
        """The window as a value."""
        kind: Literal["freeze", "allow"] = "freeze" if self.kind == WindowKind.FREEZE else "allow"
        environments, tags = frozenset(map(str, self.environment_ids)), frozenset(map(str, self.flag_tags))
        return Window(str(self.pk), kind, self.title, self.reason, self.timing, environments, tags)


class FreezeException(models.Model):
    """Leave for exactly one content of one change request to go live during one window.

    It covers the occurrence that was asked about, `covers_from` to `covers_until`, and no later one. Somebody else than
    everybody who asked for or shaped the change decides: `is_granted` is None until then.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey("rollouts.ChangeRequest", on_delete=models.PROTECT, related_name="freeze_exceptions")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    window = models.ForeignKey(CalendarWindow, on_delete=models.PROTECT, related_name="exceptions")
    digest = models.CharField(max_length=64)
    covers_from = models.DateTimeField()
    covers_until = models.DateTimeField()
    reason = models.TextField()
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    is_granted = models.BooleanField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_reason = models.TextField(blank=True)

    class Meta:
        ordering = ["asked_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["request", "window", "digest", "covers_from"],
                condition=Q(is_granted__isnull=True) | Q(is_granted=True),
                name="freeze_exception_asked_once",
            ),
            models.CheckConstraint(
                condition=Q(is_granted__isnull=True, decided_by__isnull=True, decided_at__isnull=True)
                | Q(is_granted__isnull=False, decided_by__isnull=False, decided_at__isnull=False),
                name="freeze_exception_decided_facts",
            ),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=models.F("asked_by")),
                name="freeze_exception_two_people",
            ),
            models.CheckConstraint(
                condition=Q(covers_until__gt=models.F("covers_from")), name="freeze_exception_covers_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.request} during {self.window}"
