"""The end of flags: who still asks for them, keys that are no flag's, who answers for a service, and tombstones."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q


class FlagUse(models.Model):
    """First and last time a service in a version evaluated a flag, kept beyond the counts. Also of unknown keys."""

    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    flag_key = models.CharField(max_length=100)
    service = models.CharField(max_length=100)
    version = models.CharField(max_length=100)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    is_unknown = models.BooleanField(default=False)

    class Meta:
        ordering = ["flag_key", "service", "version"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "flag_key", "service", "version"], name="flag_use_unique")
        ]
        indexes = [models.Index(fields=["environment", "last_at"], name="flag_use_by_last")]

    def __str__(self) -> str:
        return f"{self.flag_key} by {self.service}"


class UnknownKey(models.Model):
    """A key that services ask for and that is no flag's, by service and version. `count` is of evaluations.

    What stands here in clear passed `flags.telemetry.unknown_keys`; it is forgotten after 30 days.
    """

    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    key = models.CharField(max_length=100)
    service = models.CharField(max_length=100)
    version = models.CharField(max_length=100)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    count = models.BigIntegerField()

    class Meta:
        ordering = ["key", "service", "version"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "key", "service", "version"], name="unknown_key_unique")
        ]

    def __str__(self) -> str:
        return f"{self.key} by {self.service}"


class ServiceOwner(models.Model):
    """Who is told when a flag that a service still evaluates comes to its end: a person, a team, or both."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="service_owners")
    service = models.CharField(max_length=100)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    team = models.ForeignKey("flags.Team", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["service"]
        constraints = [
            models.UniqueConstraint(fields=["project", "service"], name="service_owner_unique"),
            models.CheckConstraint(
                condition=Q(person__isnull=False) | Q(team__isnull=False), name="service_owner_somebody"
            ),
        ]

    def __str__(self) -> str:
        return self.service


class Tombstone(models.Model):
    """The key of an archived flag, kept back until nobody uses it or somebody lets it go. Never deleted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="tombstones")
    flag = models.ForeignKey("flags.Flag", on_delete=models.PROTECT, related_name="tombstones")
    key = models.CharField(max_length=100)
    lifecycle = models.PositiveIntegerField()
    archived_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True, blank=True)
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    release_reason = models.TextField(blank=True)

    class Meta:
        ordering = ["-archived_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "key"], condition=Q(released_at=None), name="tombstone_one_per_key"
            )
        ]

    def __str__(self) -> str:
        return self.key
