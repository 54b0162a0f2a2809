"""How the description of the API shows code references. Nothing is parsed with it."""

from rest_framework import serializers

from flags.scanning.matching import LONGEST_TEXT
from flags.scanning.wire import LARGEST_LINE_NUMBER, LONGEST_ALIAS, LONGEST_PATH

_NUMBER = {"type": "integer", "minimum": 1, "maximum": LARGEST_LINE_NUMBER}
_COUNT = {"type": "integer", "minimum": 0, "maximum": LARGEST_LINE_NUMBER}
_SCAN = {
    "type": "object",
    "required": ["id", "project", "repository", "branch", "scanned_at"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "format": "uuid", "description": "Another one for each scan; a second time is one."},
        "project": {"type": "string", "description": "The key of the token's project."},
        "repository": {"type": "string", "minLength": 1, "maxLength": 200},
        "branch": {"type": "string", "minLength": 1, "maxLength": 200},
        "commit": {"type": "string", "pattern": "^[0-9a-fA-F]{0,64}$"},
        "root": {"type": "string", "description": "The folder that was scanned, with a slash at its end; empty: all."},
        "scanned_at": {"type": "string", "format": "date-time"},
        "committed_at": {"type": "string", "description": "When the commit was made, if known."},
        "files_read": _COUNT,
        "files_skipped": _COUNT,
    },
}
_FOUND = {
    "type": "object",
    "required": ["flag", "line"],
    "additionalProperties": False,
    "properties": {
        "flag": {"type": "string", "minLength": 1, "maxLength": 100},
        "alias": {"type": "string", "maxLength": LONGEST_ALIAS, "description": "What stood there instead of the key."},
        "line": _NUMBER,
        "column": _NUMBER,
        "text": {"type": "string", "maxLength": LONGEST_TEXT, "description": "The line. Nothing in it is masked."},
    },
}
_FILE = {
    "type": "object",
    "required": ["path", "found"],
    "additionalProperties": False,
    "properties": {
        "path": {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST_PATH,
            "description": "From the repository's root, with slashes. Files come sorted by it, each once.",
        },
        "found": {"type": "array", "minItems": 1, "items": _FOUND, "description": "By line; a flag once in a line."},
    },
}
REPORT_REQUEST = {
    "application/json": {
        "type": "object",
        "required": ["scan"],
        "additionalProperties": False,
        "properties": {"scan": _SCAN, "files": {"type": "array", "items": _FILE}},
    },
    "application/x-ndjson": {
        "type": "string",
        "description": 'Lines: {"scan": …}, {"path": …, "found": […]} for each file, {"end": {"references": 7}}.',
    },
}


class ImportedSerializer(serializers.Serializer[dict[str, object]]):
    """What became of a scan."""

    id = serializers.UUIDField()
    is_duplicate = serializers.BooleanField(help_text="Whether a scan of this id came before: nothing changed.")
    references = serializers.IntegerField(help_text="References that were kept.")
    added = serializers.IntegerField(help_text="Those that were not there before.")
    vanished = serializers.IntegerField(help_text="Those that were there before and are not any longer.")
    left_out = serializers.IntegerField(help_text="References to keys that are no flags of the project.")


class FlagKeysSerializer(serializers.Serializer[dict[str, object]]):
    """The keys of a project."""

    project = serializers.CharField()
    keys = serializers.ListField(child=serializers.CharField())


class ReferencedFlagSerializer(serializers.Serializer[dict[str, object]]):
    """How default branches name a flag."""

    flag = serializers.CharField()
    live = serializers.IntegerField(help_text="Lines that name it now.")
    first_seen_at = serializers.DateTimeField()
    extinct_at = serializers.DateTimeField(
        allow_null=True, help_text="When the last one vanished; null if any is left."
    )


class ReferenceSerializer(serializers.Serializer[dict[str, object]]):
    """A line that names a flag."""

    repository = serializers.CharField()
    branch = serializers.CharField()
    path = serializers.CharField()
    line = serializers.IntegerField()
    column = serializers.IntegerField()
    alias = serializers.CharField(allow_blank=True, help_text="What stands there instead of the key, or empty.")
    text = serializers.CharField(allow_blank=True, help_text="The line, if scanners send lines.")
    url = serializers.CharField(allow_blank=True, help_text="Where it is looked at on the web; empty if it is gone.")
    first_seen_at = serializers.DateTimeField()
    first_commit = serializers.CharField(allow_blank=True)
    last_seen_at = serializers.DateTimeField()
    vanished_at = serializers.DateTimeField(allow_null=True)
    vanished_commit = serializers.CharField(allow_blank=True)


class CodeReferencesSerializer(serializers.Serializer[dict[str, object]]):
    """What code of a project names."""

    is_scanned = serializers.BooleanField(
        help_text="Before a first scan of a default branch, no references means nothing."
    )
    flags = ReferencedFlagSerializer(many=True)
    references = ReferenceSerializer(many=True)
