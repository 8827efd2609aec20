"""The operator's pages in a real browser, at a real broker: alarms that real verdicts raised, answered by somebody."""

import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
import requests
from playwright.sync_api import APIResponse, Browser, Page, Route, expect

from contract.alarm import Alarm
from testbed.mosquitto import Connection, Mosquitto
from testbed.site import Site
from testbed.waiting import wait_until
from tests.browser.accessibility import TOO_SMALL, violations
from tests.browser.watched_page import watched_page
from tests.monitor.made_verdicts import lively, verdict
from tests.monitor.monitor_process import MonitorProcess, plant_file

Scheme = Literal["light", "dark"]
ACCOUNT = "operator"


class Plant:
    """A monitor that asks for a login, and the predictor's verdicts."""

    def __init__(self, monitor: MonitorProcess, predictor: Connection, password: str) -> None:
        self.monitor = monitor
        self.predictor = predictor
        self.password = password
        self._seq = 0

    def breaks(self, device_id: str) -> None:
        """Verdicts of the last half minute, all of them faults, no two readings alike: the alarm comes at once."""
        now = time.time()
        for number in range(16):
            self._seq += 1
            signals = {
                "rotation": 430.0 + number,
                "temperature": 40.0 + number / 8,
                "vibration": 231.0 + number,
                "sound": 48.0 + number / 8,
            }
            made = verdict(device_id, at=now - 30 + number, seq=self._seq, fault=1, signals=signals)
            self.predictor.publish(f"fan/anomaly/{device_id}", made.to_json())

    def mends(self, device_id: str) -> None:
        """Healthy verdicts of the last seconds."""
        now = time.time()
        for number in range(12):
            self._seq += 1
            made = verdict(device_id, at=now - 12 + number, seq=self._seq, signals=lively(0, number))
            self.predictor.publish(f"fan/anomaly/{device_id}", made.to_json())

    def wears(self, device_id: str) -> None:
        """An hour in which vibration rises steadily, still far from its limit."""
        now = time.time()
        for number in range(120):
            self._seq += 1
            noise = (number * 37 % 11 - 5) * 0.4
            signals = {
                "rotation": 600.0 + noise,
                "temperature": 40.0 + noise / 50,
                "vibration": 150.0 + number * 0.4 + noise,
                "sound": 48.5 + noise / 50,
            }
            made = verdict(device_id, at=now - 3600 + number * 30, seq=self._seq, signals=signals)
            self.predictor.publish(f"fan/anomaly/{device_id}", made.to_json())


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(Site(tmp_path_factory.mktemp("site"))) as started:
        yield started


@pytest.fixture
def plant(broker: Mosquitto, tmp_path: Path) -> Iterator[Plant]:
    with (
        MonitorProcess(
            tmp_path,
            broker,
            FANWATCH_PUBLIC_VIEW="false",
            FANWATCH_PLANT_FILE=plant_file(tmp_path, silent_after_s=3600),
            FANWATCH_ALARM_RULES='{"machine_fault": {"on_delay_s": 0}, "wear": {"on_delay_s": 0}}',
        ) as monitor,
        broker.connect("predictor") as predictor,
    ):
        yield Plant(monitor, predictor, monitor.first_password)


def sign_in(page: Page, plant: Plant) -> None:
    page.get_by_label("Name").fill(ACCOUNT)
    page.get_by_label("Password").fill(plant.password)
    page.get_by_role("button", name="Sign in").click()


