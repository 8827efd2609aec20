"""The worker between a broker and a model, both in memory: what it publishes, acknowledges and leaves alone."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from contract.reading import Reading
from contract.timestamp import format_timestamp
from predictor.acknowledgement import AcknowledgementWindow
from predictor.broker import Confirmation, ConnectionChange, Delivery, Event
from predictor.health import Progress
from predictor.judgement import Judge, Message, Outcome
from predictor.metrics import PredictorMetrics
from predictor.worker import Worker

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class MemorySession:
    """A broker whose events are given beforehand; it asks for the stop when there are no more."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.connection = 1
        self.most_unconfirmed = 0
        self.acknowledged: list[int] = []
        self.confirms = True
        self._window = AcknowledgementWindow()
        self._published: list[int] = []
        self.worker: Worker | None = None

    @property
    def waiting(self) -> int:
        return len(self.events)

    @property
    def unconfirmed(self) -> int:
        return len(self._window)

    def take(self, most: int, timeout_s: float | None = None) -> list[Event]:
        if not self.events and self.confirms and self._published:
            self.events = [Confirmation(mid, None) for mid in self._published]
            self._published.clear()
        taken, self.events = self.events[:most], self.events[most:]
        for event in taken:
            if isinstance(event, ConnectionChange):
                self.connection += 1
        if not taken and timeout_s != 0:
            assert self.worker is not None
            self.worker.request_stop()
        return taken

    def wake(self) -> None:
        """Nothing sleeps here."""

    def is_current(self, delivery: Delivery) -> bool:
        return delivery.connection == self.connection

    def publish(self, delivery: Delivery, topic: str, body: bytes) -> int:
        assert topic
        assert body
        mid = 1000 * self.connection + delivery.mid
        self._published.append(mid)
        self.most_unconfirmed = max(self.most_unconfirmed, len(self._published))
        self._window.add(delivery.mid, mid)
        return mid

    def confirm(self, confirmation: Confirmation) -> None:
        self.acknowledged += self._window.confirm(confirmation.mid)

    def forget(self) -> None:
        self._window.forget()


class Echo(Judge):
    """Every reading is healthy."""

    def __init__(self) -> None:
        """Needs no model."""

    def judge(self, messages: Sequence[Message]) -> list[Outcome]:
        return [Outcome("fan/anomaly/5", message.payload, measured_at=NOW) for message in messages]


def delivery(mid: int, connection: int = 2, qos: int = 1) -> Delivery:
    reading = Reading(deviceID="5", timeStamp=format_timestamp(NOW), seq=mid, rotation=1.0)
    return Delivery(connection, mid, qos, "fan/messages/5", reading.to_json())


def run(session: MemorySession, *, receive_maximum: int = 1000) -> PredictorMetrics:
    metrics = PredictorMetrics()
    session.worker = Worker(
        session,
        Echo(),
        Progress(lambda: 0.0, 30),
        metrics,
        max_batch=500,
        receive_maximum=receive_maximum,
        clock=lambda: NOW,
    )
    session.worker.run(stop_s=0)
    return metrics


def test_every_reading_is_acknowledged_in_order_once_its_verdict_is_confirmed() -> None:
    session = MemorySession([ConnectionChange(up=True, receive_maximum=65_535)])
    session.events += [delivery(mid) for mid in range(1, 2001)]
    metrics = run(session)
    assert session.acknowledged == list(range(1, 2001))
    assert metrics.registry.get_sample_value("fanwatch_predictor_verdicts_published_total") == 2000


@pytest.mark.parametrize(("ours", "brokers", "most"), [(1000, 20, 18), (50, 65_535, 48)])
def test_no_more_is_on_its_way_than_broker_and_setting_allow(ours: int, brokers: int, most: int) -> None:
    session = MemorySession([ConnectionChange(up=True, receive_maximum=brokers)])
    session.events += [delivery(mid) for mid in range(1, 301)]
    run(session, receive_maximum=ours)
    assert session.most_unconfirmed == most
    assert session.acknowledged == list(range(1, 301))


def test_what_was_on_its_way_when_the_connection_broke_counts_until_it_is_confirmed() -> None:
    session = MemorySession([ConnectionChange(up=True, receive_maximum=20)])
    session.events += [delivery(mid) for mid in range(1, 11)]
    session.events += [ConnectionChange(up=False), ConnectionChange(up=True, receive_maximum=20)]
    session.events += [delivery(mid, connection=4) for mid in range(1, 101)]
    run(session)
    assert session.most_unconfirmed <= 18
    assert session.acknowledged == list(range(1, 101))


def test_a_reading_of_a_connection_that_is_gone_is_left_to_its_redelivery() -> None:
    session = MemorySession([delivery(7, connection=1), ConnectionChange(up=True, receive_maximum=20)])
    metrics = run(session)
    assert session.acknowledged == []
    assert metrics.registry.get_sample_value("fanwatch_predictor_readings_received_total") == 0


def test_a_reading_sent_at_qos_0_gets_its_verdict_too() -> None:
    session = MemorySession([ConnectionChange(up=True, receive_maximum=20), delivery(0, qos=0)])
    metrics = run(session)
    assert metrics.registry.get_sample_value("fanwatch_predictor_verdicts_published_total") == 1
