"""The sizing page says what the measurements say."""

import copy
import json
from pathlib import Path

import pytest

from benchmarks.sizing.table import BROKER_QUEUE, HEADROOM, RETENTION_DAYS, as_markdown

REPOSITORY = Path(__file__).parents[2]
RESULTS = REPOSITORY / "benchmarks" / "results"


PAGE = (REPOSITORY / "docs" / "sizing.md").read_text()
LATEST = json.loads((RESULTS / "latest.json").read_text())
SIZING = json.loads((RESULTS / "sizing.json").read_text())
ENDURANCE_TB = 600


def test_the_tables_of_the_sizing_page_are_those_of_the_last_measurements() -> None:
    assert f"-->\n{as_markdown(LATEST, SIZING)}<!-- end -->\n" in PAGE


@pytest.mark.parametrize(
    ("part", "figure"),
    [("bridges", "per_second"), ("storage", "bytes_per_reading")],
)
def test_other_measurements_would_be_other_tables(part: str, figure: str) -> None:
    changed = copy.deepcopy(SIZING)
    changed[part][figure] *= 1.1
    assert as_markdown(LATEST, changed) not in PAGE


def test_what_the_page_says_of_the_brokers_disk_is_as_measured() -> None:
    [disk] = [sample for sample in LATEST["samples"] if sample["measure"] == "disk"]
    mib_an_hour = disk["figures"]["mib_an_hour mosquitto"]
    years = ENDURANCE_TB * 1e12 / (mib_an_hour * 2**20) / 24 / 365.25
    said = " ".join(PAGE.split())
    assert (
        f"At {disk['conditions']['per_second']} readings a second it wrote {mib_an_hour / 1024:.1f} GiB an hour"
    ) in said
    assert f"An SSD of {ENDURANCE_TB} TB endurance lasts {years:.1f} years at that" in said


def test_the_text_below_the_tables_names_what_they_are_computed_with() -> None:
    assert f"the broker's queue ({BROKER_QUEUE:,} messages)" in PAGE
    assert f"after {SIZING['storage']['readings']:,} readings" in PAGE
    assert (HEADROOM, RETENTION_DAYS) == (0.5, 30), "the page says half, three quarters and thirty days"


def test_the_queue_of_the_page_is_the_brokers() -> None:
    assert (
        f"max_queued_messages {BROKER_QUEUE}\n" in (REPOSITORY / "mosquitto" / "mosquitto.conf").read_text()
    )
