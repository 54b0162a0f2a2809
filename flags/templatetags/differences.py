"""Template filters for showing what changes."""

from collections.abc import Iterable, Sequence

from django import template
from django.utils.safestring import SafeString

from flags import showing

register = template.Library()


@register.filter(name="visible")
def visible(text: object) -> SafeString:
    """Text in which characters that hide or reorder others are written as their code point."""
    return showing.visible(text)


@register.filter(name="blocks_html")
def blocks_html(blocks: Sequence[showing.JsonBlock]) -> SafeString:
    """The lines of a JSON difference."""
    return showing.blocks_html(blocks)


@register.filter(name="any_cut")
def any_cut(rows: Iterable[showing.DiffRow] | None) -> bool:
    """Whether some row does not show all that differs, so that the JSON belongs in plain sight."""
    return any(row.is_cut for row in rows or ())
