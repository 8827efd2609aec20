"""The worker between a broker and a model, both in memory: what it publishes, acknowledges and leaves alone."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from contract.reading import Reading
from contract.timestamp import format_timestamp
from mqtt_session.session import Confirmation, ConnectionChange, Delivery, Event
from predictor.acknowledgement import AcknowledgementWindow
from predictor.health import Progress
from predictor.judgement import Judge, Message, Outcome
from predictor.metrics import PredictorMetrics
from predictor.scoring import ScoringUnavailable
from predictor.worker import Worker

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class MemorySession:
    """A broker whose events are given beforehand, a list for each take(); after the last it asks for the stop."""

    def __init__(self, *events: list[Event]) -> None:
        self.events = list(events)
        self.most_unconfirmed = 0
        self.acknowledged: list[int] = []
        self.published: list[bytes] = []
        self.worker: Worker | None = None
        self._mid = 0
        self._window = AcknowledgementWindow()
        self._on_their_way: list[int] = []

    @property
    def unconfirmed(self) -> int:
        return len(self._window)

    def take(self, timeout_s: float | None = None) -> list[Event]:
        if self.events:
            events = self.events.pop(0)
            if any(isinstance(event, ConnectionChange) for event in events):
                self._window.forget()
                self._on_their_way.clear()
            return events
        if self._on_their_way:
            confirmed: list[Event] = [Confirmation(mid) for mid in self._on_their_way]
            self._on_their_way.clear()
            return confirmed
        if timeout_s is None:
            assert self.worker is not None
            self.worker.request_stop()
        return []

    def wake(self) -> None:
        """Nothing sleeps here."""

    def publish(self, delivery: Delivery, topic: str, body: bytes) -> int:
        assert topic
        self._mid += 1
        self.published.append(body)
        self._on_their_way.append(self._mid)
        self.most_unconfirmed = max(self.most_unconfirmed, len(self._on_their_way))
        if delivery.mid is not None:
            self._window.add(delivery.mid, self._mid)
        return self._mid

    def confirm(self, confirmation: Confirmation) -> None:
        self.acknowledged += self._window.confirm(confirmation.mid)


class Echo(Judge):
    """Every reading is healthy, once the scoring service has been away so often; meanwhile things happen."""

    def __init__(self, away: int = 0) -> None:
        self.away = away

    def judge(self, messages: Sequence[Message]) -> list[Outcome]:
        if self.away:
            self.away -= 1
            raise ScoringUnavailable("away")
        return [Outcome("fan/anomaly/5", message.payload, measured_at=NOW) for message in messages]


def connected(receive_maximum: int = 65_535) -> list[Event]:
    return [ConnectionChange(up=True, receive_maximum=receive_maximum)]


def readings(*mids: int) -> list[Event]:
    return [delivery(mid) for mid in mids]


def delivery(mid: int | None) -> Delivery:
    reading = Reading(deviceID="5", timeStamp=format_timestamp(NOW), seq=mid, rotation=1.0)
    return Delivery(mid, "fan/messages/5", reading.to_json())


def run(session: MemorySession, *, receive_maximum: int = 1000, away: int = 0) -> PredictorMetrics:
    metrics = PredictorMetrics()
    session.worker = Worker(
        session,
        Echo(away),
        Progress(lambda: 0.0, 30),
        metrics,
        max_batch=500,
        receive_maximum=receive_maximum,
        clock=lambda: NOW,
    )
    session.worker.run(stop_s=0)
    return metrics


def test_every_reading_is_acknowledged_in_order_once_its_verdict_is_confirmed() -> None:
    session = MemorySession(connected(), readings(*range(1, 1201)), readings(*range(1201, 2001)))
    metrics = run(session)
    assert session.acknowledged == list(range(1, 2001))
    assert metrics.registry.get_sample_value("fanwatch_predictor_verdicts_published_total") == 2000


@pytest.mark.parametrize(("ours", "brokers", "most"), [(1000, 20, 18), (50, 65_535, 48)])
def test_no_more_is_on_its_way_than_broker_and_setting_allow(ours: int, brokers: int, most: int) -> None:
    session = MemorySession(connected(brokers), readings(*range(1, 301)))
    run(session, receive_maximum=ours)
    assert session.most_unconfirmed == most
    assert session.acknowledged == list(range(1, 301))


def test_what_was_on_its_way_when_the_connection_broke_is_forgotten_and_takes_no_room() -> None:
    lost: list[Event] = [ConnectionChange(up=False)]
    again = readings(*range(101, 201))
    session = MemorySession(connected(20), readings(*range(1, 19)), lost, connected(20), again)
    run(session)
    assert session.most_unconfirmed == 18
    assert session.acknowledged == list(range(101, 201))


def test_a_reading_of_a_connection_that_is_gone_is_left_to_its_redelivery() -> None:
    session = MemorySession([*readings(7), ConnectionChange(up=True, receive_maximum=20)])
    metrics = run(session)
    assert session.published == []
    assert metrics.registry.get_sample_value("fanwatch_predictor_readings_received_total") == 0


def test_while_the_scoring_service_is_away_the_broker_is_still_served_and_the_batch_held() -> None:
    session = MemorySession(connected(), readings(1), readings(2, 3))
    metrics = run(session, away=2)
    assert session.acknowledged == [1, 2, 3]
    assert metrics.registry.get_sample_value("fanwatch_predictor_scoring_failures_total") == 2


def test_a_batch_whose_connection_went_while_scoring_was_away_is_dropped_and_its_redelivery_scored() -> None:
    lost: list[Event] = [ConnectionChange(up=False)]
    session = MemorySession(connected(), readings(1, 2), lost, connected(), readings(51, 52))
    run(session, away=1)
    assert session.acknowledged == [51, 52]
    assert len(session.published) == 2


def test_a_reading_sent_at_qos_0_gets_its_verdict_too() -> None:
    session = MemorySession(connected(20), [delivery(None)])
    metrics = run(session)
    assert session.acknowledged == []
    assert metrics.registry.get_sample_value("fanwatch_predictor_verdicts_published_total") == 1
