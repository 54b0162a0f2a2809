"""What the documents of one environment need from each other: prerequisites between flags, segments in segments. Pure.

Nothing here recurses: prerequisites may be chained as deep as an environment has flags.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from .deprecation import is_archived
from .graphs import Edges, longest_chains, new_circles
from .reach import MAX_REACHED_COMPARISONS, MAX_SEGMENTS, reached_comparisons, segment_comparisons
from .schema import MAX_SEGMENT_DEPTH, quote, quoted, variant_names

Documents = Mapping[str, Mapping[str, Any]]
State = tuple[Documents, Documents]
Kind = Literal["flag", "segment"]
_SHOWN_STEPS = 8


@dataclass(frozen=True, slots=True)
class EnvironmentProblem:
    """Something that does not fit together: the flag or segment, where in its document, and what to do about it.

    `about` are the other flags, segments and variants it concerns, so that it can be known again when the words for it
    or its place change. Where there is too much of something, `amount` says how much: it may have become worse.
    """

    kind: Kind
    key: str
    path: str
    message: str
    about: tuple[str, ...] = ()
    amount: int = field(default=0, compare=False)

    @property
    def identity(self) -> tuple[Kind, str, tuple[str, ...]]:
        """What makes it the same problem before and after a change."""
        return self.kind, self.key, self.about


def prerequisite_keys(document: Mapping[str, Any]) -> list[str]:
    """The keys of the flags that a config document names as prerequisites, in order."""
    return [item["flag"] for item in document.get("prerequisites") or ()]


def segment_places(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Path and key of every segment that a config or segment document names."""
    rules = document.get("rules") or ()
    pending: list[tuple[str, Any]] = [("condition", document.get("condition"))]
    pending += [(f"rules[{index}].condition", rule.get("condition")) for index, rule in enumerate(rules)]
    while pending:
        path, condition = pending.pop()
        if not condition:
            continue
        if "segment" in condition:
            yield f"{path}.segment", condition["segment"]
        for group in ("and", "or"):
            pending.extend((f"{path}.{group}[{index}]", part) for index, part in enumerate(condition.get(group, ())))
        pending.append((f"{path}.not", condition.get("not")))


def segments_within(keys: Collection[str], segments: Documents) -> set[str]:
    """`keys` and the segments these name, at any depth; a missing one is in the answer, and leads no further."""
    found, pending = set(keys), list(keys)
    while pending:
        for _, key in segment_places(segments.get(pending.pop(), {})):
            if key not in found:
                found.add(key)
                pending.append(key)
    return found


def flags_above(key: str, configs: Documents) -> set[str]:
    """The flags that a flag needs, at any depth. It is among them itself only in a circle."""
    found: set[str] = set()
    pending = [key]
    while pending:
        above = [parent for parent in prerequisite_keys(configs.get(pending.pop(), {})) if parent not in found]
        found.update(above)
        pending.extend(above)
    return found


def flags_below(key: str, configs: Documents) -> list[str]:
    """The flags that name a flag as their prerequisite directly."""
    return [child for child, document in configs.items() if key in prerequisite_keys(document)]


def environment_problems(configs: Documents, segments: Documents) -> list[EnvironmentProblem]:
    """What does not fit together among valid, normalised documents by key; an empty list means that all can be served.

    A circle is a problem of each of its members. Documents that neither have prerequisites nor are one may be missing;
    what flags ask through segments is counted for those that are given.
    """
    return problems_added(({}, {}), (configs, segments))


def problems_added(before: State, after: State) -> list[EnvironmentProblem]:
    """What does not fit together because of a change, given the configs and segments of an environment on both sides.

    What was broken and is no worse is left out, also where it reads otherwise now. A circle is told where it runs over
    an edge that is new, and a chain that is too deep where it holds one and was shorter before.
    """
    found = _within_reach(*after)
    known = {problem.identity: problem.amount for problem in _within_reach(*before)} if found else {}
    added = [problem for problem in found if problem.amount > known.get(problem.identity, -1)]
    was_nested, nested, needed = _nested(before[1]), _nested(after[1]), _needed(after[0])
    for circle in new_circles(was_nested, nested):
        added += _segment_circle(circle, after[1])
    for circle in new_circles(_needed(before[0]), needed):
        added += _flag_circle(circle, needed)
    return added + _too_deep(was_nested, nested)


def _needed(configs: Documents) -> Edges:
    return {key: prerequisite_keys(document) for key, document in configs.items()}


def _nested(segments: Documents) -> Edges:
    return {key: sorted({name for _, name in segment_places(document)}) for key, document in segments.items()}


def _within_reach(configs: Documents, segments: Documents) -> list[EnvironmentProblem]:
    """The problems that need no look at circles and chains."""
    problems = [problem for key, document in segments.items() for problem in _missing_segments(key, document, segments)]
    problems += [problem for key, document in configs.items() for problem in _parent_problems(key, document, configs)]
    problems += [problem for key, document in configs.items() for problem in _successor_problems(key, document)]
    return problems + _too_many(segments) + _too_much(configs, segments)


