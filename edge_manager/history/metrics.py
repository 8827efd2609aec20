"""What the history service tells of itself, for Prometheus."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edge_manager.history.heartbeat import Heartbeat

__all__ = ["HistoryMetrics"]


class HistoryMetrics:
    """The metrics of one history service, in a registry of its own."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_HeartbeatCollector(heartbeat))


class _HeartbeatCollector(Collector):
    """Reads the heartbeat when it is scraped."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "fanwatch_history_influxdb_answers",
            "1 while InfluxDB answers the history service, else 0.",
            value=float(self._heartbeat.answers),
        )
        age_s = self._heartbeat.age_s()
        if age_s is not None:  # no verdict at all has no age, and a 0 would claim that one is fresh
            yield GaugeMetricFamily(
                "fanwatch_history_newest_verdict_age_seconds",
                "Age of the newest verdict stored in InfluxDB, by the sensor's time, in seconds.",
                value=age_s,
            )
