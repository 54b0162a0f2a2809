"""Addresses of the audit API; included under `/api/v1/`."""

from django.urls import path

from audits.api.events import AuditEventsView

urlpatterns = [
    path("audit-events", AuditEventsView.as_view(), name="audit-events"),
    # The address as it was before: it goes on answering, and only the other one is described.
    path("audit-events/", AuditEventsView.as_view(schema=None), name="audit-events-former"),
]
