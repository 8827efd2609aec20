"""Alarms in the model's words: beside the way of the messages, and never in it."""

import json
import queue
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from monitor.diagnosis.plant import Plant
from monitor.diagnosis.reasons import Reasons
from monitor.diagnosis.shapley import Score
from monitor.explainer import Explainer
from monitor.findings import Finding, FindingKind
from monitor.scoring import ScoringService
from testbed.mosquitto import Mosquitto
from testbed.services import Inference
from testbed.site import Site
from testbed.waiting import wait_until
from tests.monitor.made_verdicts import lively, verdict
from tests.monitor.monitor_process import MonitorProcess

SIGNALS = ["rotation", "temperature", "vibration", "sound"]
READING = (430.0, 41.0, 231.0, 48.0)
Answers = queue.Queue[tuple[Finding, Finding]]


def told(device_id: str = "5", reading: tuple[float, ...] = READING) -> Finding:
    """A machine fault as the diagnosis tells it at once, in the words of its numbers alone."""
    why, inspect, parts = Reasons(Plant.read(), None).of_fault(reading)
    at = datetime(2026, 11, 23, tzinfo=UTC)
    return Finding(device_id, FindingKind.MACHINE_FAULT, True, at, why, inspect, parts, reading)


@contextmanager
def explaining(
    score: Score, model_signals: Sequence[str] | None = tuple(SIGNALS)
) -> Iterator[tuple[Explainer, Answers]]:
    answers: Answers = queue.Queue()
    explainer = Explainer(Plant.read(), score, lambda: model_signals)
    explainer.start()
    try:
        yield explainer, answers
    finally:
        explainer.stop()


@pytest.fixture(scope="module")
def inference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inference]:
    with Inference(Site(tmp_path_factory.mktemp("explainer"))) as service:
        yield service


@pytest.fixture
def service(inference: Inference) -> Iterator[ScoringService]:
    asked = ScoringService(inference.url, "fan")
    yield asked
    asked.close()


def shares(finding: Finding) -> dict[str, float]:
    return {part.signal: part.share for part in finding.contributions}


def test_a_fault_gets_the_words_of_the_model_that_is_served(service: ScoringService) -> None:
    finding = told()
    with explaining(service.score) as (explainer, answers):
        explainer.explain(finding, lambda *both: answers.put(both))
        first, better = answers.get(timeout=10)
    assert first is finding
    assert shares(better) != shares(finding)
    assert sum(shares(better).values()) == pytest.approx(1)
    assert better == replace(
        finding, why=better.why, inspect=better.inspect, contributions=better.contributions
    )


def test_the_models_order_of_signals_is_asked_and_the_plants_is_told(service: ScoringService) -> None:
    order = ["sound", "vibration", "temperature", "rotation"]

    def score(rows: Sequence[Sequence[float]]) -> Sequence[float]:
        return service.score([list(reversed(row)) for row in rows])

    with explaining(service.score) as (explainer, _), explaining(score, order) as (turned, _):
        assert turned.explained(told()) == explainer.explained(told())


@pytest.mark.parametrize("signals", [None, ["pressure"], [*SIGNALS, "humidity"]])
def test_a_model_that_nobody_knows_or_that_takes_other_signals_leaves_the_first_words(
    service: ScoringService, signals: list[str] | None
) -> None:
    with explaining(service.score, signals) as (explainer, _):
        assert explainer.explained(told()) == told()


def test_a_service_that_is_away_leaves_the_first_words_and_is_asked_again_for_the_next_fault(
    new_site: Callable[[], Site],
) -> None:
    late = Inference(new_site())
    asked = ScoringService(late.url, "fan")
    with explaining(asked.score) as (explainer, answers):
        assert explainer.explained(told()) == told()
        explainer.explain(told("early"), lambda *both: answers.put(both))
        with late:
            explainer.explain(told("later"), lambda *both: answers.put(both))
            while answers.get(timeout=20)[0].device_id != "later":
                pass  # the early one, if it was still waiting when the service came
    asked.close()


