"""Fixtures of the ground: time, cleaning between tests, a browser. People and flags come from `tests.factories`."""

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.core.cache import cache
from django.test import TransactionTestCase
from hypothesis import settings as hypothesis_settings

from flags.snapshots import store
from tests.support.flush import flush_database
from tests.support.tools import chromium_flags, find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Shared machines are slow at odd moments; a property that is right but late has not failed.
hypothesis_settings.register_profile("flagsite", deadline=None, print_blob=True)
hypothesis_settings.load_profile("flagsite")


def _flush_after_test(self: TransactionTestCase) -> None:
    flush_database()


# Django's own flush meets the triggers that refuse it.
TransactionTestCase._fixture_teardown = _flush_after_test  # type: ignore[attr-defined]


@pytest.fixture
def now() -> datetime:
    """A fixed instant, a Saturday noon."""
    return datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _clean_cache() -> Iterator[None]:
    """Throttles and snapshots of one test are not seen by the next."""
    yield
    cache.clear()
    store.reset()


@pytest.fixture(autouse=True)
def _event_loop_of_the_browser_stays_there(request: pytest.FixtureRequest) -> Iterator[None]:
    """Playwright's synchronous interface leaves its event loop marked as running in this thread; others need none."""
    if "browser" in request.fixturenames:
        yield
        return
    running = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(running)


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """A headless chromium; use it in tests marked `browser`."""
    from playwright.sync_api import sync_playwright

    # Playwright's synchronous interface runs an event loop in this thread, which Django takes for asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=chromium_flags())
        yield chromium
        chromium.close()
    os.environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    """A fresh page without cookies, 1440 x 900."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where journeys leave their pictures: `SCREENSHOTS`, else var/screenshots."""
    folder = Path(os.environ.get("SCREENSHOTS", "var/screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
