"""make test-cluster: the chart on a real one-node Kubernetes, with readings flowing.

The outcome stands in deploy/results/test-cluster.md.

With --hold a cluster in which something failed waits for a person, who ends it with Enter.
"""

import os
import platform
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import requests

from tests.deploy.cluster.node.one_node import BIN, OneNode
from tests.deploy.cluster.steps import STEPS
from tests.deploy.cluster.trial import HELM, REPOSITORY, Trial, say

RESULT = REPOSITORY / "deploy" / "results" / "test-cluster.md"


def version_of(program: str) -> str:
    """As build.sh has noted it."""
    return (BIN / f".{program}").read_text().strip()


def versions() -> str:
    """Of what the cluster is made of."""
    helm = subprocess.run(
        [HELM, "version", "--short"], capture_output=True, text=True, check=True
    ).stdout.strip()
    containerd = subprocess.run(
        ["containerd", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()
    return f"Kubernetes {version_of('kubernetes')}, Helm {helm}, containerd {containerd[2]}"


def report(trial: Trial, versions: str, seconds: float, failure: str | None) -> str:
    """The committed result."""
    memory = next(
        line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal")
    )
    rows = "".join(f"| {what} | {seen} |\n" for what, seen in trial.lines)
    end = "All of it passed." if failure is None else f"**Failed:** {failure}"
    local_path = version_of("local-path-provisioner")
    size = int(memory.split()[1]) / 1024**2
    machine = f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, {size:.0f} GB"
    return f"""# make test-cluster

{datetime.now(UTC):%Y-%m-%d}, {machine}, {versions}; {seconds:.0f} seconds. {end}

| step | seen |
|---|---|
{rows}
What this run does not show: Grafana was left out (`grafana.enabled=false`: its image can be neither pulled nor made
where this ran); the base images are stand-ins of tests/compose/images.sh where no image registry is reached. It is
Kubernetes with what K3s puts beside it (kine {version_of("kine")} on SQLite, Local Path Provisioner {local_path},
CoreDNS, metrics-server), and not K3s in its one program. NetworkPolicies are enforced by kube-network-policies
{version_of("kube-network-policies")}, and not by Calico or K3s' controller. A killed node is every process and
container of it; the machine went on, so this is no power cut.
"""


def tell_what_is_there(trial: Trial) -> None:
    """For whoever looks for the cause of a failure."""
    node, space = trial.node, ("-n", trial.space)
    ours = ("-l", "app.kubernetes.io/part-of=fanwatch")
    say(node.kubectl(*space, "get", "pods,pvc,jobs", "-o", "wide", check=False))
    say(node.kubectl(*space, "get", "events", "--sort-by=.lastTimestamp", check=False)[-6000:])
    say(node.kubectl(*space, "logs", *ours, "--tail=8", "--prefix", check=False)[-8000:])


def main() -> int:
    """Run it; 0 when everything held."""
    # Whoever ends it finds nothing of it left.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    start = time.monotonic()
    failure: str | None = "it was ended before its last step"
    with OneNode(Path("/run/fanwatch-cluster")) as node:
        trial = Trial(node)
        try:
            for what, step in STEPS:
                trial.take(what, step)
            failure = None
        except (RuntimeError, TimeoutError, requests.RequestException) as error:
            failure = str(error)
            tell_what_is_there(trial)
            if "--hold" in sys.argv:
                input("holding the cluster; Enter ends it: ")
        finally:
            RESULT.parent.mkdir(parents=True, exist_ok=True)
            RESULT.write_text(report(trial, versions(), time.monotonic() - start, failure))
    say(RESULT.read_text())
    return 0 if failure is None else 1


if __name__ == "__main__":
    sys.exit(main())
