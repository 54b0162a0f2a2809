"""Every URL of the product."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from flagsite import health, metrics

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("api/", include("flagsite.api")),
    path("ofrep/v1/", include("flags.api.urls")),
    path("healthz/live", health.live, name="healthz-live"),
    path("healthz/ready", health.ready, name="healthz-ready"),
    path("healthz/snapshot", health.snapshot, name="healthz-snapshot"),
    re_path(r"^healthz(/.*)?$", health.nothing),
    path("metrics", metrics.view, name="metrics"),
]
handler400 = "flagsite.problems.bad_request"
handler403 = "flagsite.problems.permission_denied"
handler404 = "flagsite.problems.page_not_found"
handler500 = "flagsite.problems.server_error"
