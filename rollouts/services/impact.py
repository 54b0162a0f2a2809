"""Impact runs: asking for one, carrying it out in slices, and taking up or ending what a worker left behind.

Exactly one worker carries out a run: taking it up, every slice and its end are conditional updates that name the
attempt. What was handed in for a run goes with its end, and an hour after it came whatever happens.
"""

import uuid
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import orjson
import structlog
from django.db.models import F, Q

from audits.actions import Action
from audits.context import Actor, ActorKind, correlation, current_correlation_id
from flags import permissions
from flags.errors import ConcurrentUpdate, NotFound, PermissionMissing
from flags.models import Environment, EnvironmentToken
from flags.models.tokens import TokenScope
from flags.services.attempts import attempt
from flags.services.keys import problem
from flags.services.tickets import governed_write
from rollouts.errors import ImpactUnderWay, InvalidTransition
from rollouts.impact import (
    MAX_SIZE,
    SMALLEST_SAMPLE,
    Population,
    PopulationProblem,
    Simulation,
    described_sample,
    read_contexts,
    sampled_contexts,
)
from rollouts.models import ChangeRequest, ImpactRun, ImpactState, ImpactUpload
from rollouts.selectors.impact import (
    compared_snapshots,
    flags_in_question,
    latest_impact,
    most_people,
    old_uploads,
    samples_of,
    usable_samples,
)
from rollouts.services.writing import lock_request, record, require_person
from rollouts.transitions import OPEN_STATES

ASKERS = (permissions.PROPOSE, permissions.APPROVE, permissions.APPLY, permissions.ADMINISTER)
# People of one slice at most, and answers: a slice takes about a second, far less than a worker may be silent.
SLICE = 5_000
SLICE_ANSWERS = 50_000
MOST_ATTEMPTS = 3
Clock = Callable[[], datetime]

logger = structlog.get_logger(__name__)


def start_impact(
    request_id: uuid.UUID,
    *,
    actor: Actor,
    now: datetime,
    population: object = None,
    contexts: bytes = b"",
    sampled: bool = False,
) -> ImpactRun:
    """Queue a run for the present content of a request: over a described population, or over contexts handed in.

    `population` is a description as JSON, `contexts` JSON lines, a JSON array or CSV; with `sampled` the people are
    those whose contexts the environment sampled. The same question asked again
    while it is under way gives the same run. Takes any role but viewer, of services a management token of the
    environment. Raises PermissionMissing, InvalidInput, InvalidTransition, ImpactUnderWay.
    """
    given = None if sampled else _read(population, contexts)

    def act() -> ImpactRun:
        request = lock_request(request_id)
        _require(actor, request.environment, now=now)
        if request.current_state not in OPEN_STATES:
            raise InvalidTransition("This request has ended, so nobody flips with it any more.")
        described, kept, size = given or _sampled(request)
        under_way = ImpactRun.objects.filter(request=request, finished_at=None).first()
        if under_way is not None:
            return _same(under_way, request, described, has_upload=bool(kept))
        _refuse_too_many(request, size)
        run = ImpactRun(
            request=request,
            environment=request.environment,
            digest=request.digest,
            population=described,
            total=size,
            created_at=now,
            correlation_id=current_correlation_id(),
            **_who(actor),
        )
        with governed_write(request.environment_id):
            run.save(force_insert=True)
        if kept:
            ImpactUpload.objects.create(run=run, contexts=kept, created_at=now)
        return run

    return attempt(act)


def carry_out_impact(run_id: uuid.UUID, *, clock: Clock) -> bool:
    """Carry out a run that waits; whether this call brought it to its end."""
    run = _take_up(run_id, now=clock())
    if run is None:
        return False
    with correlation(run.correlation_id):
        try:
            result = _simulate(run, clock=clock)
        except _TakenOver:
            return False
        except _Unusable as error:
            return _fail(run, str(error), now=clock())
        except Exception as error:
            # The message of an error may hold what was handed in, so only its kind is told.
            logger.error("impact_failed", run=str(run.pk), error=type(error).__name__)
            return _fail(run, "Something failed on our side. Its cause is in the server's log.", now=clock())
        return _finish(run, result, now=clock())


