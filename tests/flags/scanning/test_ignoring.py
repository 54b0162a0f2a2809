"""The rules of `.gitignore`, each judged by git itself."""

import os
import random
import shutil
import subprocess
import time

import pytest

from flags.scanning.files import files_below
from flags.scanning.ignoring import is_ignored, parse_rules

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

FILES = (
    "a",
    "b.py",
    "ab",
    "#a",
    "!a",
    "a b",
    "a ",
    "x/a",
    "x/b.py",
    "x/y/a",
    "x/y/z/b.py",
    "build/a",
    "x/build/b.py",
    "[a]",
    "é",
)
TABLE = [
    b"a",
    b"/a",
    b"a/",
    b"x/",
    b"/x/",
    b"x/a",
    b"x/*",
    b"x/**",
    b"**/a",
    b"**/build/",
    b"x/**/b.py",
    b"x**/a",
    b"**",
    b"*",
    b"*\n!*/\n!*.py",
    b"*.py",
    b"*.py\n!b.py",
    b"!b.py\n*.py",
    b"x/\n!x/a",
    b"x/*\n!x/a",
    b"# a\na",
    b"\\#a",
    b"\\!a",
    b"a\\ ",
    b"a  ",
    b"a\\  ",
    b"a\r\nab\r",
    b"\xef\xbb\xbfa",
    b"[a]",
    b"[ab]",
    b"[!a]",
    b"[^a]b",
    b"[a-b]*",
    b"[b-a]",
    b"[]a]",
    b"[[]a]",
    b"\\[a]",
    b"[[:alpha:]]",
    b"[[:nothing:]]",
    b"[a",
    b"a\\",
    b"?",
    b"??",
    b"x?a",
    b"x[/]a",
    b"x/y",
    b"y",
    b"/y",
    b"y/a",
    b"***/a",
    b"x/***/a",
    b"**a",
    b"x//a",
    b"/",
    b"//",
    b"!",
    b"!/",
    b"",
    b"   ",
    b".",
    b"./a",
    b"x/y/z/../a",
    b"/**/z",
    b"a/**",
    b"\xc3\xa9",
    b"[[:space:]]",
    b"a[[:space:]]",
    b"[a-]*",
    b"[\\]a]",
    b"*[!y]",
]


def judged(folder, contents):
    """The files that git, and then we, leave over, each ignore file in a folder of its own."""
    subprocess.run(["git", "init", "-q", folder], check=True)
    for number, content in enumerate(contents):
        for name in FILES:
            file = folder / f"case{number}" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        (folder / f"case{number}" / ".gitignore").write_bytes(content)
    return files_below(folder), files_below(folder, with_git=False)


def split_by_case(paths, number):
    start = b"case%d/" % number
    return [path.removeprefix(start) for path in paths if path.startswith(start)]


def test_ignore_files__of_every_form__leave_out_what_git_leaves_out(tmp_path):
    theirs, ours = judged(tmp_path, TABLE)

    for number, content in enumerate(TABLE):
        assert (content, split_by_case(ours, number)) == (content, split_by_case(theirs, number))


def test_ignore_files__put_together_by_chance__leave_out_what_git_leaves_out(tmp_path):
    chance = random.Random(6)
    pieces = [
        b"*",
        b"*a",
        b"**",
        b"**/",
        b"/",
        b"a",
        b"b",
        b"x",
        b"y",
        b"z",
        b"!",
        b"?",
        b"[ab]",
        b"[!x]",
        b".py",
        b"\\",
        b"\n",
        b" ",
        b"build",
    ]
    contents = [b"".join(chance.choices(pieces, k=chance.randint(1, 9))) for _ in range(400)]

    theirs, ours = judged(tmp_path, contents)

    for number, content in enumerate(contents):
        assert (content, split_by_case(ours, number)) == (content, split_by_case(theirs, number))


def test_ignore_files__nested__the_deeper_one_decides(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for name in ("a.log", "x/a.log", "x/y/a.log", "gone/a.py", "kept/b.py", "own/c.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".gitignore").write_text("*.log\ngone/\n")
    (tmp_path / "x/.gitignore").write_text("!/a.log\n")
    (tmp_path / "gone/.gitignore").write_text("!a.py\n")
    (tmp_path / ".git/info/exclude").write_text("own/\n*.py\n!b.py\n")

    ours = files_below(tmp_path, with_git=False)

    assert ours == files_below(tmp_path)
    assert b"x/a.log" in ours
    assert b"gone/a.py" not in ours
    assert b"own/c.py" not in ours


def test_part_of_a_checkout__rules_of_the_folders_above__hold(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "x/y").mkdir(parents=True)
    for name in ("a.log", "b.py", "c.txt"):
        (tmp_path / "x/y" / name).touch()
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "x/.gitignore").write_text("/y/c.txt\n")

    ours = files_below(tmp_path / "x/y", with_git=False)

    assert ours == files_below(tmp_path / "x/y") == [b"b.py"]


def test_links_and_what_is_behind_them__are_left_out_without_git(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").touch()
    inside = tmp_path / "inside"
    inside.mkdir()
    os.symlink(outside, inside / "folder")
    os.symlink(outside / "secret", inside / "file")
    (inside / "a").touch()

    assert files_below(inside, with_git=False) == [b"a"]


def test_tracked_folder__replaced_by_a_link__is_not_followed(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/a").touch()
    inside = tmp_path / "inside"
    (inside / "folder").mkdir(parents=True)
    (inside / "folder/a").touch()
    subprocess.run(["git", "init", "-q", inside], check=True)
    subprocess.run(["git", "add", "."], cwd=inside, check=True)
    shutil.rmtree(inside / "folder")
    os.symlink(tmp_path / "outside", inside / "folder")

    assert files_below(inside) == [b"folder"]


def test_tracked_file__that_is_ignored__is_read_as_git_sees_it(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "kept.log").touch()
    subprocess.run(["git", "add", "kept.log"], cwd=tmp_path, check=True)
    (tmp_path / ".gitignore").write_text("*.log\n")

    assert files_below(tmp_path) == [b".gitignore", b"kept.log"]


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        (b"*a" * 6 + b"*b", b"a" * 200),
        (b"*a" * 60 + b"*b", b"a" * 250),
        (b"*?" * 50 + b"x", b"a" * 250),
        (b"**/a/" * 8 + b"b", b"a/" * 200 + b"c"),
        (b"**/*a*a*b/" * 8 + b"b", b"aaaa/" * 200 + b"c"),
        (b"**/*/" * 20 + b"b", b"a/" * 200 + b"c"),
    ],
)
def test_rule_full_of_stars__is_compared_at_once(pattern, path):
    before = time.process_time()

    assert not is_ignored(path, [parse_rules(pattern)], is_folder=False)

    assert time.process_time() - before < 1


def test_rules__without_a_file__leave_nothing_out():
    assert not is_ignored(b"a", [parse_rules(b"")], is_folder=False)
