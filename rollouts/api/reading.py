"""What addresses that programs read have in common: the token, pages, parameters, refusals."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from audits.api.problems import COMMON
from flags.api.authentication import TokenAuthentication
from flags.models.tokens import TokenScope
from flags.services.keys import problem
from rollouts.selectors.verdicts import name_of

PAGE_SIZE, LARGEST_PAGE = 50, 200
REFUSALS = {
    **{status: words for status, words in COMMON.items() if status not in {406, 415}},
    401: "No valid token.",
    403: "The token has another scope than “manage”.",
}


class ReadingView(APIView):
    """An address that management tokens read, always as JSON."""

    token_scope = TokenScope.MANAGE.value
    authentication_classes: tuple[type[BaseAuthentication], ...] = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)
    renderer_classes = (JSONRenderer,)
    http_method_names = ["get", "head"]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        return JSONRenderer(), JSONRenderer.media_type


def refuse_unknown(request: Request, known: Sequence[str]) -> None:
    """Raise InvalidInput for a parameter that is not among `known`."""
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        listed = f"{', '.join(known[:-1])} and {known[-1]}"
        raise problem(unknown[0][:60], f"This parameter is not known. Known are {listed}.")


def refuse_no_key(request: Request, name: str) -> None:
    """Raise InvalidInput where a parameter is there and holds no key of a flag."""
    key = request.query_params.get(name)
    if key is not None and not all(char.isascii() and (char.isalnum() or char in "-_.") for char in key or "/"):
        raise problem(name, "This is no key of a flag.")


def next_address(request: Request, cursor: int | str | None) -> str | None:
    """The address of the next page."""
    if cursor is None:
        return None
    kept = {name: value for name, value in request.query_params.items() if name != "cursor"}
    return request.build_absolute_uri(f"?{urlencode({**kept, 'cursor': cursor})}")


def whole_number(request: Request, name: str, *, largest: int) -> int | None:
    """A parameter from 1 to `largest`, None where it is not there. Raises InvalidInput."""
    if name not in request.query_params:
        return None
    text = request.query_params[name]
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(largest)) and 1 <= int(text) <= largest):
        raise problem(name, f"Give a whole number from 1 to {largest}.")
    return int(text)


def person(user: Any) -> dict[str, str]:
    """Somebody by id and name."""
    return {"id": str(user.pk), "name": name_of(user)}
