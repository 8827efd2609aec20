"""What the monitor counts, for Prometheus."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitor.fleet import Fleet


class MonitorMetrics:
    """The metrics of one monitor, in a registry of its own."""

    def __init__(self, fleet: Fleet, progress_age_s: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_FleetCollector(fleet))
        self.messages = Counter(
            "fanwatch_monitor_messages",
            "Messages taken from the broker.",
            ["kind"],
            registry=self.registry,
        )
        self.invalid = Counter(
            "fanwatch_monitor_messages_invalid",
            "Messages that are not what their topic promises, and were left out.",
            ["kind"],
            registry=self.registry,
        )
        self.failures = Counter(
            "fanwatch_monitor_callback_failures",
            "Errors of our own in handling a message; each is logged with its trace.",
            registry=self.registry,
        )
        self.commands = Counter(
            "fanwatch_monitor_commands",
            "Commands sent to simulated machines.",
            ["condition"],
            registry=self.registry,
        )
        self.connected = Gauge(
            "fanwatch_monitor_connected", "1 while the broker connection stands.", registry=self.registry
        )
        Gauge(
            "fanwatch_monitor_progress_age_seconds",
            "Seconds since the broker last answered or sent something.",
            registry=self.registry,
        ).set_function(progress_age_s)


class _FleetCollector(Collector):
    """Reads the fleet when it is scraped."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def collect(self) -> Iterable[Metric]:
        devices = GaugeMetricFamily("fanwatch_monitor_devices", "Devices in each state.", labels=["state"])
        for state, count in self._fleet.counts().items():
            devices.add_metric([state.value], count)
        yield devices
        yield CounterMetricFamily(
            "fanwatch_monitor_devices_evicted",
            "Devices dropped from the page because there were too many.",
            value=self._fleet.evicted,
        )
        yield CounterMetricFamily(
            "fanwatch_monitor_rejections_unattributed",
            "Refused payloads that name no device.",
            value=self._fleet.unattributed,
        )
