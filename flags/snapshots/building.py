"""Reading what evaluation needs from the database."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Q

from flags.evaluation.bucketing import Generation
from flags.evaluation.compile import FlagSource, Snapshot
from flags.evaluation.deprecations import is_archived
from flags.models import Environment, EnvironmentToken
from flags.snapshots.sources import EnvironmentUnreadable
from flags.snapshots.tokens import TokenFacts, TokenStamp

_ATTEMPTS = 5


class DatabaseSource:
    """The database as the source of a snapshot store."""

    def read_revisions(self) -> dict[uuid.UUID, int]:
        """The current revision of every environment: one query."""
        return dict(Environment.objects.order_by().values_list("pk", "revision"))

    def read_token_stamp(self) -> TokenStamp:
        """What tells whether tokens changed: one query."""
        facts = EnvironmentToken.objects.aggregate(
            issued=Count("pk"), revoked=Count("revoked_at"), changed_at=Max("changed_at")
        )
        return TokenStamp(**facts)

    def read_tokens(self) -> dict[str, TokenFacts]:
        """Every token that is not revoked, by the hash of its secret: one query."""
        rows = EnvironmentToken.objects.filter(revoked_at=None).select_related("environment__project").order_by()
        return {
            row.secret_hash: TokenFacts(
                id=row.pk,
                name=row.name,
                scope=row.scope,
                project_key=row.environment.project.key,
                environment_id=row.environment_id,
                environment_key=row.environment.key,
                expires_at=row.expires_at,
            )
            for row in rows
        }

    def build(self, environment_id: uuid.UUID) -> Snapshot:
        """See `build`."""
        return build(environment_id)

    def write_last_use(self, token_id: uuid.UUID, used_at: datetime) -> None:
        """Remember when a token was last used. Later instants of other processes win."""
        older = Q(last_used_at=None) | Q(last_used_at__lt=used_at)
        EnvironmentToken.objects.filter(older, pk=token_id).update(last_used_at=used_at)


def build(environment_id: uuid.UUID) -> Snapshot:
    """Read the snapshot an environment serves now: two queries. Raises EnvironmentUnreadable.

    Each query names the revision it saw, so a change that commits between the two is noticed instead of served by half.
    """
    for _ in range(_ATTEMPTS):
        facts, flags = _read_flags(environment_id)
        revision, segments = _read_segments(environment_id)
        if facts["revision"] == revision:
            return Snapshot(
                project_key=facts["project__key"],
                environment_id=str(environment_id),
                environment_key=facts["key"],
                revision=revision,
                generation=Generation(facts["generation"]),
                flags=flags,
                segments=segments,
                requires_targeting_key=facts["requires_targeting_key"],
                samples_contexts=facts["samples_contexts"],
            )
    raise EnvironmentUnreadable(f"Environment {environment_id} changed during {_ATTEMPTS} attempts to read it.")


def _read_flags(environment_id: uuid.UUID) -> tuple[dict[str, Any], dict[str, FlagSource]]:
    """The environment's own facts and its flags by key, from one statement (an outer join: also without flags).

    Archived flags are left out: for services they do not exist.
    """
    rows: list[Any] = list(
        Environment.objects.filter(pk=environment_id)
        .order_by("configs__flag__key")
        .values(
            "key",
            "revision",
            "generation",
            "requires_targeting_key",
            "samples_contexts",
            "project__key",
            "configs__flag__key",
            "configs__flag__value_type",
            "configs__document",
            "configs__version",
        )
    )
    if not rows:
        raise EnvironmentUnreadable(f"Environment {environment_id} does not exist.")
    flags = {
        row["configs__flag__key"]: FlagSource(
            value_type=row["configs__flag__value_type"],
            document=row["configs__document"],
            version=row["configs__version"],
        )
        for row in rows
        if row["configs__flag__key"] is not None and not is_archived(row["configs__document"])
    }
    return rows[0], flags


def _read_segments(environment_id: uuid.UUID) -> tuple[int, Mapping[str, Mapping[str, Any]]]:
    rows: list[Any] = list(
        Environment.objects.filter(pk=environment_id)
        .order_by("segments__key")
        .values("revision", "segments__key", "segments__document")
    )
    if not rows:
        raise EnvironmentUnreadable(f"Environment {environment_id} does not exist.")
    segments = {row["segments__key"]: row["segments__document"] for row in rows if row["segments__key"] is not None}
    return rows[0]["revision"], segments
