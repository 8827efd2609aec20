"""A chart under trial in a cluster: asking its pods and its database, sending readings, what was seen step by step."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import requests
import yaml

from testbed.waiting import port_answers
from tests.deploy.cluster.node.kubectl import wait_until
from tests.deploy.cluster.node.network import GATEWAY, PODS
from tests.deploy.cluster.node.one_node import OneNode

REPOSITORY = Path(__file__).parents[3]
CHART = REPOSITORY / "deploy" / "helm" / "fanwatch"
HELM = REPOSITORY / ".cache" / "servers" / "bin" / "helm"
SPACE = "fanwatch"
MACHINES_PORT = 30883
"""Of the node, where machines from outside reach the broker."""
VALUES = (
    "--set=grafana.enabled=false",
    "--set=simulator.fans=1",
    f"--set=networkPolicy.kubernetes={GATEWAY}/32",
    "--set=broker.expose.type=NodePort",
    f"--set=broker.expose.nodePort={MACHINES_PORT}",
    f"--set=broker.hostNames[0]={GATEWAY}",
    f"--set-json=networkPolicy.machines={json.dumps([{'cidr': '10.0.0.0/8', 'except': [PODS]}])}",
)
"""Of every revision."""


def say(line: str) -> None:
    """Tells at once how far it is."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Trial:
    """The steps, each a line of the result.

    Attributes:
        space: The namespace of the chart.
        lines: What was done, and what was seen.
        readings: How many were sent, and found in InfluxDB.
    """

    space = SPACE

    def __init__(self, node: OneNode) -> None:
        self.node = node
        self.readings = 0
        self.lines: list[tuple[str, str]] = []

    def take(self, what: str, step: Callable[[Self], list[str]]) -> None:
        """One step: does it, and keeps what it saw."""
        say(f"==> {what}")
        start = time.monotonic()
        line = f"{'; '.join(step(self))} ({time.monotonic() - start:.0f} s)"
        say(f"    {line}")
        self.lines.append((what, line))

    # -- asking ------------------------------------------------------------------------------------------

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """In the chart's namespace; `given` is its standard input."""
        return self.node.kubectl("-n", SPACE, *arguments, given=given)

    def pods(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.node.get(
            "-n", SPACE, "pods", "-l", f"app.kubernetes.io/name={name}"
        )["items"]
        return found

    def address(self, name: str) -> str:
        return str(self.pods(name)[0]["status"]["podIP"])

    def secret(self, name: str, file: str) -> str:
        data = self.node.get("-n", SPACE, "secret", name)["data"]
        return base64.b64decode(data[file]).decode()

    def secrets(self) -> dict[str, dict[str, str]]:
        """The files of each Secret that setup made, encoded."""
        objects = self.node.get("-n", SPACE, "secrets")["items"]
        named = {str(each["metadata"]["name"]): each for each in objects}
        return {name: each["data"] for name, each in named.items() if name.startswith("secrets-")}

    def query(self, statement: str) -> list[dict[str, Any]]:
        """The series of a statement of InfluxDB's administrator."""
        answer = requests.post(
            f"http://{self.address('influxdb')}:8086/query",
            data={"q": statement, "db": "fan"},
            auth=("admin", self.secret("secrets-operator", "influxdb_admin")),
            timeout=30,
        ).json()
        series: list[dict[str, Any]] = answer["results"][0].get("series", [])
        return series

    def stored(self, measurement: str, name: str) -> dict[str, list[int]]:
        """The seq of each point of one pod's fans, by device."""
        fans = f'"deviceID" =~ /^{name}-/ GROUP BY "deviceID"'
        return {
            one["tags"]["deviceID"]: [int(row[1]) for row in one["values"]]
            for one in self.query(f'SELECT "seq" FROM "raw"."{measurement}" WHERE {fans}')
        }

    def values(self, statement: str) -> set[Any]:
        """The values of a statement that selects one field, of all its series."""
        return {row[1] for one in self.query(statement) for row in one["values"]}

    def names(self, kind: str) -> set[str]:
        """Of all objects of a kind in the namespace."""
        return {str(each["metadata"]["name"]) for each in self.node.get("-n", SPACE, kind)["items"]}

    def is_replaced(self, name: str, uid: str) -> bool:
        """Whether another pod than that one does its work."""
        return any(
            pod["metadata"]["uid"] != uid
            and any(
                each["type"] == "Ready" and each["status"] == "True"
                for each in pod["status"].get("conditions", [])
            )
            for pod in self.pods(name)
        )

    def staying(self) -> list[dict[str, Any]]:
        """The chart's pods that run for as long as it is installed."""
        found = self.node.get("-n", SPACE, "pods", "-l", "helm.sh/chart")["items"]
        return [pod for pod in found if pod["spec"]["restartPolicy"] == "Always"]

    def are_ready(self) -> bool:
        """Whether each of them does its work."""
        return all(
            each["status"] == "True"
            for pod in self.staying()
            for each in pod["status"].get("conditions", [])
            if each["type"] == "Ready"
        )

    def restarts(self) -> int:
        """How often a container of theirs was started again, in all."""
        return sum(
            each["restartCount"]
            for pod in self.staying()
            for each in pod["status"].get("containerStatuses", [])
        )

    def used_cpu(self) -> dict[str, int]:
        """Per cent of what its pods request, of each autoscaler that was told."""
        return {
            str(scaler["metadata"]["name"]): int(metric["resource"]["current"]["averageUtilization"])
            for scaler in self.node.get("-n", SPACE, "horizontalpodautoscalers")["items"]
            for metric in scaler["status"].get("currentMetrics") or []
            if "averageUtilization" in metric.get("resource", {}).get("current", {})
        }

    def paths(self) -> set[tuple[str, str, int]]:
        """Client, server and port of each way between two kinds of pods that a policy of the chart names."""
        found = set()
        for policy in self.node.get("-n", SPACE, "networkpolicies")["items"]:
            client, _, rest = str(policy["metadata"]["name"]).partition("-to-")
            server, _, way = rest.rpartition("-")
            if way == "in" and client not in {"machines", "people"}:
                (rule,) = policy["spec"]["ingress"]
                found |= {(client, server, int(port["port"])) for port in rule["ports"]}
        return found

    def reached(self, pod: str, servers: Sequence[tuple[str, str, int]], space: str = SPACE) -> set[str]:
        """Which servers (name, address, port) accept a connection from a pod, each tried for three seconds."""
        program = (
            "import json, socket, sys\n"
            "from concurrent.futures import ThreadPoolExecutor\n"
            "def reached(server):\n"
            "    try:\n"
            "        socket.create_connection(server[1:], 3).close()\n"
            "    except TimeoutError:\n"
            "        return False\n"
            "    return True\n"
            "servers = json.loads(sys.argv[1])\n"
            "with ThreadPoolExecutor(len(servers)) as pool:\n"
            "    each = zip(servers, pool.map(reached, servers))\n"
            "    print(json.dumps([server[0] for server, yes in each if yes]))\n"
        )
        answer = self.node.kubectl(
            "-n", space, "exec", pod, "--", "python", "-c", program, json.dumps(servers)
        )
        return set(json.loads(answer))

    def metric(self, address: str, port: int, name: str) -> float:
        text = requests.get(f"http://{address}:{port}/metrics", timeout=5).text
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if line.startswith(name) and "_created" not in line
        )

    def published(self, pod: str) -> float:
        """How many verdicts a predictor's pod has published since it started."""
        address = self.node.get("-n", SPACE, "pod", pod)["status"]["podIP"]
        return self.metric(address, 9101, "fanwatch_predictor_verdicts_published_total")

    # -- doing -------------------------------------------------------------------------------------------

    def helm(self, *arguments: str) -> str:
        done = subprocess.run(
            [HELM, f"--kubeconfig={self.node.kubeconfig}", "-n", SPACE, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-3000:])
        return done.stdout

    def start_readings(self, name: str, fans: int, rate: float) -> None:
        """A pod of the simulator's image: as the chart's simulator, but it ends when it is told and leaves its log."""
        template = self._simulator()
        template["spec"]["restartPolicy"] = "Never"
        (container,) = template["spec"]["containers"]
        container["args"] = ["simulate", "--fans", str(fans), "--rate", str(rate), "--prefix", f"{name}-"]
        container["env"].append({"name": "FANWATCH_CLIENT_ID", "value": name})
        del container["livenessProbe"]
        self._start_pod(name, SPACE, template["metadata"]["labels"], template["spec"])

    def start_stranger(self, space: str, labels: dict[str, str]) -> None:
        """A pod named stranger, under labels that it has no right to, which waits to be used."""
        spec = self._simulator()["spec"]
        (container,) = spec["containers"]
        container["command"] = ["python", "-c", "import signal; signal.pause()"]
        for name in ("args", "env", "livenessProbe", "readinessProbe", "volumeMounts"):
            del container[name]
        del spec["volumes"]
        self._start_pod("stranger", space, labels, spec | {"terminationGracePeriodSeconds": 0})

    def _simulator(self) -> dict[str, Any]:
        """The chart's template of a simulator's pod."""
        objects = subprocess.run(
            [HELM, "template", "fanwatch", CHART, "-n", SPACE, "--show-only", "templates/simulator.yaml"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        (deployment,) = [each for each in yaml.safe_load_all(objects) if each]
        template: dict[str, Any] = deployment["spec"]["template"]
        return template

    def _start_pod(self, name: str, space: str, labels: dict[str, str], spec: dict[str, Any]) -> None:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}
        self.node.kubectl("-n", space, "apply", "-f", "-", given=yaml.safe_dump(pod))
        self.node.kubectl("-n", space, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=180s")

    def sent(self, name: str) -> float:
        """How many readings of a pod the broker has acknowledged."""
        address = self.node.get("-n", SPACE, "pod", name)["status"]["podIP"]
        return self.acknowledged(address)

    def acknowledged(self, address: str) -> float:
        """The same, of the simulator at an address."""
        return self.metric(address, 9102, "fanwatch_simulator_readings_acknowledged_total")

    @contextmanager
    def readings_from_outside(self, name: str, fans: int, rate: float) -> Iterator[None]:
        """A simulator on this machine and not in a pod: it outlives the node. It asks for the broker's Service."""
        secret = self.node.folder / "outside" / "fanwatch_mqtt_password"
        secret.parent.mkdir()
        secret.write_text(self.secret("secrets-simulator", secret.name))
        service = self.node.get("-n", SPACE, "service", "mosquitto")["spec"]["clusterIP"]
        settings = {
            "FANWATCH_MQTT_HOST": str(service),
            "FANWATCH_MQTT_USERNAME": "simulator",
            "FANWATCH_CLIENT_ID": name,
            "FANWATCH_SECRETS_DIR": str(secret.parent),
            "FANWATCH_LISTEN_HOST": GATEWAY,
        }
        command = [sys.executable, "-m", "simulator", "simulate", f"--fans={fans}", f"--rate={rate}"]
        log = self.node.folder / "logs" / f"{name}.log"
        with log.open("wb") as written:
            process = subprocess.Popen(
                [*command, f"--prefix={name}-"],
                cwd=REPOSITORY,
                env=os.environ | settings,
                stdout=written,
                stderr=subprocess.STDOUT,
            )
            try:
                wait_until(lambda: port_answers(9102, GATEWAY), within_s=60, what="the simulator")
                yield
            finally:
                process.terminate()
                process.wait(timeout=120)
        self._check_ended(name, log.read_text())

    def end_readings(self, name: str, fans: int) -> str:
        """Stops a pod's readings, and says that each is stored with its verdict."""
        acknowledged = self.sent(name)
        self._stop_readings(name)
        return self.nothing_lost(name, acknowledged, fans)

    def _stop_readings(self, name: str) -> None:
        self.kubectl("exec", name, "--", "python", "-c", "import os; os.kill(1, 15)")
        self.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=120s")
        self._check_ended(name, self.kubectl("logs", name))

    @staticmethod
    def _check_ended(name: str, log: str) -> None:
        ended = [line for line in log.splitlines() if "broker_disconnected" in line]
        if not ended or json.loads(ended[-1])["unacknowledged"]:
            raise RuntimeError(f"{name} ended with readings that nobody acknowledged: {ended[-1:]}")

    def nothing_lost(self, name: str, acknowledged: float, fans: int) -> str:
        """Each reading of a pod is stored, and has a verdict: every seq up to the newest."""

        def whole() -> bool:
            readings, verdicts = self.stored("telemetry", name), self.stored("anomaly", name)
            count = sum(len(seqs) for seqs in readings.values())
            return (
                count >= acknowledged
                and len(readings) == fans
                and readings == verdicts
                and all(sorted(seqs) == list(range(min(seqs), max(seqs) + 1)) for seqs in readings.values())
            )

        try:
            wait_until(whole, within_s=180, what="every reading in InfluxDB, with its verdict")
        except TimeoutError as error:
            readings, verdicts = self.stored("telemetry", name), self.stored("anomaly", name)
            found = {device: (len(seqs), len(verdicts.get(device, []))) for device, seqs in readings.items()}
            raise RuntimeError(f"{error}; acknowledged {acknowledged:.0f}, stored {found}") from error
        readings = self.stored("telemetry", name)
        total = sum(len(seqs) for seqs in readings.values())
        self.readings += total
        return f"{total:,} readings sent, {total:,} in InfluxDB, {total:,} verdicts, no seq missing"
