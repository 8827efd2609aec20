"""What the simulator counts, in Prometheus terms, on a registry of its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge

PREFIX = "fanwatch_simulator"


class Metrics:
    """Counters and gauges of one simulator process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"{PREFIX}_{name}", text, registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"{PREFIX}_{name}", text, registry=registry)

        self.published = counter("readings_published", "Readings handed to the broker's connection.")
        self.acknowledged = counter("readings_acknowledged", "Readings that the broker has acknowledged.")
        self.refused = counter("readings_refused", "Readings that the broker answered with an error.")
        self.dropped = counter("readings_dropped", "Readings lost because the queue was full, oldest first.")
        self.skipped = counter("readings_skipped", "Readings never made because the machine fell behind.")
        self.commands = counter("commands_obeyed", "Commands that changed a fan.")
        self.bad_commands = counter("commands_refused", "Messages on a command topic that were no command.")
        self.unacknowledged = gauge("readings_unacknowledged", "Readings queued or in flight.")
        self.last_acknowledgement = gauge(
            "last_acknowledgement_timestamp_seconds",
            "When the broker last acknowledged a reading (at first: when the process started), Unix time.",
        )
        self.last_round = gauge(
            "last_round_timestamp_seconds", "When the main loop last came round, Unix time."
        )
