"""Shapes of manifests in the API, and what planning and applying one take."""

from rest_framework import serializers

from rollouts.manifest.diffing import Kind, Subject
from rollouts.selectors.manifest_plans import Way
from rollouts.services.manifest_outcomes import State

Facts = dict[str, object]


class ManifestSerializer(serializers.Serializer[Facts]):
    """A manifest as text."""

    manifest = serializers.CharField(help_text="YAML, in the one form that an export has.")


class ManifestInput(serializers.Serializer[Facts]):
    """A manifest to be looked at."""

    manifest = serializers.CharField(trim_whitespace=False, help_text="YAML or JSON, as one text.")
    environments = serializers.ListField(
        child=serializers.CharField(max_length=60),
        required=False,
        max_length=100,
        help_text="Keys of the environments it is about; all that it names unless given.",
    )

    def validate(self, attrs: Facts) -> Facts:
        """Refuse what is not known: a mistyped “environments” would otherwise mean all of them."""
        unknown = [name for name in self.initial_data if name not in self.fields]
        if unknown:
            known = ", ".join(self.fields)
            raise serializers.ValidationError({unknown[0][:60]: f"This field is not known. Known are {known}."})
        return attrs


class ManifestApplyInput(ManifestInput):
    """A manifest to be applied, with why."""

    reason = serializers.CharField(max_length=4000, help_text="Why; kept with every change.")


class ManifestStepSerializer(serializers.Serializer[Facts]):
    """One difference and what becomes of it."""

    address = serializers.CharField(help_text="Such as environments.production.flags.checkout.config.")
    kind = serializers.ChoiceField(choices=[kind.value for kind in Kind])
    subject = serializers.ChoiceField(choices=[subject.value for subject in Subject])
    environment = serializers.CharField(allow_blank=True, help_text="Environment key; empty for the project.")
    sentences = serializers.ListField(child=serializers.CharField(), help_text="What differs.")
    way = serializers.ChoiceField(choices=[way.value for way in Way])
    sentence = serializers.CharField(help_text="What becomes of it, and why.")
    changeRequest = serializers.IntegerField(  # noqa: N815
        allow_null=True, help_text="The number of a request that asks for it already."
    )


class ManifestPlanSerializer(serializers.Serializer[Facts]):
    """What applying a manifest would do."""

    project = serializers.CharField(help_text="Project key.")
    digest = serializers.CharField(help_text="SHA-256 of the manifest in normal form.")
    hasDrifted = serializers.BooleanField(help_text="Whether anything is not as the manifest says.")  # noqa: N815
    steps = ManifestStepSerializer(many=True)


class ManifestRequestSerializer(serializers.Serializer[Facts]):
    """A change request that a manifest made."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()


class ManifestOutcomeSerializer(serializers.Serializer[Facts]):
    """What became of some differences."""

    addresses = serializers.ListField(child=serializers.CharField())
    state = serializers.ChoiceField(choices=[state.value for state in State])
    sentence = serializers.CharField()
    changeRequest = ManifestRequestSerializer(allow_null=True)  # noqa: N815


class ManifestAppliedSerializer(serializers.Serializer[Facts]):
    """What applying a manifest did."""

    project = serializers.CharField(help_text="Project key.")
    digest = serializers.CharField(help_text="SHA-256 of the manifest in normal form.")
    state = serializers.ChoiceField(choices=[state.value for state in State], help_text="The worst of its outcomes.")
    outcomes = ManifestOutcomeSerializer(many=True)
