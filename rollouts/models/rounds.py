"""Rounds of review, each with its content, and who looked at which."""

import uuid

from django.conf import settings
from django.db import models


class RequestRound(models.Model):
    """The content that reviewers were asked about in one round. Append-only; the database refuses UPDATE and DELETE.

    `occasion` is the act that began the round.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey("rollouts.ChangeRequest", on_delete=models.PROTECT, related_name="rounds")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    round = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    change_set = models.JSONField()
    apply_at = models.DateTimeField(null=True, blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    occasion = models.CharField(max_length=20)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["round"]
        constraints = [models.UniqueConstraint(fields=["request", "round"], name="request_round_once")]

    def __str__(self) -> str:
        return f"{self.request}, round {self.round}"


class Look(models.Model):
    """The content of a request that a person saw last. It decides nothing; it tells them what is new to them."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey("rollouts.ChangeRequest", on_delete=models.PROTECT, related_name="looks")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)
    round = models.PositiveIntegerField()
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["seen_at", "id"]
        constraints = [models.UniqueConstraint(fields=["request", "person"], name="look_once_per_person")]

    def __str__(self) -> str:
        return f"{self.person} on {self.request}"
