"""Template filters for showing what changes."""

from django import template
from django.utils.safestring import SafeString

from flags import showing

register = template.Library()


@register.filter(name="visible")
def visible(text: object) -> SafeString:
    """Text in which characters that hide or reorder others are written as their code point."""
    return showing.visible(text)
