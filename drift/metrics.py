"""What the drift watch tells Prometheus."""

from collections.abc import Iterable
from itertools import islice

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from drift.findings import Kind
from drift.following import Follower, Snapshot

MAX_DEVICES_NAMED = 20
"""Devices that are told one by one; each is a series of its own while it drifts, and more than these are no longer a
matter of single devices. GET /drift has them all."""


class DriftMetrics:
    """The metrics of one drift watch, in a registry of its own.

    Args:
        follower: Asked whenever the metrics are.
    """

    def __init__(self, follower: Follower) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_DriftCollector(follower))
        self.connected = Gauge(
            "fanwatch_drift_connected", "1 while the broker connection stands.", registry=self.registry
        )
        self.invalid = Counter(
            "fanwatch_drift_messages_invalid",
            "Messages that are no verdict, or lack a signal of the model, and were left out.",
            registry=self.registry,
        )
        self.failures = Counter(
            "fanwatch_drift_callback_failures",
            "Errors of our own in handling a message; each is logged with its trace.",
            registry=self.registry,
        )


class _DriftCollector(Collector):
    """Reads the follower when it is scraped."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    def collect(self) -> Iterable[Metric]:
        known = self._follower.snapshot()
        yield _gauge(
            "fanwatch_drift_reference",
            "1 while readings are compared with what their model learned; 0 without a reference.",
            float(known.model is not None),
        )
        yield _gauge(
            "fanwatch_drift_window_readings",
            "Readings in the fleet's window that the model calls healthy.",
            known.compared,
        )
        yield _gauge("fanwatch_drift_devices", "Devices that are remembered.", known.devices)
        yield CounterMetricFamily(
            "fanwatch_drift_readings", "Readings seen since the start.", value=known.seen
        )
        yield CounterMetricFamily(
            "fanwatch_drift_readings_of_another_model",
            "Readings left out: another model or another version than the watched one gave the verdict.",
            value=known.of_another,
        )
        yield CounterMetricFamily(
            "fanwatch_drift_models_taken_up",
            "Versions of the model that were taken up; 1 is the first.",
            value=known.switches,
        )
        yield from _by_signal(known)
        yield from _flags(known)


def _by_signal(known: Snapshot) -> Iterable[Metric]:
    figures = {
        "psi": GaugeMetricFamily(
            "fanwatch_drift_psi", "Population stability index of the fleet's window.", labels=["signal"]
        ),
        "psi_limit": GaugeMetricFamily(
            "fanwatch_drift_psi_limit", "What the index does not reach by chance.", labels=["signal"]
        ),
        "ks": GaugeMetricFamily(
            "fanwatch_drift_ks", "Kolmogorov-Smirnov distance of the fleet's window.", labels=["signal"]
        ),
        "ks_limit": GaugeMetricFamily(
            "fanwatch_drift_ks_limit", "What the distance does not reach by chance.", labels=["signal"]
        ),
    }
    for signal, distance in known.distances.items():
        for name, figure in figures.items():
            figure.add_metric([signal], getattr(distance, name))
    yield from figures.values()


def _flags(known: Snapshot) -> Iterable[Metric]:
    kinds = {finding.kind for finding in known.findings}
    flagged = GaugeMetricFamily(
        "fanwatch_drift_flagged", "1 while something of the kind has drifted.", labels=["kind"]
    )
    for kind in Kind:
        flagged.add_metric([kind.value], float(kind in kinds))
    yield flagged
    seasons = {
        signal for finding in known.findings if finding.kind is Kind.SEASON for signal in finding.signals
    }
    by_signal = GaugeMetricFamily(
        "fanwatch_drift_season", "1 while all devices have drifted together in the signal.", labels=["signal"]
    )
    for signal in known.signals:
        by_signal.add_metric([signal], float(signal in seasons))
    yield by_signal
    single = GaugeMetricFamily(
        "fanwatch_drift_device_flagged",
        f"1 for each device that has drifted alone, of {MAX_DEVICES_NAMED} at the most, with its signals.",
        labels=["kind", "deviceID", "signals"],
    )
    alone = (finding for finding in known.findings if finding.device_id is not None)
    for finding in islice(alone, MAX_DEVICES_NAMED):
        single.add_metric([finding.kind.value, finding.device_id or "", "+".join(finding.signals)], 1)
    yield single


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
