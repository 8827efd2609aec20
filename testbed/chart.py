"""The Helm chart as Kubernetes would get it."""

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from testbed.process import REPOSITORY, server_binary

__all__ = ["CHART", "VALUES", "HelmRefusedError", "Object", "Pod", "helm", "pod_of", "pods", "rendered"]

CHART = REPOSITORY / "deploy" / "helm" / "fanwatch"
VALUES = tuple(sorted(path.name for path in CHART.glob("values*.yaml")))
"""Every values file that ships; values.yaml is below each of the others, as with helm."""
Object = dict[str, Any]


class HelmRefusedError(RuntimeError):
    """Helm ended with an error; its text."""


def helm(*arguments: str) -> str:
    """Runs Helm, and returns its standard output.

    Raises:
        HelmRefusedError: It failed.
    """
    done = subprocess.run(
        [server_binary("helm"), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise HelmRefusedError(done.stderr)
    return done.stdout


@cache
def rendered(values: str, *settings: str, files: tuple[str, ...] = ()) -> tuple[Object, ...]:
    """Every object of the chart.

    Args:
        values: The name of a values file.
        settings: More of them, as `--set` takes them.
        files: More of them, as `--set-file` takes them.
    """
    more = [part for setting in settings for part in ("--set", setting)]
    more += [part for file in files for part in ("--set-file", file)]
    text = helm("template", "fanwatch", str(CHART), "-n", "fanwatch", "-f", str(CHART / values), *more)
    return tuple(each for each in yaml.safe_load_all(text) if each)


@dataclass(frozen=True)
class Pod:
    """What a workload makes: its owner's kind and name, its labels, its spec."""

    owner: str
    labels: dict[str, str]
    spec: Object

    @property
    def containers(self) -> list[Object]:
        """All of them, those that run first included."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


def pods(objects: tuple[Object, ...]) -> list[Pod]:
    """A pod for each workload."""
    found = []
    for each in objects:
        spec = each.get("spec", {})
        if each["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec:
            template = spec["template"]
            owner = f"{each['kind']}/{each['metadata']['name']}"
            found.append(Pod(owner, template["metadata"]["labels"], template["spec"]))
    return found


def pod_of(objects: tuple[Object, ...], name: str) -> Pod:
    """The pod of the only workload with that name."""
    [found] = [pod for pod in pods(objects) if pod.labels["app.kubernetes.io/name"] == name]
    return found


def folder_of(path: Path) -> dict[str, str]:
    """The files of one folder of the repository, by name."""
    return {file.name: file.read_text() for file in path.iterdir() if file.is_file()}
