"""Approvals by services, such as a pipeline that saw its tests pass: with a management token, in its environment."""

import uuid
from typing import Any, cast

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.api.problems import COMMON, problems
from flags.api.authentication import TokenAuthentication
from flags.models.tokens import TokenScope
from flags.snapshots import TokenFacts
from rollouts.models import ChangeRequest
from rollouts.services.service_approvals import approve_as_service
from rollouts.transitions import RequestState


class ServiceApprovalInput(serializers.Serializer[dict[str, object]]):
    """A yes to exactly one content."""

    digest = serializers.RegexField(r"^[0-9a-f]{64}$", help_text="The digest of the content that was looked at.")
    comment = serializers.CharField(max_length=4000, required=False, allow_blank=True, default="")


class ServiceApprovalSerializer(serializers.Serializer[ChangeRequest]):
    """Where the request stands after it."""

    id = serializers.UUIDField(help_text="The change request.")
    number = serializers.IntegerField()
    state = serializers.ChoiceField(choices=[state.value for state in RequestState])
    digest = serializers.CharField()


class ServiceApprovalsView(APIView):
    """Approving as a service."""

    token_scope = TokenScope.MANAGE.value
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)
    http_method_names = ["post"]

    @extend_schema(
        operation_id="approve_change_request_as_service",
        summary="Approve a change request as a service",
        description="Meets the demand of a rule for a service account. It never counts as a person's approval.",
        tags=["Management"],
        request=ServiceApprovalInput,
        responses={
            201: OpenApiResponse(ServiceApprovalSerializer, description="The approval is recorded."),
            **problems(
                {
                    **COMMON,
                    400: "The body cannot be used; `problems` says what to change.",
                    401: "No valid token.",
                    403: "The token has another scope than “manage”, or no rule asks for a service to approve this.",
                    404: "There is no such change request in the token's environment.",
                    409: "The content has another digest now, the request is not under review, or it was approved "
                    "with this token already.",
                    413: "The body is too large.",
                }
            ),
        },
    )
    def post(self, request: Request, request_id: uuid.UUID) -> Response:
        command = ServiceApprovalInput(data=request.data)
        command.is_valid(raise_exception=True)
        wanted = cast(dict[str, Any], command.validated_data)
        token = cast(TokenFacts, request.auth)
        change = approve_as_service(
            request_id,
            token_id=token.id,
            digest=wanted["digest"],
            comment=wanted["comment"],
            now=timezone.now(),
        )
        return Response(ServiceApprovalSerializer(change).data, status=201)
