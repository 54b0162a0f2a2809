"""What differs between neighbouring environments, and which of it somebody said is intended."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from flags.aspects import Aspect


class Drift(models.Model):
    """What one flag serves differently in two neighbouring environments; no row: nothing that both have set up.

    `aspects` maps each aspect that differs to the instant since when, as text; `since` is the earliest of them. Made
    anew by a sweeper and no evidence: what the pages compare is always read live.
    """

    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="+")
    flag = models.ForeignKey("flags.Flag", on_delete=models.PROTECT, related_name="drifts")
    upstream = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    downstream = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    aspects = models.JSONField()
    since = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["flag", "upstream", "downstream"], name="drift_unique_in_pair"),
            models.CheckConstraint(condition=~Q(upstream=F("downstream")), name="drift_of_two_environments"),
        ]
        indexes = [models.Index(fields=["project", "since"], name="drift_by_project")]

    def __str__(self) -> str:
        return f"{self.flag}: {self.upstream} and {self.downstream}"


class IntendedDifference(models.Model):
    """Aspects of one flag that two environments serve differently on purpose, until `expires_at` or `ended_at`.

    `owner` answers for it. Of the pair, `upstream` is the one further from customers.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="intended_differences")
    flag = models.ForeignKey("flags.Flag", on_delete=models.PROTECT, related_name="intended_differences")
    upstream = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    downstream = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    aspects = models.JSONField()
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.CheckConstraint(condition=~Q(upstream=F("downstream")), name="intended_in_two_environments"),
            models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="intended_for_a_time"),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True, ended_by__isnull=True)
                | Q(ended_at__isnull=False, ended_by__isnull=False),
                name="intended_ended_by_somebody",
            ),
        ]
        indexes = [models.Index(fields=["project", "expires_at"], name="intended_by_project")]

    def __str__(self) -> str:
        return f"{self.flag}: {self.upstream} and {self.downstream}"

    @property
    def phrase(self) -> str:
        """What differs, inside a sentence."""
        return ", ".join(Aspect(name).phrase for name in self.aspects)
