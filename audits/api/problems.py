"""How the API's description shows RFC 9457 problems. Nothing is parsed or rendered with it."""

from collections.abc import Mapping

from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

PROBLEM_TYPE = "application/problem+json"
# What every address of the management API may answer.
COMMON = {
    401: "No token and no session, or a token that is unknown, expired or revoked.",
    405: "Another method than those described.",
    406: "The Accept header takes none of the formats there are.",
    415: "The body is not JSON in UTF-8.",
    500: "Something failed on our side. Its cause is in the server's log.",
    503: "This process has not been able to read the tokens since it started.",
}


class ProblemSerializer(serializers.Serializer[dict[str, object]]):
    """An RFC 9457 problem."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField(help_text="Stable; what programs switch on.")


def problems(descriptions: Mapping[int, str]) -> dict[tuple[int, str], OpenApiResponse]:
    """The responses of an operation that are problems, by status and media type."""
    return {
        (status, PROBLEM_TYPE): OpenApiResponse(ProblemSerializer, description=words)
        for status, words in sorted(descriptions.items())
    }
