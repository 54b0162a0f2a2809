"""Circles and chains in graphs of names. Pure.

Nothing here recurses: chains may be as long as there are names. An edge to a name that has no entry leads nowhere.
"""

from collections.abc import Iterator, Mapping, Sequence

Edges = Mapping[str, Sequence[str]]
_MOST_CIRCLES = 20


def new_circles(before: Edges, after: Edges) -> list[list[str]]:
    """Circles that run over edges which are not in `before`: enough to name every such edge, up to 20.

    Each begins with its first name in the alphabet.
    """
    component = _components(after)
    told: set[tuple[str, str]] = set()
    circles: list[list[str]] = []
    for key, following in after.items():
        for inner in following:
            is_new = inner in component and inner not in before.get(key, ()) and (key, inner) not in told
            # Edges inside a component are those, and all of those, that a circle runs over.
            if not is_new or component[key] != component[inner]:
                continue
            circle = _way(inner, key, after)
            told.update(zip(circle, [*circle[1:], circle[0]], strict=True))
            first = circle.index(min(circle))
            circles.append(circle[first:] + circle[:first])
            if len(circles) == _MOST_CIRCLES:
                return circles
    return circles


def longest_chains(edges: Edges) -> dict[str, list[str]]:
    """The longest way down from every name, itself first. Edges that circles run over are left out."""
    component = _components(edges)
    below = {
        key: [inner for inner in following if inner in edges and component[inner] != component[key]]
        for key, following in edges.items()
    }
    chains: dict[str, list[str]] = {}
    for start in edges:
        pending = [start]
        while pending:
            key = pending[-1]
            waiting = [inner for inner in below[key] if inner not in chains]
            if waiting:
                pending.extend(waiting)
                continue
            chains[key] = [key, *max((chains[inner] for inner in below[key]), key=len, default=[])]
            pending.pop()
    return chains


def _way(start: str, end: str, edges: Edges) -> list[str]:
    """A shortest way; there is one."""
    came_from = {start: start}
    pending = [start]
    for key in pending:
        if key == end:
            break
        for inner in edges.get(key, ()):
            if inner not in came_from:
                came_from[inner] = key
                pending.append(inner)
    way = [end]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return way[::-1]


def _components(edges: Edges) -> dict[str, str]:
    """For every name one that stands for all that it reaches and is reached from: itself outside of circles."""
    backwards: dict[str, list[str]] = {key: [] for key in edges}
    for key, following in edges.items():
        for inner in following:
            if inner in backwards:
                backwards[inner].append(key)
    component: dict[str, str] = {}
    for root in reversed(list(_finished(edges))):
        pending = [root] if root not in component else []
        while pending:
            key = pending.pop()
            if key not in component:
                component[key] = root
                pending.extend(backwards[key])
    return component


def _finished(edges: Edges) -> Iterator[str]:
    """Every name behind all that it leads to, circles aside."""
    seen: set[str] = set()
    for start in edges:
        if start in seen:
            continue
        seen.add(start)
        way = [(start, iter(edges[start]))]
        while way:
            key, following = way[-1]
            inner = next((name for name in following if name in edges and name not in seen), None)
            if inner is None:
                yield key
                way.pop()
            else:
                seen.add(inner)
                way.append((inner, iter(edges[inner])))
