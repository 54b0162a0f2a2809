"""Addresses of the evaluation API; included under `/ofrep/v1/`."""

from django.urls import path, register_converter

from flags.api import schema  # noqa: F401 - registers how tokens are documented
from flags.api.views import EvaluateFlagsView, EvaluateFlagView


class AnyKeyConverter:
    """Whatever follows, also nothing: the evaluation API answers for keys that no flag can have, in its own words."""

    regex = r"[\s\S]*"

    def to_python(self, value: str) -> str:
        """The key as it is."""
        return value

    def to_url(self, value: str) -> str:
        """The key as it is."""
        return value


register_converter(AnyKeyConverter, "anykey")

app_name = "ofrep"
urlpatterns = [
    path("evaluate/flags", EvaluateFlagsView.as_view(), name="evaluate-flags"),
    path("evaluate/flags/<anykey:key>", EvaluateFlagView.as_view(), name="evaluate-flag"),
]
