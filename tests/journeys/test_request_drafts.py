"""A draft request in a browser: what was typed into one form survives the sending of another one."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import make_served_world
from tests.journeys.visits import Visit
from tests.rollouts.support import Bench

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WHY = "Checked with support: nobody complains at 5 %"


def test_draft__comment_sent_and_people_counted__unsaved_reason_is_still_there(
    browser: "Browser", live_server: Any
) -> None:
    world = make_served_world()
    request = Bench(world, world.first_flag).draft()
    visit = Visit(browser, live_server.url, world.rita)
    warned: list[str] = []

    def accept(dialog: "Dialog") -> None:
        warned.append(dialog.type)
        dialog.accept()

    visit.page.on("dialog", accept)
    visit.open("rollouts_changerequest_change", request.pk)

    visit.page.fill("#draft-reason", WHY)
    visit.page.fill("#comment-body", "Who looks at the numbers?")
    visit.press("Comment")
    visit.read("Your comment is in the discussion.")
    assert visit.page.input_value("#draft-reason") == WHY
    assert visit.page.input_value("#comment-body") == ""

    visit.page.fill("#comment-body", "Half a thought")
    visit.press("Count them")
    visit.page.wait_for_url("**#impact")
    assert visit.page.input_value("#draft-reason") == WHY
    assert visit.page.input_value("#comment-body") == "Half a thought"

    visit.press("Save draft")
    visit.read("Saved. Nobody has been asked yet")
    request.refresh_from_db()
    assert request.reason == WHY
    assert visit.page.input_value("#comment-body") == "Half a thought"
    assert warned == []
    visit.page.fill("#comment-body", "")
    visit.leave()