def test_a_service_that_hangs_holds_up_nobody_who_has_a_fault_explained(
    inference: Inference, service: ScoringService
) -> None:
    with explaining(service.score) as (explainer, answers):
        inference.send(signal.SIGSTOP)
        try:
            explainer.explain(told("hangs"), lambda *both: answers.put(both))
            # Returned, while nobody can have answered.
            assert answers.empty()
            explainer.explain(told("waits"), lambda *both: answers.put(both))
            assert answers.empty()
            assert explainer.explained(told()) == told()  # given up after two seconds
        finally:
            inference.send(signal.SIGCONT)
        explainer.explain(told("after"), lambda *both: answers.put(both))
        found = [answers.get(timeout=20)[0].device_id]
        while found[-1] != "after":
            found.append(answers.get(timeout=20)[0].device_id)


def test_a_flood_is_bounded_said_aloud_and_ends_with_the_process(
    service: ScoringService, capsys: pytest.CaptureFixture[str]
) -> None:
    gate: queue.Queue[None] = queue.Queue()

    def slow(rows: Sequence[Sequence[float]]) -> Sequence[float]:
        gate.get(timeout=30)
        return service.score(rows)

    with explaining(slow) as (explainer, answers):
        for number in range(1200):
            explainer.explain(told(f"flood-{number}"), lambda *both: answers.put(both))
        refused = [line for line in capsys.readouterr().out.splitlines() if "not_explained" in line]
        # A thousand wait, one may be under way.
        assert len(refused) in {199, 200}
        for _ in range(3):
            gate.put(None)
        assert [answers.get(timeout=20)[0].device_id for _ in range(3)] == ["flood-0", "flood-1", "flood-2"]
        gate.put(None)  # the one under way is answered, and no other
        explainer.stop()
        assert not explainer._thread.is_alive()
        assert answers.qsize() <= 1


def test_an_error_of_our_own_costs_one_fault_its_words_and_not_the_next(service: ScoringService) -> None:
    def fails(_first: Finding, _better: Finding) -> None:
        raise RuntimeError("a mistake of ours")

    with explaining(service.score) as (explainer, answers):
        explainer.explain(told("unlucky"), fails)
        explainer.explain(told("next"), lambda *both: answers.put(both))
        assert answers.get(timeout=10)[0].device_id == "next"


def fault_of(monitor: MonitorProcess, device_id: str) -> dict[str, Any] | None:
    alarms = requests.get(f"{monitor.url}/api/alarms", timeout=5).json()["alarms"]
    return next((each for each in alarms if each["device"] == device_id and each["contributions"]), None)


def test_an_alarm_is_raised_while_the_service_hangs_and_the_next_is_amended(
    inference: Inference, service: ScoringService, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """The whole way, on a real broker with the real scoring service."""
    started = time.time() - 60

    def breaks(device_id: str) -> None:
        with mosquitto.connect("predictor") as predictor:
            for number in range(10):
                said = verdict(device_id, at=started + number, seq=number, fault=1, signals=lively(1, number))
                predictor.publish(f"fan/anomaly/{device_id}", said.to_json())

    with MonitorProcess(
        tmp_path,
        mosquitto,
        FANWATCH_CLIENT_ID="monitor-explainer",
        FANWATCH_INFERENCE_URL=inference.url,
        FANWATCH_ALARM_RULES=json.dumps({"machine_fault": {"on_delay_s": 0}}),
    ) as monitor:
        wait_until(lambda: "signature_read" in monitor.log(), within_s=20, what="the model's signature")
        inference.send(signal.SIGSTOP)
        try:
            breaks("explain-hangs")
            plain = wait_until(
                lambda: fault_of(monitor, "explain-hangs"), within_s=10, what="an alarm without the service"
            )
        finally:
            inference.send(signal.SIGCONT)
        reading = tuple(
            next(part["value"] for part in plain["contributions"] if part["signal"] == name)
            for name in SIGNALS
        )
        by_numbers = told(reading=reading)
        assert plain["why"] == by_numbers.why
        breaks("explain-asks")
        by_model = Explainer(Plant.read(), service.score, lambda: SIGNALS).explained(by_numbers)
        assert shares(by_model) != shares(by_numbers)

        def amended() -> bool:
            alarm = fault_of(monitor, "explain-asks")
            found = {part["signal"]: part["share"] for part in alarm["contributions"]} if alarm else {}
            return found == pytest.approx(shares(by_model), abs=1e-3)

        wait_until(amended, within_s=20, what=f"{shares(by_model)} in {fault_of(monitor, 'explain-asks')}")
