"""Shapes of rollout plans in the API. Nothing is parsed with them."""

from rest_framework import serializers

from rollouts.api.change_request_shapes import PersonSerializer
from rollouts.guarding.outcomes import GuardOutcome
from rollouts.plans.deciding import Move
from rollouts.plans.definition import Strategy
from rollouts.plans.transitions import PlanAct, PlanState

Facts = dict[str, object]


class PlanLineSerializer(serializers.Serializer[Facts]):
    """A plan in a list."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=[state.value for state in PlanState])
    environment = serializers.CharField(help_text="Environment key.")
    flags = serializers.ListField(child=serializers.CharField(), help_text="Keys of the flags it changes.")
    strategy = serializers.ChoiceField(choices=[strategy.value for strategy in Strategy])
    stage = serializers.IntegerField(help_text="The stage that is served, from 1; 0 is how it was before.")
    stages = serializers.IntegerField(help_text="How many stages it has.")
    stageName = serializers.CharField(allow_blank=True)  # noqa: N815
    digest = serializers.CharField(help_text="SHA-256 of what approvers of the plan consent to.")
    changeRequest = serializers.UUIDField(allow_null=True, help_text="The request that asks for it.")  # noqa: N815
    blockedCode = serializers.CharField(allow_blank=True, help_text="What stands in its way.")  # noqa: N815
    createdBy = PersonSerializer()  # noqa: N815
    createdAt = serializers.DateTimeField()  # noqa: N815
    startedAt = serializers.DateTimeField(allow_null=True)  # noqa: N815
    endedAt = serializers.DateTimeField(allow_null=True)  # noqa: N815


class PlanPageSerializer(serializers.Serializer[Facts]):
    """Plans, newest first."""

    results = PlanLineSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Address of the next page; null at the end.")


class GateSerializer(serializers.Serializer[Facts]):
    """One thing that must hold before the plan leaves its stage."""

    name = serializers.CharField()
    isMet = serializers.BooleanField()  # noqa: N815
    sentence = serializers.CharField()
    dueAt = serializers.DateTimeField(allow_null=True, help_text="When time alone will meet it.")  # noqa: N815


class PlanGuardSerializer(serializers.Serializer[Facts]):
    """What one guard says of what was counted so far."""

    metric = serializers.CharField()
    name = serializers.CharField()
    outcome = serializers.ChoiceField(choices=[outcome.value for outcome in GuardOutcome])
    sentence = serializers.CharField(allow_blank=True)
    sampledAt = serializers.DateTimeField(allow_null=True, help_text="The newest minute with data.")  # noqa: N815


class PlanVerdictSerializer(serializers.Serializer[Facts]):
    """A verdict that was kept as evidence."""

    id = serializers.UUIDField()
    metric = serializers.CharField()
    attempt = serializers.IntegerField()
    stage = serializers.IntegerField()
    outcome = serializers.ChoiceField(choices=[outcome.value for outcome in GuardOutcome])
    action = serializers.CharField(allow_blank=True)
    sentence = serializers.CharField()
    at = serializers.DateTimeField()


class PlanStepSerializer(serializers.Serializer[Facts]):
    """One thing that happened to the plan."""

    sequence = serializers.IntegerField()
    attempt = serializers.IntegerField()
    act = serializers.ChoiceField(choices=[act.value for act in PlanAct])
    fromStage = serializers.IntegerField()  # noqa: N815
    toStage = serializers.IntegerField()  # noqa: N815
    isAutomatic = serializers.BooleanField()  # noqa: N815
    reason = serializers.CharField(allow_blank=True)
    revision = serializers.IntegerField(allow_null=True, help_text="The revision of the environment that it wrote.")
    at = serializers.DateTimeField()


class StageConsentsSerializer(serializers.Serializer[Facts]):
    """Approvals for leaving the present stage."""

    required = serializers.IntegerField()  # type: ignore[assignment] # a field of ours, not the base's required
    missing = serializers.IntegerField()
    counted = PersonSerializer(many=True)


class PlanMoveSerializer(serializers.Serializer[Facts]):
    """What the plan does next, as far as that can be told now."""

    move = serializers.ChoiceField(choices=[move.value for move in Move])
    sentence = serializers.CharField()


class PlanDetailSerializer(PlanLineSerializer):
    """A plan with what it says, what it waits for and what happened to it."""

    reason = serializers.CharField(allow_blank=True)
    attempt = serializers.IntegerField(help_text="Goes up whenever the plan goes back.")
    goodStage = serializers.IntegerField(help_text="The last stage that its guards found good.")  # noqa: N815
    sequence = serializers.IntegerField(help_text="The number of its last step.")
    stageEnteredAt = serializers.DateTimeField(allow_null=True)  # noqa: N815
    blockedMessage = serializers.CharField(allow_blank=True)  # noqa: N815
    definition = serializers.DictField(help_text="Stages with patches and gates, guards and options.")
    next = PlanMoveSerializer(allow_null=True, help_text="Null where it is not under way.")
    gates = GateSerializer(many=True, help_text="Of the present stage.")
    approvals = StageConsentsSerializer()
    guards = PlanGuardSerializer(many=True)
    verdicts = PlanVerdictSerializer(many=True, help_text="The last hundred, newest first.")
    steps = PlanStepSerializer(many=True, help_text="The last two hundred, newest first.")
    history = serializers.CharField(help_text="Address of its part of the audit trail, for tokens that may read it.")
