"""Whom an impact run asks, as a body says it: JSON with a description or contexts, JSON lines or CSV."""

from typing import Any

import orjson
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from flags.api.door import read_body
from flags.services.keys import problem
from flags.telemetry.reading import is_too_deep
from rollouts.impact import MAX_BYTES

_CHOICES = {"population", "contexts", "sampled"}
_LISTS = ("application/x-ndjson", "application/jsonl", "text/csv")


class OtherMediaType(APIException):
    """The body is of a kind that this address does not read."""

    status_code = 415
    default_code = "unsupported_media_type"
    default_detail = "Send JSON, JSON lines or CSV, as it is and in UTF-8."


class BodyTooLarge(APIException):
    """The body is larger than anything this address reads."""

    status_code = 413
    default_code = "body_too_large"
    default_detail = f"The body is larger than {MAX_BYTES >> 20} MB. Hand in fewer contexts."


class LengthRequired(APIException):
    """Nobody can tell where the body ends."""

    status_code = 411
    default_code = "length_required"
    default_detail = "The body has no length. Send a Content-Length."


def read_question(request: Request) -> dict[str, Any]:
    """The arguments of `start_impact`, empty where the body leaves the choice to us.

    Raises InvalidInput, OtherMediaType, BodyTooLarge, LengthRequired. No message repeats what was sent.
    """
    media_type = (request.content_type or "").split(";")[0].strip().lower()
    if media_type not in ("", "application/json", *_LISTS) or "HTTP_CONTENT_ENCODING" in request.META:
        raise OtherMediaType
    body = read_body(request.META, limit=MAX_BYTES)
    if body is None:
        raise LengthRequired
    if len(body) > MAX_BYTES:
        raise BodyTooLarge
    if media_type in _LISTS:
        return {"contexts": body or b" "}
    return _from_json(body)


def _from_json(body: bytes) -> dict[str, Any]:
    try:
        question = orjson.loads(body or b"{}")
        if not isinstance(question, dict) or not question.keys() <= _CHOICES or len(question) > 1:
            raise problem("", "Send a JSON object with one of “population”, “contexts” and “sampled”, or an empty one.")
        if not isinstance(question.get("contexts", []), list):
            raise problem("contexts", "Send the contexts as a list.")
        if question.get("sampled", True) is not True:
            raise problem("sampled", "Send true, or leave it out.")
        if "contexts" in question:
            return {"contexts": orjson.dumps(question["contexts"])}
    except (ValueError, TypeError) as error:
        what = "nested too deep" if is_too_deep(error) else "not valid JSON in UTF-8"
        raise problem("", f"The body is {what}.") from None
    return question
