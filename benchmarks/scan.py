"""How long a scan of a large checkout takes: python -m benchmarks.scan [files] [keys]

A tree of its own in a temporary folder: files of one to two kilobytes of made-up code, one in twenty of which names a
flag, a repository of git, and 20,000 files below an ignored node_modules. Scanned with git and without, without aliases
and with three kinds of them. The files were written just before, so they are read from the page cache.
"""

import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from flags.scanning.names import names_of
from flags.scanning.running import scan_folder

GOAL_SECONDS = 60.0
KINDS = ("camel", "pascal", "screaming")
IGNORED = 20_000
LETTERS = "abcdefghijklmnopqrstuvwxyz_"


def main(count: int, flags: int) -> int:
    """Run the benchmark; 1 when a scan takes longer than it may."""
    keys = [f"team{number % 50}-feature-{number}" for number in range(flags)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        named = _plant(folder, count, keys)
        print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        print(f"{count:,} files, {flags:,} flags, {named:,} files that name one, {IGNORED:,} ignored")
        slowest = max(_scan(folder, keys, kinds, with_git) for kinds in ((), KINDS) for with_git in (True, False))
    return 0 if slowest < GOAL_SECONDS else 1


def _scan(folder: Path, keys: list[str], kinds: tuple[str, ...], with_git: bool) -> float:
    before = _cpu()
    scan = scan_folder(folder, names_of(keys, kinds=kinds), branch="main", commit="", with_git=with_git)
    verdict = "met" if scan.seconds < GOAL_SECONDS else "MISSED"
    print(
        f"{'git' if with_git else 'own rules'}, {len(kinds)} kinds of aliases: {scan.seconds:.1f} s, "
        f"{_cpu() - before:.1f} s of CPU, {scan.files_read / scan.seconds:,.0f} files/s, {scan.references:,} found, "
        f"load {os.getloadavg()[0]:.1f} (goal {GOAL_SECONDS:.0f} s {verdict})"
    )
    return scan.seconds


def _cpu() -> float:
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


def _plant(folder: Path, count: int, keys: list[str]) -> int:
    """The tree; how many of its files name a flag."""
    chance, named = random.Random(6), 0
    words = ["".join(chance.choices(LETTERS, k=chance.randint(2, 12))) for _ in range(3_000)]
    lines = ['    {} = {}({}, "{}")\n'.format(*chance.choices(words, k=4)) for _ in range(5_000)]
    for number in range(count):
        place = folder / f"part{number // 2_000}" / f"module{number // 40 % 50}"
        if number % 40 == 0:
            place.mkdir(parents=True, exist_ok=True)
        body = chance.choices(lines, k=chance.randint(25, 50))
        if chance.random() < 0.05:
            named += 1
            body.insert(chance.randrange(len(body)), f'if flags.is_on("{chance.choice(keys)}"):\n')
        (place / f"file{number}.py").write_text("".join(body))
    ignored = folder / "node_modules" / "package"
    ignored.mkdir(parents=True)
    for number in range(IGNORED):
        (ignored / f"{number}.js").write_text(f"on('{keys[0]}')")
    (folder / ".gitignore").write_text("node_modules/\n*.pyc\n/dist\n**/build/**\n!keep.pyc\n")
    subprocess.run(["git", "init", "-q", folder], check=True)
    subprocess.run(["git", "add", "."], cwd=folder, check=True)
    return named


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:3]]
    sys.exit(main(*(numbers + [200_000, 5_000][len(numbers) :])))
