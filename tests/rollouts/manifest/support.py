"""Short ways to bring a world into a manifest and a manifest into a world."""

from typing import Any

from rollouts.manifest.reading import Reading, read_manifest
from rollouts.manifest.writing import write_manifest
from rollouts.selectors.manifests import present_state
from rollouts.services.manifest_outcomes import Applied
from rollouts.services.manifests import apply_manifest
from tests.factories import NOW, World, actor_of, percent_document

CONDITION = {"attribute": "plan", "operator": "equals", "value": "gold"}


def exported(world: World, **sections: Any) -> dict[str, Any]:
    """The world as a manifest, with other sections."""
    return {**present_state(world.project).manifest, **sections}


def changed(world: World, place: str = "production", **entries: Any) -> dict[str, Any]:
    """The world as a manifest, with entries of one environment changed."""
    manifest = exported(world)
    places = {**manifest["environments"], place: {**manifest["environments"][place], **entries}}
    return {**manifest, "environments": places}


def reading_of(manifest: dict[str, Any]) -> Reading:
    """A manifest as it is read from its text."""
    return read_manifest(write_manifest(manifest))


def apply(world: World, manifest: dict[str, Any], *, by: Any = None) -> Applied:
    """Apply a manifest, by Rita unless somebody else is named."""
    actor = actor_of(by or world.rita)
    return apply_manifest(reading_of(manifest), actor=actor, reason="As agreed", now=NOW)


def serving(world: World, place: str, share: int) -> dict[str, Any]:
    """A manifest in which an environment serves the first flag to so many percent, and has a segment of its own."""
    document = percent_document("checkout-redesign", share)
    segments = {"gold": {"name": "Gold", "condition": CONDITION}}
    return changed(world, place, flags={"checkout-redesign": {"config": document}}, segments=segments)
