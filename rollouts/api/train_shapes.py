"""Shapes of release trains in the API, and what its acts take."""

from rest_framework import serializers

from rollouts.api.change_request_shapes import PersonSerializer
from rollouts.plans.trains import TrainState
from rollouts.plans.transitions import PlanState

Facts = dict[str, object]


class TrainPlanSerializer(serializers.Serializer[Facts]):
    """A plan in its train."""

    position = serializers.IntegerField(help_text="Its place in the order, from 1.")
    plan = serializers.UUIDField()
    number = serializers.IntegerField()
    title = serializers.CharField()
    environment = serializers.CharField(help_text="Environment key.")
    state = serializers.ChoiceField(choices=[state.value for state in PlanState])
    stage = serializers.IntegerField(help_text="The stage that is served, from 1; 0 is how it was before.")
    stages = serializers.IntegerField(help_text="How many stages it has.")
    opensAt = serializers.IntegerField(  # noqa: N815
        allow_null=True, help_text="The stage from which plans behind it may start; null for once it is completed."
    )
    waitsFor = serializers.CharField(  # noqa: N815
        allow_blank=True, help_text="What it waits for in the train, in a sentence."
    )
    refused = serializers.CharField(
        allow_blank=True, help_text="Why it could not be started or taken back at the last try."
    )


class TrainSerializer(serializers.Serializer[Facts]):
    """A release train with its plans in their order."""

    id = serializers.UUIDField()
    title = serializers.CharField()
    reason = serializers.CharField(allow_blank=True)
    state = serializers.ChoiceField(choices=[state.value for state in TrainState])
    project = serializers.CharField(help_text="Project key.")
    version = serializers.IntegerField(help_text="Goes up with every act on the train. Acts name what was read.")
    digest = serializers.CharField(help_text="SHA-256 of its plans as they are now. Starting names what was read.")
    plans = TrainPlanSerializer(many=True)
    rollbackReason = serializers.CharField(allow_blank=True, help_text="Why all of it went back.")  # noqa: N815
    createdBy = PersonSerializer()  # noqa: N815
    createdAt = serializers.DateTimeField()  # noqa: N815
    startedAt = serializers.DateTimeField(allow_null=True)  # noqa: N815
    endedAt = serializers.DateTimeField(allow_null=True)  # noqa: N815
    history = serializers.CharField(help_text="Address of its part of the audit trail, for those who may read it.")


class TrainPageSerializer(serializers.Serializer[Facts]):
    """Trains, newest first."""

    results = TrainSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Address of the next page; null at the end.")


class TrainActInput(serializers.Serializer[Facts]):
    """An act on a train as it was read."""

    version = serializers.IntegerField(
        source="seen", min_value=1, max_value=2**31 - 1, help_text="The train's `version` as read."
    )
    reason = serializers.CharField(max_length=4000, required=False, allow_blank=True, default="", help_text="Why.")


class TrainStartInput(TrainActInput):
    """A start of exactly these plans."""

    digest = serializers.RegexField(r"^[0-9a-f]{64}\Z", help_text="The train's `digest` as read.")


class TrainRollbackInput(TrainActInput):
    """A way back, with why."""

    reason = serializers.CharField(max_length=4000, help_text="Why.")
