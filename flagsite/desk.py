"""The desk: what waits for me, what I asked for, what happens next."""

from django.contrib.auth.models import AbstractUser


def waiting_count(user: AbstractUser) -> int:
    """How many requests wait for this person's approval."""
    return 0
