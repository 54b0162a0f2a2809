"""What a flagd polls: `GET /api/v1/environments/{key}/flagd.json`, and a report of what that leaves out.

Answered from the snapshot of this process: no query, also with every store down. A definition holds all rules, hence
all targeted keys, so it takes a token of its own scope and is for servers only.
"""

import hashlib
import os
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast
from weakref import WeakKeyDictionary

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from audits.api.problems import COMMON, problems
from flags import snapshots
from flags.api.answers import is_known
from flags.api.authentication import TokenAuthentication
from flags.api.edge import Edge, edge
from flags.api.parameters import refuse_parameters
from flags.api.refusals import refused, too_many, unavailable
from flags.api.wire import JSON_TYPE, Refused, WireResponse, to_json
from flags.evaluation.compile import CompiledSnapshot
from flags.interop import export_definition
from flags.models.tokens import TokenScope
from flags.snapshots import SnapshotStore, SnapshotsUnavailable, TokenFacts

_HEADERS = {"Cache-Control": "private, no-cache", "Vary": "Authorization, X-API-Key"}


@dataclass(frozen=True, slots=True)
class _Written:
    """The two answers of one snapshot, each with its entity tag."""

    definition: tuple[bytes, str]
    report: tuple[bytes, str]


@dataclass(slots=True)
class _Page:
    """Where the answers of one snapshot are written: once, by the first who asks, while the others wait."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    written: _Written | None = None


# The answers live as long as their snapshot: those of one that is served no more go with it.
_pages: WeakKeyDictionary[CompiledSnapshot, _Page] = WeakKeyDictionary()
_turning = threading.Lock()


def _forget() -> None:
    """Begin anew in a forked child, where nobody may ever release a lock that was held."""
    global _pages, _turning
    _pages, _turning = WeakKeyDictionary(), threading.Lock()


os.register_at_fork(after_in_child=_forget)


class OmissionSerializer(serializers.Serializer[dict[str, object]]):
    """Something the definition does not say."""

    flag = serializers.CharField(help_text="The flag key.")
    what = serializers.CharField(help_text="What has no portable form.")
    why = serializers.CharField(help_text="Why, and what can be done.")
    leftOut = serializers.BooleanField(help_text="Whether the flag is missing from the definition.")  # noqa: N815


class ReportSerializer(serializers.Serializer[dict[str, object]]):
    """What the definition of an environment leaves out."""

    environment = serializers.CharField()
    revision = serializers.IntegerField()
    bucketing = serializers.CharField(help_text="The generation of `fractional` that evaluators need: flagd-v2 or -v3.")
    flags = serializers.IntegerField(help_text="How many flags the definition has.")
    omissions = OmissionSerializer(many=True)


class DefinitionSerializer(serializers.Serializer[dict[str, object]]):
    """A flagd definition."""

    flags = serializers.DictField(child=serializers.JSONField(), help_text="flagd flags by flag key.")
    metadata = serializers.DictField(child=serializers.JSONField(), help_text="flagSetId is the environment's key.")


_PARAMETERS = [
    OpenApiParameter("key", str, OpenApiParameter.PATH, description="The key of the token's environment."),
    OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="The ETag of an earlier answer."),
]
_RESPONSES: dict[Any, OpenApiResponse] = {
    304: OpenApiResponse(description="Nothing has changed."),
    **problems(
        {
            **{status: words for status, words in COMMON.items() if status not in {406, 415}},
            400: "A parameter was sent, and this address takes none.",
            401: "No valid token.",
            403: "The token has another scope than “flagd”.",
            404: "The token belongs to another environment.",
            429: "The token has made its requests of this minute; `Retry-After` says when it may again.",
        }
    ),
}


class _DefinitionsView(APIView):
    token_scope = TokenScope.FLAGD.value
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)
    renderer_classes = (JSONRenderer,)
    http_method_names = ["get", "head"]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        return JSONRenderer(), JSONRenderer.media_type

    def respond(self, request: Request, key: str, *, is_report: bool) -> HttpResponse:
        """The answer of the framework-free function as Django's."""
        refuse_parameters(request)
        status, headers, body = answer(
            cast(TokenFacts, request.auth),
            key,
            is_report=is_report,
            if_none_match=request.headers.get("If-None-Match", ""),
            store=snapshots.store,
            now=timezone.now(),
            edge=edge(),
        )
        answered = HttpResponse(body, status=status, headers=dict(headers))
        if status == 304:
            del answered["Content-Type"]
        return answered


class DefinitionView(_DefinitionsView):
    """The environment as a flagd definition."""

    @extend_schema(
        operation_id="flagd_definition",
        summary="Read the flagd definition of an environment",
        tags=["flagd"],
        parameters=_PARAMETERS,
        responses={200: OpenApiResponse(DefinitionSerializer, description="Carries a strong `ETag`."), **_RESPONSES},
    )
    def get(self, request: Request, key: str) -> HttpResponse:
        return self.respond(request, key, is_report=False)


class DefinitionReportView(_DefinitionsView):
    """What the definition cannot say."""

    @extend_schema(
        operation_id="flagd_report",
        summary="Read what the flagd definition of an environment leaves out",
        tags=["flagd"],
        parameters=_PARAMETERS,
        responses={200: OpenApiResponse(ReportSerializer, description="Carries a strong `ETag`."), **_RESPONSES},
    )
    def get(self, request: Request, key: str) -> HttpResponse:
        return self.respond(request, key, is_report=True)


def answer(
    token: TokenFacts,
    key: str,
    *,
    is_report: bool,
    if_none_match: str,
    store: SnapshotStore,
    now: datetime,
    edge: Edge,
) -> WireResponse:
    """Answer a token of the scope “flagd” that was accepted. Counts against its rate limit."""
    try:
        excess = None if edge.limiter is None else edge.limiter.excess(token.id, now=now)
        if excess is not None:
            raise too_many(excess)
        if key != token.environment_key:
            raise refused(
                404, "environment_not_found", f"This token reads the environment “{token.environment_key}” only."
            )
        snapshot = store.snapshot(token.environment_id)
    except Refused as refusal:
        return refusal.response
    except SnapshotsUnavailable:
        return unavailable()
    if snapshot is None:
        return unavailable()
    written = _write(snapshot)
    body, etag = written.report if is_report else written.definition
    if if_none_match and is_known(etag, if_none_match):
        return WireResponse(304, {**_HEADERS, "ETag": etag}, b"")
    return WireResponse(200, {**_HEADERS, "ETag": etag, "Content-Type": JSON_TYPE}, body)


def _write(compiled: CompiledSnapshot) -> _Written:
    """The answers of a snapshot: written at the first question, by one thread only."""
    with _turning:
        page = _pages.setdefault(compiled, _Page())
    written = page.written
    if written is None:
        with page.lock:
            written = page.written = page.written or _export(compiled)
    return written


def _export(compiled: CompiledSnapshot) -> _Written:
    snapshot = compiled.snapshot
    definition = export_definition(snapshot, forced=compiled.forced)
    report = {
        "environment": snapshot.environment_key,
        "revision": snapshot.revision,
        "bucketing": snapshot.generation.value,
        "flags": len(definition.document["flags"]),
        "omissions": [omission.as_json() for omission in definition.omissions],
    }
    return _Written(_tagged(definition.document), _tagged(report))


def _tagged(document: dict[str, Any]) -> tuple[bytes, str]:
    body = to_json(document)
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'
