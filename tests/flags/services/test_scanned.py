"""How much scans know: what was never scanned, not lately or not at all leaves flags and keys where they are."""

from datetime import timedelta
from typing import Any

import pytest

from flags.models import CodeRepository, CodeScan
from flags.selectors.references import live_references
from flags.selectors.scanned import Looked, code_knowledge, standing
from flags.selectors.tombstones import kept_back
from flags.services.references import set_repository
from tests.factories import NOW, World, actor_of, make_world

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def world() -> World:
    return make_world()


def scanned(world: World, days_ago: int = 0, *, name: str = "shop", branch: str = "main", **facts: Any) -> None:
    """A scan of a branch, so many days before NOW; `main` counts."""
    repository, _ = CodeRepository.objects.get_or_create(
        project=world.project, name=name, defaults={"default_branch": "main", "created_at": NOW}
    )
    at = NOW - days_ago * DAY
    CodeScan.objects.create(
        repository=repository, branch=branch, scanned_at=at, received_at=at, files_read=facts.get("files_read", 9),
        root=facts.get("root", ""), references=0, added=0, vanished=0, left_out=0, reported_by="ci",
    )  # fmt: skip


def doubts(world: World) -> tuple[str, ...]:
    return code_knowledge(world.project.pk, now=NOW).doubts


TABLE: list[tuple[str, list[dict[str, Any]], str]] = [
    ("scanned today", [{}], ""),
    ("scanned 30 days ago", [{"days_ago": 30}], ""),
    ("scanned 31 days ago", [{"days_ago": 31}], "more than 30 days old: shop (30 January 2026)"),
    ("another branch alone", [{"branch": "feature"}], "Nothing was scanned yet of branch “main” of shop"),
    ("another branch lately", [{"days_ago": 31}, {"branch": "feature"}], "more than 30 days old"),
    ("one of two lately", [{}, {"name": "web", "days_ago": 900}], "more than 30 days old: web"),
    ("one of two never", [{}, {"name": "web", "branch": "dev"}], "branch “main” of web"),
    ("no file today", [{"days_ago": 1}, {"files_read": 0}], "The newest scan read no file: shop (02 March 2026)"),
    ("no file before, files now", [{"days_ago": 1, "files_read": 0}, {}], ""),
    ("a repository let go", [{}, {"name": "web", "days_ago": 31, "files_read": 0}], ""),
    ("all let go", [{"days_ago": 31, "files_read": 0}], "No code of this project was ever scanned, or"),
    ("folders lately", [{"root": "a/"}, {"root": "b/", "days_ago": 3}], ""),
    ("one folder long ago", [{"root": "a/"}, {"root": "b/", "days_ago": 40}], "days old: b/ of shop"),
    ("all of it since", [{"root": "b/", "days_ago": 40}, {}], ""),
    ("a folder within since", [{"root": "b/c/", "days_ago": 40}, {"root": "b/"}], ""),
    ("only a folder within since", [{"days_ago": 40}, {"root": "b/"}], "days old: shop"),
]


@pytest.mark.parametrize(("scans", "wanted"), [case[1:] for case in TABLE], ids=[case[0] for case in TABLE])
def test_doubts__of_every_kind_of_scan(world, scans, wanted):
    for scan in scans:
        scanned(world, **scan)

    found = " ".join(doubts(world))

    assert wanted in found
    assert bool(found) is bool(wanted)


def test_doubts__nothing_was_ever_scanned(world, django_assert_num_queries):
    scanned(make_world())

    with django_assert_num_queries(1):
        found = code_knowledge(world.project.pk, now=NOW)

    assert found.scanned_since is None
    assert found.doubts == ("No code of this project was ever scanned, or what was scanned is gone.",)


def test_many_repositories__five_are_named(world):
    for number in range(7):
        scanned(world, 40, name=f"shop-{number}")

    (told,) = doubts(world)

    assert "shop-4" in told
    assert told.endswith(" and 2 more.")


def test_standing__same_instant__the_wider_folder_stands():
    whole, part, other = Looked("", NOW, NOW), Looked("a/", NOW, NOW), Looked("b/", NOW, NOW + DAY)

    assert standing([whole, part, other]) == [whole, other]


def test_branch_nobody_scans_counts_now__key_stays_kept_back(world):
    flag = world.flag("old-basket")
    scanned(world)
    scanned(world, name="other")
    assert not any("scanned" in each for each in kept_back(flag, now=NOW).unknowns)

    repository = CodeRepository.objects.get(name="shop")
    set_repository(
        repository.pk,
        default_branch="nobody-scans-this",
        url_template="",
        actor=actor_of(world.rita),
        reason="Renamed",
        now=NOW,
    )

    assert live_references(flag) == []
    assert any("branch “nobody-scans-this” of shop" in each for each in kept_back(flag, now=NOW).unknowns)