def test_who_opens_the_page_signs_in_with_setups_password_and_comes_back_to_where_they_wanted(
    browser: Browser, plant: Plant
) -> None:
    # The page that is left may ask for news once more between its session's end and the next page.
    with watched_page(browser, plant.monitor.url, refusal_expected=True) as page:
        page.goto("/fan/5")
        expect(page).to_have_url(re.compile(r"/login\?next=%2Ffan%2F5$"))
        expect(page.get_by_label("Name")).to_be_focused()
        sign_in(page, plant)
        expect(page).to_have_url(f"{plant.monitor.url}/fan/5")
        expect(page.get_by_role("link", name="Account of operator")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_an_alarm_is_acknowledged_shelved_and_closed_with_a_name(browser: Browser, plant: Plant) -> None:
    with watched_page(browser, plant.monitor.url) as page:
        page.goto("/alarms")
        sign_in(page, plant)
        expect(page.get_by_role("heading", name="No alarms")).to_be_visible()
        plant.breaks("5")
        card = page.locator('.alarm[data-priority="high"]')
        expect(card.get_by_role("heading")).to_have_text("Fan 5")
        expect(card).to_contain_text("Machine fault")
        expect(card.locator(".alarm-why")).to_contain_text("look at")
        expect(page.locator("#alarm-badge")).to_have_text("1")
        expect(page).to_have_title("(1) Alarms · Fanwatch")
        expect(page.locator("#announcer")).to_have_text("New alarm, high priority: Fan 5, Machine fault")

        card.get_by_role("button", name="Acknowledge: Machine fault, Fan 5").click()
        expect(page.locator("#answered .alarm")).to_contain_text("Acknowledged by operator")
        expect(page.locator("#alarm-badge")).to_be_hidden()
        expect(page.locator("#order-note")).to_have_text("Machine fault, Fan 5: acknowledged.")

        page.get_by_role("button", name="Shelve: Machine fault, Fan 5").click()
        dialog = page.get_by_role("dialog", name="Shelve")
        expect(dialog.get_by_label("8 hours")).to_be_checked()
        dialog.get_by_label("1 day").check()
        dialog.get_by_role("button", name="Shelve").click()
        expect(page.locator("#aside .alarm")).to_contain_text("Shelved by operator until")
        page.get_by_role("button", name="Unshelve: Machine fault, Fan 5").click()
        expect(page.locator("#aside")).to_be_hidden()

        page.get_by_role("button", name="Close: Machine fault, Fan 5").click()
        dialog = page.get_by_role("dialog", name="Close")
        dialog.get_by_label("Real").check()
        dialog.get_by_label("Note").fill("the <b>belt</b> was torn")
        dialog.get_by_role("button", name="Close the alarm").click()
        expect(page.locator("#order-note")).to_have_text("Machine fault, Fan 5: closed.")
        # It is still there, because its cause is; and says what was found.
        card = page.locator("#answered .alarm")
        expect(card).to_contain_text("Closed as real by operator; it leaves the list when its cause is gone.")
        expect(card.get_by_role("button", name="Correct: Machine fault, Fan 5")).to_be_visible()

        page.get_by_role("link", name="History").click()
        row = page.locator("tbody tr")
        expect(row).to_contain_text("Real by operator")
        expect(row).to_contain_text("the <b>belt</b> was torn")
        row.get_by_role("button", name="Correct machine fault of 5").click()
        dialog.get_by_label("Planned").check()
        dialog.get_by_role("button", name="Close the alarm").click()
        expect(row).to_contain_text("Planned by operator")
        expect(row.get_by_role("button")).to_be_focused()

        page.get_by_role("link", name="Log").click()
        expect(page.locator("tbody tr td:nth-child(3)")).to_have_text(
            ["Close", "Close", "Unshelve", "Shelve", "Acknowledge", "Sign in"]
        )
        acknowledged, shelved = (page.locator("tbody tr").nth(number) for number in (4, 3))
        expect(acknowledged).to_contain_text("Machine fault, Fan 5 (alarm 1)")
        expect(shelved.locator("td").last).to_have_text(re.compile(r"^until (\d+ \w+, )?\d\d:\d\d:\d\d$"))
        page.get_by_role("link", name="Quality").click()
        expect(page.locator(".verdict")).to_contain_text("1 alarm called for one operator")
        expect(page.get_by_role("row", name="Closed as planned")).to_contain_text("1")


def test_a_colleagues_answer_and_the_retained_alarm_say_the_same(
    browser: Browser, plant: Plant, broker: Mosquitto
) -> None:
    plant.breaks("6")
    with (
        watched_page(browser, plant.monitor.url) as mine,
        watched_page(browser, plant.monitor.url) as colleagues,
        broker.connect("telegraf") as telegraf,
    ):
        for page in (mine, colleagues):
            page.goto("/fan/6")
            sign_in(page, plant)
            expect(page.get_by_role("button", name="Acknowledge: Machine fault, Fan 6")).to_be_visible()
        colleagues.get_by_role("button", name="Acknowledge: Machine fault, Fan 6").click()
        expect(mine.locator(".alarm-state")).to_contain_text("Acknowledged by operator")
        telegraf.subscribe("fan/alarms/6")
        said = Alarm.from_json(bytes(telegraf.next().payload))
        while said.acknowledged_by is None:  # the retained one may be older than the answer
            said = Alarm.from_json(bytes(telegraf.next().payload))
        assert (said.state.value, said.acknowledged_by) == ("acknowledged", "operator")


def test_the_page_of_a_fan_draws_the_trend_with_its_band_and_the_reasons_beside_it(
    browser: Browser, plant: Plant
) -> None:
    plant.wears("4")
    plant.breaks("5")
    with watched_page(browser, plant.monitor.url) as page:
        page.goto("/fan/4")
        sign_in(page, plant)
        expect(page.locator("#trend-title")).to_have_text("Vibration towards 250")
        expect(page.locator("#trend-words")).to_have_text(re.compile(r"^\d+ to \d+ (minutes|hours) left$"))
        expect(page.locator("#fact-left")).to_have_text(re.compile(r"^\d+ to \d+ (minutes|hours)$"))
        expect(page.locator("#trend-band")).to_have_text("90 % band")
        expect(page.locator("#trend-chart canvas")).to_be_visible()
        expect(page.locator(".alarm-kind")).to_have_text("Wear")
        expect(page.locator(".alarm-left")).to_contain_text("left")
        expect(page.locator("#reasons-title")).to_have_text("Reasons: wear")
        painted = page.locator("#trend-chart canvas").evaluate(
            """(canvas) => new Set(new Uint32Array(canvas.getContext('2d').getImageData(
                0, 0, canvas.width, canvas.height).data.buffer)).size"""
        )
        assert painted > 8, "nothing is drawn"
        page.goto("/fan/5")
        expect(page.locator("#trend-none")).to_contain_text("No trend")
        expect(page.locator("#fact-left")).to_have_text("no trend")
        expect(page.locator("#reasons-why")).to_contain_text("look at")
        shares = page.locator("#shares li")
        expect(shares).to_have_count(4)
        expect(shares.first).to_contain_text("usual")
        expect(page.locator("#past-body tr")).to_contain_text("going on")


def test_the_fleet_is_in_order_of_urgency(browser: Browser, plant: Plant) -> None:
    plant.wears("4")
    for device_id in ("5", "6"):
        plant.breaks(device_id)
    for device_id in ("1", "2"):
        plant.predictor.publish(
            f"fan/anomaly/{device_id}", verdict(device_id, at=time.time(), seq=1).to_json()
        )

    def in_order(page: Page, devices: list[str]) -> None:
        expect(page.locator(".tile h2")).to_have_text([f"Fan {each}" for each in devices], timeout=10_000)

    with watched_page(browser, plant.monitor.url) as page:
        page.goto("/")
        sign_in(page, plant)
        expect(page.locator(".tile-alarm:visible")).to_have_count(3)
        expect(page.locator('.tile[data-id="4"] .tile-alarm-left')).to_contain_text("left")
        in_order(page, ["5", "6", "4", "1", "2"])
        page.goto("/fan/5")
        page.get_by_role("button", name="Acknowledge: Machine fault, Fan 5").click()
        expect(page.locator(".alarm-state").first).to_contain_text("Acknowledged by operator")
        page.goto("/")
        in_order(page, ["6", "5", "4", "1", "2"])
        expect(page.locator('.tile[data-id="5"] .tile-alarm')).to_contain_text("acknowledged by operator")


def test_a_button_of_the_history_waits_until_somebody_hears_its_click(browser: Browser, plant: Plant) -> None:
    plant.breaks("5")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    with watched_page(browser, plant.monitor.url) as page:
        page.goto("/alarms")
        sign_in(page, plant)
        expect(page.locator('.alarm[data-priority="high"]')).to_be_visible()
        page.route("**/history-page*", hold)
        page.goto("/history", wait_until="commit")
        button = page.locator("tbody tr").get_by_role("button")
        expect(button).to_be_disabled()
        wait_until(lambda: page.evaluate("true") and held, within_s=10, what="the page to ask for its script")
        held[0].continue_()
        expect(button).to_be_enabled()
        button.click()
        expect(page.get_by_role("dialog", name="Close")).to_be_visible()


def test_a_click_that_was_on_its_way_when_the_tiles_moved_does_nothing(
    browser: Browser, plant: Plant
) -> None:
    for device_id in ("1", "2", "3"):
        plant.predictor.publish(
            f"fan/anomaly/{device_id}", verdict(device_id, at=time.time(), seq=1).to_json()
        )
    with watched_page(browser, plant.monitor.url) as page:
        page.goto("/")
        sign_in(page, plant)
        expect(page.locator(".tile")).to_have_count(3)
        page.evaluate(
            """() => new MutationObserver((_, observer) => {
                observer.disconnect();
                const click = new MouseEvent("click", { bubbles: true, cancelable: true, detail: 1 });
                window.wasTaken = document.querySelector(".tile-link").dispatchEvent(click);
            }).observe(document.querySelector("#tiles"), { childList: true })"""
        )
        plant.breaks("3")
        taken = "window.wasTaken === undefined ? null : window.wasTaken"
        wait_until(lambda: page.evaluate(taken) is not None, within_s=10, what="the tiles to change places")
        assert page.evaluate(taken) is False
        expect(page.locator(".tile").first).to_have_attribute("data-id", "3")
        expect(page).to_have_url(f"{plant.monitor.url}/")
        page.wait_for_timeout(600)  # longer than an aim is remembered
        page.get_by_role("link", name="Fan 3", exact=True).click()
        expect(page).to_have_url(f"{plant.monitor.url}/fan/3")


def test_an_alarm_is_answered_by_keyboard_alone(browser: Browser, plant: Plant) -> None:
    plant.breaks("5")
    plant.breaks("6")
    with watched_page(browser, plant.monitor.url) as page:
        page.goto("/alarms")
        expect(page.get_by_label("Name")).to_be_focused()
        page.keyboard.type(ACCOUNT)
        page.keyboard.press("Tab")
        page.keyboard.type(plant.password)
        page.keyboard.press("Enter")
        expect(page.locator("#unanswered .alarm")).to_have_count(2)
        page.get_by_role("button", name="Acknowledge").first.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#unanswered .alarm")).to_have_count(1)
        # The focus goes with the alarm that was answered, or on to the next; never back to the top.
        assert page.evaluate("document.activeElement.closest('.alarm') !== null")
        page.get_by_role("button", name="Close").first.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog", name="Close")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog", name="Close")).to_be_hidden()
        assert page.evaluate("document.activeElement.dataset.action") == "close"


