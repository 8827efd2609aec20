"""A running simulator obeys fan/commands/<deviceID>, says who it is, and ends cleanly."""

import json
from pathlib import Path

from contract.command import Condition, FanCommand
from simulator.order import give
from simulator.settings import SimulatorSettings
from testbed.mosquitto import Connection, Mosquitto
from testbed.waiting import wait_until
from tests.simulator.running_simulator import RunningSimulator


def settings_of(broker: Mosquitto) -> SimulatorSettings:
    """Who may give commands, by the broker's rules."""
    return SimulatorSettings(
        mqtt_host=broker.host,
        mqtt_port=broker.port,
        mqtt_username="monitor",
        mqtt_password=broker.site.mqtt_password("monitor"),
    )


def rotation_of(connection: Connection) -> float:
    return float(json.loads(connection.next().payload)["rotation"])


def test_one_command_stops_a_fan_and_another_mends_it(mosquitto: Mosquitto, tmp_path: Path) -> None:
    options = ("--prefix", "commanded-", "--fans", "2", "--rate", "20")
    with (
        mosquitto.connect("telegraf") as connection,
        RunningSimulator(mosquitto, tmp_path, *options, client_id="simulator-commanded") as simulator,
    ):
        connection.subscribe("fan/messages/commanded-2")
        assert rotation_of(connection) >= 500
        with mosquitto.connect("monitor") as operator:
            operator.publish("fan/commands/commanded-2", b'{"condition": "exploded"}')
        give(settings_of(mosquitto), "commanded-2", FanCommand(condition=Condition.WEARING, duration_s=0.1))
        wait_until(lambda: rotation_of(connection) == 0, within_s=20, what="the fan to stop")
        give(settings_of(mosquitto), "commanded-2", FanCommand(condition=Condition.HEALTHY))
        wait_until(lambda: rotation_of(connection) >= 500, within_s=20, what="the fan to run again")
        assert simulator.metric("commands_refused_total") == 1
        assert simulator.metric("commands_obeyed_total") == 2
        assert simulator.stop() == 0


def test_it_is_online_while_it_runs_and_offline_however_it_ends(mosquitto: Mosquitto, tmp_path: Path) -> None:
    with mosquitto.connect("telegraf") as connection:
        connection.subscribe("fan/status/simulator")

        def status() -> str:
            return str(json.loads(connection.next().payload)["status"])

        for end in ("SIGTERM", "SIGKILL"):
            with RunningSimulator(mosquitto, tmp_path, "--prefix", "seen-", "--fans", "1") as simulator:
                wait_until(lambda: status() == "online", within_s=20, what="online")
                if end == "SIGTERM":
                    assert simulator.stop() == 0
                else:
                    simulator.process.kill()
                wait_until(lambda: status() == "offline", within_s=20, what=f"offline after {end}")
