"""What the config editor knows besides the document: neighbours, segments, attributes, the zone of the clock."""

from typing import Any

from django.urls import reverse
from django.utils import timezone

from flags.admin.places import Place
from flags.documents import describe_condition
from flags.models import ContextAttribute, FlagConfig, Segment
from flags.selectors.declarations import used_attributes
from flags.selectors.prerequisites import dependents_by_place, offered_parents

ATTRIBUTE_SOURCES = 100


def editor_facts(place: Place) -> dict[str, Any]:
    """The surroundings of a flag in an environment, as the builder's JSON: seven queries."""
    segments = list(Segment.objects.filter(environment=place.environment).order_by("name"))
    return {
        "valueType": place.flag.value_type,
        "environment": place.environment.name,
        "zone": timezone.get_current_timezone_name(),
        "segments": [segment_facts(item) for item in segments],
        "attributes": _attributes(place, segments),
        "flags": _parents(place),
        "children": _children(place),
        "current": place.document,
    }


def segment_facts(segment: Segment) -> dict[str, str]:
    """A segment as the condition builder offers it."""
    sentence = describe_condition(segment.document["condition"])
    return {"key": segment.key, "name": segment.name, "sentence": sentence}


def attribute_names(project_id: Any, documents: list[Any]) -> list[str]:
    """Attribute names to suggest: those the project declares, and those in use in the documents."""
    declared = ContextAttribute.objects.filter(project=project_id).values_list("name", flat=True)
    return sorted({*declared, *used_attributes(*documents)})


def _attributes(place: Place, segments: list[Segment]) -> list[str]:
    configs = FlagConfig.objects.filter(environment=place.environment).order_by("-updated_at")
    documents = list(configs.values_list("document", flat=True)[:ATTRIBUTE_SOURCES])
    return attribute_names(place.flag.project_id, [*documents, *(segment.document for segment in segments)])


def _parents(place: Place) -> list[dict[str, Any]]:
    return [
        {
            "key": parent.key,
            "name": parent.name,
            "state": parent.state,
            "variants": list(parent.variants),
            "serves": sorted(parent.serves),
            "url": reverse("admin:flags_flag_change", args=[parent.flag_id]),
        }
        for parent in offered_parents(place.flag, place.environment, now=timezone.now())
        if parent.flag_id is not None
    ]


def _children(place: Place) -> list[dict[str, str]]:
    children = dependents_by_place([place.environment.pk]).get((place.environment.pk, place.flag.key), [])
    return [{"name": child.name, "url": reverse("admin:flags_flag_change", args=[child.flag_id])} for child in children]
