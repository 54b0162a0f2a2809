"""How bodies of requests are read."""

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class DeepJSONParser(JSONParser):
    """JSON; what nests too deep for anybody is a body that cannot be read. Says in our words what is wrong."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return what the body says. Raises ParseError."""
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("The JSON of this body is nested too deep. Send a flatter one.") from error
        except ParseError as error:
            raise ParseError(_words(error.__context__)) from error


def _words(cause: BaseException | None) -> str:
    if isinstance(cause, json.JSONDecodeError):
        return f"The body is not valid JSON (line {cause.lineno}, column {cause.colno}). Send a JSON object."
    if isinstance(cause, UnicodeError):
        return "The body is not text in UTF-8. Encode it as UTF-8."
    return "The body holds a number that JSON does not have or that is too long. Send numbers of ordinary size."
