"""Who asked for versions and who approved them, for pages about versions."""

from collections.abc import Iterable, Mapping

from django import template

from rollouts.selectors.version_makers import Makers, makers_by_request
from rollouts.templatetags.dissents import VersionLike

register = template.Library()


@register.simple_tag(name="makers_of")
def makers_of(versions: Iterable[VersionLike]) -> Mapping[str, Makers]:
    """The people behind the requests of these versions: three queries."""
    return makers_by_request([version.request_id for version in versions if version.request_id])


@register.filter(name="made_by")
def made_by(version: VersionLike, found: Mapping[str, Makers]) -> Makers | None:
    """The people behind one version; None for one that came from no request."""
    return found.get(version.request_id)


@register.filter(name="told_with")
def told_with(makers: Makers, applied_by: str) -> str:
    """Who approved, and who applied it."""
    return makers.told(applied_by)
