"""Code references through HTTP: who sees them, what the pages say, and that a hostile checkout writes no script."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from audits.context import Actor
from flags.models import CodeRepository, FlagUse
from flags.scanning.scans import FileReferences, Found
from flags.scanning.wire import ScanHead
from flags.services.references import import_references
from tests.factories import NOW, World, make_served_world, make_world
from tests.support.admin import HOSTILE, signed_in, text_of

LIST = "admin:flags_coderepository_changelist"
KEY = "checkout-redesign"


@pytest.fixture
def world(db: Any) -> World:
    return make_served_world()


def scanned(world: World, *paths: str, hours: int = 0, **said: str) -> CodeRepository:
    """A scan that found the first flag in the first line of these files."""
    found = [FileReferences(path, (Found(KEY, said.pop("alias", ""), 1, 1, said.pop("text", "")),)) for path in paths]
    at = NOW + timedelta(hours=hours)
    head = ScanHead(
        str(uuid4()),
        world.project.key,
        said.pop("repository", "shop"),
        said.pop("branch", "main"),
        "abcdef0123456789",
        "",
        at.isoformat(),
        "",
        10,
        0,
    )
    scan = import_references(world.project, head, lambda: found, actor=Actor.system("test"), now=at).scan
    return scan.repository


def flag_page(world: World) -> str:
    return reverse("admin:flags_flag_references", args=[world.first_flag.pk])


def test_pages__before_the_first_scan__say_so(world: World) -> None:
    client = signed_in(world.vera)

    assert "No repository was scanned yet" in text_of(client.get(reverse(LIST)))
    assert "Nothing known" in text_of(client.get(flag_page(world)))


def test_pages__after_scans__show_lines_and_what_vanished(world: World) -> None:
    client = signed_in(world.vera)
    scanned(world, "src/a.py", "src/b.py")
    scanned(world, "src/b.py", hours=1)

    page = text_of(client.get(flag_page(world)))

    assert "1 line of the branches that count names this flag" in page
    assert page.count("src/a.py:1") == 1
    assert "Gone" in page
    assert "abcdef012345" in page
    assert "Every flag is named somewhere" in text_of(client.get(reverse(LIST)))

    scanned(world, hours=2)
    assert "No longer named" in text_of(client.get(flag_page(world)))
    assert "Flags that no code names" in text_of(client.get(reverse(LIST)))


def test_pages__scan_is_too_old__say_so_until_it_is_scanned_again(world: World) -> None:
    client = signed_in(world.vera)
    scanned(world)
    assert "more than 30 days old: shop (02 March 2026)" in text_of(client.get(reverse(LIST)))
    assert "Scans know too little" in text_of(client.get(flag_page(world)))

    scanned(world, hours=(timezone.now() - NOW) // timedelta(hours=1))

    assert "Scans know too little" not in text_of(client.get(reverse(LIST)))
    assert "Scans know too little" not in text_of(client.get(flag_page(world)))


def test_pages__of_a_hostile_checkout__show_it_as_text(world: World) -> None:
    repository = scanned(world, HOSTILE.replace("//", "/"), repository=HOSTILE, branch=HOSTILE, alias="a<b>")
    CodeRepository.objects.update(url_template="https://code.example.org/{branch}/{path}#L{line}")
    FlagUse.objects.create(
        environment=world.production,
        flag_key=HOSTILE[:100],
        service="<b>",
        version="",
        first_at=NOW,
        last_at=NOW,
        is_unknown=True,
    )
    client = signed_in(world.rita)

    pages = [
        text_of(client.get(address))
        for address in (
            flag_page(world),
            reverse(LIST),
            reverse("admin:flags_coderepository_change", args=[repository.pk]),
        )
    ]

    assert not any("<script>alert" in page or "<img src=x" in page or "a<b>" in page for page in pages)
    assert 'href="https://code.example.org/%3Cscript%3Ealert' in pages[0]
    assert "Asked for, and no flag" in pages[1]


def test_pages__for_somebody_of_another_project__do_not_exist(world: World) -> None:
    repository, stranger = scanned(world, "a.py"), make_world().vera
    client = signed_in(stranger)

    assert client.get(flag_page(world)).status_code == 404
    assert client.get(reverse("admin:flags_coderepository_change", args=[repository.pk])).status_code != 200
    assert "shop" not in text_of(client.get(reverse(LIST))).split("Repositories")[1].split("</section>")[0]


def test_settings__by_an_editor__are_saved_with_a_reason(world: World) -> None:
    repository = scanned(world, "a.py")
    address = reverse("admin:flags_coderepository_change", args=[repository.pk])
    sent = {"default_branch": "trunk", "url_template": "https://code.example.org/{path}", "reason": "Moved"}

    assert signed_in(world.rita).post(address, {**sent, "reason": ""}).status_code == 200
    assert "begins with https" in text_of(signed_in(world.rita).post(address, {**sent, "url_template": "data:x"}))
    assert signed_in(world.vera).post(address, sent).status_code == 403
    repository.refresh_from_db()
    assert repository.default_branch == "main"
    assert signed_in(world.rita).post(address, sent).status_code == 302

    repository.refresh_from_db()
    assert (repository.default_branch, repository.url_template) == ("trunk", "https://code.example.org/{path}")


@pytest.mark.parametrize("count", [1, 12])
def test_page_of_a_flag__however_many_lines__takes_the_same_number_of_queries(
    count: int, world: World, django_assert_num_queries: Any
) -> None:
    scanned(world, *(f"{number}.py" for number in range(count)))
    client = signed_in(world.vera)
    client.get(flag_page(world))

    with django_assert_num_queries(QUERIES):
        client.get(flag_page(world))


QUERIES = 10
