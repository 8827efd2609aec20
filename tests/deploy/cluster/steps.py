"""What is done with the chart, in order: install, send, delete, kill, upgrade, roll back, uninstall, install again."""

from collections.abc import Callable
from functools import partial

import yaml

from tests.deploy.cluster.gateway import join_a_machine
from tests.deploy.cluster.node.kubectl import wait_until
from tests.deploy.cluster.node.kubernetes import KUBERNETES
from tests.deploy.cluster.node.network import GATEWAY
from tests.deploy.cluster.node.one_node import CLUSTER
from tests.deploy.cluster.outside import MACHINE, STRANGER, machine_outside
from tests.deploy.cluster.own_fan import let_a_fan_in_and_out
from tests.deploy.cluster.training import train, values_for_training
from tests.deploy.cluster.trial import CHART, MACHINES_PORT, REPOSITORY, VALUES, Trial

__all__ = ["STEPS", "Step"]

READINGS = 1000
LOAD = 400
"""Readings a second under which one predictor is no longer enough."""
KILLED = ("mosquitto", "predictor")
"""Ended without a word, as by a machine that goes; the others are asked to end."""
KINDS = (*KILLED, "inference", "telegraf", "influxdb", "monitor", "drift", "history")
SENDERS = ("first", "own", "second", "node", "third", "fourth", "trained")
"""Each sends the readings of one step."""
ASKING = ("predictor", "inference", "monitor", "drift", "history")
"""Kinds of pods with Python in them, to try the ways between pods from."""
KUBERNETES_API = ("kubernetes", KUBERNETES, 443)
THIRD = '"deviceID" =~ /^third-/'

Step = Callable[[Trial], list[str]]
"""Does something, and tells what was seen.

Raises:
    RuntimeError, TimeoutError: It was not as it must be.
"""


def load_images(trial: Trial) -> list[str]:
    """What the chart names, and the new model."""
    trial.node.load(CLUSTER / "images.tar")
    trial.node.load(CLUSTER / "model.tar")
    return [(CLUSTER / "images").read_text().replace("\n", " ").strip()]


def install(trial: Trial) -> list[str]:
    """Into an empty namespace that enforces Pod Security "restricted"."""
    node = trial.node
    node.kubectl("apply", "-f", str(REPOSITORY / "deploy" / "helm" / "namespace.yaml"))
    trial.helm("install", "fanwatch", str(CHART), *VALUES, "--wait", "--wait-for-jobs", "--timeout=15m")
    pods = node.get("-n", trial.space, "pods")["items"]
    running = sum(pod["status"]["phase"] == "Running" for pod in pods)
    restarts = sum(
        each["restartCount"] for pod in pods for each in pod["status"].get("containerStatuses", [])
    )
    return [f"{running} pods run, setup is done", f"{restarts} restarts on the way"]


