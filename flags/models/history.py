"""What our history rows know beyond simple-history's own columns."""

from django.db import models


class HistoryFacts(models.Model):
    """Who wrote a version, as ids that outlive people, and the act it belongs to."""

    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=100)
    correlation_id = models.UUIDField()

    class Meta:
        abstract = True
