"""Teams: people of a project who stand for something together, such as Security."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q


class Team(models.Model):
    """A named group of people in a project. Flags are owned by teams, and policies ask for approvals from them."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="teams")
    key = models.CharField(max_length=60)
    name = models.CharField(max_length=60)
    description = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="team_key_unique_in_project"),
            models.UniqueConstraint(fields=["project", "name"], name="team_name_unique_in_project"),
        ]

    def __str__(self) -> str:
        return self.name


class TeamMember(models.Model):
    """One membership, from `added_at` until `removed_at`. It is never deleted and changes once, when it ends."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="+")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="memberships")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="team_memberships")
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(blank=True)
    added_at = models.DateTimeField()
    removed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["team", "added_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["team", "person"], condition=Q(removed_at=None), name="team_member_once_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person} in {self.team}"
