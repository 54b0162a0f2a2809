"""Addresses of the management API and of its description; included under `/api/`."""

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from flags.api.explain import ExplainView
from flags.api.otlp import OtlpLogsView, OtlpMetricsView
from flags.api.telemetry import TelemetryView

# The page is for reading; its framework fails on a question about its options.
SAFE = ["get", "head"]

urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/", include("audits.api.urls")),
    path("v1/", include("flags.api.definition_urls")),
    path("v1/", include("flags.api.reference_urls")),
    path("v1/", include("flags.api.use_urls")),
    path("v1/", include("flags.api.release_urls")),
    path("v1/", include("rollouts.api.urls")),
    path("v1/", include("rollouts.api.staleness_urls")),
    path("v1/evaluate/explain", ExplainView.as_view(), name="evaluate-explain"),
    path("v1/telemetry", TelemetryView.as_view(), name="report-telemetry"),
    path("v1/otlp/v1/logs", OtlpLogsView.as_view(), name="otlp-logs"),
    path("v1/otlp/v1/metrics", OtlpMetricsView.as_view(), name="otlp-metrics"),
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="api-schema", http_method_names=SAFE), name="api-docs"),
]
