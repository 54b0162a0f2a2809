"""Addresses of code references; included under `/api/v1/`."""

from django.urls import path

from flags.api.references import CodeReferencesView, FlagKeysView, ReportReferencesView

urlpatterns = [
    path("code-references", ReportReferencesView.as_view(), name="report-code-references"),
    path("projects/<str:key>/flag-keys", FlagKeysView.as_view(), name="flag-keys"),
    path("projects/<str:key>/code-references", CodeReferencesView.as_view(), name="code-references"),
]
