"""make test-cluster: the chart on a real one-node Kubernetes, with readings flowing; its outcome in deploy/results/test-cluster.md."""

# ruff: noqa: T201, E501, ANN401, PLR0915 - a program of its own

import base64
import contextlib
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
import yaml

REPOSITORY = Path(__file__).parents[3]
sys.path.insert(0, str(REPOSITORY))
from tests.deploy.cluster.node import BIN, CLUSTER, GATEWAY, OneNode, wait  # noqa: E402

CHART = REPOSITORY / "deploy" / "helm" / "fanwatch"
HELM = REPOSITORY / ".cache" / "servers" / "bin" / "helm"
RESULT = REPOSITORY / "deploy" / "results" / "test-cluster.md"
SPACE = "fanwatch"
READINGS = 1000
KINDS = ("mosquitto", "predictor", "inference", "telegraf", "influxdb", "monitor", "drift", "history")


class Trial:
    """The steps, each a line of the result."""

    def __init__(self, node: OneNode) -> None:
        self.node = node
        self.lines: list[tuple[str, str]] = []

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[list[str]]:
        """One step; what is appended to the list is what was seen."""
        print(f"==> {what}", flush=True)
        seen: list[str] = []
        start = time.monotonic()
        yield seen
        line = f"{'; '.join(seen)} ({time.monotonic() - start:.0f} s)"
        print(f"    {line}", flush=True)
        self.lines.append((what, line))

    # -- asking ------------------------------------------------------------------------------------------

    def kubectl(self, *arguments: str, **how: Any) -> str:
        return self.node.kubectl("-n", SPACE, *arguments, **how)

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

    def stored(self, measurement: str, boot: str) -> dict[str, list[int]]:
        """The seq of each point of one run of a simulator, by device."""
        return {
            one["tags"]["deviceID"]: [int(row[1]) for row in one["values"]]
            for one in self.query(
                f'SELECT "seq" FROM "raw"."{measurement}" WHERE "bootID" = \'{boot}\' GROUP BY "deviceID"'
            )
        }

    def metric(self, address: str, port: int, name: str) -> float:
        text = requests.get(f"http://{address}:{port}/metrics", timeout=5).text
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if line.startswith(name) and "_created" not in line
        )

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
        objects = subprocess.run(
            [HELM, "template", "fanwatch", CHART, "-n", SPACE, "--show-only", "templates/simulator.yaml"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        (deployment,) = [each for each in yaml.safe_load_all(objects) if each]
        template = deployment["spec"]["template"]
        template["spec"]["restartPolicy"] = "Never"
        (container,) = template["spec"]["containers"]
        container["args"] = ["simulate", "--fans", str(fans), "--rate", str(rate), "--prefix", f"{name}-"]
        container["env"].append({"name": "FANWATCH_CLIENT_ID", "value": name})
        del container["livenessProbe"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": template["metadata"]["labels"]},
            "spec": template["spec"],
        }
        self.kubectl("apply", "-f", "-", given=yaml.safe_dump(pod))
        self.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=180s")

    def sent(self, name: str) -> float:
        """How many readings of a pod the broker has acknowledged."""
        address = self.node.get("-n", SPACE, "pod", name)["status"]["podIP"]
        return self.metric(address, 9102, "fanwatch_simulator_readings_acknowledged_total")

    def stop_readings(self, name: str) -> None:
        self.kubectl("exec", name, "--", "python", "-c", "import os; os.kill(1, 15)")
        self.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=120s")
        log = self.kubectl("logs", name)
        if "unacknowledged" in log.splitlines()[-2]:
            raise RuntimeError(f"the simulator ended with readings that nobody acknowledged: {log[-500:]}")

    def check_nothing_lost(self, name: str, acknowledged: float, fans: int) -> str:
        """Each reading of a pod is stored, and has a verdict: every seq up to the newest."""

        def of(measurement: str) -> dict[str, list[int]]:
            return {
                one["tags"]["deviceID"]: [int(row[1]) for row in one["values"]]
                for one in self.query(
                    f'SELECT "seq" FROM "raw"."{measurement}" WHERE "deviceID" =~ /^{name}-/ GROUP BY "deviceID"'
                )
            }

        def whole() -> bool:
            readings, verdicts = of("telemetry"), of("anomaly")
            count = sum(len(seqs) for seqs in readings.values())
            return (
                count >= acknowledged
                and len(readings) == fans
                and readings == verdicts
                and all(sorted(seqs) == list(range(min(seqs), max(seqs) + 1)) for seqs in readings.values())
            )

        try:
            wait("every reading in InfluxDB, with its verdict", whole, 180)
        except TimeoutError as error:
            readings, verdicts = of("telemetry"), of("anomaly")
            found = {device: (len(seqs), len(verdicts.get(device, []))) for device, seqs in readings.items()}
            raise RuntimeError(f"{error}; acknowledged {acknowledged:.0f}, stored {found}") from error
        readings = of("telemetry")
        total = sum(len(seqs) for seqs in readings.values())
        return f"{total:,} readings sent, {total:,} in InfluxDB, {total:,} verdicts, no seq missing"


def volumes(folder: Path) -> str:
    """Folders of this machine under the class name of K3s, which no provisioner fills here."""
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": "local-path",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        }
    ]
    for number in range(4):
        place = folder / f"volume-{number}"
        place.mkdir(parents=True)
        place.chmod(0o777)
        objects.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"volume-{number}"},
                "spec": {
                    "capacity": {"storage": "20Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "persistentVolumeReclaimPolicy": "Retain",
                    "storageClassName": "local-path",
                    "hostPath": {"path": str(place)},
                },
            }
        )
    return yaml.safe_dump_all(objects)


