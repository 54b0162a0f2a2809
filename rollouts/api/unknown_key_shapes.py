"""Shapes of keys that no flag answers in the API."""

from rest_framework import serializers

from rollouts.api.staleness_shapes import CODES

Facts = dict[str, object]


class AskingSerializer(serializers.Serializer[Facts]):
    """A service in a version that asks for a key."""

    environment = serializers.CharField(help_text="Environment key.")
    service = serializers.CharField(help_text="“(evaluated here)”: this installation was asked over OFREP.")
    version = serializers.CharField(allow_blank=True)
    firstAt = serializers.DateTimeField()  # noqa: N815
    lastAt = serializers.DateTimeField()  # noqa: N815
    count = serializers.IntegerField(allow_null=True, help_text="Evaluations; null for keys of archived flags.")


class UnknownKeySerializer(serializers.Serializer[Facts]):
    """A key that no flag answers."""

    key = serializers.CharField()
    code = serializers.ChoiceField(
        choices=CODES, help_text="“unknown_key”: no such flag; “unknown_key_asked”: it was archived."
    )
    sentence = serializers.CharField(help_text="Who asks, and what comes of it.")
    firstAt = serializers.DateTimeField()  # noqa: N815
    lastAt = serializers.DateTimeField()  # noqa: N815
    count = serializers.IntegerField(allow_null=True, help_text="Evaluations; null for keys of archived flags.")
    meant = serializers.CharField(allow_null=True, help_text="The key of the flag that was probably meant.")
    archivedAt = serializers.DateTimeField(allow_null=True, help_text="When its flag was archived.")  # noqa: N815
    isKeptBack = serializers.BooleanField(help_text="No new flag gets this key yet.")  # noqa: N815
    asking = AskingSerializer(many=True)


class UncountedSerializer(serializers.Serializer[Facts]):
    """Keys that are only counted together."""

    count = serializers.IntegerField(help_text="Evaluations of all of them.")
    lastAt = serializers.DateTimeField(allow_null=True)  # noqa: N815


class UnknownKeyPageSerializer(serializers.Serializer[Facts]):
    """Keys that no flag answers, by key."""

    results = UnknownKeySerializer(many=True)
    hidden = UncountedSerializer(help_text="Keys that cannot be shown: they may name somebody.")
    further = UncountedSerializer(help_text="Keys for which there was no room.")
    next = serializers.CharField(allow_null=True, help_text="Address of the next page; null at the end.")
