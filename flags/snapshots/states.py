"""What a process serves at one moment. Frozen: a change makes the next state, and readers swap one reference."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from flags.evaluation.compile import CompiledSnapshot, Snapshot
from flags.snapshots.kill_list import Kill, KillList
from flags.snapshots.tokens import TokenFacts

Compiled = Mapping[uuid.UUID, CompiledSnapshot]


@dataclass(frozen=True, slots=True)
class State:
    """Everything evaluation needs.

    `sources` are the snapshots as they were read, `served` the same with the kill list applied.
    """

    stamp: object
    tokens: Mapping[str, TokenFacts]
    holders: Mapping[uuid.UUID, TokenFacts]
    sources: Compiled
    served: Compiled
    kills: KillList


@dataclass(frozen=True, slots=True)
class SavedState:
    """What is kept outside the database: tokens and snapshots as they were at `looked_at`.

    `token_acts` counts how often tokens were issued or revoked until then; of two states the higher one is newer.
    """

    looked_at: datetime
    token_acts: int
    tokens: Mapping[str, TokenFacts]
    snapshots: Mapping[uuid.UUID, Snapshot]


NO_KILLS = KillList()
EMPTY = State(stamp=None, tokens={}, holders={}, sources={}, served={}, kills=NO_KILLS)


def make_state(
    *, stamp: object, tokens: Mapping[str, TokenFacts], sources: Compiled, kills: KillList, previous: State
) -> State:
    """The state to serve next. What did not change since `previous` is the same object there and here."""
    served = {key: _served(key, source, kills, previous) for key, source in sources.items()}
    holders = {facts.id: facts for facts in tokens.values()}
    return State(stamp=stamp, tokens=tokens, holders=holders, sources=sources, served=served, kills=kills)


def _served(key: uuid.UUID, source: CompiledSnapshot, kills: KillList, previous: State) -> CompiledSnapshot:
    place = (source.snapshot.project_key, source.snapshot.environment_key)
    forced = kills.forced(place)
    if previous.sources.get(key) is source and previous.kills.forced(place) == forced:
        return previous.served[key]
    return source.with_forced(forced) if forced else source


def newer(current: Compiled, found: Compiled, *, known: Iterable[uuid.UUID]) -> dict[uuid.UUID, CompiledSnapshot]:
    """Of each environment in `known` the snapshot with the higher revision; the current one where both are equal.

    Two looks may overlap and a replica may lag behind: neither takes people back.
    """
    chosen: dict[uuid.UUID, CompiledSnapshot] = {}
    for key in known:
        options = [side[key] for side in (current, found) if key in side]
        if options:
            chosen[key] = max(options, key=lambda compiled: compiled.revision)
    return chosen


def beyond(state: State, compiled: Mapping[uuid.UUID, CompiledSnapshot]) -> dict[uuid.UUID, CompiledSnapshot]:
    """What is newer than a state, of the environments in it."""
    sources = state.sources
    return {key: one for key, one in compiled.items() if key in sources and one.revision > sources[key].revision}


def changed(before: State, after: State) -> frozenset[uuid.UUID]:
    """The environments that serve something else now."""
    keys = before.served.keys() | after.served.keys()
    return frozenset(key for key in keys if before.served.get(key) is not after.served.get(key))


def ignored_kills(state: State) -> frozenset[Kill]:
    """The entries of the kill list that force nothing: no such environment, flag or variant is served here."""
    places = {
        (compiled.snapshot.project_key, compiled.snapshot.environment_key): compiled
        for compiled in state.served.values()
    }
    return frozenset(
        kill
        for kill in state.kills.entries
        if kill.place not in places or kill.flag_key in places[kill.place].ignored_forced
    )
