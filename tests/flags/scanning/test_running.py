import multiprocessing
import os
import shutil
import subprocess
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pytest

from flags.scanning import running
from flags.scanning.files import files_below
from flags.scanning.git import checkout_of
from flags.scanning.names import names_of
from flags.scanning.running import LARGEST_FILE, scan_folder

NAMES = names_of(["new-checkout"])


def scan(folder, **options):
    return scan_folder(folder, NAMES, branch="main", commit="", **options)


def test_scan__of_a_folder__names_paths_from_the_root_and_counts_what_it_passed_over(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b/x.py").write_text("a\nnew-checkout\n")
    (tmp_path / "a.py").write_text("new-checkout")
    (tmp_path / "binary").write_bytes(b"new-checkout\0")
    (tmp_path / "large").write_bytes(b"new-checkout" + b" " * LARGEST_FILE)
    (tmp_path / "limit").write_bytes(b"new-checkout" + b" " * (LARGEST_FILE - 12))
    os.mkfifo(tmp_path / "pipe")

    found = scan(tmp_path, root="src/")

    assert [(file.path, file.found[0].line) for file in found.files] == [
        ("src/a.py", 1),
        ("src/b/x.py", 2),
        ("src/limit", 1),
    ]
    assert (found.files_read, found.binary_files, found.large_files, found.other_files) == (3, 1, 1, 1)
    assert found.references == 3


def test_scan__with_several_processes__finds_the_same(tmp_path, monkeypatch):
    for number in range(60):
        (tmp_path / f"f{number}").write_text("new-checkout\n" * (number % 3))
    alone = scan(tmp_path, processes=1)
    monkeypatch.setattr(running, "_CHUNK", 7)

    together = scan(tmp_path, processes=2)

    assert together.files == alone.files
    assert together.files_read == 60


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_scan__however_processes_start__finds_the_same(tmp_path, monkeypatch, method):
    pool = partial(ProcessPoolExecutor, mp_context=multiprocessing.get_context(method))
    monkeypatch.setattr(running, "ProcessPoolExecutor", pool)
    monkeypatch.setattr(running, "_CHUNK", 1)
    for number in range(3):
        (tmp_path / f"f{number}").write_text("new-checkout\n" * number)

    assert scan(tmp_path, processes=2).references == 3


def test_names__that_no_page_can_show__are_shown_once_and_in_order(tmp_path):
    for name in (b"a\xff", b"a\xfe", b"a\n", b"z", "é".encode()):
        with open(os.path.join(os.fsencode(tmp_path), name), "w") as file:
            file.write("new-checkout")

    paths = [file.path for file in scan(tmp_path).files]

    assert paths == ["a\N{REPLACEMENT CHARACTER}", "z", "é"]


def test_tracked_link__is_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("new-checkout")
    inside = tmp_path / "inside"
    inside.mkdir()
    os.symlink(outside, inside / "link")

    found = scan(inside, with_git=False)

    assert (found.files, found.files_read) == ((), 0)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_checkout__its_settings_name_a_program__which_is_not_run(tmp_path):
    subprocess.run(["git", "init", "-q", "-b", "trunk", tmp_path], check=True)
    witness = tmp_path / "witness"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {witness}\n")
    program.chmod(0o755)
    subprocess.run(["git", "config", "core.fsmonitor", str(program)], cwd=tmp_path, check=True)

    files_below(tmp_path)
    checkout = checkout_of(tmp_path)

    assert not witness.exists()
    assert checkout is not None
    assert (checkout.branch, checkout.commit) == ("trunk", "")
