"""In which aspects two environments do not serve a flag alike, told by digests first and by documents where needed."""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product

from django.db.models import QuerySet

from flags.aspects import Aspect, differing
from flags.documents.references import segment_places, segments_within
from flags.models import Environment, Flag, FlagConfig, Segment

Pair = tuple[Environment, Environment]
Place = tuple[uuid.UUID, uuid.UUID]


@dataclass(frozen=True, slots=True)
class Configs:
    """Configs of some environments by flag and environment, and the segments that are not alike in each pair."""

    rows: Mapping[Place, FlagConfig]
    segments: Mapping[Place, Mapping[str, datetime]] = field(default_factory=dict)

    def of(self, flag_id: uuid.UUID, pair: Pair) -> tuple[FlagConfig | None, FlagConfig | None]:
        """The config of a flag in both environments, None where it is not set up."""
        return self.rows.get((flag_id, pair[0].pk)), self.rows.get((flag_id, pair[1].pk))

    def may_differ(self, flag_id: uuid.UUID, pair: Pair) -> bool:
        """Whether digests leave it open that a flag is served differently in both environments."""
        upper, lower = self.of(flag_id, pair)
        if upper is None or lower is None:
            return upper is not lower
        return upper.digest != lower.digest or (pair[0].pk, pair[1].pk) in self.segments

    def unlike(self, upper: FlagConfig, lower: FlagConfig) -> tuple[dict[Aspect, datetime], list[str]]:
        """The aspects that differ with the latest change there, and the segments that are behind a difference in rules.

        Whoever a segment holds is part of what the rules serve.
        """
        latest = max(upper.updated_at, lower.updated_at)
        aspects: dict[Aspect, datetime] = {}
        if upper.digest != lower.digest:
            aspects = dict.fromkeys(differing(upper.document, lower.document), latest)
        moved = self.segments.get((upper.environment_id, lower.environment_id), {})
        named = sorted({key for _, key in segment_places(upper.document)} & moved.keys()) if moved else []
        if named:
            since = max(moved[key] for key in named)
            aspects[Aspect.RULES] = max(since, aspects.get(Aspect.RULES, since))
        return {aspect: aspects[aspect] for aspect in Aspect if aspect in aspects}, named


def configs_in(pairs: Collection[Pair], flags: QuerySet[Flag]) -> Configs:
    """What these environments hold of some flags, without the documents: two queries."""
    environments = {environment.pk for pair in pairs for environment in pair}
    rows = FlagConfig.objects.filter(environment__in=environments, flag__in=flags.order_by().values("pk"))
    found = {(row.flag_id, row.environment_id): row for row in rows.defer("document")}
    return Configs(found, _unlike_segments(pairs, environments))


def read_documents(configs: Configs, flags: Iterable[uuid.UUID], pairs: Collection[Pair]) -> None:
    """Read the documents that decide how these flags stand, where digests alone do not: one query."""
    needed = {
        row.pk: row
        for flag_id, pair in product(flags, pairs)
        if configs.may_differ(flag_id, pair)
        for row in configs.of(flag_id, pair)
        if row is not None
    }
    if needed:
        for key, document in FlagConfig.objects.filter(pk__in=list(needed)).values_list("pk", "document"):
            needed[key].document = document


def _unlike_segments(pairs: Collection[Pair], environments: Collection[uuid.UUID]) -> dict[Place, dict[str, datetime]]:
    """By pair: each segment whose people are not the same, itself or through one that it names, and since when."""
    rows: dict[uuid.UUID, dict[str, Segment]] = {place: {} for place in environments}
    for row in Segment.objects.filter(environment__in=environments):
        rows[row.environment_id][row.key] = row
    found: dict[Place, dict[str, datetime]] = {}
    for upstream, downstream in pairs:
        upper, lower = rows[upstream.pk], rows[downstream.pk]
        direct = {
            key: max(row.updated_at for row in (upper.get(key), lower.get(key)) if row is not None)
            for key in upper.keys() | lower.keys()
            if key not in upper or key not in lower or upper[key].digest != lower[key].digest
        }
        documents = {key: row.document for key, row in (lower | upper).items()} if direct else {}
        for key in documents:
            if reached := segments_within([key], documents) & direct.keys():
                found.setdefault((upstream.pk, downstream.pk), {})[key] = max(direct[one] for one in reached)
    return found
