"""Machines behind an OPC UA server: a real one (asyncua), the real Telegraf, the real stack."""

import json
import queue
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.reading import Reading
from testbed.gateway import Gateway
from testbed.machines import OpcUaMachine, server_certificate
from testbed.mosquitto import Mosquitto
from testbed.services import Predictor
from testbed.site import Site
from testbed.waiting import wait_until
from tests.machines.heard import heard
from tests.machines.plant_file import opcua

WELL = {"rotation": 600.0, "temperature": 40.0, "vibration": 150.0, "sound": 48.0}


@pytest.fixture(scope="module")
def server() -> Iterator[OpcUaMachine]:
    with OpcUaMachine(WELL) as started:
        yield started


@pytest.fixture
def machine(server: OpcUaMachine) -> OpcUaMachine:
    """One that runs well; a server takes seconds to start, so it stays for the next test."""
    server.measures(**WELL)
    return server


@pytest.fixture
def own() -> OpcUaMachine:
    """One that a test starts and stops itself."""
    return OpcUaMachine(WELL)


def signals(body: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in body.items() if name in WELL}


def test_what_the_nodes_say_is_a_reading_of_the_machine(mosquitto: Mosquitto, machine: OpcUaMachine) -> None:
    with heard(mosquitto, "fan/messages/opc-1") as told, Gateway(mosquitto, opcua(machine.endpoint, "opc-1")):
        first = told.next()
        assert signals(first) == WELL
        reading = Reading.from_json(json.dumps(first).encode())
        assert reading.device_id == "opc-1"
        machine.measures(rotation=700.0)
        changed = told.until(rotation=700.0)
        assert signals(changed) == WELL | {"rotation": 700.0}
        assert [body["seq"] for body in told.bodies] == list(range(len(told.bodies)))


def test_a_machine_that_is_well_and_one_that_breaks_get_their_verdicts(
    mosquitto: Mosquitto, predictor: Predictor, machine: OpcUaMachine
) -> None:
    with (
        heard(mosquitto, "fan/anomaly/opc-2", "monitor") as told,
        Gateway(mosquitto, opcua(machine.endpoint, "opc-2")),
    ):
        assert told.next()["fault"] == 0
        broken = {"vibration": 240.0, "temperature": 95.0, "sound": 80.0}
        machine.measures(**broken)
        assert signals(told.until(fault=1)) == WELL | broken


def test_a_bad_sensor_is_a_missing_signal_and_never_a_verdict_on_its_last_value(
    mosquitto: Mosquitto, predictor: Predictor, machine: OpcUaMachine
) -> None:
    with (
        heard(mosquitto, "fan/anomaly/opc-3", "monitor") as verdicts,
        heard(mosquitto, "fan/rejected", "monitor") as rejected,
        heard(mosquitto, "fan/messages/opc-3") as readings,
        Gateway(mosquitto, opcua(machine.endpoint, "opc-3")),
    ):
        verdicts.next()
        machine.fails("temperature")
        lacking = readings.until(temperature=None)
        refused = rejected.until(deviceID="opc-3")
        assert refused["reason"] == "signal_missing"
        assert "temperature" in refused["detail"]
        machine.measures(temperature=41.0)
        mended = verdicts.until(temperature=41.0)
        without = [body["seq"] for body in readings.bodies if "temperature" not in body]
        assert lacking["seq"] in without
        assert not set(without) & {body["seq"] for body in verdicts.bodies}
        assert mended["seq"] > max(without)


def test_a_server_away_is_silence_and_back_it_tells_what_is_measured_now(
    mosquitto: Mosquitto, own: OpcUaMachine
) -> None:
    with (
        own,
        heard(mosquitto, "fan/messages/opc-4") as told,
        Gateway(mosquitto, opcua(own.endpoint, "opc-4")) as gateway,
    ):
        told.next()
        own.stop()
        last = told.drain()["seq"]
        with pytest.raises(queue.Empty):
            told.next(within_s=4)
        own.start(rotation=800.0)
        back = told.next(within_s=60)
        assert signals(back) == WELL | {"rotation": 800.0}, "no value of before"
        assert back["seq"] == last + 1
        assert gateway.running


def test_a_node_that_is_gone_after_a_restart_does_not_live_on(
    mosquitto: Mosquitto, own: OpcUaMachine
) -> None:
    with (
        own,
        heard(mosquitto, "fan/messages/opc-5") as told,
        Gateway(mosquitto, opcua(own.endpoint, "opc-5")),
    ):
        told.next()
        own.stop()
        told.drain()
        own.forgets("sound")
        own.start()
        before = len(told.bodies)
        told.drain(quiet_s=10)
        assert not any("sound" in body for body in told.bodies[before:])


