"""Addresses of the use of flags; included under `/api/v1/`."""

from django.urls import path

from flags.api.use import FlagUseView

urlpatterns = [path("projects/<str:key>/flags/<str:flag>/use", FlagUseView.as_view(), name="flag-use")]
