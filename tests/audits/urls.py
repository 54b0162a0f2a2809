"""The product's addresses, and the audit API at a place of its own."""

from django.urls import include, path

from flagsite.urls import handler400 as handler400
from flagsite.urls import handler404 as handler404
from flagsite.urls import urlpatterns as product

urlpatterns = [path("api/v1/", include("audits.api.urls")), *product]
