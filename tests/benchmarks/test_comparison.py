"""The scoring service in its two forms: what is asked of it, and the arithmetic of the tables."""

from typing import Any

import pytest

from benchmarks.comparison import forms, table
from benchmarks.comparison.__main__ import still_needed
from benchmarks.comparison.asking import measure
from benchmarks.comparison.table import RATES, extra_cpu


def run(*, process: float | None = None, container: float | None = None) -> dict[str, Any]:
    measured = {
        form: [
            {
                "rates": [{"per_second": r, "cpu_percent": cpu * r, "p50_ms": 0.5} for r in RATES],
                "memory_mb": 90.0,
                "ready_s": 1.0,
            }
        ]
        for form, cpu in (("process", process), ("container", container))
        if cpu is not None
    }
    return {"date": "2026-12-01", "about": "two cores", "forms": measured}


def test_the_bare_service_is_asked_as_often_as_it_should_be_and_its_cpu_is_counted() -> None:
    with forms.process() as service:
        figures = measure(service, per_second=100, seconds=1)
        assert service.memory_mb() > 10
    assert figures["answered_per_second"] == pytest.approx(100, rel=0.2)
    assert 0 < figures["cpu_percent"] < 100
    assert figures["p50_ms"] > 0


def test_a_request_without_a_verdict_ends_the_measurement() -> None:
    with forms.process() as service, pytest.raises(RuntimeError, match="answered 404"):
        measure(service, per_second=100, seconds=1, model="nobody")


def test_what_a_container_costs_more_is_said_where_both_forms_took_turns() -> None:
    both = run(process=0.04, container=0.05)
    assert extra_cpu(both) == pytest.approx(0.25)
    assert "cost 25 % more CPU" in table.forms({"runs": [both]})


def test_what_was_not_measured_is_said_so_and_compared_with_nothing() -> None:
    text = table.forms({"runs": [run(process=0.04)]})
    assert "| 50 | 2.0 % | 0.5 ms | not measured | not measured |" in text
    assert "more CPU" not in text


def test_cpu_of_a_reading_becomes_per_cent_of_a_core_at_its_rate() -> None:
    def sample(
        measure: str, contestant: str, figures: dict[str, float], **conditions: float
    ) -> dict[str, Any]:
        return {"measure": measure, "contestant": contestant, "conditions": conditions, "figures": figures}

    samples = []
    for contestant, cost in ((table.OURS, 1000.0), (table.LINKEDGE, 3000.0)):
        for rate in RATES:
            figures = {"cpu_ms_per_1000": cost, "p99_ms": 2.0, "memory_mib": 100.0}
            samples.append(sample("latency", contestant, figures, per_second=rate))
        samples.append(sample("throughput", contestant, {"per_second": 12_345.0}, qos=1))
        samples.append(sample("start", contestant, {"first_verdict_s": 1.0}))
    text = table.readings({"samples": samples})
    assert "| 150 | 15.0 % | 2.00 ms | 1 | 45.0 % | 2.00 ms | 1 |" in text
    assert "| the most | 12,000 a second |" in text


def test_an_earlier_run_goes_once_every_form_of_it_was_measured_anew() -> None:
    both, bare = run(process=1, container=1), run(process=1)
    assert still_needed([both], bare) == [both]
    assert still_needed([both, bare], both) == []