def test_an_answered_alarm_moves_at_once_although_an_older_answer_comes_in_between(
    browser: Browser, plant: Plant
) -> None:
    """The list waits for a pointer that moves over it, but not for what the person behind it has just done."""
    plant.breaks("5")
    with watched_page(browser, plant.monitor.url) as page:
        page.goto("/alarms")
        sign_in(page, plant)
        button = page.get_by_role("button", name="Acknowledge: Machine fault, Fan 5")
        expect(button).to_be_visible()
        box = page.locator("#unanswered .alarms").bounding_box()
        assert box
        held: list[tuple[Route, APIResponse | None]] = []
        page.route("**/api/alarms?*", lambda route: held.append((route, None if held else route.fetch())))

        def until_held(count: int) -> None:
            while len(held) < count:
                page.wait_for_timeout(20)

        until_held(1)  # the page's own question, answered by the server before the button is pressed
        with page.expect_response("**/acknowledge"):
            button.click()
        page.wait_for_timeout(200)  # time for the question that follows the order, where it does not wait
        old, answer = held[0]
        assert answer is not None
        old.fulfill(response=answer)
        until_held(2)
        held[1][0].continue_()
        for step in range(20):
            page.mouse.move(box["x"] + 20 + step, box["y"] + 20)
            page.wait_for_timeout(50)
            if page.locator("#answered .alarm").count():
                break
        assert page.locator("#answered .alarm").count() == 1, "it waits for the pointer to rest"
        page.unroute_all(behavior="ignoreErrors")


