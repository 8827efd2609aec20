"""What the service counts and times, for Prometheus; right with several workers as well.

With the variable PROMETHEUS_MULTIPROC_DIR set before this module is imported, each worker writes its figures to files
in that folder and any of them can answer for all (prometheus-client's multiprocess mode). Without it they stay in
the process, as in a test.
"""

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_SCORING_SECONDS = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1)
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class InferenceMetrics:
    """The metrics of one process, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "fanwatch_inference_requests",
            "Requests answered.",
            ["endpoint", "status"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "fanwatch_inference_request_seconds",
            "Time to answer a request, reading its body included.",
            ["endpoint"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.rows = Counter("fanwatch_inference_rows_scored", "Readings scored.", registry=self._registry)
        self.faults = Counter(
            "fanwatch_inference_faults_found", "Readings called a fault.", registry=self._registry
        )
        self.batch = Histogram(
            "fanwatch_inference_batch_rows",
            "Rows in one scoring request.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000),
            registry=self._registry,
        )
        self.ready = Gauge(
            "fanwatch_inference_ready",
            "1 when the model of every worker is loaded and has scored a row.",
            registry=self._registry,
            multiprocess_mode="livemin",
        )
        self.model = Gauge(
            "fanwatch_inference_model",
            "1 for the model that is served.",
            ["model", "runtime"],
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        self._add_deployment()

    def _add_deployment(self) -> None:
        pair = ["champion", "challenger"]
        self.switches = Counter(
            "fanwatch_inference_model_switches",
            "Changes of the served model: promoted, rolled_back, or refused (the one before goes on).",
            ["outcome"],
            registry=self._registry,
        )
        self.shadow_rows = Counter(
            "fanwatch_inference_shadow_rows",
            "Readings that champion and challenger have both scored.",
            pair,
            registry=self._registry,
        )
        self.shadow_agreed = Counter(
            "fanwatch_inference_shadow_agreed",
            "Of those, readings on which they agree.",
            pair,
            registry=self._registry,
        )
        self.shadow_faults = Counter(
            "fanwatch_inference_shadow_faults",
            "Of those, readings that each calls a fault.",
            [*pair, "by"],
            registry=self._registry,
        )
        self.shadow_seconds = Histogram(
            "fanwatch_inference_shadow_seconds",
            "Time that each takes to score the rows of one request.",
            [*pair, "by"],
            buckets=_SCORING_SECONDS,
            registry=self._registry,
        )
        self.shadow_left_out = Counter(
            "fanwatch_inference_shadow_rows_left_out",
            "Readings that the challenger was too slow for, or whose signals are not its own.",
            registry=self._registry,
        )
        self.shadow_failures = Counter(
            "fanwatch_inference_shadow_failures",
            "Requests for which the challenger gave no probabilities.",
            registry=self._registry,
        )

    def count_rows(self, rows: int, faults: int) -> None:
        """Note the rows of one scoring request, and how many of them were called a fault."""
        self.batch.observe(rows)
        self.rows.inc(rows)
        if faults:  # rare, and a worker's counters are files: each costs a little
            self.faults.inc(faults)

    def exposition(self) -> bytes:
        """All workers' figures in Prometheus's text format."""
        if MULTIPROCESS_VARIABLE not in os.environ:
            return generate_latest(self._registry)
        merged = CollectorRegistry()
        MultiProcessCollector(merged)  # type: ignore[no-untyped-call]
        return generate_latest(merged)
