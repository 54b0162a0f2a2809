"""Environments: the aggregate that a change set touches, and who may do what in them."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from guardian.managers import UserObjectPermissionManager
from guardian.models import UserObjectPermissionBase


class EnvironmentKind(models.TextChoices):
    """How close an environment is to customers; decides how it looks."""

    DEVELOPMENT = "development", "Development"
    STAGING = "staging", "Staging"
    PRODUCTION = "production", "Production"


class BucketingGeneration(models.TextChoices):
    """Which generation of bucketing an environment uses. Changing it moves users."""

    FLAGD_V2 = "flagd-v2", "flagd v2"
    FLAGD_V3 = "flagd-v3", "flagd v3"


class Environment(models.Model):
    """A place with its own flag configs. `revision` counts every published state."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="environments")
    key = models.CharField(max_length=60)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=20, choices=EnvironmentKind.choices)
    is_protected = models.BooleanField(default=True)
    revision = models.PositiveBigIntegerField(default=0)
    generation = models.CharField(
        max_length=20, choices=BucketingGeneration.choices, default=BucketingGeneration.FLAGD_V2
    )
    # Whoever took the protection off may not use the open door himself.
    unprotected_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    # Strict mode: an evaluation that needs a targeting key and has none is an error instead of the default.
    requires_targeting_key = models.BooleanField(default=False)
    # Whether hashed contexts are kept for impact runs; see ContextSample.
    samples_contexts = models.BooleanField(default=False)
    position = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["project", "position", "key"]
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="environment_key_unique_in_project"),
            models.CheckConstraint(condition=Q(kind__in=EnvironmentKind.values), name="environment_kind_valid"),
            models.CheckConstraint(
                condition=Q(generation__in=BucketingGeneration.values), name="environment_generation_valid"
            ),
        ]
        permissions = [
            ("propose_change", "Edit unprotected environments, propose changes to protected ones"),
            ("approve_change", "Approve changes others asked for"),
            ("apply_change", "Schedule and apply approved changes"),
            ("break_glass", "Change a protected environment in an emergency, without approval"),
            ("administer_environment", "Manage protection, policies, tokens and roles"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_guarded(self) -> bool:
        """Whether loosening a setting takes two people: it is protected, or was until somebody took that off."""
        return self.is_protected or self.unprotected_by_id is not None


class LivingGrants(UserObjectPermissionManager):
    """Grants that have not ended by the clock, so that no reader forgets to ask."""

    def get_queryset(self) -> models.QuerySet["EnvironmentUserGrant"]:
        """The rows that give a right at this moment."""
        return super().get_queryset().filter(living())


def living(prefix: str = "") -> Q:
    """The condition that a grant has not ended by the clock; `prefix` leads to it from another model."""
    return Q(**{f"{prefix}ends_at": None}) | Q(**{f"{prefix}ends_at__gt": timezone.now()})


class EnvironmentUserGrant(UserObjectPermissionBase):
    """guardian's rows for environments, with a real foreign key: what permission checks read.

    They follow from role grants and are written by `flags.services.roles` alone. `ends_at` is when the last role that
    brings the permission ends; None is never. `objects` leaves out what has ended by the clock, `every` does not.
    """

    content_object = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="grants")
    ends_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[LivingGrants] = LivingGrants()
    every = models.Manager()

    class Meta(UserObjectPermissionBase.Meta):
        pass
