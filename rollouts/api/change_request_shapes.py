"""Shapes of change requests and drift in the API. Nothing is parsed with them."""

from rest_framework import serializers

from rollouts.selectors.drift import DriftState
from rollouts.transitions import RequestState

Facts = dict[str, object]


class PersonSerializer(serializers.Serializer[Facts]):
    """Somebody by id and name."""

    id = serializers.CharField()
    name = serializers.CharField()


class RequestLineSerializer(serializers.Serializer[Facts]):
    """A change request in a list."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=[state.value for state in RequestState])
    environment = serializers.CharField(help_text="Environment key.")
    flags = serializers.ListField(child=serializers.CharField(), help_text="Keys of the flags it changes.")
    segments = serializers.ListField(child=serializers.CharField(), help_text="Keys of the segments it changes.")
    requester = PersonSerializer()
    digest = serializers.CharField(help_text="SHA-256 of what approvers consent to.")
    createdAt = serializers.DateTimeField()  # noqa: N815
    applyAt = serializers.DateTimeField(allow_null=True, help_text="Null: as soon as it is approved.")  # noqa: N815
    appliedAt = serializers.DateTimeField(allow_null=True)  # noqa: N815


class RequestPageSerializer(serializers.Serializer[Facts]):
    """Change requests, newest first."""

    results = RequestLineSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Address of the next page; null at the end.")


class FindingSerializer(serializers.Serializer[Facts]):
    """What one rule says about it."""

    effect = serializers.CharField()
    rule = serializers.CharField(help_text="Key and version of the rule.")
    sentence = serializers.CharField()
    rationale = serializers.CharField(allow_blank=True)


class VerdictSerializer(serializers.Serializer[Facts]):
    """Whether it has its approvals now."""

    isSatisfied = serializers.BooleanField()  # noqa: N815
    required = serializers.IntegerField()  # type: ignore[assignment] # a field of ours, not the base's required
    missing = serializers.IntegerField(help_text="The lowest number of people who still have to approve.")
    sentences = serializers.ListField(child=serializers.CharField())
    findings = FindingSerializer(many=True)


class ApprovalSerializer(serializers.Serializer[Facts]):
    """One person's yes. It counts for the content of its digest only."""

    person = PersonSerializer()
    digest = serializers.CharField()
    comment = serializers.CharField(allow_blank=True)
    counts = serializers.BooleanField()
    at = serializers.DateTimeField()


class SoakSerializer(serializers.Serializer[Facts]):
    """How long the same has been live in the environment before."""

    environment = serializers.CharField()
    hours = serializers.IntegerField()
    since = serializers.DateTimeField(allow_null=True)
    incidents = serializers.ListField(child=serializers.CharField())


class RequestDetailSerializer(RequestLineSerializer):
    """A change request with its content and what decides about it."""

    reason = serializers.CharField(allow_blank=True)
    ticketUrl = serializers.CharField(allow_blank=True)  # noqa: N815
    round = serializers.IntegerField()
    source = serializers.DictField(help_text="Where the content came from; empty: somebody wrote it.")  # type: ignore[assignment]
    changeSet = serializers.DictField(help_text="Every edit with its whole document.")  # noqa: N815
    blockedCode = serializers.CharField(allow_blank=True, help_text="Why an approved request waits.")  # noqa: N815
    verdict = VerdictSerializer()
    approvals = ApprovalSerializer(many=True)
    soak = SoakSerializer(allow_null=True)
    history = serializers.CharField(help_text="Address of its part of the audit trail, for tokens that may read it.")


class DriftAspectSerializer(serializers.Serializer[Facts]):
    """One aspect that differs."""

    aspect = serializers.CharField()
    state = serializers.ChoiceField(choices=[state.value for state in DriftState])
    since = serializers.DateTimeField()
    reason = serializers.CharField(allow_blank=True, help_text="Why it is intended.")


class DriftLineSerializer(serializers.Serializer[Facts]):
    """One flag that two neighbouring environments do not serve alike."""

    flag = serializers.CharField()
    upstream = serializers.CharField(help_text="Key of the environment further from customers.")
    downstream = serializers.CharField()
    state = serializers.ChoiceField(choices=[state.value for state in DriftState])
    aspects = DriftAspectSerializer(many=True)


class DriftSerializer(serializers.Serializer[Facts]):
    """A page of what an environment and its neighbours do not serve alike. Aspects, never values."""

    results = DriftLineSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Address of the next page; null on the last.")
