"""Addresses of the lives of flags; included under `/api/v1/`."""

from django.urls import path

from rollouts.api.staleness import FlagDebtView, FlagLifecycleView, StaleFlagsView
from rollouts.api.unknown_keys import UnknownKeysView

urlpatterns = [
    path("projects/<str:key>/stale", StaleFlagsView.as_view(), name="stale-flags"),
    path("projects/<str:key>/unknown-keys", UnknownKeysView.as_view(), name="unknown-keys"),
    path("projects/<str:key>/debt", FlagDebtView.as_view(), name="flag-debt"),
    path("projects/<str:key>/flags/<str:flag>/lifecycle", FlagLifecycleView.as_view(), name="flag-lifecycle"),
]
