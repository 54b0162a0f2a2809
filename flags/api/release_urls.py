"""Addresses of the releases of flags; included under `/api/v1/`."""

from django.urls import path

from flags.api.releases import ReleasesView

urlpatterns = [path("projects/<str:key>/flags/<str:flag>/releases", ReleasesView.as_view(), name="flag-releases")]
