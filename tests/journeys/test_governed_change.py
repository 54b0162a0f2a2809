"""The product's main job, as a newcomer does it: propose 25 %, have it approved, see a service serve it."""

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from flags.evaluation.bucketing import Generation, bucket
from tests.journeys.demos import Demo

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
CUSTOMERS = [f"customer-{number}" for number in range(400)]
FLAG = "checkout-redesign"
# Somebody between the old 5 % and the new 25 %.
NEWLY_INCLUDED = next(
    customer
    for customer in CUSTOMERS
    if 5_000 <= bucket(customer, salt=f"{FLAG}/", total=100_000, generation=Generation.FLAGD_V2) < 25_000
)


class Visitor:
    """One person in a browser of their own; keeps what the console complained about and who was asked for files."""

    def __init__(self, browser: "Browser", demo: Demo, screenshots: Path, username: str, **context: Any) -> None:
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.demo, self.screenshots, self.username = demo, screenshots, username
        viewport = context.pop("viewport", {"width": 1440, "height": 900})
        self.context = browser.new_context(viewport=viewport, reduced_motion="reduce", **context)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._complain)
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname or ""))
        self.page.goto(f"{demo.base_url}/admin/login/")
        account = next(item for item in demo.facts["accounts"] if item["name"] == username)
        self.page.fill("[name=username]", account["name"])
        self.page.fill("[name=password]", account["password"])
        self.page.click("[type=submit]")

    def _complain(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def picture(self, name: str) -> None:
        """Save what the person sees."""
        self.page.screenshot(path=self.screenshots / f"{name}.png", full_page=True)

    def leave(self) -> None:
        """Close the browser; nothing may have gone wrong in it, and nobody but the demo was asked."""
        self.context.close()
        assert self.complaints == []
        assert self.hosts <= {"127.0.0.1", ""}


def share(demo: Demo) -> float:
    """The share of customers who are served "on"."""
    return sum(demo.evaluate(FLAG, customer)["value"] is True for customer in CUSTOMERS) / len(CUSTOMERS)


def open_flag(visitor: Visitor) -> None:
    visitor.page.goto(f"{visitor.demo.base_url}/admin/flags/flag/?project=storefront")
    visitor.picture("1-flags")
    visitor.page.locator("a.fs-flag", has_text="Checkout redesign").click()


def test_newcomer__proposes_and_approves_a_quarter__the_service_follows(browser, demo, screenshots):
    before = {customer for customer in CUSTOMERS if demo.evaluate(FLAG, customer)["value"]}
    lines = len(demo.lines)
    mira = Visitor(browser, demo, screenshots, "mira")
    open_flag(mira)
    mira.picture("2-flag")
    mira.page.get_by_role("link", name="Propose change").click()
    mira.page.get_by_role("button", name="25 %", exact=True).click()
    mira.page.get_by_text("5 % → 25 %").first.wait_for()
    mira.picture("3-editor")
    mira.page.get_by_role("button", name="Propose change").first.click()
    mira.page.get_by_label("Title").fill("Checkout redesign to 25 %")
    mira.page.get_by_label("Why?").fill("Two quiet weeks at 5 %")
    mira.picture("4-propose")
    mira.page.get_by_role("button", name="Create the request").click()
    mira.page.get_by_role("button", name="Submit for review").first.wait_for()
    mira.picture("5-draft")
    mira.page.get_by_role("button", name="Submit for review").first.click()
    mira.page.get_by_text(re.compile("Needs 1 more approval")).first.wait_for()
    mira.picture("6-in-review")
    assert mira.page.get_by_role("button", name=re.compile("^Approve")).count() == 0
    request_url = mira.page.url
    mira.leave()
    assert share(demo) == len(before) / len(CUSTOMERS)

    ben = Visitor(browser, demo, screenshots, "ben")
    ben.picture("7-desk")
    ben.page.goto(request_url)
    ben.picture("8-review")
    ben.page.get_by_role("button", name=re.compile("^Approve")).first.click()
    ben.page.get_by_role("button", name="Approve for Production").click()
    ben.page.get_by_text(re.compile("Live since|live since|is live")).first.wait_for()
    delay = demo.wait_for(lambda: demo.evaluate(FLAG, NEWLY_INCLUDED)["value"] is True, seconds=20)
    ben.picture("9-applied")
    ben.leave()

    after = {customer for customer in CUSTOMERS if demo.evaluate(FLAG, customer)["value"]}
    assert before < after
    assert 0.19 < len(after) / len(CUSTOMERS) < 0.31
    demo.wait_for(lambda: any(FLAG in line and "was" in line for line in demo.lines[lines:]), seconds=20)
    print(f"served {delay:.2f} s after the page said so")


def test_auditor__after_the_change__sees_who_asked_and_who_approved(browser, demo, screenshots):
    vic = Visitor(browser, demo, screenshots, "vic")
    vic.page.goto(f"{demo.base_url}/admin/audits/auditevent/")
    vic.picture("10-audit")
    assert vic.page.get_by_text(re.compile("Ben Okafor approved")).count()
    vic.leave()


def test_reviewer__on_a_phone_in_the_dark__reaches_the_approve_button(browser, demo, screenshots):
    phone = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True}
    ben = Visitor(browser, demo, screenshots, "ben", **phone)
    ben.page.goto(f"{demo.base_url}/admin/rollouts/changerequest/")
    ben.page.get_by_role("link", name=re.compile("Loyalty points to 50")).first.click()
    approve = ben.page.get_by_role("button", name=re.compile("^Approve")).locator("visible=true").first
    approve.wait_for()
    ben.page.screenshot(path=screenshots / "11-phone.png")
    box = approve.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 844
    assert ben.page.evaluate("document.documentElement.scrollWidth") <= 390
    ben.leave()


def test_demo__verified_from_outside__trail_is_sound(demo):
    environment = {"DEMO": "1", "VAR_DIR": str(demo.folder), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "manage.py", "verify_audit_trail"]

    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_demo__second_start_on_a_taken_port__is_said_in_one_sentence(demo, tmp_path):
    port = demo.base_url.rsplit(":", 1)[1]
    environment = {"DEMO": "1", "VAR_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "manage.py", "demo", "--port", port]

    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert f"Port {port} is taken" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
