"""Custom roles, and the grants that say who was given which role, by whom, why and until when."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q


class BuiltInRole(models.TextChoices):
    """The roles every project has. Their order is that of `flags.permissions.Role`, which says what they bring."""

    VIEWER = "viewer", "Viewer"
    EDITOR = "editor", "Editor"
    APPROVER = "approver", "Approver"
    RELEASE_MANAGER = "release_manager", "Release manager"
    ADMINISTRATOR = "administrator", "Administrator"
    BREAK_GLASS = "break_glass", "Break glass"


class CustomRole(models.Model):
    """A named set of permissions that a project gives as one. `permissions` are codenames without the app."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="custom_roles")
    key = models.CharField(max_length=60)
    name = models.CharField(max_length=60)
    description = models.CharField(max_length=200, blank=True)
    permissions = models.JSONField(default=list)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="custom_role_key_unique_in_project"),
            models.UniqueConstraint(fields=["project", "name"], name="custom_role_name_unique_in_project"),
        ]

    def __str__(self) -> str:
        return self.name


class RoleGrant(models.Model):
    """One role of one person in one environment: the truth that the rows of permissions follow from.

    Never changed but once, when it is closed: taken back, or found to have ended. `ends_at` None is without end; the
    right is gone at that instant, whether or not somebody has closed the grant. `given_by` is None for grants from
    before they were kept. Exactly one of `role` and `custom_role` is set.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="role_grants")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="role_grants")
    role = models.CharField(max_length=20, choices=BuiltInRole.choices, blank=True)
    custom_role = models.ForeignKey(CustomRole, null=True, blank=True, on_delete=models.PROTECT, related_name="grants")
    given_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    reason = models.TextField(blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        ordering = ["environment", "starts_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(role="", custom_role__isnull=False)
                | Q(role__in=BuiltInRole.values, custom_role__isnull=True),
                name="role_grant_gives_one_role",
            ),
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gt=F("starts_at")), name="role_grant_ends_after_it_starts"
            ),
            models.UniqueConstraint(
                fields=["environment", "person", "role"],
                condition=Q(closed_at=None, custom_role=None),
                name="role_grant_open_once",
            ),
            models.UniqueConstraint(
                fields=["environment", "person", "custom_role"],
                condition=Q(closed_at=None, role=""),
                name="custom_role_grant_open_once",
            ),
        ]
        indexes = [models.Index(fields=["ends_at"], condition=Q(closed_at=None), name="role_grant_that_ends")]

    def __str__(self) -> str:
        return f"{self.role_name} of {self.person}"

    @property
    def role_name(self) -> str:
        """What people call the role."""
        return self.custom_role.name if self.custom_role else str(BuiltInRole(self.role).label)
