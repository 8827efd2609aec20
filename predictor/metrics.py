"""What the predictor counts and times, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from contract.rejection import Reason

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 600, 86400)


class PredictorMetrics:
    """The metrics of one predictor, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.received = Counter(
            "fanwatch_predictor_readings_received",
            "Readings taken from the broker, redeliveries included.",
            registry=self.registry,
        )
        self.verdicts = Counter(
            "fanwatch_predictor_verdicts_published",
            "Verdicts that the broker has confirmed.",
            registry=self.registry,
        )
        self.rejected = Counter(
            "fanwatch_predictor_readings_rejected",
            "Readings put on the dead-letter topic.",
            ["reason"],
            registry=self.registry,
        )
        for reason in Reason:  # a series that begins with its first rejection would hide that one from rate()
            self.rejected.labels(reason)
        self.dropped = Counter(
            "fanwatch_predictor_readings_dropped",
            "QoS 0 readings dropped because they came faster than they could be scored.",
            registry=self.registry,
        )
        self.scoring_seconds = Histogram(
            "fanwatch_predictor_scoring_seconds",
            "Time to judge one batch, the scoring request included.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.scoring_failures = Counter(
            "fanwatch_predictor_scoring_failures",
            "Scoring attempts that got no usable answer.",
            registry=self.registry,
        )
        self.batch_readings = Histogram(
            "fanwatch_predictor_batch_readings",
            "Readings in one batch.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
            registry=self.registry,
        )
        self.reading_to_verdict = Histogram(
            "fanwatch_predictor_reading_to_verdict_seconds",
            "From the sensor's time to the confirmation of its verdict; a device's clock error shows here.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.pending = Gauge(
            "fanwatch_predictor_pending_readings",
            "Readings waiting to be scored.",
            registry=self.registry,
        )
        self.connected = Gauge(
            "fanwatch_predictor_connected",
            "1 while the broker connection stands.",
            registry=self.registry,
        )
