"""Flags: identity and metadata. What is served lives in flag configs."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q


class FlagKind(models.TextChoices):
    """What a flag is for."""

    RELEASE = "release", "Release"
    EXPERIMENT = "experiment", "Experiment"
    OPERATIONAL = "operational", "Operational"
    KILL_SWITCH = "kill_switch", "Kill switch"
    PERMISSION = "permission", "Permission"


class ValueType(models.TextChoices):
    """The one type all variants of a flag share."""

    BOOLEAN = "boolean", "Boolean"
    STRING = "string", "String"
    INTEGER = "integer", "Integer"
    FLOAT = "float", "Float"
    OBJECT = "object", "Object"


class FlagManager(models.Manager["Flag"]):
    """Flags that own their key. One that gave its key to a new flag is found through `Flag.everything` alone."""

    def get_queryset(self) -> models.QuerySet["Flag"]:
        """Without flags whose key was given to another one."""
        return super().get_queryset().filter(replaced_at=None)


class Flag(models.Model):
    """The thing switched. `key`, `value_type` and `project` never change; the database refuses it.

    `archived_at`: it is gone from evaluation everywhere. `lifecycle` counts up when it is revived. `replaced_at`: its
    key belongs to another flag now.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="flags")
    key = models.CharField(max_length=100)
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=20, choices=FlagKind.choices)
    value_type = models.CharField(max_length=10, choices=ValueType.choices)
    value_schema = models.JSONField(null=True, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    owner_team = models.ForeignKey("flags.Team", null=True, blank=True, on_delete=models.PROTECT, related_name="flags")
    tags = models.JSONField(default=list, blank=True)
    links = models.JSONField(default=list, blank=True)
    successor = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    lifecycle = models.PositiveIntegerField(default=1)
    lifecycle_started_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    replaced_at = models.DateTimeField(null=True, blank=True)

    objects = FlagManager()
    everything = models.Manager["Flag"]()

    class Meta:
        ordering = ["key"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "key"], condition=Q(replaced_at=None), name="flag_key_unique_in_project"
            ),
            models.CheckConstraint(
                condition=Q(replaced_at=None) | Q(archived_at__isnull=False), name="flag_replaced_only_archived"
            ),
            models.CheckConstraint(condition=Q(kind__in=FlagKind.values), name="flag_kind_valid"),
            models.CheckConstraint(condition=Q(value_type__in=ValueType.values), name="flag_value_type_valid"),
        ]

    def __str__(self) -> str:
        return self.name
