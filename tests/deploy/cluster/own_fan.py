"""A fan of its own on Kubernetes: let in by the chart's Job, publishing from outside over TLS, taken out again."""

import json
import subprocess
from datetime import UTC, datetime, timedelta

from contract.topics import Topics
from edge_manager.site.handout import Handout
from simulator.fleet import Generation, Voice
from tests.deploy.cluster.node.kubectl import wait_until
from tests.deploy.cluster.node.network import GATEWAY
from tests.deploy.cluster.outside import Machine, machine_outside
from tests.deploy.cluster.trial import MACHINES_PORT, REPOSITORY, Trial

__all__ = ["FAN", "let_a_fan_in_and_out"]

FAN = "own-1"
_READINGS = 100
_SIGNALS = {"rotation": 600.0, "temperature": 40.0, "vibration": 100.0, "sound": 40.0}
_PROGRAM = REPOSITORY / ".cache" / "servers" / "bin" / "mosquitto_pub"
_TAKEN_WITHIN_S = 150
"""The kubelet shows a changed Secret within about a minute; the broker's probe looks every ten seconds."""


def let_a_fan_in_and_out(trial: Trial) -> list[str]:
    """As docs/k3s.md says, with a machine outside that has the printed configuration and nothing else."""
    trial.kubectl("create", "job", "access", "--from=cronjob/access")
    trial.kubectl("wait", "job/access", "--for=jsonpath={.status.ready}=1", "--timeout=120s")
    handout = Handout.from_json(json.loads(_access(trial, "add", "fan", FAN, "--json")))
    with machine_outside() as machine:
        wait_until(
            lambda: _publish(trial, machine, handout, FAN, _readings()) == "",
            within_s=_TAKEN_WITHIN_S,
            what="the broker to let the fan in",
            pause_s=5,
        )
        whole = trial.nothing_lost("own", _READINGS, 1)
        as_another = _publish(trial, machine, handout, "own-2", _readings()[:1])
        _access(trial, "remove", FAN)
        wait_until(
            lambda: "ot authori" in _publish(trial, machine, handout, FAN, []),
            within_s=_TAKEN_WITHIN_S,
            what="the broker to keep the fan out",
            pause_s=5,
        )
    trial.kubectl("delete", "job", "access")
    if "ot authori" not in as_another:
        raise RuntimeError(f"the fan {FAN} published as another one: {as_another!r}")
    return [
        f"{FAN} let in from outside, over TLS: {whole}",
        "refused as another fan",
        "kept out once removed",
    ]


def _access(trial: Trial, *command: str) -> str:
    return trial.kubectl("exec", "job/access", "--", "python", "-m", "edge_manager", *command)


def _readings() -> list[str]:
    """Of the last ten seconds, in JSON."""
    start, voice = datetime.now(UTC) - timedelta(seconds=10), Voice(Topics(), Generation.SECOND, "trial")
    return [
        voice.say(FAN, start + timedelta(seconds=10 * seq / _READINGS), _SIGNALS).payload.decode()
        for seq in range(_READINGS)
    ]


def _publish(trial: Trial, machine: Machine, handout: Handout, device: str, readings: list[str]) -> str:
    """Publishes readings as a device and waits until each is acknowledged; what went wrong, or nothing."""
    folder = trial.node.folder / "own-fan"
    folder.mkdir(exist_ok=True)
    (folder / "ca.crt").write_text(handout.ca_certificate)
    options = folder / "options"
    options.touch(mode=0o600)
    options.write_text(f"-u {handout.user}\n-P {handout.password}\n")
    done = subprocess.run(
        [
            *machine.enter, _PROGRAM, "-o", options, "-h", GATEWAY, "-p", str(MACHINES_PORT),
            "--cafile", folder / "ca.crt", "-V", "5", "-q", "1", "-l", "-t", f"fan/messages/{device}",
        ],
        input="".join(f"{reading}\n" for reading in readings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    return done.stderr.strip() or ("" if done.returncode == 0 else f"exit code {done.returncode}")
