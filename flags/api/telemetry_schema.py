"""The body of a report in the words of JSON Schema, for the OpenAPI document. Nothing is parsed with it."""

from flags.telemetry import labels
from flags.telemetry.reading import MAX_ROWS, MOST_BUCKETS
from flags.telemetry.telling import LARGEST_COUNT

_COUNT = {"type": "integer", "minimum": 0, "maximum": LARGEST_COUNT}
_KEY = {"type": "string", "minLength": 1, "maxLength": 100}
_MINUTE = {"type": "string", "format": "date-time", "description": "Any instant of the minute, with its zone."}
_LABEL = "^[A-Za-z0-9][A-Za-z0-9 ._:/+-]{0,99}$"

_EVALUATION = {
    "type": "object",
    "required": ["flag", "reason", "minute", "count"],
    "additionalProperties": False,
    "properties": {
        "flag": _KEY,
        "variant": {"type": ["string", "null"], "maxLength": 100, "description": "None for the code default."},
        "reason": {"type": "string", "enum": sorted(labels.REASONS)},
        "minute": _MINUTE,
        "count": _COUNT,
    },
}
_METRIC = {
    "type": "object",
    "required": ["metric", "flag", "variant", "minute", "count"],
    "additionalProperties": False,
    "properties": {
        "metric": {"type": "string", "pattern": "^[a-z][a-z0-9_.-]{0,99}$"},
        "flag": _KEY,
        "variant": _KEY,
        "minute": _MINUTE,
        "count": {**_COUNT, "description": "Events."},
        "bad": {**_COUNT, "description": "Bad ones among them."},
        "units": {**_COUNT, "description": "Distinct targeting keys; the number of them, never the keys."},
        "bad_units": {**_COUNT, "description": "Those with a bad event. Goes with “units”."},
        "sum": {"type": "number", "minimum": 0, "description": "Of the events' values."},
        "sum_squares": {"type": "number", "minimum": 0},
        "sketch": {
            "type": "object",
            "maxProperties": MOST_BUCKETS,
            "additionalProperties": _COUNT,
            "description": "Events by bucket of a latency sketch.",
        },
    },
}
REPORT_REQUEST = {
    "application/json": {
        "type": "object",
        "required": ["batch_id", "service"],
        "additionalProperties": False,
        "properties": {
            "batch_id": {
                "type": "string",
                "pattern": "^[A-Za-z0-9._:-]{1,64}$",
                "description": "Yours, and another one for each batch: what is sent again with it counts once.",
            },
            "service": {"type": "string", "pattern": _LABEL},
            "version": {"type": "string", "maxLength": 100, "description": "Letters, digits and “ ._:/+-”, or empty."},
            "evaluations": {"type": "array", "maxItems": MAX_ROWS, "items": _EVALUATION},
            "metrics": {"type": "array", "maxItems": MAX_ROWS, "items": _METRIC},
        },
    }
}
