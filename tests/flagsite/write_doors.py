"""Everything a request could be sent to: enumerated, so that new routes join by themselves."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver


@dataclass(frozen=True, slots=True)
class Route:
    """One URL pattern: its full name, its text with `<...>` parameters, and the parameters' names."""

    name: str
    pattern: str
    parameters: tuple[str, ...]


def routes() -> list[Route]:
    """Every route of the product, in the order of the URL configuration."""
    return list(_walk(get_resolver().url_patterns))


def _walk(
    patterns: Sequence[URLPattern | URLResolver], prefix: str = "", parameters: tuple[str, ...] = (), space: str = ""
) -> Iterator[Route]:
    for pattern in patterns:
        known = parameters + tuple(pattern.pattern.regex.groupindex)
        if isinstance(pattern, URLResolver):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from _walk(pattern.url_patterns, prefix + str(pattern.pattern), known, inner)
        else:
            yield Route(f"{space}{pattern.name or ''}", prefix + str(pattern.pattern), known)


def addresses(route: Route, values: Mapping[str, Sequence[str]], reverse: object) -> list[str]:
    """The route's URLs for every combination of `values`; a parameter nobody knows fails the test that asks.

    `reverse(name, kwargs)` returns None for a combination the route does not take.
    """
    unknown = [name for name in route.parameters if name not in values]
    assert not unknown, f"The route {route.name} takes {unknown}: say in VALUES what to try for it."
    found: list[str] = []
    for chosen in itertools.product(*(values[name] for name in route.parameters)):
        url = reverse(route.name, dict(zip(route.parameters, chosen, strict=True)))  # type: ignore[operator]
        if url and url not in found:
            found.append(url)
    return found
