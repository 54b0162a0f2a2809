"""What could be copied from one environment to another: flags by aspect, and the segments their rules need."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flags.aspects import Aspect, aspect_of, copied
from flags.changes import Difference, diff_configs, diff_segments
from flags.documents.references import segment_places, segments_within
from flags.models import Environment, Flag, FlagConfig, Segment


@dataclass(frozen=True, slots=True)
class AspectOffer:
    """One aspect that would change, in words."""

    aspect: Aspect
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FlagOffer:
    """One flag with what would change; `target_version` 0: it is not set up there yet."""

    flag: Flag
    source_version: int
    target_version: int
    aspects: tuple[AspectOffer, ...]


@dataclass(frozen=True, slots=True)
class SegmentOffer:
    """A segment that the rules use and the target lacks (`target_version` 0), or has otherwise."""

    segment: Segment
    target_version: int
    sentences: tuple[str, ...]
    used_by: tuple[str, ...]

    @property
    def is_missing(self) -> bool:
        """Whether rules that use it cannot be copied without it."""
        return not self.target_version


@dataclass(frozen=True, slots=True)
class Offer:
    """Everything that could be copied. `absent` are keys of flags that the source has not set up."""

    source: Environment
    target: Environment
    flags: tuple[FlagOffer, ...]
    segments: tuple[SegmentOffer, ...]
    absent: tuple[str, ...]


def promotion_offer(source: Environment, target: Environment, flag_keys: Collection[str]) -> Offer:
    """What `target` would get of these flags if it served what `source` does: two queries."""
    configs = configs_of((source, target), flag_keys)
    given = {key: row for (place, key), row in configs.items() if place == source.pk}
    segments = _segments((source, target))
    flags = tuple(_flag(row, configs.get((target.pk, key))) for key, row in sorted(given.items()))
    return Offer(
        source,
        target,
        flags,
        tuple(_needed(given, segments[source.pk], segments[target.pk])),
        tuple(sorted(set(flag_keys) - given.keys())),
    )


def configs_of(environments: Iterable[Environment], flag_keys: Collection[str]) -> dict[tuple[Any, str], FlagConfig]:
    """The configs of these flags, by environment and flag key: one query."""
    rows = FlagConfig.objects.filter(environment__in=list(environments), flag__key__in=list(flag_keys))
    return {(row.environment_id, row.flag.key): row for row in rows.select_related("flag")}


def _flag(source: FlagConfig, target: FlagConfig | None) -> FlagOffer:
    served = target.document if target else copied(source.document, None, ())
    sentences: dict[Aspect, list[str]] = {}
    for difference in diff_configs(served, source.document):
        aspect = aspect_of(difference.path)
        if aspect is not None:
            sentences.setdefault(aspect, []).append(difference.sentence)
    aspects = tuple(AspectOffer(one, tuple(sentences[one])) for one in Aspect if one in sentences)
    return FlagOffer(source.flag, source.version, target.version if target else 0, aspects)


def _segments(environments: Iterable[Environment]) -> Mapping[Any, Mapping[str, Segment]]:
    found: dict[Any, dict[str, Segment]] = {environment.pk: {} for environment in environments}
    for row in Segment.objects.filter(environment__in=list(found)):
        found[row.environment_id][row.key] = row
    return found


def _needed(
    configs: Mapping[str, FlagConfig], given: Mapping[str, Segment], served: Mapping[str, Segment]
) -> Iterable[SegmentOffer]:
    """The segments that these flags use, at any depth, and the target does not have alike."""
    documents = {key: row.document for key, row in given.items()}
    reached = {key: _reached(row.document, documents) for key, row in configs.items()}
    for key in sorted(set().union(*reached.values())):
        row, there = given.get(key), served.get(key)
        if row is None or (there is not None and there.digest == row.digest):
            continue
        differences: list[Difference] = diff_segments(there.document if there else None, row.document)
        yield SegmentOffer(
            row,
            there.version if there else 0,
            tuple(difference.sentence for difference in differences),
            tuple(flag_key for flag_key, keys in reached.items() if key in keys),
        )


def _reached(document: Mapping[str, Any], segments: Mapping[str, Mapping[str, Any]]) -> set[str]:
    return segments_within({key for _, key in segment_places(document)}, segments)