def revive_impact(run_id: uuid.UUID, *, now: datetime) -> bool:
    """Put a run whose worker is gone back into the queue, or end it after too many attempts; whether it was done."""
    run = ImpactRun.objects.filter(pk=run_id, state=ImpactState.RUNNING).first()
    if run is None:
        return False
    if run.attempts >= MOST_ATTEMPTS:
        return _fail(run, f"{MOST_ATTEMPTS} workers were stopped while they worked on it. Run it again.", now=now)
    return _write(run, state=ImpactState.QUEUED, progress=0)


def drop_upload(run_id: uuid.UUID, *, now: datetime) -> bool:
    """Delete what was handed in an hour ago, and end a run that still waits for it; whether there was such."""
    uploads = old_uploads(now).filter(run=run_id)
    if not uploads.exists():
        return False
    run = ImpactRun.objects.filter(pk=run_id, finished_at=None).first()
    if run is not None:
        _fail(run, "No worker took it up within an hour, so what was handed in is deleted. Run it again.", now=now)
    uploads.delete()
    return True


def seen_impact(request: ChangeRequest) -> dict[str, str]:
    """The finished run that was there when somebody approved, for the trail; empty where there was none."""
    run = latest_impact(request)
    return {"impact_run": str(run.pk)} if run else {}


class _TakenOver(Exception):
    """Another worker has the run now, or it has ended."""


class _Unusable(Exception):
    """What the run was asked for cannot be worked out any more; the message is for people."""


def _read(population: object, contexts: bytes) -> tuple[dict[str, Any], bytes, int]:
    """How the people are described, what is kept of them for the run, and how many they are."""
    try:
        if contexts:
            found = read_contexts(contexts)
            return {"kind": "upload", "size": len(found)}, zlib.compress(orjson.dumps(found), 3), len(found)
        described = Population.from_json(population)
        return {"kind": "synthetic", **described.as_json()}, b"", described.size
    except PopulationProblem as error:
        raise problem(error.path or "population", error.message) from None
    except (TypeError, RecursionError):
        raise problem("contexts", "The list holds values that cannot be evaluated.") from None


def _sampled(request: ChangeRequest) -> tuple[dict[str, Any], bytes, int]:
    """All whose contexts the environment sampled, or a fair part of them where the change can move many flags."""
    usable = usable_samples(request.environment)
    if not usable:
        raise problem(
            "sampled",
            f"{request.environment.name} has fewer than {SMALLEST_SAMPLE:,} sampled contexts. An administrator lets it "
            "sample them; ask made-up people meanwhile.",
        )
    size = min(usable, most_people(len(flags_in_question(*compared_snapshots(request)))))
    return described_sample(size), b"", size


def _same(under_way: ImpactRun, request: ChangeRequest, described: dict[str, Any], *, has_upload: bool) -> ImpactRun:
    if not has_upload and under_way.digest == request.digest and under_way.population == described:
        return under_way
    raise ImpactUnderWay(
        f"Another impact run for #{request.number} is under way. Wait until it has ended, then ask again.",
        run=str(under_way.pk),
    )


def _refuse_too_many(request: ChangeRequest, size: int) -> None:
    flags = len(flags_in_question(*compared_snapshots(request)))
    most = min(most_people(flags), MAX_SIZE)
    if size > most:
        raise problem("size", f"This change can move {flags} flags, so use {most:,} people at most.")


def _require(actor: Actor, environment: Environment, *, now: datetime) -> None:
    if actor.kind is not ActorKind.SERVICE:
        permissions.require_any(actor, ASKERS, environment)
        return
    valid = Q(expires_at=None) | Q(expires_at__gt=now)
    tokens = EnvironmentToken.objects.filter(valid, pk=actor.id, scope=TokenScope.MANAGE, revoked_at=None)
    if not tokens.filter(environment=environment).exists():
        raise PermissionMissing("This token asks about changes of its own environment only.")


def _who(actor: Actor) -> dict[str, Any]:
    return (
        {"token_id": uuid.UUID(actor.id)} if actor.kind is ActorKind.SERVICE else {"asked_by_id": require_person(actor)}
    )


def _asker(run: ImpactRun) -> Actor:
    """Whoever asked, as the trail knows them."""
    if run.token is not None:
        return Actor.service(run.token.pk, run.token.name, via="task")
    if run.asked_by is None:
        raise NotFound("Nobody asked for this run.")
    return Actor.person(run.asked_by, via="task")


