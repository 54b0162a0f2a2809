"""How the description of the API shows releases of flags. Nothing is parsed with it."""

from rest_framework import serializers

from flags.lifecycle.release_notes import Audience
from flags.lifecycle.semantic_versions import Part


class ReleaseGroupSerializer(serializers.Serializer[dict[str, object]]):
    """What changed for somebody."""

    audience = serializers.ChoiceField(choices=[audience.value for audience in Audience])
    heading = serializers.CharField()
    sentences = serializers.ListField(child=serializers.CharField())


class ReleaseSerializer(serializers.Serializer[dict[str, object]]):
    """A semantic version."""

    version = serializers.CharField(help_text="Such as 2.3.0.")
    part = serializers.ChoiceField(
        choices=[part.value for part in Part],
        help_text="major: what code relies on changed; minor: who gets what; patch: nobody gets anything else.",
    )
    at = serializers.DateTimeField()
    environment = serializers.CharField(allow_blank=True, help_text="Its key; empty for words about the flag.")
    person = serializers.CharField(help_text="Who made it, as they are called today.")
    reason = serializers.CharField(allow_blank=True)
    changeRequest = serializers.CharField(allow_null=True, help_text="The id of the change request.")  # noqa: N815
    changeRequestNumber = serializers.CharField(allow_blank=True)  # noqa: N815
    groups = ReleaseGroupSerializer(many=True)


class ReleasePageSerializer(serializers.Serializer[dict[str, object]]):
    """A page of releases."""

    flag = serializers.CharField()
    newest = serializers.CharField(allow_null=True, help_text="The newest semantic version, of any environment.")
    results = ReleaseSerializer(many=True)
    markdown = serializers.CharField(help_text="The same as Markdown.")
    next = serializers.CharField(allow_null=True, help_text="The cursor of the next page.")