def run(trial: Trial) -> None:
    """Install, send, delete, scale, upgrade, uninstall."""
    node = trial.node
    with trial.step("images into containerd") as seen:
        node.load(CLUSTER / "images.tar")
        node.load(CLUSTER / "model.tar")
        seen.append((CLUSTER / "images").read_text().replace("\n", " ").strip())
    node.kubectl("apply", "-f", str(REPOSITORY / "deploy" / "helm" / "namespace.yaml"))
    node.kubectl("apply", "-f", "-", given=volumes(node.folder / "volumes"))

    values = [
        "--set",
        "grafana.enabled=false",
        "--set",
        "simulator.enabled=false",
        "--set",
        f"networkPolicy.kubernetes={GATEWAY}/32",
    ]
    with trial.step("helm install --wait, Pod Security restricted enforced") as seen:
        trial.helm(
            "install", "fanwatch", str(CHART), *values, "--wait", "--wait-for-jobs", "--timeout", "15m"
        )
        items = node.get("-n", SPACE, "pods")["items"]
        seen.append(f"{len([i for i in items if i['status']['phase'] == 'Running'])} pods run, setup is done")
        restarts = sum(c["restartCount"] for i in items for c in i["status"].get("containerStatuses", []))
        seen.append(f"{restarts} restarts on the way")

    with trial.step("a root container in the namespace") as seen:
        bad = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "root"},
            "spec": {"containers": [{"name": "root", "image": "influxdb:1.13.1"}]},
        }
        try:
            trial.kubectl("apply", "-f", "-", given=yaml.safe_dump(bad))
        except RuntimeError as error:
            assert "violates PodSecurity" in str(error), error
            seen.append("refused by Pod Security")
        else:
            raise RuntimeError("Kubernetes took a root container")

    with trial.step(f"{READINGS:,} readings, and a pod of each kind deleted meanwhile") as seen:
        trial.start_readings("first", fans=10, rate=1)
        for kind in KINDS:
            before = trial.pods(kind)[0]["metadata"]
            trial.kubectl("delete", "pod", before["name"], "--grace-period=0" if kind in ("mosquitto", "predictor") else "--wait=true",
                          *(["--force"] if kind in ("mosquitto", "predictor") else []))  # fmt: skip

            def replaced(kind: str = kind, uid: str = before["uid"]) -> bool:
                return any(
                    pod["metadata"]["uid"] != uid
                    and any(
                        c["type"] == "Ready" and c["status"] == "True"
                        for c in pod["status"].get("conditions", [])
                    )
                    for pod in trial.pods(kind)
                )

            wait(f"another {kind}", replaced, 240)
            seen.append(f"{kind} back")
        wait(f"{READINGS} acknowledged readings", lambda: trial.sent("first") >= READINGS, 300)
        acknowledged = trial.sent("first")
        trial.stop_readings("first")
        seen.append(trial.check_nothing_lost("first", acknowledged, 10))

    with trial.step("the predictor from one to two") as seen:
        trial.kubectl("scale", "statefulset", "predictor", "--replicas=2")
        trial.kubectl("rollout", "status", "statefulset/predictor", "--timeout=180s")
        trial.start_readings("second", fans=10, rate=5)
        wait("1000 acknowledged readings", lambda: trial.sent("second") >= READINGS, 300)
        acknowledged = trial.sent("second")
        trial.stop_readings("second")
        seen.append(trial.check_nothing_lost("second", acknowledged, 10))
        shares = {
            pod["metadata"]["name"]: trial.metric(
                pod["status"]["podIP"], 9101, "fanwatch_predictor_verdicts_published_total"
            )
            for pod in trial.pods("predictor")
        }
        assert len(shares) == 2, shares
        assert all(shares.values()), shares
        seen.append(
            "verdicts of each: " + ", ".join(f"{name} {count:.0f}" for name, count in sorted(shares.items()))
        )

    with trial.step("helm upgrade to a new model, while readings flow") as seen:
        more = node.folder / "model.yaml"
        key = (CLUSTER / "keys" / "model-signing.pub").read_text()
        more.write_text(
            yaml.safe_dump(
                {"model": {"image": "fanwatch/model-fan:2", "version": "2", "publicKeys": {"site.pub": key}}}
            )
        )
        trial.start_readings("third", fans=10, rate=1)
        trial.helm(
            "upgrade",
            "fanwatch",
            str(CHART),
            *values,
            "-f",
            str(more),
            "--wait",
            "--wait-for-jobs",
            "--timeout",
            "10m",
        )

        def served() -> set[str]:
            rows = trial.query(
                'SELECT last("model") FROM "raw"."anomaly" WHERE "deviceID" =~ /^third-/ AND time > now() - 5s GROUP BY "deviceID"'
            )
            return {one["values"][0][1] for one in rows}

        wait("verdicts of fan:2", lambda: served() == {"fan:2"}, 120)
        acknowledged = trial.sent("third")
        trial.stop_readings("third")
        seen.append(trial.check_nothing_lost("third", acknowledged, 10))
        models = {
            row[1]
            for one in trial.query(
                'SELECT "model" FROM "raw"."anomaly" WHERE "deviceID" =~ /^third-/ GROUP BY "deviceID"'
            )
            for row in one["values"]
        }
        seen.append(f"verdicts of {' and '.join(sorted(models))}")
        assert len(trial.pods("predictor")) == 2, "the upgrade took a predictor away"
        seen.append("still two predictors")

    with trial.step("helm uninstall") as seen:
        trial.helm("uninstall", "fanwatch", "--wait", "--timeout", "5m")
        wait(
            "no pod of the chart",
            lambda: (
                {p["metadata"]["name"] for p in node.get("-n", SPACE, "pods")["items"]}
                <= {"first", "second", "third"}
            ),
            120,
        )
        claims = sorted(each["metadata"]["name"] for each in node.get("-n", SPACE, "pvc")["items"])
        kept = sorted(each["metadata"]["name"] for each in node.get("-n", SPACE, "secrets")["items"])
        assert {"data-influxdb-0", "data-mosquitto-0", "data-monitor-0", "models"} == set(claims), claims
        assert len([name for name in kept if name.startswith("secrets-")]) == 9, kept
        seen.append(f"volumes {', '.join(claims)} and nine Secrets stay")

    with trial.step("helm install again") as seen:
        trial.helm(
            "install", "fanwatch", str(CHART), *values, "--wait", "--wait-for-jobs", "--timeout", "10m"
        )
        rows = trial.query('SELECT count("seq") FROM "raw"."telemetry"')
        seen.append(f"the history is there: {rows[0]['values'][0][1]:,} readings")


