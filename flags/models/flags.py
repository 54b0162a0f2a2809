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


class Flag(models.Model):
    """The thing switched. `key`, `value_type` and `project` never change; the database refuses it."""

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

    class Meta:
        ordering = ["key"]
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="flag_key_unique_in_project"),
            models.CheckConstraint(condition=Q(kind__in=FlagKind.values), name="flag_kind_valid"),
            models.CheckConstraint(condition=Q(value_type__in=ValueType.values), name="flag_value_type_valid"),
        ]

    def __str__(self) -> str:
        return self.name
