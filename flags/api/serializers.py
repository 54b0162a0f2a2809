"""Shapes of the evaluation API for its OpenAPI document. Nothing is parsed or rendered with them."""

from rest_framework import serializers

from flags.evaluation.resolution import ErrorCode, Reason

_FLAT = "Environment, revision and version of the flag's configuration."


class EvaluationRequestSerializer(serializers.Serializer[dict[str, object]]):
    """The body of an evaluation."""

    context = serializers.DictField(child=serializers.JSONField(), help_text="targetingKey and any attributes.")  # type: ignore[assignment]


# The body of a question, in the words of JSON Schema: a serializer cannot say that there is nothing else in it.
EXPLAIN_REQUEST = {
    "application/json": {
        "type": "object",
        "required": ["flag", "context"],
        "additionalProperties": False,
        "properties": {
            "flag": {"type": "string", "minLength": 1, "description": "The flag key."},
            "context": {
                "type": "object",
                "description": "The targeting key and any attributes.",
                "properties": {"targetingKey": {"type": ["string", "null"]}},
            },
            "at": {
                "type": ["string", "null"],
                "format": "date-time",
                "description": "An instant with its zone; now unless given.",
            },
        },
    }
}


class SuccessSerializer(serializers.Serializer[dict[str, object]]):
    """One flag, evaluated."""

    key = serializers.CharField()
    reason = serializers.ChoiceField(choices=[reason.value for reason in Reason])
    variant = serializers.CharField(help_text="Empty where the code default decides.", allow_blank=True)
    value = serializers.JSONField(required=False, help_text="Absent where the code default decides.")
    metadata = serializers.DictField(child=serializers.JSONField(), help_text=_FLAT)


class FailureSerializer(serializers.Serializer[dict[str, object]]):
    """One flag that could not be evaluated."""

    key = serializers.CharField()
    errorCode = serializers.ChoiceField(choices=[code.value for code in ErrorCode])  # noqa: N815
    errorDetails = serializers.CharField()  # noqa: N815
    metadata = serializers.DictField(child=serializers.JSONField(), required=False, help_text=_FLAT)


class BulkAnswerSerializer(serializers.Serializer[dict[str, object]]):
    """All flags. An item is a success or a failure of one flag."""

    flags = serializers.ListField(child=serializers.DictField(child=serializers.JSONField()))
    metadata = serializers.DictField(child=serializers.JSONField(), help_text="Environment and revision.")


class BulkFailureSerializer(serializers.Serializer[dict[str, object]]):
    """A bulk evaluation that failed as a whole."""

    errorCode = serializers.ChoiceField(choices=[code.value for code in ErrorCode])  # noqa: N815
    errorDetails = serializers.CharField()  # noqa: N815


class ExplainedResolutionSerializer(serializers.Serializer[dict[str, object]]):
    """The answer a service gets."""

    value = serializers.JSONField(help_text="null where the code default decides.")
    variant = serializers.CharField(allow_null=True)
    reason = serializers.ChoiceField(choices=[reason.value for reason in Reason])
    errorCode = serializers.ChoiceField(choices=[code.value for code in ErrorCode], allow_null=True)  # noqa: N815
    errorMessage = serializers.CharField(allow_blank=True)  # noqa: N815
    metadata = serializers.DictField(child=serializers.JSONField(), help_text=_FLAT)
    hasValue = serializers.BooleanField(help_text="false where the code default decides.")  # noqa: N815


class StepsSerializer(serializers.Serializer[dict[str, object]]):
    """The steps of an evaluation, up to the one that decided; steps that were not reached are empty."""

    flagKey = serializers.CharField()  # noqa: N815
    resolution = ExplainedResolutionSerializer()
    decidedBy = serializers.ChoiceField(  # noqa: N815
        choices=["forced", "switch", "withdrawal", "prerequisite", "target", "rule", "default", "error"]
    )
    forced = serializers.CharField(allow_null=True, help_text="The variant of the kill list.")
    isOn = serializers.BooleanField(allow_null=True)  # noqa: N815
    withdrawal = serializers.DictField(
        allow_null=True, help_text="Of a deprecated flag: the share, what it serves, until when, and whether it holds."
    )
    prerequisites = serializers.ListField(
        child=serializers.DictField(), help_text="Each flag that is required, wanted and got, with its own steps."
    )
    target = serializers.CharField(allow_null=True, help_text="The variant of the individual target that was met.")
    rules = serializers.ListField(
        child=serializers.DictField(),
        help_text="Each rule looked at: window, condition by condition, bucket and shares.",
    )
    defaultVariant = serializers.CharField(allow_null=True)  # noqa: N815


class ExplanationSerializer(serializers.Serializer[dict[str, object]]):
    """How one flag came to its answer."""

    project = serializers.CharField()
    environment = serializers.CharField()
    revision = serializers.IntegerField()
    at = serializers.DateTimeField(help_text="The instant it was evaluated for.")
    staleSeconds = serializers.IntegerField(allow_null=True, help_text="Age of a stale snapshot, else null.")  # noqa: N815
    explanation = StepsSerializer()
