"""Addresses of the governance API; included under `/api/v1/`."""

from django.urls import URLPattern, path

from rollouts.api import timeline_acts, trains
from rollouts.api.approvals import ServiceApprovalsView
from rollouts.api.calendar import CalendarView
from rollouts.api.change_requests import ChangeRequestsView, ChangeRequestView, DriftView
from rollouts.api.impact import AskImpactView, ImpactRunView
from rollouts.api.incidents import CloseIncidentView, IncidentsView
from rollouts.api.manifests import ApplyManifestView, ManifestSchemaView, ManifestView, PlanManifestView
from rollouts.api.plans import PlansView, PlanView
from rollouts.api.timelines import TimelinesView, TimelineView
from rollouts.api.trains import TrainDetailView, TrainsView

urlpatterns: list[URLPattern] = [
    path("change-requests", ChangeRequestsView.as_view(), name="change-requests"),
    path("change-requests/<uuid:request_id>", ChangeRequestView.as_view(), name="change-request"),
    path("plans", PlansView.as_view(), name="plans"),
    path("plans/<uuid:plan_id>", PlanView.as_view(), name="plan"),
    path("timelines", TimelinesView.as_view(), name="timelines"),
    path("timelines/<uuid:timeline_id>", TimelineView.as_view(), name="timeline"),
    *timeline_acts.ADDRESSES,
    path("trains", TrainsView.as_view(), name="trains"),
    path("trains/<uuid:train_id>", TrainDetailView.as_view(), name="train"),
    *trains.ADDRESSES,
    path("projects/<str:key>/drift", DriftView.as_view(), name="project-drift"),
    path("projects/<str:key>/manifest", ManifestView.as_view(), name="manifest"),
    path("projects/<str:key>/manifest/plan", PlanManifestView.as_view(), name="manifest-plan"),
    path("projects/<str:key>/manifest/apply", ApplyManifestView.as_view(), name="manifest-apply"),
    path("manifest-schema", ManifestSchemaView.as_view(), name="manifest-schema"),
    path("projects/<str:key>/calendar.ics", CalendarView.as_view(), name="project-calendar"),
    path(
        "change-requests/<uuid:request_id>/approvals",
        ServiceApprovalsView.as_view(),
        name="change-request-approvals",
    ),
    path("incidents", IncidentsView.as_view(), name="incidents"),
    path("incidents/<uuid:incident_id>/close", CloseIncidentView.as_view(), name="incident-close"),
    path("change-requests/<uuid:request_id>/impact", AskImpactView.as_view(), name="impact"),
    path("change-requests/<uuid:request_id>/impact/<uuid:run_id>", ImpactRunView.as_view(), name="impact-run"),
]
