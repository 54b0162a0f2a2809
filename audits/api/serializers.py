"""Shapes of the audit API for its OpenAPI document. Nothing is parsed or rendered with them."""

from rest_framework import serializers

from audits.actions import Action
from audits.context import ActorKind


class ActorSerializer(serializers.Serializer[dict[str, object]]):
    """Who acted. `label` is empty where the person was erased."""

    kind = serializers.ChoiceField(choices=[kind.value for kind in ActorKind])
    id = serializers.CharField()
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment] # a field of ours, not the base's label
    via = serializers.CharField(help_text="admin, api, task, command.", allow_blank=True)


class TargetSerializer(serializers.Serializer[dict[str, object]]):
    """What it was done to."""

    type = serializers.CharField()
    id = serializers.CharField()
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment] # a field of ours, not the base's label


class AuditEventSerializer(serializers.Serializer[dict[str, object]]):
    """One event of the trail."""

    id = serializers.UUIDField()
    occurred_at = serializers.DateTimeField()
    action = serializers.ChoiceField(choices=[action.value for action in Action])
    sentence = serializers.CharField(help_text="The event in words.")
    actor = ActorSerializer()
    target = TargetSerializer()
    project = serializers.CharField(help_text="Project key; empty where it is about none.", allow_blank=True)
    environment = serializers.CharField(help_text="Environment key; empty where it is about none.", allow_blank=True)
    flag = serializers.CharField(help_text="Flag key; empty where it is about none.", allow_blank=True)
    reason = serializers.CharField(allow_blank=True)
    data = serializers.DictField(child=serializers.JSONField(), help_text="Facts that depend on the action.")  # type: ignore[assignment]
    correlation_id = serializers.UUIDField(help_text="The same for all events of one act.")
    chain = serializers.CharField(help_text="The chain the event belongs to.")
    sequence = serializers.IntegerField(help_text="Its place in the chain, without gaps.")
    previous_hash = serializers.CharField(allow_blank=True)
    hash = serializers.CharField(help_text="SHA-256 of the previous hash and the event.")


class AuditPageSerializer(serializers.Serializer[dict[str, object]]):
    """A page of the trail, newest first."""

    results = AuditEventSerializer(many=True)
    next = serializers.URLField(allow_null=True, help_text="Address of the next page; null at the end.")
