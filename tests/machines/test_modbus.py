"""Machines that speak Modbus: a real device (pymodbus), the real Telegraf, the real stack."""

import math
from collections.abc import Iterator

import pytest

from testbed.gateway import Gateway
from testbed.machines import ModbusMachine
from testbed.mosquitto import Mosquitto
from testbed.services import Predictor
from tests.machines.heard import heard
from tests.machines.plant_file import modbus

WELL = {"rotation": 600.0, "temperature": 40.5, "vibration": 150.5, "sound": 48.25}


@pytest.fixture
def machine() -> Iterator[ModbusMachine]:
    with ModbusMachine([600, 405], [150.5, 48.25]) as device:
        yield device


def signals(body: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in body.items() if name in WELL}


def test_registers_of_both_kinds_are_one_reading_and_get_their_verdict(
    mosquitto: Mosquitto, predictor: Predictor, machine: ModbusMachine
) -> None:
    with (
        heard(mosquitto, "fan/messages/mod-1") as readings,
        heard(mosquitto, "fan/anomaly/mod-1", "monitor") as verdicts,
        Gateway(mosquitto, modbus(machine.controller, "mod-1")),
    ):
        assert signals(readings.next()) == WELL
        assert verdicts.next()["fault"] == 0
        machine.measures([600, 950], [240.0, 80.0])
        assert verdicts.until(fault=1)["temperature"] == 95.0


def test_a_device_away_is_silence_and_back_it_tells_what_is_measured_now(
    mosquitto: Mosquitto, machine: ModbusMachine
) -> None:
    with (
        heard(mosquitto, "fan/messages/mod-2") as told,
        Gateway(mosquitto, modbus(machine.controller, "mod-2")),
    ):
        told.next()
        machine.stop()
        last = told.drain()["seq"]
        machine.measures([800, 405], [150.5, 48.25])
        machine.start()
        back = told.next(within_s=60)
        assert (back["rotation"], back["seq"]) == (800.0, last + 1)


def test_a_register_that_is_no_number_is_a_missing_signal(
    mosquitto: Mosquitto, predictor: Predictor, machine: ModbusMachine
) -> None:
    machine.measures([600, 405], [math.nan, 48.25])
    with (
        heard(mosquitto, "fan/rejected", "monitor") as rejected,
        Gateway(mosquitto, modbus(machine.controller, "mod-3")),
    ):
        refused = rejected.until(deviceID="mod-3")
        assert (refused["reason"], "vibration" in refused["detail"]) == ("signal_missing", True)


def test_without_exclude_register_type_tag_one_machine_is_two_readings_with_signals_missing(
    mosquitto: Mosquitto, machine: ModbusMachine
) -> None:
    plant = modbus(machine.controller, "mod-4").replace("exclude_register_type_tag = true", "")
    with heard(mosquitto, "fan/messages/mod-4") as told, Gateway(mosquitto, plant):
        assert {frozenset(signals(told.next())) for _ in range(4)} == {
            frozenset({"rotation", "temperature"}),
            frozenset({"vibration", "sound"}),
        }
