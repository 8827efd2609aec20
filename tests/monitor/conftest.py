"""The browser, and a monitor with a feeder, for the tests that look at the page."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.watched_page import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started
