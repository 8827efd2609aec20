"""The Compose profile `machines` on a Docker engine: an OPC UA server and a Modbus device outside every container."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from testbed.containers import Stack, docker
from testbed.machines import ModbusMachine, OpcUaMachine
from testbed.waiting import wait_until
from tests.machines.plant_file import modbus, opcua

WELL = {"rotation": 600.0, "temperature": 40.5, "vibration": 150.5, "sound": 48.25}


@pytest.fixture
def address() -> str:
    """Of this machine, as a controller in the plant has one that a container reaches: the engine's own bridge."""
    [bridge] = json.loads(docker("network", "inspect", "bridge").stdout)
    addresses = psutil.net_if_addrs()[bridge["Options"]["com.docker.network.bridge.name"]]
    return next(each.address for each in addresses if each.family == socket.AF_INET)


@pytest.fixture
def machines_file(address: str, tmp_path: Path) -> Iterator[Path]:
    """What the plant writes; both machines are measuring."""
    with (
        OpcUaMachine(WELL, host=address) as server,
        ModbusMachine([600, 405], [150.5, 48.25], host=address) as device,
    ):
        file = tmp_path / "machines.toml"
        file.write_text(opcua(server.endpoint, "by-opcua") + modbus(device.controller, "by-modbus"))
        yield file


def test_machines_of_both_protocols_are_scored_and_stored_when_the_profile_is_on(
    stack: Stack, machines_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FANWATCH_MACHINES_FILE", str(machines_file))
    gateway = ("--profile", "machines")
    stack.compose(*gateway, "up", "--detach", "--wait", "--no-deps", "gateway")
    try:

        def scored() -> bool:
            rows = stack.query(
                'SELECT last("fault") FROM anomaly WHERE "deviceID" =~ /^by-/ GROUP BY "deviceID"'
            )
            return {row["deviceID"] for row in rows if row["last"] == 0} == {"by-opcua", "by-modbus"}

        wait_until(scored, within_s=90, what="verdicts of both machines in InfluxDB")
        [reading] = stack.query('SELECT last("vibration") FROM telemetry WHERE "deviceID" = \'by-modbus\'')
        assert reading["last"] == 150.5
        networks = stack.containers()["gateway"]["NetworkSettings"]["Networks"]
        assert {name.rpartition("_")[2] for name in networks} == {"broker", "machines"}
        assert stack.containers()["gateway"]["NetworkSettings"]["Ports"] in ({}, None)
    finally:
        stack.compose(*gateway, "rm", "--stop", "--force", "gateway")