def test_a_mended_fan_is_healthy_while_its_alarm_says_that_the_cause_is_gone(
    browser: Browser, plant: Plant
) -> None:
    plant.breaks("5")
    with watched_page(browser, plant.monitor.url) as page:
        page.goto("/")
        sign_in(page, plant)
        kind = page.locator('.tile[data-id="5"] .tile-alarm-kind')
        expect(kind).to_have_text("Machine fault")
        plant.mends("5")
        expect(page.locator('.tile[data-id="5"] .pill')).to_have_text("Healthy")
        expect(kind).to_have_text("Machine fault, cause gone")


def test_a_session_that_ends_takes_an_open_page_to_the_login(browser: Browser, plant: Plant) -> None:
    with watched_page(browser, plant.monitor.url, refusal_expected=True) as page:
        page.goto("/alarms")
        sign_in(page, plant)
        expect(page.get_by_role("heading", name="No alarms")).to_be_visible()
        elsewhere = requests.Session()
        elsewhere.cookies.update({each["name"]: each["value"] for each in page.context.cookies()})
        form = re.search(
            r'name="csrf_token" value="([^"]+)"', elsewhere.get(f"{plant.monitor.url}/alarms", timeout=5).text
        )
        assert form
        answer = elsewhere.post(
            f"{plant.monitor.url}/logout",
            data={"csrf_token": form[1]},
            headers={"Origin": plant.monitor.url},
            timeout=5,
        )
        assert answer.status_code == 200
        expect(page).to_have_url(re.compile(r"/login\?next=%2Falarms$"))


