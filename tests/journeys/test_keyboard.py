"""Pages for people who do not use a mouse, or do not see where a message stands."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import World, make_served_world
from tests.journeys.visits import Visit
from tests.rollouts.support import Bench

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def world() -> World:
    return make_served_world(10)


@pytest.fixture
def bench(world: World) -> Bench:
    return Bench(world, world.first_flag)


@pytest.fixture
def visit(browser: "Browser", live_server: Any) -> Iterator[Callable[[Any], Visit]]:
    """Open a browser for somebody; all of them are closed, and had nothing to complain about, in the end."""
    visits: list[Visit] = []

    def come(person: Any) -> Visit:
        visits.append(Visit(browser, live_server.url, person))
        return visits[-1]

    yield come
    for one in visits:
        one.leave()


WHERE = "(() => { const at = document.activeElement; return [at.id || at.textContent.trim(), at.offsetWidth > 40]; })()"
INSIDE = "document.getElementById('page-content').contains(document.activeElement)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_first_tab_stop__on_any_page__leads_past_the_navigation(
    bench: Bench, visit: Callable[[Any], Visit], scheme: Any
) -> None:
    one = visit(bench.world.abel)
    one.page.emulate_media(color_scheme=scheme)
    request = bench.submitted()

    for route, arguments in (("rollouts_changerequest_change", [request.pk]), ("index", [])):
        page = one.open(route, *arguments)
        page.wait_for_load_state()
        assert page.locator(".fs-skip").bounding_box()["width"] <= 1  # type: ignore[index]
        page.keyboard.press("Tab")
        assert page.evaluate(WHERE) == ["Skip to content", True]
        page.keyboard.press("Enter")
        assert page.evaluate(WHERE)[0] == "page-content"
        page.keyboard.press("Tab")
        assert page.evaluate(INSIDE) is True


def test_field__refused__is_marked_and_described_by_what_is_said(bench: Bench, visit: Callable[[Any], Visit]) -> None:
    one = visit(bench.world.rita)
    page = one.open("rollouts_changerequest_change", bench.draft().pk)
    page.locator("#draft-reason").fill("   ")
    one.press("Submit for review")
    one.read("Put right what is marked")

    why = page.locator("#draft-reason")
    assert why.get_attribute("aria-invalid") == "true"
    assert page.locator(f"#{why.get_attribute('aria-describedby')}").inner_text().endswith("It may not be empty.")
    # The browser itself notes that the answer was a refusal, and nothing else.
    assert [text for text in one.complaints if "status of 400" not in text] == []
    one.complaints.clear()
