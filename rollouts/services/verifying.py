"""After going back: does this server really serve what was meant? A rollback that only says so is worse than none."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db import DatabaseError, transaction

from flags import snapshots
from flags.changes import document_digest
from flags.evaluation.compile import CompiledSnapshot, compile_snapshot
from flags.snapshots.sources import EnvironmentUnreadable

Digests = Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found: `mismatches` are kind and key of what is served differently, `forced` flags a kill list holds.

    `seconds` is the time from the click until it was known; `problem` says why nothing could be read.
    """

    seconds: float
    revision: int | None
    mismatches: tuple[str, ...] = ()
    forced: tuple[str, ...] = ()
    problem: str = ""

    @property
    def is_good(self) -> bool:
        """Whether everything is served as it was meant."""
        return not self.mismatches and not self.problem


def served_now(environment_id: UUID) -> CompiledSnapshot:
    """What this process serves after looking again; compiled afresh where it serves the environment to nobody.

    Inside a transaction nothing is published, since it may still be rolled back.
    """
    if snapshots.store.is_loaded and not transaction.get_connection().in_atomic_block:
        snapshots.store.refresh()
        served = snapshots.store.served.get(environment_id)
        if served is not None:
            return served
    return compile_snapshot(snapshots.build(environment_id))


def verify(environment_id: UUID, expected: Digests, *, seconds: float) -> Verification:
    """Compare what is served with the digests that were meant."""
    try:
        served = served_now(environment_id)
    except (DatabaseError, EnvironmentUnreadable) as error:
        problem = f"What is served could not be read ({type(error).__name__}), so nobody knows yet."
        return Verification(seconds, None, problem=problem)
    forced = tuple(sorted(key for kind, key in expected if kind == "flag" and key in served.forced))
    return Verification(seconds, served.revision, differing(served, expected), forced)


def differing(served: CompiledSnapshot, expected: Digests) -> tuple[str, ...]:
    """Kind and key of everything that a snapshot does not hold with the digest that is expected."""
    snapshot = served.snapshot
    found = {("flag", key): source.document for key, source in snapshot.flags.items()}
    found |= {("segment", key): document for key, document in snapshot.segments.items()}
    return tuple(
        sorted(
            f"{address[0]} {address[1]}"
            for address, digest in expected.items()
            if address not in found or document_digest(found[address]) != digest
        )
    )
