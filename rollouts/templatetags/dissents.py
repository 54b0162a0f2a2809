"""What people had against the requests that versions came from, for pages about versions."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from django import template

from rollouts.selectors.dissents import DissentView, dissents_by_request

register = template.Library()


class VersionLike(Protocol):
    """A version that may name the change request it came from."""

    @property
    def request_id(self) -> str:
        """The id of the request, empty for none."""


@register.simple_tag(name="dissents_of")
def dissents_of(versions: Iterable[VersionLike]) -> Mapping[str, list[DissentView]]:
    """What was said against the requests of these versions: one query."""
    return dissents_by_request([version.request_id for version in versions if version.request_id])


@register.filter(name="said_against")
def said_against(version: VersionLike, found: Mapping[str, list[DissentView]]) -> list[DissentView]:
    """What was said against the request of one version."""
    return found.get(version.request_id, [])
