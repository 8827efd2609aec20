"""What the monitor counts, for Prometheus."""

from collections.abc import Callable, Iterable
from itertools import islice

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitor.fleet import Fleet
from monitor.loss_ledger import Arrival, Losses

MAX_DEVICES_NAMED = 20
"""Devices whose missing readings are told one by one: those that miss most.

A label for each device would make a new series in InfluxDB for each, of 10,000 fans and four figures 40,000 every five
seconds, to say nearly always that nothing is missing. So the totals are metrics, and a device has a series of its own
only while readings of it are missing and few miss more; the live page has the ledger of every device.
"""

_OF_A_DEVICE: dict[str, Callable[[Losses], int]] = {
    "received": lambda losses: losses.received,
    "missing": lambda losses: losses.missing,
    "out_of_order": lambda losses: losses.of(Arrival.OUT_OF_ORDER),
    "duplicate": lambda losses: losses.of(Arrival.DUPLICATE),
}


class MonitorMetrics:
    """The metrics of one monitor, in a registry of its own."""

    def __init__(
        self,
        fleet: Fleet,
        progress_age_s: Callable[[], float],
        waiting: Callable[[], int] = lambda: 0,
    ) -> None:
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
        self.acknowledged = Counter(
            "fanwatch_monitor_messages_acknowledged",
            "Messages that are safe: committed with what comes of them, or nothing to be kept.",
            registry=self.registry,
        )
        self.dropped = Counter(
            "fanwatch_monitor_messages_dropped",
            "Messages sent at QoS 0 that came faster than they could be taken.",
            registry=self.registry,
        )
        Gauge(
            "fanwatch_monitor_waiting", "Messages that wait to be diagnosed.", registry=self.registry
        ).set_function(waiting)
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
        yield from self._losses()

    def _losses(self) -> Iterable[Metric]:
        losses, by_device = self._fleet.losses(), self._fleet.losses_by_device()
        arrivals = CounterMetricFamily(
            "fanwatch_monitor_readings",
            "Readings whose verdict or refusal came, by how it came (monitor/loss_ledger.py).",
            labels=["arrival"],
        )
        for arrival in Arrival:
            arrivals.add_metric([arrival.value], losses.of(arrival))
        yield arrivals
        yield GaugeMetricFamily(
            "fanwatch_monitor_readings_missing",
            "Readings that others of the same device overtook, and that have not come since the start.",
            value=losses.missing,
        )
        yield GaugeMetricFamily(
            "fanwatch_monitor_devices_missing_readings",
            "Devices of which readings are missing.",
            value=len(by_device),
        )
        worst = dict(islice(by_device.items(), MAX_DEVICES_NAMED))
        for what, tell in _OF_A_DEVICE.items():
            named = GaugeMetricFamily(
                f"fanwatch_monitor_device_readings_{what}",
                f"Readings of one device, {what.replace('_', ' ')}; only of the {MAX_DEVICES_NAMED} that miss most.",
                labels=["deviceID"],
            )
            for device_id, losses_of_one in worst.items():
                named.add_metric([device_id], tell(losses_of_one))
            yield named
