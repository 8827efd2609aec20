"""The predictor's panels where there are several, as on Kubernetes: the figures of each have its address for a tag."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from testbed.influxdb import InfluxDB, nanoseconds
from testbed.site import Site
from tests.grafana.dashboard_files import panel_query
from tests.grafana.interpolation import View

SYSTEM = "fanwatch-system"
EVERY_S, FOR_S = 5, 600
FAST, SLOW = "0.05", "0.5"
EDGES = ("0.005", "0.01", "0.025", FAST, "0.1", "0.25", SLOW, "1", "2.5", "5", "10", "30", "60", "+Inf")
# The second started anew: its counters are far below the first one's, and grow three times as fast.
PREDICTORS = {"10.42.0.7": (1_000_000, 10, SLOW), "10.42.1.9": (0, 30, FAST)}
"""By address: where its counters began, readings a second, how long a verdict takes."""


def lines(address: str, at: datetime, seconds: int) -> list[str]:
    begin, rate, latency = PREDICTORS[address]
    count = begin + rate * seconds
    series, time = f"service,service=predictor,address={address}", nanoseconds(at)
    scoring_s = 0.1 if latency == SLOW else 0.02
    batch = 40 if latency == SLOW else 10
    fields = {
        "readings_received_total": count,
        "verdicts_published_total": count,
        "scoring_failures_total": count / 10,
        "pending_readings": rate,
        # One batch a second.
        "scoring_seconds_count": begin + seconds,
        "scoring_seconds_sum": (begin + seconds) * scoring_s,
        "batch_readings_count": begin + seconds,
        "batch_readings_sum": (begin + seconds) * batch,
    }
    told = ",".join(f"fanwatch_predictor_{name}={float(value)}" for name, value in fields.items())
    edges = [
        f"{series},le={edge} fanwatch_predictor_reading_to_verdict_seconds_bucket="
        f"{float(count if float(edge) >= float(latency) else 0)} {time}"
        for edge in EDGES
    ]
    rejected = (
        f"{series},reason=out_of_range fanwatch_predictor_readings_rejected_total={float(count)} {time}"
    )
    return [f"{series} {told} {time}", rejected, *edges]


@pytest.fixture(scope="module")
def now() -> datetime:
    """The end of the view, on the edge of an interval of every panel: each interval in it is whole."""
    return datetime.fromtimestamp(datetime.now(UTC).timestamp() // 30 * 30, UTC)


@pytest.fixture(scope="module")
def influxdb(tmp_path_factory: pytest.TempPathFactory, now: datetime) -> Iterator[InfluxDB]:
    with InfluxDB(Site(tmp_path_factory.mktemp("several"))) as database:
        database.prepare()
        # Beyond the view's end, for panels that look at the last minute: it lies before the real now.
        for back in range(-60, FOR_S, EVERY_S):
            at = now - timedelta(seconds=back)
            for address in PREDICTORS:
                response = database.write(lines(address, at, FOR_S - back))
                assert response.status_code == 204, response.text
        yield database


def figures(influxdb: InfluxDB, now: datetime, title: str, ref_id: str = "A") -> list[float]:
    query = panel_query(SYSTEM, title, ref_id)
    # A moment before the edge, so that no interval is cut to its first instant.
    view = View(now - timedelta(milliseconds=1))
    statement = view.interpolate(query.dashboard, query.panel, query.target["query"])
    rows: list[dict[str, Any]] = influxdb.query(statement, user="grafana")
    keys = {"time", "name", "reason"}
    found = [value for row in rows for key, value in row.items() if key not in keys and value is not None]
    assert found
    return found


@pytest.mark.parametrize(
    ("title", "ref_id", "total"),
    [
        ("Messages a second", "A", 40),
        ("Messages a second", "B", 40),
        ("Scoring", "B", 4),
        ("Rejected and failed a second", "A", 40),
    ],
)
def test_a_rate_is_that_of_all_predictors(
    influxdb: InfluxDB, now: datetime, title: str, ref_id: str, total: float
) -> None:
    found = figures(influxdb, now, title, ref_id)
    assert found == pytest.approx([total] * len(found))


def test_what_waits_waits_at_all_of_them(influxdb: InfluxDB, now: datetime) -> None:
    assert figures(influxdb, now, "Readings waiting") == [40]
    assert set(figures(influxdb, now, "Batches and waiting readings", "B")) == {40}


def test_what_was_rejected_was_rejected_by_all_of_them(influxdb: InfluxDB, now: datetime) -> None:
    [found] = figures(influxdb, now, "Rejected since the predictor's start")
    assert 1_000_000 + 40 * FOR_S <= found <= 1_000_000 + 40 * (FOR_S + 60)


def test_a_mean_is_over_the_batches_of_all_of_them(influxdb: InfluxDB, now: datetime) -> None:
    for title, mean in (("Scoring", 0.06), ("Batches and waiting readings", 25)):
        found = figures(influxdb, now, title)
        assert found == pytest.approx([mean] * len(found))


def test_a_latency_is_over_the_verdicts_of_all_of_them(influxdb: InfluxDB, now: datetime) -> None:
    """Three quarters are fast: half within the fast one's edge, 99 % within the slow one's."""
    for ref_id, edge in (("A", float(FAST)), ("B", float(SLOW))):
        found = figures(influxdb, now, "Latency, fan to verdict", ref_id)
        assert {round(value, 9) for value in found} == {edge}
