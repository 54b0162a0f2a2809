"""Shapes of deprecation timelines in the API. Nothing is parsed with them."""

from rest_framework import serializers

from rollouts.api.change_request_shapes import PersonSerializer
from rollouts.api.plan_shapes import GateSerializer, StageConsentsSerializer
from rollouts.deprecations.deciding import Move
from rollouts.deprecations.definition import MilestoneKind
from rollouts.deprecations.transitions import TimelineAct, TimelineState

Facts = dict[str, object]


class TimelineLineSerializer(serializers.Serializer[Facts]):
    """A timeline in a list."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    state = serializers.ChoiceField(choices=[state.value for state in TimelineState])
    environment = serializers.CharField(help_text="Environment key.")
    flag = serializers.CharField(help_text="Key of the flag that it ends.")
    successor = serializers.CharField(allow_blank=True, help_text="Key of the flag that replaces it.")
    milestone = serializers.IntegerField(help_text="The last milestone that was reached, from 1; 0 is none.")
    milestones = serializers.IntegerField(help_text="How many milestones it has.")
    inBrownout = serializers.BooleanField()  # noqa: N815
    sunsetAt = serializers.DateTimeField(allow_null=True, help_text="Null where it cannot be read.")  # noqa: N815
    digest = serializers.CharField(help_text="SHA-256 of what approvers of the timeline consent to.")
    changeRequest = serializers.UUIDField(allow_null=True, help_text="The request that asks for it.")  # noqa: N815
    blockedCode = serializers.CharField(allow_blank=True, help_text="What stands in its way.")  # noqa: N815
    createdBy = PersonSerializer()  # noqa: N815
    createdAt = serializers.DateTimeField()  # noqa: N815
    startedAt = serializers.DateTimeField(allow_null=True)  # noqa: N815
    endedAt = serializers.DateTimeField(allow_null=True)  # noqa: N815


class TimelinePageSerializer(serializers.Serializer[Facts]):
    """Timelines, newest first."""

    results = TimelineLineSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Address of the next page; null at the end.")


class MilestoneSerializer(serializers.Serializer[Facts]):
    """One milestone. Of those ahead `earliestAt` is when it comes at the earliest, null for a brownout then missed."""

    number = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=[kind.value for kind in MilestoneKind])
    at = serializers.DateTimeField(help_text="Its date, put off or not.")
    approvedAt = serializers.DateTimeField(help_text="Its date as it was laid down and approved.")  # noqa: N815
    minutes = serializers.IntegerField(help_text="How long a brownout lasts.")
    weight = serializers.IntegerField(help_text="The share of a ramp-down, of 100,000.")
    isReached = serializers.BooleanField()  # noqa: N815
    earliestAt = serializers.DateTimeField(allow_null=True)  # noqa: N815
    sentence = serializers.CharField()


class TimelineStepSerializer(serializers.Serializer[Facts]):
    """One thing that happened to the timeline."""

    sequence = serializers.IntegerField()
    act = serializers.ChoiceField(choices=[act.value for act in TimelineAct])
    fromMilestone = serializers.IntegerField()  # noqa: N815
    toMilestone = serializers.IntegerField()  # noqa: N815
    isAutomatic = serializers.BooleanField()  # noqa: N815
    reason = serializers.CharField(allow_blank=True)
    revision = serializers.IntegerField(allow_null=True, help_text="The revision of the environment that it wrote.")
    at = serializers.DateTimeField()


class TimelineMoveSerializer(serializers.Serializer[Facts]):
    """What the timeline does next, as far as that can be told now."""

    move = serializers.ChoiceField(choices=[move.value for move in Move])
    sentence = serializers.CharField()


class TimelineDetailSerializer(TimelineLineSerializer):
    """A timeline with what it says, what it waits for and what happened to it."""

    reason = serializers.CharField(allow_blank=True)
    attempt = serializers.IntegerField(help_text="Goes up whenever the timeline is undone.")
    sequence = serializers.IntegerField(help_text="The number of its last step.")
    reachedAt = serializers.DateTimeField(allow_null=True)  # noqa: N815
    blockedMessage = serializers.CharField(allow_blank=True)  # noqa: N815
    definition = serializers.DictField(help_text="As it was laid down; dates put off are under `schedule`.")
    schedule = MilestoneSerializer(many=True)
    next = TimelineMoveSerializer(allow_null=True, help_text="Null where it is not under way.")
    gates = GateSerializer(many=True, help_text="Of the next milestone.")
    residual = serializers.IntegerField(
        allow_null=True, help_text="Evaluations that the next gate asks about; null without figures or such a gate."
    )
    approvals = StageConsentsSerializer(help_text="For the next milestone.")
    steps = TimelineStepSerializer(many=True, help_text="The last two hundred, newest first.")
    history = serializers.CharField(help_text="Address of its part of the audit trail, for tokens that may read it.")
