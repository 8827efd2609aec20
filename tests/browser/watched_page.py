"""A real headless Chromium, and a page whose console and requests are watched."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Starts the browser.

    Raises:
        FileNotFoundError: It is not installed; with the command that does.
    """
    if not CHROMIUM.exists():
        raise FileNotFoundError(f"{CHROMIUM} is missing: run tests/browser/install.sh")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()


class Watch:
    """What a page did beyond showing itself."""

    def __init__(self, page: Page, host: str) -> None:
        self._host = host
        self.complaints: list[str] = []
        self.abroad: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def _request(self, request: Request) -> None:
        if urlsplit(request.url).netloc != self._host:
            self.abroad.append(request.url)


@contextmanager
def watched_page(
    browser: Browser,
    url: str,
    *,
    width: int = 1360,
    height: int = 900,
    scheme: Literal["light", "dark"] = "light",
    scale: float = 1,
    reduced_motion: bool = False,
    loss_expected: bool = False,
    refusal_expected: bool = False,
) -> Iterator[Page]:
    """A page at the monitor, in a context of its own.

    At the end it must have said nothing on the console and asked no other host for anything.

    Args:
        browser: The browser.
        url: Base URL of the monitor.
        width: Of the viewport, CSS pixels; below 500 it is a phone with a touch screen.
        height: Of the viewport, CSS pixels.
        scheme: Which colours the person prefers.
        scale: Device pixels in a CSS pixel.
        reduced_motion: Whether the person prefers less motion.
        loss_expected: The monitor is taken away during the test, which the browser itself writes on the console.
        refusal_expected: The monitor refuses a request during the test, which it writes there as well.
    """
    phone = width < 500
    context = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        reduced_motion="reduce" if reduced_motion else "no-preference",
        device_scale_factor=scale,
        has_touch=phone,
        is_mobile=phone,
        locale="en-GB",
    )
    try:
        page = context.new_page()
        page.set_default_timeout(10_000)
        watch = Watch(page, urlsplit(url).netloc)
        try:
            yield page
        except BaseException as error:
            error.add_note(f"the page said: {watch.complaints}")
            raise
        assert watch.abroad == []
        complaints = [
            each
            for each in watch.complaints
            if not (loss_expected and "ERR_CONNECTION" in each)
            and not (refusal_expected and re.search(r"the server responded with a status of 40[13]", each))
        ]
        assert complaints == [], f"the page said: {complaints}"
    finally:
        context.close()
