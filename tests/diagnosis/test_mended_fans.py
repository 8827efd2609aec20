"""A mended fan is healthy within seconds, whatever was wrong before, by the model that ships."""

import numpy as np
import pytest

from contract.command import Condition, FanCommand
from monitor.condition import State, condition_of
from monitor.diagnosis.core import Diagnosis
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.plant import Plant
from simulator.fan import SIGNALS, Fan
from testbed.process import REPOSITORY
from tests.monitor.still_clock import StillClock
from training.bundle import litert_probabilities

RATE = 3
SEEDS = 10
WITHIN_READINGS = 12
"""The test needs 16.1 of evidence (a false return in ten million), and a usual healthy reading brings 2 or more."""

KNOWLEDGE = Knowledge(Plant.read())
MODEL = (REPOSITORY / "models" / "fan" / "model.tflite").read_bytes()
HEALTHY, FAULTY, WEARING = Condition.HEALTHY, Condition.FAULTY, Condition.WEARING
Plan = list[tuple[Condition, float, float | None]]


def states(seed: int, plan: Plan) -> list[list[State]]:
    """The states after each reading, by part of the plan: condition, seconds, and how long until it is worn out."""
    fan, elapsed = Fan("2", seed=seed), 0.0
    rows: list[list[float]] = []
    parts: list[int] = []
    for condition, seconds, worn_after in plan:
        fan.obey(FanCommand(condition=condition, duration_s=worn_after), elapsed)
        parts.append(round(seconds * RATE))
        for _ in range(parts[-1]):
            elapsed += 1 / RATE
            measured = fan.measure(elapsed)
            assert measured is not None
            rows.append([measured[name] for name in SIGNALS])
    clock = StillClock()
    diagnosis = Diagnosis(clock, KNOWLEDGE)
    told = []
    for seq, (row, probability) in enumerate(
        zip(rows, litert_probabilities(MODEL, np.array(rows)), strict=True)
    ):
        clock.advance(1 / RATE)
        values = tuple(row[SIGNALS.index(name)] for name in KNOWLEDGE.names)
        diagnosis.take("2", clock.now(), float(probability), values, "boot", seq)
        device = diagnosis.device("2")
        assert device is not None
        told.append(condition_of(device.status(clock.now())).state)
    return [told[sum(parts[:each]) : sum(parts[: each + 1])] for each in range(len(parts))]


@pytest.mark.parametrize("broken_s", [3, 20, 60])
def test_a_fan_that_was_broken(broken_s: float) -> None:
    for seed in range(SEEDS):
        _, broken, mended = states(seed, [(HEALTHY, 15, None), (FAULTY, broken_s, None), (HEALTHY, 10, None)])
        assert broken[-1] is State.FAULT
        assert State.FAULT not in mended[WITHIN_READINGS:], f"seed {seed}"


@pytest.mark.parametrize("worn_s", [150, 250, 399, 450], ids=["early", "half", "late", "seized"])
def test_a_fan_that_was_wearing_out_and_was_broken_again_soon_after(worn_s: float) -> None:
    for seed in range(SEEDS):
        plan: Plan = [
            (HEALTHY, 15, None),
            (WEARING, worn_s, 400),
            (HEALTHY, 5, None),
            (FAULTY, 20, None),
            (HEALTHY, 10, None),
        ]
        *_, first, broken, mended = states(seed, plan)
        assert State.FAULT not in first[WITHIN_READINGS:], f"seed {seed}"
        assert broken[-1] is State.FAULT
        assert State.FAULT not in mended[WITHIN_READINGS:], f"seed {seed}"
