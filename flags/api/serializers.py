"""Shapes of the evaluation API for its OpenAPI document. Nothing is parsed or rendered with them."""

from rest_framework import serializers

from flags.evaluation.resolution import ErrorCode, Reason

_FLAT = "Environment, revision and version of the flag's configuration."


class EvaluationRequestSerializer(serializers.Serializer[dict[str, object]]):
    """The body of an evaluation."""

    context = serializers.DictField(child=serializers.JSONField(), help_text="targetingKey and any attributes.")  # type: ignore[assignment]


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
