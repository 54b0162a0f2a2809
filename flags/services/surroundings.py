"""Whether an environment still fits together once a change set has been applied to it."""

from collections.abc import Mapping
from typing import Any

from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.documents.normalise import referenced_segments
from flags.documents.reach import segment_comparisons
from flags.documents.references import EnvironmentProblem, prerequisite_keys, problems_added
from flags.models import Environment, FlagConfig, Segment

Documents = dict[str, Mapping[str, Any]]


def surrounding_problems(
    change_set: ChangeSet,
    environment: Environment,
    *,
    configs: Mapping[str, FlagConfig],
    segments: Mapping[str, Segment],
) -> list[dict[str, str]]:
    """What the change set would break in the whole of its environment, as problems with key, path and message.

    The documents of the change set are valid and in normal form. `configs` are the rows it edits, `segments` all
    segments. What is broken without the change already holds nobody up, a switch in an emergency least of all.
    Two queries, however many flags there are; none where no flag is edited, and one that reads every flag where a
    segment in use comes to ask more comparisons than before.
    """
    inner: Documents = {key: segment.document for key, segment in segments.items()}
    outer: Documents = {key: config.document for key, config in configs.items()}
    new_segments: Documents = {e.segment_key: e.document for e in change_set.edits if isinstance(e, SegmentEdit)}
    new_configs: Documents = {e.flag_key: e.document for e in change_set.edits if isinstance(e, ConfigEdit)}
    if new_configs:
        outer = _related(environment, new_configs, outer)
    wider = _wider(inner, {**inner, **new_segments}) if new_segments else set()
    if wider:
        outer = {**_asking(environment, wider), **outer}
    found = problems_added((outer, inner), ({**outer, **new_configs}, {**inner, **new_segments}))
    edited = {("flag", key) for key in new_configs} | {("segment", key) for key in new_segments}
    return _told(found, edited)


def _related(environment: Environment, new: Documents, present: Documents) -> Documents:
    """The present documents that prerequisites lead through: all with a prerequisite, and all that are one."""
    rows = FlagConfig.objects.filter(environment=environment).values_list("flag__key", "document")
    related = {**present, **dict(rows.filter(document__has_key="prerequisites").order_by("flag__key"))}
    parents = {key for document in [*related.values(), *new.values()] for key in prerequisite_keys(document)}
    missing = parents - related.keys()
    if missing:
        related.update(rows.filter(flag__key__in=missing))
    return related


def _wider(before: Documents, after: Documents) -> set[str]:
    """The present segments that ask more comparisons than before, themselves or through others."""
    old, new = segment_comparisons(before), segment_comparisons(after)
    return {key for key, amount in old.items() if new[key] > amount}


def _asking(environment: Environment, segment_keys: set[str]) -> Documents:
    """The flags whose rules name one of some segments. Their prerequisites, which stay as they are, are left out."""
    rows = FlagConfig.objects.filter(environment=environment).values_list("flag__key", "document").order_by("flag__key")
    return {
        key: {**document, "prerequisites": []}
        for key, document in rows.iterator(chunk_size=200)
        if not segment_keys.isdisjoint(referenced_segments(document))
    }


def _told(problems: list[EnvironmentProblem], edited: set[tuple[str, str]]) -> list[dict[str, str]]:
    """Each problem once, at a document of the change where it concerns one."""
    ordered = sorted(problems, key=lambda problem: (problem.kind, problem.key) not in edited)
    by_message = {problem.message: problem for problem in reversed(ordered)}
    chosen = [problem for problem in ordered if by_message[problem.message] is problem]
    return [{"key": problem.key, "path": problem.path, "message": problem.message} for problem in chosen]