def test_maintenance_is_planned_and_cancelled_on_the_page_of_the_machine(
    browser: Browser, plant: Plant
) -> None:
    with watched_page(browser, plant.monitor.url) as page:
        page.goto("/fan/5")
        sign_in(page, plant)
        expect(page.get_by_label("From")).not_to_have_value("")  # the page's own suggestion
        page.get_by_role("textbox", name="Reason").fill("new bearing")
        an_hour_ago = datetime.now().astimezone() - timedelta(
            hours=1
        )  # as the browser's clock, also before midnight
        page.get_by_label("From").fill(f"{an_hour_ago:%Y-%m-%dT%H:%M}")
        page.get_by_role("button", name="Plan").click()
        window = page.locator("#planned-list li")
        expect(window).to_contain_text("planned by operator: new bearing")
        plant.breaks("5")
        expect(page.locator("#pill")).to_have_text("Maintenance")
        kept = page.locator('.alarm[data-aside="true"]')
        expect(kept).to_contain_text("Kept from view by maintenance")
        window.get_by_role("button", name="Cancel").click()
        expect(page.locator("#planned-none")).to_be_visible()
        expect(page.locator("#pill")).to_have_text("Fault")
        expect(page.locator('.alarm[data-state="unacknowledged"]')).to_be_visible()
        page.goto("/log")
        expect(page.locator("tbody")).to_contain_text("Plan maintenance")


def test_an_alarm_of_the_way_leads_to_its_past_alarms(browser: Browser, plant: Plant) -> None:
    with watched_page(browser, plant.monitor.url) as page:
        page.goto("/fan/fanwatch")
        sign_in(page, plant)
        page.goto("/fan/fanwatch")
        expect(page.get_by_role("heading", name="Alarm history of fanwatch")).to_be_visible()
        expect(page.get_by_text("This is no machine but the way of the readings")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1360, 360], ids=["desk", "phone"])
def test_axe_finds_nothing_and_every_target_is_large_enough_for_a_glove(
    browser: Browser, plant: Plant, scheme: Scheme, width: int
) -> None:
    plant.breaks("5")
    plant.wears("4")
    plant.predictor.publish("fan/anomaly/1", verdict("1", at=time.time(), seq=1).to_json())
    with watched_page(browser, plant.monitor.url, scheme=scheme, width=width) as page:

        def check(where: str) -> None:
            assert violations(page) == [], where
            if width < 500:
                assert page.evaluate(TOO_SMALL) == [], where
                assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, where

        page.goto("/login")
        check("login")
        page.goto("/alarms")
        sign_in(page, plant)
        expect(page.locator(".alarm")).to_have_count(2)
        check("alarms")
        for button, dialog in (("Shelve", "Shelve"), ("Close", "Close")):
            page.get_by_role("button", name=f"{button}: Machine fault").click()
            expect(page.get_by_role("dialog", name=dialog)).to_be_visible()
            check(dialog)
            page.keyboard.press("Escape")
        page.get_by_role("button", name="Acknowledge: Machine fault").click()
        expect(page.locator("#answered .alarm")).to_be_visible()
        check("acknowledged")
        for path, ready in (
            ("/", ".tile-alarm:visible"),
            ("/fan/4", "#trend-chart canvas"),
            ("/fan/5", "#shares li"),
            ("/fan/never-heard-of", "#trend-none"),
            ("/history", "tbody tr"),
            ("/quality", ".verdict"),
            ("/log", "tbody tr"),
            ("/account", ".card-form"),
        ):
            page.goto(path)
            expect(page.locator(ready).first).to_be_visible()
            check(path)
