"""The page in a real browser, at a real broker; the test itself stands in for the predictor and the fans."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from contract.command import Condition, FanCommand
from contract.rejection import Reason
from testbed.mosquitto import Connection, Mosquitto
from testbed.site import Site
from testbed.waiting import wait_until
from tests.browser.watched_page import watched_page
from tests.monitor.made_verdicts import BROKEN, RUNNING, lively, rejection, verdict
from tests.monitor.monitor_process import MonitorProcess, plant_file


class Stage:
    """A monitor of its own broker, and what publishes to it."""

    def __init__(self, monitor: MonitorProcess, predictor: Connection, simulator: Connection) -> None:
        self.monitor = monitor
        self.predictor = predictor
        self.simulator = simulator
        self._seqs: Counter[str] = Counter()

    def say(self, device_id: str, fault: Literal[0, 1] = 0, signals: dict[str, float] | None = None) -> None:
        """One verdict, measured now."""
        self._seqs[device_id] += 1
        seq = self._seqs[device_id]
        made = verdict(device_id, at=time.time(), seq=seq, fault=fault, signals=signals or lively(fault, seq))
        self.predictor.publish(f"fan/anomaly/{device_id}", made.to_json())

    def loses(self, device_id: str, readings: int) -> None:
        """The next readings never come."""
        self._seqs[device_id] += readings

    def breaks(self, device_id: str) -> None:
        """Enough faulty verdicts for the diagnosis to call it a fault."""
        for _ in range(6):
            self.say(device_id, fault=1)

    def six_fans(self, readings: int = 8) -> None:
        """Six fans with something to draw, and enough verdicts for the diagnosis to call them healthy."""
        for _ in range(readings):
            for number in range(1, 7):
                self.say(str(number))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(Site(tmp_path_factory.mktemp("site"))) as started:
        yield started


@pytest.fixture
def stage(broker: Mosquitto, tmp_path: Path) -> Iterator[Stage]:
    with (
        MonitorProcess(
            tmp_path / "monitor",
            broker,
            FANWATCH_DEMO="true",
            FANWATCH_PLANT_FILE=plant_file(tmp_path, silent_after_s=3600),
        ) as monitor,
        broker.connect("predictor") as predictor,
        broker.connect("simulator") as simulator,
    ):
        yield Stage(monitor, predictor, simulator)


def order(page: Page) -> list[str]:
    return list(page.locator(".tile").evaluate_all("tiles => tiles.map(tile => tile.dataset.id)"))


def overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def test_each_fan_has_a_tile_with_its_state_signals_and_last_contact(browser: Browser, stage: Stage) -> None:
    stage.six_fans()
    with watched_page(browser, stage.monitor.url) as page:
        page.goto("/")
        expect(page.locator(".tile")).to_have_count(6)
        five = page.locator('.tile[data-id="5"]')
        expect(five.get_by_role("heading")).to_have_text("Fan 5")
        expect(five.locator(".pill")).to_have_text("Healthy")
        expect(five.locator(".probability-value")).to_have_text("9 %")
        expect(five.locator(".spark canvas")).to_have_count(4)
        expect(five.locator(".signal-name")).to_have_text(["Rotation", "Temperature", "Vibration", "Sound"])
        expect(five.locator(".signal-value").first).to_have_text(re.compile(r"^(59|60|61)\d$"))
        expect(five.locator(".contact")).to_contain_text("Last contact")
        assert order(page) == ["1", "2", "3", "4", "5", "6"]


def test_a_fault_turns_the_tile_moves_it_first_and_counts(browser: Browser, stage: Stage) -> None:
    stage.six_fans()
    with watched_page(browser, stage.monitor.url) as page:
        page.goto("/")
        expect(page.locator(".tile")).to_have_count(6)
        stage.breaks("5")
        expect(page.locator('.tile[data-id="5"] .pill')).to_have_text("Fault", timeout=5000)
        expect(page.locator(".tile").first).to_have_attribute("data-id", "5")
        expect(page.locator('[data-count="fault"]')).to_have_text("1")
        expect(page.locator('[data-count="healthy"]')).to_have_text("5")
        expect(page).to_have_title("(1) Fleet · Fanwatch")
        expect(page.locator("#announcer")).to_have_text("Fan 5: Fault")
        for _ in range(10):
            stage.say("5")
        expect(page.locator('.tile[data-id="5"] .pill')).to_have_text("Healthy")
        expect(page.locator(".tile").first).to_have_attribute("data-id", "1")


def test_one_faulty_verdict_among_healthy_ones_is_no_fault(browser: Browser, stage: Stage) -> None:
    stage.six_fans()
    with watched_page(browser, stage.monitor.url) as page:
        page.goto("/")
        five = page.locator('.tile[data-id="5"]')
        expect(five.locator(".pill")).to_have_text("Healthy")
        stage.say("5", fault=1)
        expect(five.locator(".probability-value")).to_have_text("98 %")
        expect(five.locator(".pill")).to_have_text("Healthy")


def test_a_stopped_fan_and_a_stuck_sensor_are_told_apart(browser: Browser, stage: Stage) -> None:
    stage.six_fans()
    for number in range(12):
        stage.say("2", signals=lively(0, number) | {"rotation": 0.0, "vibration": 1.0 + number / 10})
        stage.say("3", signals=lively(0, number) | {"sound": 47.5})
    with watched_page(browser, stage.monitor.url) as page:
        page.goto("/")
        expect(page.locator('.tile[data-id="2"] .pill')).to_have_text("Stopped")
        expect(page.locator('.tile[data-id="3"] .pill')).to_have_text("Sensor fault")
        expect(page.locator('.tile[data-id="3"] .tile-notes')).to_have_text("Flat line")
        expect(page.locator('[data-count="stopped"]')).to_have_text("1")
        expect(page.locator('[data-count="sensor_fault"]')).to_have_text("1")
        expect(page.locator('[data-count="healthy"]')).to_have_text("4")
        # What needs nobody comes last, and a stopped machine needs nobody.
        expect(page.locator(".tile").first).to_have_attribute("data-id", "3")
        page.goto("/fan/3")
        expect(page.locator("#since")).to_contain_text("Flat line")


def test_new_verdicts_reach_an_open_page(browser: Browser, stage: Stage) -> None:
    with watched_page(browser, stage.monitor.url) as page:
        page.goto("/")
        expect(page.get_by_role("heading", name="Waiting for the first verdict")).to_be_visible()
        stage.say("pump-7", signals={"pressure": 3.25, "flow_rate": 120.0})
        expect(page.locator(".tile h2")).to_have_text("pump-7")
        expect(page.locator(".signal-name")).to_have_text(["Pressure", "Flow rate"])
        expect(page.get_by_role("heading", name="Waiting")).to_be_hidden()
        stage.say("pump-7", signals={f"s{number}": float(number) for number in range(8)})
        expect(page.locator(".signal-name")).to_have_count(6)
        expect(page.locator(".more-signals")).to_have_text("and 2 more")


def test_the_buttons_of_a_tile_break_and_mend_its_fan(browser: Browser, stage: Stage) -> None:
    stage.six_fans()
    stage.simulator.subscribe("fan/commands/+")
    with watched_page(browser, stage.monitor.url) as page:
        page.goto("/")
        for name, condition in (("Break Fan 5", Condition.FAULTY), ("Mend Fan 5", Condition.HEALTHY)):
            page.get_by_role("button", name=name).click()
            message = stage.simulator.next()
            assert message.topic == "fan/commands/5"
            assert FanCommand.model_validate_json(message.payload).condition is condition
        expect(page.locator("#command-note")).to_have_text("Told: Fan 5 is mended.")
        page.goto("/fan/5")
        page.get_by_role("button", name="Silence").click()
        assert FanCommand.model_validate_json(stage.simulator.next().payload).condition is Condition.SILENT


def test_the_page_of_a_fan_draws_its_signals_and_lists_its_verdicts(browser: Browser, stage: Stage) -> None:
    for _ in range(12):
        stage.say("5")
    stage.breaks("5")
    with watched_page(browser, stage.monitor.url) as page:
        page.goto("/")
        page.get_by_role("link", name="Fan 5").click()
        expect(page.get_by_role("heading", name="Fan 5")).to_be_visible()
        expect(page.locator("#pill")).to_have_text("Fault")
        expect(page.locator("#fact-model")).to_have_text("fan:3")
        expect(page.locator("#since")).to_contain_text("since")
        expect(page.locator(".chart canvas")).to_have_count(6)
        expect(page.locator(".signals figcaption h2")).to_have_text(
            ["Rotation", "Temperature", "Vibration", "Sound"]
        )
        expect(page.locator("#scatter-title")).to_have_text("Rotation against vibration")
        page.get_by_label("Up").select_option("sound")
        expect(page.locator("#scatter-title")).to_have_text("Sound against vibration")
        expect(page.locator("#verdicts-body tr")).to_have_count(10)
        stage.say("5", fault=1, signals=BROKEN)
        expect(page.locator("#verdicts-body tr").first).to_contain_text("Fault")
        expect(page.get_by_role("img", name="Rotation over time, newest 430")).to_be_visible()
        stage.say("5", signals=RUNNING)
        expect(page.locator("#verdicts-body tr").first).to_contain_text("Healthy")
        expect(page.get_by_role("img", name="Rotation over time, newest 600")).to_be_visible()
        expect(page.locator("#pill")).to_have_text("Fault")  # one healthy verdict mends nothing


def test_the_pages_say_calmly_how_many_readings_are_missing(browser: Browser, stage: Stage) -> None:
    stage.six_fans(3)
    with watched_page(browser, stage.monitor.url) as page:
        page.goto("/")
        losses = page.locator("#losses")
        expect(losses).to_have_text("18 readings since the monitor started: none missing")
        stage.loses("5", 1200)
        stage.say("5")
        expect(losses).to_have_text("19 readings since the monitor started: 1,200 missing")
        expect(losses).to_have_attribute("data-missing", "true")
        page.goto("/fan/5")
        expect(losses).to_have_text("4 readings since the monitor started: 1,200 missing")
        page.goto("/fan/4")
        expect(losses).to_have_text("3 readings since the monitor started: none missing")
        first_generation = verdict("old", at=time.time())
        stage.predictor.publish("fan/anomaly", first_generation.to_json())
        page.goto("/fan/old")
        expect(losses).to_have_text(
            "1 reading since the monitor started, without numbers that would tell what is missing"
        )


def test_what_comes_from_outside_stays_text(browser: Browser, stage: Stage) -> None:
    nasty = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    refusal = rejection("5", Reason.NOT_A_READING, nasty)
    stage.predictor.publish("fan/rejected", refusal.to_json())
    stage.predictor.publish("fan/status/predictor", '{"status": "offline"}')
    with watched_page(browser, stage.monitor.url) as page:
        page.goto("/fan/5")
        expect(page.locator("#head-note")).to_contain_text(nasty)
        expect(page.locator("#fact-rejected")).to_have_text("1")
        expect(page.locator("#pill")).to_have_text("Unknown")
        assert page.locator("main img, main script").count() == 0
        expect(page.locator("#banner")).to_contain_text("The predictor is offline")


def test_a_silent_fan_is_said_to_be_silent(browser: Browser, broker: Mosquitto, tmp_path: Path) -> None:
    with (
        MonitorProcess(
            tmp_path / "monitor", broker, FANWATCH_PLANT_FILE=plant_file(tmp_path, silent_after_s=0.5)
        ) as monitor,
        broker.connect("predictor") as predictor,
        watched_page(browser, monitor.url) as page,
    ):
        predictor.publish("fan/anomaly/5", verdict("5", at=time.time()).to_json())
        page.goto("/")
        expect(page.locator('.tile[data-id="5"] .pill')).to_have_text("Silent")
        expect(page.get_by_role("button", name="Break Fan 5")).to_have_count(0)


def test_a_lost_monitor_is_admitted_and_found_again(browser: Browser, stage: Stage) -> None:
    stage.six_fans()
    with watched_page(browser, stage.monitor.url, loss_expected=True) as page:
        page.goto("/")
        expect(page.locator(".tile")).to_have_count(6)
        stage.monitor.stop()
        expect(page.locator("#banner")).to_contain_text("The monitor has not answered since")
        expect(page.locator("body")).to_have_class("stale")
        expect(page.locator("#live-text")).to_have_text("Not live")
        stage.monitor.start()
        stage.say("1")
        expect(page.locator("#banner")).to_be_hidden()
        expect(page.locator("body")).not_to_have_class("stale")
        # The new process knows what the last one knew, and says of whom it has heard nothing yet.
        expect(page.locator('.tile[data-id="1"] .contact')).to_contain_text("Last contact")
        expect(page.locator('.tile[data-id="2"] .contact')).to_have_text(
            "Not heard since the monitor started"
        )
        expect(page.locator(".tile .pill")).to_have_text(["Healthy"] * 6)


def test_everything_can_be_done_by_keyboard(browser: Browser, stage: Stage) -> None:
    stage.six_fans()
    focused = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim()"
    with watched_page(browser, stage.monitor.url) as page:
        page.goto("/")
        expect(page.locator(".tile")).to_have_count(6)
        reached = []
        for _ in range(21):
            page.keyboard.press("Tab")
            reached.append(re.sub(r"\s+", " ", page.evaluate(focused)))
            ring = page.evaluate(
                """() => [document.activeElement, document.activeElement.closest('.tile')].some(
                    (each) => each && getComputedStyle(each).outlineStyle === 'solid')"""
            )
            assert ring, f"no focus to be seen on {reached[-1]}"
        assert reached[:2] == ["Skip to the content", "Fanwatch"]
        assert reached[2:8] == ["Fleet", "Alarms", "History", "Quality", "Sign in", "0 Fault"]
        assert reached[15:] == ["Fan 1", "Break Fan 1", "Mend Fan 1", "Fan 2", "Break Fan 2", "Mend Fan 2"]
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Shift+Tab")
        # A tile that moves takes the focus with it.
        stage.breaks("2")
        expect(page.locator(".tile").first).to_have_attribute("data-id", "2")
        assert page.evaluate(focused) == "Fan 2"
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{stage.monitor.url}/fan/2")


def test_a_count_filters_the_tiles(browser: Browser, stage: Stage) -> None:
    stage.six_fans()
    stage.breaks("5")
    with watched_page(browser, stage.monitor.url) as page:
        page.goto("/")
        button = page.get_by_role("button", name="Fault", exact=False).first
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".tile:visible")).to_have_count(1)
        page.get_by_role("button", name="Show all").click()
        expect(page.locator(".tile:visible")).to_have_count(6)


@pytest.mark.parametrize("path", ["/", "/fan/5", "/fan/" + "W" * 64])
def test_a_phone_needs_no_sideways_scrolling(browser: Browser, stage: Stage, path: str) -> None:
    stage.six_fans()
    stage.say("W" * 64, fault=1)
    stage.predictor.publish("fan/rejected", rejection("W" * 64, detail="x" * 300).to_json())
    with watched_page(browser, stage.monitor.url, width=360, height=740) as page:
        page.goto(path)
        expect(page.locator(".tile, .chart canvas").first).to_be_visible()
        assert overflow(page) <= 0
        small = page.locator("button:visible, select:visible").evaluate_all(
            "all => all.filter(each => each.getBoundingClientRect().height < 44).map(each => each.outerHTML)"
        )
        assert small == [], "too small for a finger"


_CONTRAST = """() => {
  const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const numbers = (text) => text.match(/[0-9.]+/g).map(Number);
  const ground = (node) => {
    for (let each = node; each; each = each.parentElement) {
      const colour = numbers(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some((each) => each.nodeType === 3 && each.data.trim());
    if (!own || !node.checkVisibility() || node.closest('.sprite, .skip, noscript')) continue;
    const [a, b] = [light(numbers(getComputedStyle(node).color)), light(ground(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push(`${node.className} ${node.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return [...new Set(poor)];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(
    browser: Browser, stage: Stage, scheme: Literal["light", "dark"]
) -> None:
    stage.six_fans()
    stage.breaks("5")
    stage.predictor.publish("fan/rejected", rejection("9").to_json())
    with watched_page(browser, stage.monitor.url, scheme=scheme) as page:
        page.goto("/")
        expect(page.locator(".tile")).to_have_count(7)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(int(each) for each in re.findall(r"\d+", ground)[:3]) > 384) == (scheme == "light")
        assert page.evaluate(_CONTRAST) == []
        page.goto("/fan/5")
        expect(page.locator(".chart canvas").first).to_be_visible()
        assert page.evaluate(_CONTRAST) == []


def test_nothing_moves_for_who_prefers_less_motion(browser: Browser, stage: Stage) -> None:
    stage.six_fans()
    with watched_page(browser, stage.monitor.url, reduced_motion=True) as page:
        page.goto("/")
        expect(page.locator(".tile")).to_have_count(6)
        stage.breaks("6")
        expect(page.locator(".tile").first).to_have_attribute("data-id", "6")
        assert page.evaluate("document.getAnimations().length") == 0


def test_a_hundred_fans_have_a_hundred_tiles_and_only_those_in_sight_are_drawn(
    browser: Browser, stage: Stage
) -> None:
    for _ in range(2):
        for number in range(100):
            stage.say(f"fan-{number}")
    with watched_page(browser, stage.monitor.url) as page:
        page.goto("/")
        expect(page.locator(".tile")).to_have_count(100)
        expect(page.locator(".spark canvas").first).to_be_visible()
        assert order(page)[:3] == ["fan-0", "fan-1", "fan-2"]
        assert page.locator(".spark canvas").count() < 200
        page.locator('.tile[data-id="fan-99"]').scroll_into_view_if_needed()
        expect(page.locator('.tile[data-id="fan-99"] .spark canvas')).to_have_count(4)


def test_while_no_verdict_of_any_machine_comes_each_tile_says_so_and_no_machine_is_silent(
    browser: Browser, broker: Mosquitto, tmp_path: Path
) -> None:
    with (
        MonitorProcess(
            tmp_path / "monitor",
            broker,
            FANWATCH_DEMO="true",
            FANWATCH_PLANT_FILE=plant_file(tmp_path, silent_after_s=5),
        ) as monitor,
        broker.connect("predictor") as predictor,
        broker.connect("simulator") as simulator,
        watched_page(browser, monitor.url) as page,
    ):
        stage = Stage(monitor, predictor, simulator)
        page.goto("/")
        stage.six_fans()
        said = page.locator(".tile-notes").filter(has_text="no verdicts of any machine arrive")
        expect(said).to_have_count(6, timeout=20_000)
        expect(page.locator('.tile .pill[data-state="healthy"]')).to_have_count(6)
        page.get_by_role("link", name="Fan 5").click()
        expect(page.locator("#head-note")).to_contain_text("no verdicts of any machine arrive")

        def says_it_no_more() -> bool:
            stage.six_fans(1)
            return page.locator("#head-note").is_hidden()

        wait_until(says_it_no_more, within_s=30, what="the end of the note")