def refuse_root(trial: Trial) -> list[str]:
    """The chart's pods pass what this one does not."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root"},
        "spec": {"containers": [{"name": "root", "image": "influxdb:1.13.1"}]},
    }
    try:
        trial.kubectl("apply", "-f", "-", given=yaml.safe_dump(pod))
    except RuntimeError as error:
        if "violates PodSecurity" in str(error):
            return ["refused by Pod Security"]
        raise
    raise RuntimeError("Kubernetes took a root container")


def delete_pods(trial: Trial) -> list[str]:
    """One of each kind, each when the one before is back."""
    seen = []
    trial.start_readings("first", fans=10, rate=1)
    for kind in KINDS:
        before = trial.pods(kind)[0]["metadata"]
        how = ("--grace-period=0", "--force") if kind in KILLED else ("--wait=true",)
        trial.kubectl("delete", "pod", before["name"], *how)
        wait_until(partial(trial.is_replaced, kind, before["uid"]), within_s=240, what=f"another {kind}")
        seen.append(f"{kind} back")
    wait_until(
        lambda: trial.sent("first") >= READINGS, within_s=300, what=f"{READINGS} acknowledged readings"
    )
    return [*seen, trial.end_readings("first", fans=10)]


def keep_to_policies(trial: Trial) -> list[str]:
    """Each way between two pods is open or closed as the chart names it, and every way of a stranger closed."""
    named = trial.paths()
    ports = {(server, port) for _, server, port in named} | {("mosquitto", 8883)}
    servers = [(f"{name} {port}", trial.address(name), port) for name, port in sorted(ports)]
    servers.append(("the node's port for machines", GATEWAY, MACHINES_PORT))
    tried, wrong = 0, []
    for client in ASKING:
        expected = {f"{server} {port}" for who, server, port in named if who == client}
        # What a pod says to itself passes no network.
        asked = [each for each in servers if each[0].split()[0] != client] + [KUBERNETES_API]
        tried += len(asked)
        reached = trial.reached(trial.pods(client)[0]["metadata"]["name"], asked)
        wrong += [f"{client} to {server}" for server in reached ^ expected]
    opened = sum(client in ASKING for client, _, _ in named)
    seen = [f"{tried} ways between pods tried, the {opened} that the chart names open, the others closed"]
    for space, labels in ((trial.space, {}), ("default", trial.pods("predictor")[0]["metadata"]["labels"])):
        trial.start_stranger(space, labels)
        reached = trial.reached("stranger", [*servers, KUBERNETES_API], space)
        # What leaves a pod of another namespace is not the chart's to decide.
        expected = set() if space == trial.space else {KUBERNETES_API[0]}
        wrong += [f"a stranger in {space} to {server}" for server in reached ^ expected]
        seen.append(f"a stranger in the namespace {space} reaches none of {len(servers)}")
    with machine_outside() as machine:
        if not machine.reaches(MACHINE, GATEWAY, MACHINES_PORT):
            wrong.append("a machine to the node's port for machines")
        if machine.reaches(STRANGER, GATEWAY, MACHINES_PORT):
            wrong.append(f"{STRANGER}, of no network of machines, to the node's port for machines")
    seen.append(
        "from outside the node's port leads a machine's address to the broker, and another address nowhere"
    )
    if wrong:
        raise RuntimeError(f"not as the chart names it: {', '.join(sorted(wrong))}")
    return seen


def kill_the_node(trial: Trial) -> list[str]:
    """Kubernetes, containerd and every container, while readings come from outside."""
    before = trial.restarts()
    stay = trial.staying()
    with trial.readings_from_outside("node", fans=10, rate=5):
        wait_until(lambda: trial.acknowledged(GATEWAY) >= READINGS / 4, within_s=60, what="readings")
        killed = trial.node.kill_and_start_again()
        seen = [f"{killed} containers killed with kubelet, containerd, kine and the API server"]
        wait_until(
            lambda: trial.restarts() >= before + len(stay) and trial.are_ready(),
            within_s=300,
            what="each pod started again",
        )
        now = trial.acknowledged(GATEWAY)
        wait_until(
            lambda: trial.acknowledged(GATEWAY) >= now + READINGS / 4, within_s=120, what="more readings"
        )
        acknowledged = trial.acknowledged(GATEWAY)
    return [*seen, f"all {len(stay)} pods came back", trial.nothing_lost("node", acknowledged, 10)]


def scale(trial: Trial) -> list[str]:
    """More readings than one predictor does at the CPU that the chart's autoscaler allows it."""
    if len(trial.pods("predictor")) != 1:
        raise RuntimeError("the autoscaler was to leave the predictor alone where there is little to do")
    trial.start_readings("second", fans=40, rate=LOAD / 40)
    wait_until(
        lambda: len(trial.pods("predictor")) == 2, within_s=400, what="a second predictor, by the autoscaler"
    )
    why = trial.node.get("-n", trial.space, "events", "--field-selector=reason=SuccessfulRescale")["items"]
    trial.kubectl("rollout", "status", "statefulset/predictor", "--timeout=180s")
    wait_until(
        lambda: trial.published("predictor-1") >= READINGS / 2, within_s=300, what="its share of the readings"
    )
    used = trial.used_cpu()
    if set(used) != {"predictor", "inference"}:
        raise RuntimeError(f"each autoscaler was to know how much CPU its pods use: {used}")
    whole = trial.end_readings("second", fans=40)
    shares = {name: trial.published(name) for name in ("predictor-0", "predictor-1")}
    return [
        f"{LOAD} readings a second",
        *(str(each["message"]) for each in why if each["involvedObject"]["name"] == "predictor"),
        "CPU as the autoscalers read it: "
        + ", ".join(f"{name} {percent} % of its request" for name, percent in sorted(used.items())),
        whole,
        "verdicts of each: " + ", ".join(f"{name} {count:.0f}" for name, count in sorted(shares.items())),
    ]


