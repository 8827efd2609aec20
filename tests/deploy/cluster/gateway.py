"""A machine that speaks Modbus, beside the cluster: it joins by the chart's gateway and a file of the plant's alone."""

import json

from testbed.machines import ModbusMachine
from tests.deploy.cluster.node.kubectl import wait_until
from tests.deploy.cluster.node.network import GATEWAY
from tests.deploy.cluster.trial import CHART, VALUES, Trial
from tests.machines.plant_file import modbus

__all__ = ["join_a_machine"]

_MACHINE = "hall-3"
_READINGS = 10


def join_a_machine(trial: Trial) -> list[str]:
    """Switches the gateway on, waits for verdicts of the machine, and switches it off again."""
    with ModbusMachine([600, 405], [150.5, 48.25], host=GATEWAY) as machine:
        plant = trial.node.folder / "machines.toml"
        plant.write_text(modbus(machine.controller, _MACHINE))
        controllers = [{"cidr": f"{GATEWAY}/32", "ports": [machine.port]}]
        values = (
            "--set=gateway.enabled=true",
            f"--set-file=gateway.machines={plant}",
            f"--set-json=networkPolicy.controllers={json.dumps(controllers)}",
        )
        _upgrade(trial, *values)
        wait_until(
            lambda: len(_times(trial, "telemetry") & _times(trial, "anomaly")) >= _READINGS,
            within_s=180,
            what=f"{_READINGS} readings of {_MACHINE} in InfluxDB, each with its verdict",
        )
    _upgrade(trial)
    wait_until(lambda: not trial.pods("gateway"), within_s=60, what="no gateway")
    return [
        f"{_MACHINE}, asked by Modbus through the one way that is open: {_READINGS} readings and more, with verdicts"
    ]


def _upgrade(trial: Trial, *values: str) -> None:
    trial.helm(
        "upgrade", "fanwatch", str(CHART), *VALUES, *values, "--wait", "--wait-for-jobs", "--timeout=10m"
    )


def _times(trial: Trial, measurement: str) -> set[str]:
    statement = f"""SELECT * FROM "raw"."{measurement}" WHERE "deviceID" = '{_MACHINE}'"""
    return {row[0] for one in trial.query(statement) for row in one["values"]}
