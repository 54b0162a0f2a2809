"""Role grants: what was given to whom, by whom, why and until when."""

from datetime import datetime

from django.db.models import QuerySet

from flags.models import RoleGrant


def ended_grants(now: datetime) -> QuerySet[RoleGrant]:
    """Grants whose end has come and that nobody has closed."""
    return RoleGrant.objects.filter(closed_at=None, ends_at__lte=now)
