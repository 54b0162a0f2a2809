"""People of a test's world in browsers of their own, on the server that the test runs."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.urls import reverse

from tests.support.admin import signed_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page


class Visit:
    """One person at work. Keeps what the console complained about and which hosts were asked."""

    def __init__(self, browser: "Browser", address: str, person: Any) -> None:
        self.address = address
        self.complaints: list[str] = []
        self.hosts: set[str | None] = set()
        self.context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        cookie = signed_in(person).cookies["sessionid"].value
        self.context.add_cookies([{"name": "sessionid", "value": cookie, "url": address}])
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname))

    def _hear(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def open(self, route: str, *arguments: Any, query: str = "") -> "Page":
        """Go to a page of the admin."""
        self.page.goto(self.address + reverse(f"admin:{route}", args=arguments) + query)
        return self.page

    def press(self, name: str) -> None:
        """The first button or link of that exact name that can be seen."""
        control = self.page.get_by_role("button", name=name, exact=True)
        control.or_(self.page.get_by_role("link", name=name, exact=True)).locator("visible=true").first.click()

    def read(self, text: str) -> "Locator":
        """Wait until the page says so; answers where."""
        found = self.page.get_by_text(text).locator("visible=true").first
        found.wait_for()
        return found

    def is_offered(self, name: str) -> bool:
        """Whether there is a button or link of that name to use."""
        control = self.page.get_by_role("button", name=name).or_(self.page.get_by_role("link", name=name))
        return bool(control.locator("visible=true").count())

    def leave(self) -> None:
        """Close the browser; nothing may have gone wrong in it, and nobody but the server was asked."""
        self.context.close()
        assert self.complaints == []
        assert self.hosts <= {"localhost", "127.0.0.1", None}
