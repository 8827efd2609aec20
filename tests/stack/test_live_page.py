"""The live page at the end of the real path: simulated fans, Mosquitto, predictor, scoring service, monitor, Chromium.

With FANWATCH_SCREENSHOTS=1 it also takes the README's pictures.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from contract.command import Condition, FanCommand
from testbed.mosquitto import Mosquitto
from testbed.process import REPOSITORY
from testbed.services import Inference, Predictor, Simulator
from testbed.site import Site
from testbed.waiting import wait_until
from tests.browser.watched_page import chromium, watched_page
from tests.monitor.monitor_process import MonitorProcess

IMAGES = REPOSITORY / "docs" / "images"
TAKES_PICTURES = os.environ.get("FANWATCH_SCREENSHOTS") == "1"

# For the picture it was worn out before, and a trend of minutes is not over with the first good readings.
MENDED = re.compile("Healthy|Wearing") if TAKES_PICTURES else "Healthy"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def live_page(tmp_path_factory: pytest.TempPathFactory, inference: Inference) -> Iterator[MonitorProcess]:
    # A broker of its own: the page shows every fan of its broker, and the pictures show six.
    with (
        Mosquitto(Site(tmp_path_factory.mktemp("live-page"))) as broker,
        Predictor(broker, inference.url),
        MonitorProcess(
            broker.site.folder / "monitor", broker, FANWATCH_DEMO="true", FANWATCH_INFERENCE_URL=inference.url
        ) as monitor,
        Simulator(broker, fans=6, rate=3, seed=5),
    ):
        yield monitor


def sign_in(page: Page, live_page: MonitorProcess) -> None:
    """As the account that setup made."""
    page.goto("/login?next=/alarms")
    page.get_by_label("Name").fill("operator")
    page.get_by_label("Password").fill(live_page.first_password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Alarms", exact=True)).to_be_visible()


def state(page: Page, fan: str, word: str, within_ms: float = 15_000) -> None:
    expect(page.locator(f'.tile[data-id="{fan}"] .pill')).to_have_text(word, timeout=within_ms)


def state_of_head(page: Page, word: str) -> None:
    expect(page.locator("#pill")).to_have_text(word, timeout=15_000)


def wear_out(page: Page, fan: str, seconds: float) -> None:
    """What the button does, and quicker."""
    status = page.evaluate(
        """async ([fan, body, token]) => (await fetch(`/api/fans/${fan}/command`, {
            method: "POST", body, headers: { "Content-Type": "application/json", "X-CSRFToken": token },
        })).status""",
        [
            fan,
            FanCommand(condition=Condition.WEARING, duration_s=seconds).model_dump_json(),
            page.locator('meta[name="csrf-token"]').get_attribute("content"),
        ],
    )
    assert status == 202


@contextmanager
def pictures(page: Page, name: str) -> Iterator[None]:
    yield
    if TAKES_PICTURES:
        IMAGES.mkdir(exist_ok=True)
        page.screenshot(path=IMAGES / name)


def order_stands(page: Page) -> None:
    """Until no tile has moved for longer than the page takes from one question for alarms to the next, and to sort."""
    seen: tuple[list[str], float] = ([], 0.0)

    def stands() -> bool:
        nonlocal seen
        order = page.locator(".tile").evaluate_all("tiles => tiles.map((tile) => tile.dataset.id)")
        if order != seen[0]:
            seen = (order, time.monotonic())
        return time.monotonic() - seen[1] > 2

    wait_until(stands, within_s=20, what="the tiles to stay where they are")


def no_fault_goes_on(page: Page, live_page: MonitorProcess) -> None:
    """Until the faults of earlier tests are over, whose end would move tiles."""
    going_on = {"unacknowledged", "acknowledged"}

    def over() -> bool:
        alarms = page.request.get(f"{live_page.url}/api/alarms?after=").json()["alarms"]
        return not any(alarm["kind"] == "machine_fault" and alarm["state"] in going_on for alarm in alarms)

    wait_until(over, within_s=60, what="the faults of earlier tests to be over")


def points(live_page: MonitorProcess, fan: str) -> int:
    body = requests.get(f"{live_page.url}/api/fans/{fan}", timeout=5).json()
    return len(body["fans"][0]["points"]) if body["fans"] else 0


def wait_points(live_page: MonitorProcess, fan: str, more: int) -> None:
    """Until a sparkline shows what was asked of it."""
    if TAKES_PICTURES:
        wanted = points(live_page, fan) + more
        wait_until(
            lambda: points(live_page, fan) >= wanted, within_s=60, what=f"{wanted} points of fan {fan}"
        )


def test_breaking_fan_5_turns_its_tile_within_five_seconds_and_mending_it_turns_it_back(
    browser: Browser, live_page: MonitorProcess
) -> None:
    with watched_page(browser, live_page.url, height=800, scale=1.5) as page:
        page.goto("/")
        expect(page.locator(".tile")).to_have_count(6, timeout=15_000)
        for fan in "123456":
            state(page, fan, "Healthy")
        five = page.locator('.tile[data-id="5"]')
        # The units and the threshold come from the model that the scoring service serves.
        expect(five.locator(".signal-unit")).to_have_text([" r/min", " °C", " a.u.", " dB"])
        expect(five.locator(".meter-threshold")).to_be_visible()
        if TAKES_PICTURES:
            requests.post(
                f"{live_page.url}/api/fans/3/command",
                json={"condition": "silent"},
                headers={"Origin": live_page.url},
                timeout=5,
            ).raise_for_status()
            state(page, "3", "Silent", 45_000)
        wait_points(live_page, "5", 40)
        page.get_by_role("button", name="Break Fan 5").click()
        state(page, "5", "Fault", within_ms=5000)
        expect(page.locator(".tile").first).to_have_attribute("data-id", "5")
        page.mouse.move(5, 5)
        wait_points(live_page, "5", 22)
        with pictures(page, "live-page.png"):
            expect(page.locator('[data-count="fault"]')).to_have_text("1")
        order_stands(page)
        page.get_by_role("button", name="Mend Fan 5").click()
        state(page, "5", "Healthy")


def test_the_page_of_a_fan_shows_how_it_breaks_and_why_it_alarms(
    browser: Browser, live_page: MonitorProcess
) -> None:
    with watched_page(browser, live_page.url, height=1480, scale=1.25) as page:
        sign_in(page, live_page)
        page.goto("/fan/2")
        expect(page.locator("#pill")).to_have_text("Healthy", timeout=15_000)
        expect(page.locator("#threshold-key")).to_have_text("fault from 50 %")
        if TAKES_PICTURES:  # half of the way to worn out, with the trend that the fan itself has drawn
            wear_out(page, "2", 400)
            expect(page.locator("#trend-words")).to_contain_text("left", timeout=200_000)
            expect(page.locator(".alarm-kind")).to_have_count(2, timeout=120_000)
            with pictures(page, "live-page-fan.png"):
                expect(page.locator(".chart canvas").first).to_be_visible()
            page.get_by_role("button", name="Mend").click()
            expect(page.locator("#pill")).to_have_text(MENDED, timeout=15_000)
        page.get_by_role("button", name="Break").click()
        state_of_head(page, "Fault")
        expect(page.locator("#verdicts-body .mark[data-state=fault]").first).to_be_visible()
        expect(page.locator(".signals .unit")).to_have_text(["r/min", "°C", "a.u.", "dB"])
        fault = page.locator('.alarm[data-priority="high"]')
        expect(fault).to_contain_text("Machine fault", timeout=30_000)
        expect(page.locator("#reasons-why")).to_contain_text("look at")
        expect(page.locator("#shares li")).to_have_count(4)
        fault.get_by_role("button", name="Acknowledge").click()
        expect(fault).to_contain_text("Acknowledged by operator")
        expect(page.locator(".chart canvas").first).to_be_visible()
        page.get_by_role("button", name="Mend").click()
        expect(page.locator("#pill")).to_have_text(MENDED, timeout=15_000)


def test_the_page_is_usable_on_a_phone_in_the_dark(browser: Browser, live_page: MonitorProcess) -> None:
    with watched_page(browser, live_page.url, width=360, height=740, scheme="dark", scale=2) as page:
        sign_in(page, live_page)
        page.goto("/")
        expect(page.locator(".tile")).to_have_count(6, timeout=15_000)
        no_fault_goes_on(page, live_page)
        order_stands(page)
        page.get_by_role("button", name="Break Fan 5").tap()
        state(page, "5", "Fault", within_ms=5000)
        page.goto("/alarms")
        # An earlier alarm of the fan, whose cause is gone, may wait to be answered: that one would only leave the list.
        alarm = page.locator('.alarm[data-state="unacknowledged"]').get_by_role(
            "button", name="Acknowledge: Machine fault, Fan 5"
        )
        expect(alarm).to_be_visible(timeout=30_000)
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        with pictures(page, "live-page-phone-dark.png"):
            expect(page.locator("#alarm-badge")).to_be_visible()
        alarm.tap()
        expect(page.locator("#answered")).to_contain_text("Acknowledged by operator", timeout=15_000)
        page.goto("/fan/5")
        with page.expect_response("**/command"):
            page.get_by_role("button", name="Mend").tap()
        page.goto("/")
        state(page, "5", "Healthy")
