"""Context attributes: what a project's services send with an evaluation, as far as people have said so."""

import uuid

from django.db import models
from django.db.models import Q


class AttributeType(models.TextChoices):
    """What kind of value an attribute holds."""

    TEXT = "text", "Text"
    NUMBER = "number", "Number"
    BOOLEAN = "boolean", "True or false"
    VERSION = "version", "Version"
    INSTANT = "instant", "Date and time"


class ContextAttribute(models.Model):
    """An attribute that services of a project send. Rules may use others; the linter then asks whether it is a slip.

    `grants_access`: somebody who sends another value gains something that is not his, as with a plan or a role.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="context_attributes")
    name = models.CharField(max_length=100)
    value_type = models.CharField(max_length=10, choices=AttributeType.choices)
    description = models.CharField(max_length=200, blank=True)
    grants_access = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="context_attribute_unique_in_project"),
            models.CheckConstraint(
                condition=Q(value_type__in=AttributeType.values), name="context_attribute_type_valid"
            ),
        ]

    def __str__(self) -> str:
        return self.name