def upgrade(trial: Trial) -> list[str]:
    """A poor model as version 2, signed with another key, while readings flow."""
    key = (CLUSTER / "keys" / "model-signing.pub").read_text()
    model = {"image": "fanwatch/model-fan:2", "version": "2", "publicKeys": {"site.pub": key}}
    more = trial.node.folder / "model.yaml"
    more.write_text(yaml.safe_dump({"model": model}))
    trial.start_readings("third", fans=10, rate=1)
    trial.helm(
        "upgrade",
        "fanwatch",
        str(CHART),
        *VALUES,
        "-f",
        str(more),
        "--wait",
        "--wait-for-jobs",
        "--timeout=10m",
    )
    newest = (
        f'SELECT last("model") FROM "raw"."anomaly" WHERE {THIRD} AND time > now() - 5s GROUP BY "deviceID"'
    )
    wait_until(lambda: trial.values(newest) == {"fan:2"}, within_s=120, what="verdicts of fan:2")
    whole = trial.end_readings("third", fans=10)
    models = trial.values(f'SELECT "model" FROM "raw"."anomaly" WHERE {THIRD} GROUP BY "deviceID"')
    if len(trial.pods("predictor")) != 2:
        raise RuntimeError("the upgrade took a predictor away")
    return [whole, f"verdicts of {' and '.join(sorted(models))}", "still two predictors"]


def roll_back(trial: Trial) -> list[str]:
    """To what was installed first, while readings flow."""
    trial.start_readings("fourth", fans=10, rate=5)
    trial.helm("rollback", "fanwatch", "1", "--wait", "--wait-for-jobs", "--timeout=10m")
    wait_until(lambda: trial.sent("fourth") >= READINGS / 2, within_s=120, what="readings after it")
    whole = trial.end_readings("fourth", fans=10)
    models = trial.values('SELECT "model" FROM "raw"."anomaly" WHERE "deviceID" =~ /^fourth-/')
    if len(trial.pods("predictor")) != 2:
        raise RuntimeError("the rollback took a predictor away")
    return [whole, f"verdicts of {' and '.join(sorted(models))}", "still two predictors"]


def uninstall(trial: Trial) -> list[str]:
    """What is stored and who may sign in stays."""
    secrets = trial.secrets()
    trial.helm("uninstall", "fanwatch", "--wait", "--timeout=5m")
    wait_until(
        lambda: trial.names("pods") <= {*SENDERS, "stranger"}, within_s=120, what="no pod of the chart"
    )
    claims = trial.names("pvc")
    if claims != {"data-influxdb-0", "data-mosquitto-0", "data-monitor-0", "models", "pipeline-data"}:
        raise RuntimeError(f"five volumes were to stay: {sorted(claims)}")
    if trial.secrets() != secrets:
        raise RuntimeError(f"{sorted(secrets)} were to stay as they are: {sorted(trial.secrets())}")
    return [f"volumes {', '.join(sorted(claims))} and {len(secrets)} Secrets stay"]


def install_again(trial: Trial) -> list[str]:
    """On what stayed, with the key of the model that stayed in use."""
    values = (*VALUES, "-f", str(values_for_training(trial)))
    trial.helm("install", "fanwatch", str(CHART), *values, "--wait", "--wait-for-jobs", "--timeout=10m")
    count = sum(len(seqs) for name in SENDERS for seqs in trial.stored("telemetry", name).values())
    if count != trial.readings:
        raise RuntimeError(f"{count:,} readings are there, and {trial.readings:,} were stored")
    return [f"the history is there: {count:,} readings"]


STEPS: tuple[tuple[str, Step], ...] = (
    ("images into containerd", load_images),
    ("helm install --wait, Pod Security restricted enforced", install),
    ("a root container in the namespace", refuse_root),
    (f"{READINGS:,} readings, and a pod of each kind deleted meanwhile", delete_pods),
    ("the ways between pods, NetworkPolicies enforced", keep_to_policies),
    ("a fan of its own let in, and out", let_a_fan_in_and_out),
    ("a Modbus machine joins through the gateway", join_a_machine),
    ("the predictor from one to two, by the autoscaler", scale),
    ("the node killed (SIGKILL) and started again, while readings flow", kill_the_node),
    ("helm upgrade to a new model, while readings flow", upgrade),
    ("helm rollback to the first revision, while readings flow", roll_back),
    ("the pipeline's CronJob, run once by hand, while readings flow", train),
    ("helm uninstall", uninstall),
    ("helm install again", install_again),
)
