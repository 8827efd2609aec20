"""What starts a run: a schedule, and drift."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from wsgiref.simple_server import WSGIServer

import pytest
from prometheus_client import CollectorRegistry, Gauge, start_http_server
from typer.testing import CliRunner

from testbed.ports import free_port
from training.pipeline_command import app
from training.schedule import InvalidSchedule, read_cron


class DriftService:
    """The drift service's /metrics, with its own gauge."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.gauge = Gauge("fanwatch_drift_flagged", "Whether it has drifted.", ["kind"], registry=registry)
        self.port = free_port()
        self.server: WSGIServer
        self.thread: threading.Thread
        self.server, self.thread = start_http_server(self.port, addr="127.0.0.1", registry=registry)
        self.url = f"http://127.0.0.1:{self.port}/metrics"


@pytest.fixture
def drift() -> Iterator[DriftService]:
    service = DriftService()
    yield service
    service.server.shutdown()
    service.server.server_close()
    service.thread.join()


def run(url: str) -> tuple[int, str]:
    # Without a time range a run that begins ends at its first step.
    answer = CliRunner().invoke(app, ["pipeline", "run", "--if-drift", url, "--data", "/nowhere.csv"])
    return answer.exit_code, answer.output


def test_without_drift_nothing_is_done(drift: DriftService) -> None:
    drift.gauge.labels(kind="season").set(0)
    assert run(drift.url) == (0, "no drift that training mends: nothing to do\n")


def test_a_broken_sensor_is_told_and_not_learned(drift: DriftService) -> None:
    for kind, flagged in (("season", 0), ("sensor", 1), ("machine", 1), ("output", 0)):
        drift.gauge.labels(kind=kind).set(flagged)
    code, output = run(drift.url)
    assert code == 0
    assert "no training mends: sensor, machine\n" in output
    assert output.endswith("nothing to do\n")


def test_drift_begins_a_run_and_is_named(
    drift: DriftService, tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    drift.gauge.labels(kind="sensor").set(0)
    drift.gauge.labels(kind="season").set(1)
    code, output = run(drift.url)
    assert output.startswith("drift that a new model would know: season\nrun: runs/fan-2")
    assert code == 1
    assert "/nowhere.csv: cannot be read" in output


def test_a_drift_service_that_is_away_or_is_none_gets_a_sentence(drift: DriftService) -> None:
    code, output = run(drift.url)
    assert (code, "no gauge fanwatch_drift_flagged" in output) == (1, True)
    code, output = run("http://127.0.0.1:9/metrics")
    assert (code, "cannot be asked at http://127.0.0.1:9/metrics" in output) == (1, True)


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("30 2 * * sun", datetime(2026, 11, 29, 2, 30, tzinfo=UTC)),
        ("*/15 * * * *", datetime(2026, 11, 25, 12, 15, tzinfo=UTC)),
        ("0 3 1 * *", datetime(2026, 12, 1, 3, 0, tzinfo=UTC)),
    ],
)
def test_a_crontab_line_says_when_in_utc(line: str, first: datetime) -> None:
    now = datetime(2026, 11, 25, 12, 0, 1, tzinfo=UTC)  # a Wednesday
    assert read_cron(line).get_next_fire_time(None, now) == first


@pytest.mark.parametrize(
    ("line", "told"),
    [("30 2 * * 0", "name the day of the week"), ("30 2 *", "five fields"), ("61 * * * *", "five fields")],
)
def test_a_line_that_cannot_be_kept_gets_a_sentence(line: str, told: str) -> None:
    with pytest.raises(InvalidSchedule, match=told):
        read_cron(line)
    answer = CliRunner().invoke(app, ["pipeline", "schedule", "--cron", line])
    assert answer.exit_code == 1
    assert told in answer.output


ONE_RUN = """
from datetime import UTC, datetime
from apscheduler.triggers.date import DateTrigger
from training.schedule import keep_schedule

keep_schedule(DateTrigger(datetime.now(UTC)), ["--until", "polish"], lambda line: print(line, flush=True))
"""


def test_a_scheduled_run_is_a_process_of_its_own_with_its_options_and_sigterm_ends_the_schedule() -> None:
    with subprocess.Popen([sys.executable, "-c", ONE_RUN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        # The run itself says on stderr that there is no such step; here stands how it ended.
        assert process.stdout.readline() == "run ended with exit code 1\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
