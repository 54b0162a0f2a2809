"""Addresses of the governance API; included under `/api/v1/`."""

from django.urls import URLPattern, path

from rollouts.api.calendar import CalendarView
from rollouts.api.incidents import CloseIncidentView, IncidentsView

urlpatterns: list[URLPattern] = [
    path("projects/<str:key>/calendar.ics", CalendarView.as_view(), name="project-calendar"),
    path("incidents", IncidentsView.as_view(), name="incidents"),
    path("incidents/<uuid:incident_id>/close", CloseIncidentView.as_view(), name="incident-close"),
]
