"""Composition root: may import everything, imported by nothing."""

from flagsite.celery import app as celery_app

__all__ = ["celery_app"]
