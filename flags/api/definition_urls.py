"""Addresses of the flagd definitions; included under `/api/v1/`."""

from django.urls import path

from flags.api.definitions import DefinitionReportView, DefinitionView

urlpatterns = [
    path("environments/<str:key>/flagd.json", DefinitionView.as_view(), name="flagd-definition"),
    path("environments/<str:key>/flagd-report.json", DefinitionReportView.as_view(), name="flagd-report"),
]
