"""The real Telegraf with the gateway's files, arguments and variables exactly as the chart renders them."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.reading import Reading
from edge_manager.site.credentials import GATEWAY
from testbed.chart import Object, Pod, folder_of, pod_of, rendered
from testbed.gateway import Gateway
from testbed.machines import ModbusMachine, OpcUaMachine, server_certificate
from testbed.mosquitto import Mosquitto
from testbed.pod_files import arguments_in, mount, mount_config_maps, variables_of
from testbed.process import server_binary
from testbed.site import Site
from testbed.waiting import wait_until
from tests.machines.heard import heard
from tests.machines.plant_file import modbus, opcua

SIGNALS = {"rotation": 600.0, "temperature": 40.5, "vibration": 150.5, "sound": 48.25}
USER = "fanwatch", "a server's password"
SIGNED_IN = 'auth_method = "UserName"\n  username = "fanwatch"\n  password = "@{fanwatch:opcua_password}"'
NAMED_BY_A_TEST = {"FANWATCH_MQTT_HOST", "FANWATCH_MQTT_PORT"}


class InAPod(Gateway):
    """The gateway as the chart has it, below a folder that stands for the container's root."""

    def __init__(self, mosquitto: Mosquitto, objects: tuple[Object, ...]) -> None:
        super().__init__(mosquitto, "")
        self._pod = pod_of(objects, "gateway")
        self._root = self.folder / "root"
        mount_config_maps(self._pod, objects, self._root)
        mounted = secrets_of(self._pod)
        held = folder_of(mosquitto.site.secrets_of("gateway"))
        mount(self._root / "run/fanwatch", {name: text for name, text in held.items() if name in mounted})

    def command(self) -> list[str]:
        program, *arguments = arguments_in(self._pod, self._root)
        assert program == "telegraf"
        return [str(server_binary(program)), *arguments]

    def environment(self) -> dict[str, str]:
        variables = variables_of(self._pod)
        assert set(variables) == NAMED_BY_A_TEST
        return super().environment() | {
            "FANWATCH_SECRETS_DIR": str(self._root / "run/fanwatch"),
            "FANWATCH_GATEWAY_DIR": str(self._root / "etc/telegraf/gateway"),
        }


def secrets_of(pod: Pod) -> list[str]:
    return [
        item["key"]
        for volume in pod.spec["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
        for item in source["secret"]["items"]
    ]


@pytest.fixture
def broker(new_site: Callable[[], Site]) -> Iterator[Mosquitto]:
    with Mosquitto(new_site()) as server:
        yield server


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[OpcUaMachine]:
    """Encrypted connections alone, for one user."""
    server_certificate(tmp_path)
    with OpcUaMachine(SIGNALS, tmp_path, user=USER) as server:
        yield server


def with_plant(tmp_path: Path, plant: str) -> tuple[Object, ...]:
    (tmp_path / "my-machines.toml").write_text(plant)
    return rendered(
        "values-machines.yaml",
        files=(
            f"gateway.machines={tmp_path / 'my-machines.toml'}",
            rf"gateway.serverCertificates.server\.pem={tmp_path / 'server.pem'}",
        ),
    )


def test_machines_of_both_kinds_join_by_the_charts_values_alone(
    broker: Mosquitto, controller: OpcUaMachine, tmp_path: Path
) -> None:
    broker.site.store.replace(GATEWAY, "opcua_password", USER[1])
    pinned = broker.site.folder / "gateway/root/etc/telegraf/machines/server.pem"
    more = f'{SIGNED_IN}\n  remote_certificate = "{pinned}"'
    with ModbusMachine([600, 405], [150.5, 48.25]) as device:
        plant = opcua(controller.endpoint, "hall-2", encrypted=True, more=more)
        plant += modbus(device.controller, "hall-3")
        with (
            heard(broker, "fan/messages/hall-2") as over_opcua,
            heard(broker, "fan/messages/hall-3") as over_modbus,
            InAPod(broker, with_plant(tmp_path, plant)) as gateway,
        ):
            for device_id, told in (("hall-2", over_opcua), ("hall-3", over_modbus)):
                body = told.next()
                assert Reading.from_json(json.dumps(body).encode()).device_id == device_id
                assert {name: body[name] for name in SIGNALS} == pytest.approx(SIGNALS)
            wait_until(lambda: gateway.health() == 200, within_s=30, what="the probe's answer")


def test_without_a_file_of_the_plants_it_asks_the_examples_addresses_as_compose_does(
    broker: Mosquitto,
) -> None:
    with InAPod(broker, rendered("values-machines.yaml")) as gateway:
        wait_until(lambda: "192.0.2.20:502" in gateway.log(), within_s=60, what="the attempt")


def test_while_the_broker_is_away_it_is_not_ready_and_nobody_restarts_it() -> None:
    """Its readings wait in its memory: a restart would lose them. curl without --fail minds no 503."""
    [container] = pod_of(rendered("values-machines.yaml"), "gateway").containers
    ready, alive = (container[probe]["exec"]["command"] for probe in ("readinessProbe", "livenessProbe"))
    assert [re.sub("^-fsS$", "-sS", part) for part in ready] == alive
    assert ready != alive
