"""CPU time of evaluation in-process, beside other evaluators in the same run. Run: python benchmarks/evaluation.py

Shapes are those of `_shapes.py`; how each peer is asked is in `_peers.py`. "New keys" means that no targeting key was
ever seen before, "known keys" that the same ones come again. All engines take turns in every round, so that a noisy
machine is noisy for all; figures are medians of rounds, CPU time of one thread, the loop included.
Peers come from the dependency group "bench"; those that are not installed are named and left out.
"""

import gc
import platform
import statistics
import sys
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# In place of this folder, whose http.py would hide that of the standard library.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._peers import PEERS, Engine, Ours, check_agreement
from benchmarks._shapes import SHAPES, contexts
from benchmarks._worst import worst_contexts, worst_snapshot
from flags.evaluation import Generation, Snapshot, compile_snapshot

CONTEXTS = 1_000
BULK_CONTEXTS = 50
ROUNDS = 9
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FLAGS = {shape: shape for shape in SHAPES}
HUNDRED = {f"flag-{n}": SHAPES[n % 3] for n in range(100)}

Rows = dict[tuple[str, str], list[float]]


def cpu_ns(work: Callable[[], Any], *, times: int) -> float:
    """CPU nanoseconds of one of so many pieces of work that one call does."""
    started = time.process_time_ns()
    work()
    return (time.process_time_ns() - started) / times


def engines() -> list[tuple[Engine, Engine]]:
    """Ours and the peers that are installed: with the three shapes, and with a hundred flags."""
    built: list[tuple[Engine, Engine]] = [(Ours(FLAGS), Ours(HUNDRED))]
    for peer in PEERS:
        try:
            built.append((peer(FLAGS), peer(HUNDRED)))
        except ModuleNotFoundError:
            print(f"{peer.name} is not installed and left out: pip install with the group “bench”.")
            continue
        check_agreement(built[-1][0], FLAGS)
    return built


def compare() -> Rows:
    """Every shape and the bulk of a hundred, each engine in turn."""
    rows: Rows = defaultdict(list)
    built = engines()
    for _ in range(ROUNDS):
        for shape in SHAPES:
            given = contexts(CONTEXTS)
            for engine, _ in built:
                own = [engine.translate(context) for context in given]
                for keys in ("new", "known"):
                    took = cpu_ns(partial(engine.one, shape, own), times=CONTEXTS)
                    rows[f"{shape}, {keys} keys", engine.name].append(took)
        given = contexts(BULK_CONTEXTS)
        for _, engine in built:
            own = [engine.translate(context) for context in given]
            took = cpu_ns(partial(engine.bulk, tuple(HUNDRED), own), times=BULK_CONTEXTS)
            rows["bulk of 100, new keys", engine.name].append(took)
    return rows


def print_comparison(rows: Rows) -> None:
    """One line per shape: our figure, and each peer's with the ratio to ours."""
    names = list(dict.fromkeys(name for _, name in rows))
    print(f"\n{'CPU ns, median':<24}" + "".join(f"{name:>26}" for name in names))
    for shape in dict.fromkeys(shape for shape, _ in rows):
        ours = statistics.median(rows[shape, names[0]])
        line = f"{shape:<24}{ours:>18,.0f} {'':>7}"
        for name in names[1:]:
            figure = statistics.median(rows[shape, name])
            line += f"{figure:>18,.0f} {f'{figure / ours:.2f}x':>7}"
        print(line)


def v3_rows() -> None:
    """Our splits in the other bucketing generation."""
    engine = Ours(FLAGS, generation=Generation.FLAGD_V3)
    for shape in ("rules", "split"):
        figures = []
        for _ in range(ROUNDS):
            given = contexts(CONTEXTS)
            figures.append(cpu_ns(partial(engine.one, shape, given), times=CONTEXTS))
        print(f"{shape}, new keys, flagd-v3: {statistics.median(figures):,.0f} ns")


def growth() -> None:
    """One evaluation, a bulk and a compile with more and more flags of five rules.

    The collector is off meanwhile: it walks over everything that lives in this process, not only what is measured.
    """
    print(f"\n{'flags of 5 rules':<20}{'single ns':>12}{'bulk us':>12}{'us per flag':>13}{'compile ms':>12}{'MB':>8}")
    gc.disable()
    for number in (10, 100, 1_000, 4_000):
        engine = Ours(dict.fromkeys((f"flag-{n}" for n in range(number)), "five"))
        taken, key = engine.compiled.snapshot, f"flag-{number - 1}"
        compile_ns = [cpu_ns(partial(compile_snapshot, taken), times=1) for _ in range(5)]
        given = contexts(CONTEXTS)
        few = given[: max(5, 20_000 // number)]
        single = [cpu_ns(partial(engine.one, key, given), times=CONTEXTS) for _ in range(ROUNDS)]
        bulk = statistics.median(cpu_ns(partial(engine.bulk, (), few), times=len(few)) for _ in range(5)) / 1e3
        print(
            f"{number:<20,}{statistics.median(single):>12,.0f}{bulk:>12,.0f}{bulk / number:>13.2f}"
            f"{statistics.median(compile_ns) / 1e6:>12,.0f}{_megabytes(taken):>8.1f}"
        )
    gc.enable()


def _megabytes(taken: Snapshot) -> float:
    """Memory that compiling takes and keeps, the documents themselves not counted."""
    tracemalloc.start()
    compiled = compile_snapshot(taken)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert compiled.revision
    return kept / 1e6


def worst() -> None:
    """The dearest documents that may be saved."""
    taken = worst_snapshot()
    compile_ns = cpu_ns(partial(compile_snapshot, taken), times=1)
    compiled = compile_snapshot(taken)
    print(f"\nworst legal configuration: compile {compile_ns / 1e6:,.0f} ms")
    for key in ("comparisons", "long-texts", "instants", "lists", "segments", "chain"):
        given = worst_contexts(200, is_long=key == "long-texts")
        figures = sorted(cpu_ns(partial(compiled.evaluate, key, context, NOW), times=1) for context in given)
        print(f"  {key:<14} median {figures[100] / 1e6:6.2f} ms, p99 {figures[197] / 1e6:6.2f} ms")


def main() -> None:
    """Print all tables with their conditions."""
    print(f"CPython {platform.python_version()}, {CONTEXTS:,} contexts, {ROUNDS} interleaved rounds, CPU time")
    for package in ("eppo-server-sdk", "growthbook", "openfeature-flagd-core", "mmh3"):
        try:
            print(f"{package} {version(package)}", end="  ")
        except PackageNotFoundError:
            print(f"{package} not installed", end="  ")
    gc.collect()
    gc.freeze()
    print_comparison(compare())
    v3_rows()
    growth()
    worst()


if __name__ == "__main__":
    main()
