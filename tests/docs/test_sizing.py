"""The sizing page says what the measurements say."""

import json
from pathlib import Path

from benchmarks.sizing.table import BROKER_QUEUE, as_markdown

REPOSITORY = Path(__file__).parents[2]
RESULTS = REPOSITORY / "benchmarks" / "results"


def test_the_tables_of_the_sizing_page_are_those_of_the_last_measurements() -> None:
    latest = json.loads((RESULTS / "latest.json").read_text())
    table = as_markdown(latest, json.loads((RESULTS / "sizing.json").read_text()))
    assert table in (REPOSITORY / "docs" / "sizing.md").read_text()


def test_the_queue_of_the_page_is_the_brokers() -> None:
    assert (
        f"max_queued_messages {BROKER_QUEUE}\n" in (REPOSITORY / "mosquitto" / "mosquitto.conf").read_text()
    )