def test_the_gateway_waits_for_a_server_that_is_not_up_yet(mosquitto: Mosquitto, own: OpcUaMachine) -> None:
    with (
        heard(mosquitto, "fan/messages/opc-6") as told,
        Gateway(mosquitto, opcua(own.endpoint, "opc-6")),
        own,
    ):
        assert signals(told.next(within_s=60)) == WELL


def test_without_retry_the_gateway_ends_when_a_server_is_not_up(
    mosquitto: Mosquitto, own: OpcUaMachine
) -> None:
    plant = opcua(own.endpoint, "opc-7").replace('connect_fail_behavior = "retry"', "")
    gateway = Gateway(mosquitto, plant).start(wait=False)
    assert gateway.wait_ended() != 0


def test_without_the_name_of_its_server_a_node_makes_no_reading_and_the_log_says_so(
    mosquitto: Mosquitto, machine: OpcUaMachine
) -> None:
    plant = opcua(machine.endpoint, "opc-8").replace('server = "hall-2"', "")
    with heard(mosquitto, "fan/messages/opc-8") as told, Gateway(mosquitto, plant) as gateway:
        wait_until(lambda: "has no tag server" in gateway.log(), within_s=20, what="the complaint")
        with pytest.raises(queue.Empty):
            told.next(within_s=3)


def test_two_servers_do_not_answer_for_one_another(mosquitto: Mosquitto, machine: OpcUaMachine) -> None:
    with OpcUaMachine(WELL | {"rotation": 500.0}) as other:
        plant = opcua(machine.endpoint, "opc-9a") + opcua(other.endpoint, "opc-9b", server="hall-9")
        with (
            heard(mosquitto, "fan/messages/opc-9a") as first,
            heard(mosquitto, "fan/messages/opc-9b") as second,
            Gateway(mosquitto, plant),
        ):
            assert (first.next()["rotation"], second.next()["rotation"]) == (600.0, 500.0)
            other.stop()
            second.drain()
            first.next()
            with pytest.raises(queue.Empty):
                second.next(within_s=3)


# --- encrypted --------------------------------------------------------------------------------------

USER = 'auth_method = "UserName"\n  username = "fanwatch"\n  password = "@{fanwatch:opcua_password}"'


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[OpcUaMachine]:
    """Encrypted connections alone, for one user."""
    server_certificate(tmp_path)
    with OpcUaMachine(WELL, tmp_path, user=("fanwatch", "a server's password")) as server:
        yield server


def keep_password(site: Site, password: str) -> None:
    (site.secrets_of("gateway") / "opcua_password").unlink(missing_ok=True)
    (site.secrets_of("gateway") / "opcua_password").write_text(password)


def test_as_the_example_has_it_the_connection_is_signed_and_encrypted_for_one_user(
    mosquitto: Mosquitto, closed: OpcUaMachine, tmp_path: Path
) -> None:
    keep_password(mosquitto.site, "a server's password")
    more = f'{USER}\n  remote_certificate = "{tmp_path / "server.pem"}"'
    plant = opcua(closed.endpoint, "opc-10", encrypted=True, more=more)
    with heard(mosquitto, "fan/messages/opc-10") as told, Gateway(mosquitto, plant):
        assert signals(told.next()) == WELL


@pytest.mark.parametrize("wrong", ["password", "no user", "unencrypted", "another server's certificate"])
def test_who_is_not_let_in_or_not_trusted_makes_no_reading(
    mosquitto: Mosquitto, closed: OpcUaMachine, tmp_path: Path, wrong: str
) -> None:
    keep_password(mosquitto.site, "a guess" if wrong == "password" else "a server's password")
    (tmp_path / "other").mkdir()
    server_certificate(tmp_path / "other")
    pinned = tmp_path / ("other" if wrong == "another server's certificate" else "") / "server.pem"
    user = "" if wrong == "no user" else USER
    more = f'{user}\n  remote_certificate = "{pinned}"'
    plant = opcua(closed.endpoint, "opc-11", encrypted=wrong != "unencrypted", more=more)
    with heard(mosquitto, "fan/messages/opc-11") as told, Gateway(mosquitto, plant) as gateway:
        wait_until(lambda: "Failed to connect" in gateway.log(), within_s=30, what="the complaint")
        with pytest.raises(queue.Empty):
            told.next(within_s=3)
    shutil.rmtree(tmp_path / "other")
