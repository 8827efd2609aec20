"""The arithmetic of the speed benchmark: percentiles, medians, ratios within a round, goals and tables."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.speed.contestants.processes import RELAY, THIS_PROJECT
from benchmarks.speed.plots import write_plots
from benchmarks.speed.report import as_markdown, goals, merge, read_report, write_report
from benchmarks.speed.sample import Sample, contestants, median, percentiles, ratio, select


def throughput(name: str, number: int, per_second: float, qos: int = 1) -> Sample:
    figures = {"per_second": per_second, "cpu_ms_per_1000": 10.0, "memory_mib": 50.0}
    return Sample("throughput", name, number, {"qos": qos}, figures)


def latency(name: str, number: int, p99_ms: float) -> Sample:
    figures = {"p50_ms": 1.0, "p95_ms": 1.5, "p99_ms": p99_ms, "p999_ms": 9.0, "cpu_ms_per_1000": 100.0}
    return Sample("latency", name, number, {"per_second": 150}, figures)


SLOWER_MACHINE_IN_ROUND_2 = [
    throughput(RELAY, 1, 8000),
    throughput(THIS_PROJECT, 1, 16_000),
    throughput(RELAY, 2, 1000),
    throughput(THIS_PROJECT, 2, 3000),
    throughput(RELAY, 3, 8000),
    throughput(THIS_PROJECT, 3, 16_000),
]


def test_percentiles_lie_between_the_two_nearest_values() -> None:
    found = percentiles(np.arange(1, 1002, dtype=np.float64))
    assert found == pytest.approx({"p50_ms": 501, "p95_ms": 951, "p99_ms": 991, "p999_ms": 1000})


def test_a_ratio_compares_runs_of_one_round_so_that_a_slow_moment_of_the_machine_cancels_out() -> None:
    assert ratio(SLOWER_MACHINE_IN_ROUND_2, THIS_PROJECT, RELAY, "per_second") == 2
    assert median(SLOWER_MACHINE_IN_ROUND_2, THIS_PROJECT, "per_second") == 16_000


def test_without_a_round_of_both_there_is_no_ratio() -> None:
    assert ratio([throughput(THIS_PROJECT, 1, 5)], THIS_PROJECT, RELAY, "per_second") is None
    assert median([], THIS_PROJECT, "per_second") is None


def test_samples_are_chosen_by_measure_and_conditions() -> None:
    samples = [throughput(RELAY, 1, 5, qos=0), throughput(RELAY, 1, 7), latency(RELAY, 1, 2)]
    assert select(samples, "throughput", qos=1) == [samples[1]]
    assert contestants(samples) == [RELAY]


def test_a_goal_that_is_missed_is_told_as_missed() -> None:
    samples = [*SLOWER_MACHINE_IN_ROUND_2, latency(RELAY, 1, 2.0), latency(THIS_PROJECT, 1, 5.0)]
    met = {goal.what: goal.met for goal in goals(samples)}
    assert met["throughput at QoS 1, to the relay's"]
    assert not met["p99 at 150 a second, to the relay's"]
    missed = next(line for line in as_markdown(merge(None, samples)).splitlines() if "p99 at 150" in line)
    assert missed == "| p99 at 150 a second, to the relay's | at most 2 | 2.50 | no |"


def test_what_was_not_measured_is_in_no_table() -> None:
    text = as_markdown(merge(None, SLOWER_MACHINE_IN_ROUND_2))
    assert "## Throughput" in text
    assert "## Latency" not in text
    assert "backlog" not in text


def test_a_report_is_read_back_as_it_was_written_and_takes_further_rounds(tmp_path: Path) -> None:
    write_report(tmp_path, merge(None, SLOWER_MACHINE_IN_ROUND_2))
    earlier = read_report(tmp_path)
    assert earlier is not None
    assert earlier.samples == SLOWER_MACHINE_IN_ROUND_2
    more = merge(earlier, [throughput(RELAY, 1, 10), latency(RELAY, 1, 2)])
    assert [sample.round for sample in more.samples[-2:]] == [4, 1]
    assert set(more.dates) == {"throughput", "latency"}


def test_every_plot_of_what_was_measured_is_written(tmp_path: Path) -> None:
    grown = {f"memory_mib {part} {n}": 50.0 for part in ("predictor", "inference worker") for n in (1, 2)}
    samples = [
        *SLOWER_MACHINE_IN_ROUND_2,
        latency(RELAY, 1, 2),
        *(
            Sample("fleet", name, 1, {"fans": fans}, {"per_second": 5.0})
            for name in (RELAY, THIS_PROJECT)
            for fans in (10, 100)
        ),
        Sample("memory", THIS_PROJECT, 1, {"messages": 2}, grown),
    ]
    written = write_plots(tmp_path, samples)
    assert {file.name for file in written} == {
        "throughput-by-fleet.png",
        "latency-by-load.png",
        "cpu-by-load.png",
        "memory.png",
        "memory-over-time.png",
    }
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in written)


def test_the_committed_results_can_be_read_and_their_tables_are_those_of_their_samples() -> None:
    folder = Path(__file__).parents[2] / "benchmarks" / "results"
    report = read_report(folder)
    assert report is not None
    assert as_markdown(report) == (folder / "latest.md").read_text()
    assert json.loads((folder / "latest.json").read_text())["machine"]["cores"]