def report(trial: Trial, versions: str, seconds: float, failure: str | None) -> str:
    """The committed result."""
    memory = next(
        line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal")
    )
    rows = "".join(f"| {what} | {seen} |\n" for what, seen in trial.lines)
    end = "All of it passed." if failure is None else f"**Failed:** {failure}"
    return f"""# make test-cluster

{datetime.now(UTC):%Y-%m-%d}, {platform.system()} {platform.release()}, {int(memory.split()[1]) / 1024**2:.0f} GB, {versions}; \
{seconds:.0f} seconds. {end}

| step | seen |
|---|---|
{rows}
What this run does not show: Grafana was left out (`grafana.enabled=false`: its image can be neither pulled nor made where this ran); the
base images are stand-ins of tests/compose/images.sh where no image registry is reached. It is plain Kubernetes and not K3s; nothing
in it enforces a NetworkPolicy, nothing provisions volumes (four folders of the machine stand in for local-path), no metrics server feeds
the autoscalers, so the predictor was scaled by hand.
"""


def main() -> int:
    """Run it; 0 when everything held."""
    start = time.monotonic()
    versions = ", ".join(
        [
            f"Kubernetes {(BIN / '.kubernetes').read_text().strip()}",
            subprocess.run(
                [HELM, "version", "--short"], capture_output=True, text=True, check=True
            ).stdout.strip(),
            " ".join(
                subprocess.run(
                    ["containerd", "--version"], capture_output=True, text=True, check=True
                ).stdout.split()[::2]
            ),
        ]
    )
    failure = None
    with OneNode(Path("/run/fanwatch-cluster")) as node:
        trial = Trial(node)
        try:
            run(trial)
        except (RuntimeError, TimeoutError, AssertionError) as error:
            failure = str(error)
            print(node.kubectl("-n", SPACE, "get", "pods,pvc,jobs", "-o", "wide", check=False))
            print(node.kubectl("-n", SPACE, "get", "events", "--sort-by=.lastTimestamp", check=False)[-6000:])
            print(
                node.kubectl(
                    "-n",
                    SPACE,
                    "logs",
                    "-l",
                    "app.kubernetes.io/part-of=fanwatch",
                    "--tail=8",
                    "--prefix",
                    check=False,
                )[-8000:]
            )
            if "--hold" in sys.argv:
                input("holding the cluster; Enter ends it: ")
        finally:
            RESULT.parent.mkdir(parents=True, exist_ok=True)
            RESULT.write_text(report(trial, versions, time.monotonic() - start, failure))
    print(RESULT.read_text())
    return 0 if failure is None else 1


if __name__ == "__main__":
    sys.exit(main())