def _take_up(run_id: uuid.UUID, *, now: datetime) -> ImpactRun | None:
    """The run, marked as this worker's; None where there is nothing to take up."""

    def act() -> ImpactRun | None:
        rows = ImpactRun.objects.filter(pk=run_id, state=ImpactState.QUEUED)
        environment_id = rows.values_list("environment_id", flat=True).first()
        if environment_id is None:
            return None
        with governed_write(environment_id):
            taken = rows.update(state=ImpactState.RUNNING, attempts=F("attempts") + 1, seen_at=now, progress=0)
        related = ImpactRun.objects.select_related("request__environment", "request__project", "asked_by", "token")
        return related.get(pk=run_id) if taken else None

    return attempt(act)


def _simulate(run: ImpactRun, *, clock: Clock) -> dict[str, Any]:
    request, now = run.request, clock()
    if request.digest != run.digest:
        raise _Unusable("The request was edited after this was asked for. Run it again.")
    at = max(request.apply_at or now, now)
    before, after = compared_snapshots(request)
    is_synthetic = run.population["kind"] == "synthetic"
    flags = flags_in_question(before, after)
    simulation = Simulation(before, after, flags, at=at, shows_keys=is_synthetic)
    for part in _slices(run, size=max(1, min(SLICE, SLICE_ANSWERS // max(1, len(flags))))):
        simulation.feed(part)
        if not _write(run, progress=simulation.people, seen_at=clock()):
            raise _TakenOver
    return simulation.result()


def _slices(run: ImpactRun, *, size: int) -> Iterator[Any]:
    if run.population["kind"] == "synthetic":
        described = {name: value for name, value in run.population.items() if name != "kind"}
        population = Population.from_json(described)
        yield from (population.contexts(start, start + size) for start in range(0, population.size, size))
        return
    contexts = _people_of(run)
    yield from (contexts[start : start + size] for start in range(0, len(contexts), size))


def _people_of(run: ImpactRun) -> list[dict[str, Any]]:
    """The contexts of a run whose people are not made up."""
    if run.population["kind"] == "sampled":
        contexts = sampled_contexts(samples_of(run.environment_id, run.population["size"]))
        if not contexts:
            raise _Unusable("The sampled contexts are deleted, since sampling was switched off. Ask made-up people.")
        return contexts
    upload = ImpactUpload.objects.filter(run=run).first()
    if upload is None:
        raise _Unusable("What was handed in is deleted already. Run it again.")
    found: list[dict[str, Any]] = orjson.loads(zlib.decompress(upload.contexts))
    return found


def _write(run: ImpactRun, **fields: Any) -> bool:
    """Write to a run provided that it is still this attempt's."""

    def act() -> bool:
        mine = ImpactRun.objects.filter(pk=run.pk, state=run.state, attempts=run.attempts)
        with governed_write(run.environment_id):
            return mine.update(**fields) == 1

    return attempt(act)


def _fail(run: ImpactRun, words: str, *, now: datetime) -> bool:
    def act() -> bool:
        if not _write(run, state=ImpactState.FAILED, problem=words, finished_at=now):
            return False
        ImpactUpload.objects.filter(run=run).delete()
        return True

    return attempt(act)


def _finish(run: ImpactRun, result: dict[str, Any], *, now: datetime) -> bool:
    """Keep the result, forget what was handed in, and record the counts: all of it or nothing."""

    def act() -> bool:
        request = lock_request(run.request_id)
        if not _write(run, state=ImpactState.DONE, result=result, progress=run.total, finished_at=now):
            raise ConcurrentUpdate("Another worker finished this run.")
        ImpactUpload.objects.filter(run=run).delete()
        record(
            Action.CHANGE_REQUEST_IMPACT_COUNTED,
            request,
            actor=_asker(run),
            now=now,
            origin=request.current_state,
            **impact_facts(run, result),
        )
        return True

    try:
        return attempt(act)
    except ConcurrentUpdate:
        return False


def impact_facts(run: ImpactRun, result: dict[str, Any]) -> dict[str, Any]:
    """What the trail keeps of a run: whose content, how many people, and how many of them flip."""
    counts = {name: result[name] for name in ("population", "flipped", "gained", "lost", "changed")}
    return {
        "run": str(run.pk),
        "counted_digest": run.digest,
        "population_kind": run.population["kind"],
        "revision": result["revision"],
        "at": result["at"],
        **counts,
    }