def _missing_segments(key: str, document: Mapping[str, Any], segments: Documents) -> Iterator[EnvironmentProblem]:
    for path, name in segment_places(document):
        if name not in segments:
            message = (
                f"There is no segment {quoted(name)} in this environment. Choose an existing one or create it first."
            )
            yield EnvironmentProblem("segment", key, path, message, ("segment", name))


def _parent_problems(key: str, document: Mapping[str, Any], configs: Documents) -> Iterator[EnvironmentProblem]:
    for index, item in enumerate(document.get("prerequisites") or ()):
        parent, path = item["flag"], f"prerequisites[{index}]"
        if parent not in configs:
            message = (
                f"“{key}” needs {quoted(parent)}, which is not set up in this environment. "
                "Set that flag up first, in the same change if you like, or remove the prerequisite."
            )
            yield EnvironmentProblem("flag", key, f"{path}.flag", message, ("parent", parent))
            continue
        if is_archived(configs[parent]) and not is_archived(document):
            message = (
                f"“{key}” needs {quoted(parent)}, which is archived in this environment and serves nobody. "
                f"Remove that prerequisite of “{key}”, or archive “{key}” first."
            )
            yield EnvironmentProblem("flag", key, f"{path}.flag", message, ("archived", parent))
        names = variant_names(configs[parent])
        for place, variant in enumerate(item["variants"]):
            if variant not in names:
                message = (
                    f"“{key}” needs “{parent}” to serve {quoted(variant)}, but “{parent}” has the variants "
                    f"{quote(names)} only. Keep that variant of “{parent}”, or change the prerequisite of “{key}” in "
                    "the same change."
                )
                about = ("variant", parent, variant)
                yield EnvironmentProblem("flag", key, f"{path}.variants[{place}]", message, about)


def _successor_problems(key: str, document: Mapping[str, Any]) -> Iterator[EnvironmentProblem]:
    if (document.get("deprecation") or {}).get("successor") == key:
        message = f"“{key}” cannot be its own successor. Name the flag that replaces it, or leave the successor out."
        yield EnvironmentProblem("flag", key, "deprecation.successor", message, ("successor", key))


def _flag_circle(circle: Sequence[str], needed: Edges) -> Iterator[EnvironmentProblem]:
    words = f"Flags need each other in a circle: {_route(circle)}. Remove one of these prerequisites."
    for key, parent in zip(circle, [*circle[1:], circle[0]], strict=True):
        yield EnvironmentProblem("flag", key, f"prerequisites[{needed[key].index(parent)}].flag", words)


def _segment_circle(circle: Sequence[str], segments: Documents) -> Iterator[EnvironmentProblem]:
    words = f"Segments use each other in a circle: {_route(circle)}. Take one out of another."
    for key, inner in zip(circle, [*circle[1:], circle[0]], strict=True):
        path = next(path for path, name in segment_places(segments[key]) if name == inner)
        yield EnvironmentProblem("segment", key, path, words)


def _too_deep(before: Edges, after: Edges) -> list[EnvironmentProblem]:
    former = longest_chains(before)
    return [
        EnvironmentProblem(
            "segment",
            key,
            "condition",
            f"Segments are nested {len(chain)} deep here: {' -> '.join(chain[:_SHOWN_STEPS])} -> … "
            f"At most {MAX_SEGMENT_DEPTH} are allowed. Repeat some conditions instead.",
        )
        for key, chain in longest_chains(after).items()
        if len(chain) > max(MAX_SEGMENT_DEPTH, len(former.get(key, ()))) and _has_new_edge(chain, before)
    ]


def _has_new_edge(chain: Sequence[str], before: Edges) -> bool:
    return any(inner not in before.get(key, ()) for key, inner in pairwise(chain))


def _too_many(segments: Documents) -> list[EnvironmentProblem]:
    if len(segments) <= MAX_SEGMENTS:
        return []
    words = (
        f"An environment has at most {MAX_SEGMENTS} segments. Widen one that exists, or send an attribute that says "
        "who belongs to it."
    )
    return [EnvironmentProblem("segment", list(segments)[-1], "", words, ("segments",), len(segments))]


def _too_much(configs: Documents, segments: Documents) -> list[EnvironmentProblem]:
    amounts = segment_comparisons(segments)
    reached = {key: reached_comparisons(document, amounts) for key, document in configs.items()}
    return [
        EnvironmentProblem(
            "flag",
            key,
            "rules",
            f"“{key}” asks more than {MAX_REACHED_COMPARISONS:,} comparisons through its segments, counted at every "
            "use, also inside each other. Use fewer of them, or smaller ones, or send an attribute that says it.",
            ("comparisons",),
            amount,
        )
        for key, amount in reached.items()
        if amount > MAX_REACHED_COMPARISONS
    ]


def _route(circle: Sequence[str]) -> str:
    steps = list(circle)
    if len(steps) > _SHOWN_STEPS:
        steps = [*steps[: _SHOWN_STEPS - 1], "…", steps[-1]]
    return " -> ".join([*steps, circle[0]])
