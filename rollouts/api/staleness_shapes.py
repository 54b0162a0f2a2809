"""Shapes of stages, stale flags and debt in the API."""

from rest_framework import serializers

from flags.lifecycle.readiness import Readiness
from flags.lifecycle.reasons import Confidence, Reason
from flags.lifecycle.stages import LifecycleStage
from flags.models.flags import FlagKind

Facts = dict[str, object]
STAGES = [stage.value for stage in LifecycleStage]
CODES = [reason.value for reason in Reason]
REASONS = [reason.value for reason in Reason if reason.is_of_flags]
CONFIDENCES = [confidence.value for confidence in Confidence]
READINESSES = [readiness.value for readiness in Readiness]
KINDS = list(FlagKind.values)


class StageSerializer(serializers.Serializer[Facts]):
    """A stage of life."""

    stage = serializers.ChoiceField(choices=STAGES)
    since = serializers.DateTimeField(allow_null=True)
    sentence = serializers.CharField(allow_blank=True, help_text="Why.")


class PlaceStageSerializer(StageSerializer):
    """A stage of life in an environment."""

    environment = serializers.CharField(help_text="Environment key.")


class StaleReasonSerializer(serializers.Serializer[Facts]):
    """Why a flag counts as stale."""

    code = serializers.ChoiceField(choices=CODES)
    since = serializers.DateTimeField()
    sentence = serializers.CharField()
    confidence = serializers.ChoiceField(
        choices=CONFIDENCES, help_text="“low”: an environment that decides reports no evaluations."
    )
    numbers = serializers.DictField(child=serializers.IntegerField(), help_text="What it rests on, such as days.")


class MatterSerializer(serializers.Serializer[Facts]):
    """Something that forbids removing a flag, or asks for care."""

    code = serializers.CharField()
    sentence = serializers.CharField()
    environment = serializers.CharField(allow_blank=True, help_text="Environment key, empty for all.")


class StaleFlagSerializer(serializers.Serializer[Facts]):
    """A stale flag as the nightly look found it."""

    flag = serializers.CharField(help_text="Flag key.")
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=KINDS)
    stage = serializers.ChoiceField(choices=STAGES)
    staleSince = serializers.DateTimeField(allow_null=True)  # noqa: N815
    confidence = serializers.ChoiceField(choices=CONFIDENCES, help_text="That of the surest reason.")
    reasons = StaleReasonSerializer(many=True)
    readiness = serializers.ChoiceField(choices=READINESSES)
    blockers = MatterSerializer(many=True)
    cautions = MatterSerializer(many=True)
    judgedAt = serializers.DateTimeField()  # noqa: N815


class StalePageSerializer(serializers.Serializer[Facts]):
    """Stale flags by key."""

    results = StaleFlagSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Address of the next page; null at the end.")


class ForwardValueSerializer(serializers.Serializer[Facts]):
    """What stands in code when the flag is gone."""

    isKnown = serializers.BooleanField(  # noqa: N815
        help_text="False where people still get different things, environments differ, or the caller may not read one."
    )
    variant = serializers.CharField(allow_null=True, help_text="null: keep the code default.")
    value = serializers.JSONField(help_text="Any JSON; null where the code default decides or it is not known.")
    sentence = serializers.CharField()


class LifecycleSerializer(serializers.Serializer[Facts]):
    """The life of a flag as of now."""

    flag = serializers.CharField(help_text="Flag key.")
    kind = serializers.ChoiceField(choices=KINDS)
    bornAt = serializers.DateTimeField(help_text="When its present life began.")  # noqa: N815
    stage = StageSerializer()
    stages = PlaceStageSerializer(many=True)
    isStale = serializers.BooleanField()  # noqa: N815
    staleSince = serializers.DateTimeField(allow_null=True)  # noqa: N815
    reasons = StaleReasonSerializer(many=True)
    guards = MatterSerializer(many=True, help_text="Why it is not called stale, whatever was found.")
    readiness = serializers.ChoiceField(choices=READINESSES)
    blockers = MatterSerializer(many=True)
    cautions = MatterSerializer(many=True)
    forwardValue = ForwardValueSerializer()  # noqa: N815


class DebtDaySerializer(serializers.Serializer[Facts]):
    """What stale flags came to on a day."""

    day = serializers.DateField()
    score = serializers.IntegerField()
    flags = serializers.IntegerField(help_text="All flags of the project.")
    stale = serializers.IntegerField(help_text="Stale ones among them.")
    parts = serializers.DictField(child=serializers.IntegerField(), help_text="The score by the surest reason.")


class DebtSerializer(serializers.Serializer[Facts]):
    """The trend, oldest day first."""

    results = DebtDaySerializer(many=True)
