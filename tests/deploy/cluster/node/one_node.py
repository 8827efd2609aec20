"""A real Kubernetes of one node out of the programs of build.sh.

API server, controllers, scheduler, kubelet, kube-proxy and containerd as processes, and as on K3s: its state in SQLite
by kine, volumes by the Local Path Provisioner, CoreDNS and the metrics server. An enforcer of NetworkPolicies that K3s
does not have. Everything lies in one folder and behind one address of this machine's own; leaving takes all of it away.
Root only.

What it is not: K3s in its one program, Calico, Portworx.
"""

import secrets
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.deploy.cluster.node.certificates import make_certificates, write_kubeconfig
from tests.deploy.cluster.node.containerd import Containerd
from tests.deploy.cluster.node.kubectl import Kubectl
from tests.deploy.cluster.node.kubernetes import API, KUBERNETES, Kubernetes
from tests.deploy.cluster.node.network import GATEWAY, PodNetwork
from tests.deploy.cluster.node.pause import pause_program
from tests.deploy.cluster.node.program_image import save_program_image

__all__ = ["BIN", "CLUSTER", "OneNode"]

CLUSTER = (Path(__file__).parents[4] / ".cache" / "cluster").resolve()
BIN = CLUSTER / "bin"
_SYSTEM = {
    "coredns": "deployment",
    "local-path-provisioner": "deployment",
    "kube-network-policies": "daemonset",
    "metrics-server": "deployment",
}
"""Programs that run as pods (system.yaml), and what keeps each."""


class OneNode:
    """The cluster, while the `with` lasts.

    Args:
        folder: For data and logs; emptied at the start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kubeconfig = folder / "admin.kubeconfig"
        self._kubectl = Kubectl(BIN / "kubectl", self.kubeconfig)
        self._network = PodNetwork()
        self._containerd = Containerd(folder, CLUSTER / "containerd", "fanwatch/pause:1")
        self._kubernetes = Kubernetes(folder, BIN, self.kubeconfig, self._containerd.socket)

    def __enter__(self) -> Self:
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("logs", "kine", "certificates", "cni", "volumes", "tmp"):
            (self.folder / name).mkdir(parents=True)
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kubernetes.end()
        self._containerd.end()
        for line in Path("/proc/mounts").read_text().splitlines():
            mount = line.split()[1].replace("\\040", " ")
            if mount.startswith(str(self.folder)):
                subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
        self._network.remove()

    def kubectl(self, *arguments: str, given: str | None = None, check: bool = True) -> str:
        """Runs kubectl as the cluster's administrator, and returns its standard output.

        Raises:
            RuntimeError: It failed; with what it said.
        """
        return self._kubectl.run(*arguments, given=given, check=check)

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get -o json`."""
        return self._kubectl.get(*arguments)

    def load(self, images: Path) -> None:
        """Takes images from a file of `docker save`."""
        self._containerd.load(images)

    def kill_and_start_again(self) -> int:
        """Everything of the node at once with SIGKILL, Kubernetes and containers alike, then Kubernetes again.

        The machine itself goes on, so what a program has written and not synced is still there, unlike after a power
        cut.

        Returns:
            How many containers were killed, pause containers among them.
        """
        # Who would start containers anew goes first.
        self._kubernetes.kill()
        killed = self._containerd.kill()
        self._containerd.start()
        self._kubernetes.start()
        self._wait_for_system()
        return killed

    def _start(self) -> None:
        self._network.make(self.folder / "cni", self.folder / "addresses")
        token = secrets.token_hex(20)
        certificates = self.folder / "certificates"
        make_certificates(certificates, (GATEWAY, KUBERNETES), token)
        write_kubeconfig(self.kubeconfig, API, certificates / "ca.crt", token)
        self._containerd.start()
        pause = pause_program(CLUSTER / "build" / "pause")
        for name, program in (("pause", pause), *((name, BIN / name) for name in _SYSTEM)):
            file = CLUSTER / f"{name}.tar"
            save_program_image(program, f"fanwatch/{name}:1", file)
            self.load(file)
        self._kubernetes.start()
        self.kubectl("apply", "-f", str(Path(__file__).with_name("system.yaml")))
        self._wait_for_system()

    def _wait_for_system(self) -> None:
        for name, kind in _SYSTEM.items():
            self.kubectl("-n", "kube-system", "rollout", "status", f"{kind}/{name}", "--timeout=180s")
