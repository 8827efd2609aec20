"""containerd: its configuration, its images, and its containers when it is gone."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from testbed.waiting import wait_until
from tests.deploy.cluster.node.processes import Processes

__all__ = ["Containerd"]


class Containerd:
    """The runtime of one node.

    Args:
        folder: For its state, its socket and its log; holds `cni`.
        images: A folder for its images, which outlives the node.
        pause: The image that holds a pod's network namespace.
    """

    def __init__(self, folder: Path, images: Path, pause: str) -> None:
        self._folder = folder
        self._images = images
        self._pause = pause
        self._process = Processes(folder)
        self.socket = folder / "containerd.sock"

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        lines = ["version = 2", f'root = "{self._images}"', f'state = "{self._folder}/containerd"']
        lines += ["[grpc]", f'address = "{self.socket}"']
        table = 'plugins."io.containerd.grpc.v1.cri"'
        # A machine that is a container or a small VM itself does not let anybody lower the score.
        lines += [f"[{table}]", f'sandbox_image = "{self._pause}"', "restrict_oom_score_adj = true"]
        lines += [f"[{table}.cni]", 'bin_dir = "/usr/lib/cni"', f'conf_dir = "{self._folder}/cni"']
        lines += [f"[{table}.containerd]", 'default_runtime_name = "runc"', 'snapshotter = "overlayfs"']
        lines += [f"[{table}.containerd.runtimes.runc]", 'runtime_type = "io.containerd.runc.v2"']
        file = self._folder / "containerd.toml"
        file.write_text("\n".join(lines) + "\n")
        self._process.start("containerd", "containerd", "--config", file)
        wait_until(self._answers, within_s=60, what="containerd")

    def load(self, images: Path) -> None:
        """Takes images from a file of `docker save`."""
        subprocess.run(
            [*self._ctr(), "images", "import", images], check=True, capture_output=True, timeout=900
        )

    def end(self) -> None:
        """Ends it after all its containers, and takes them away."""
        tasks = self._listed("tasks")
        for action in (("kill", "-s", "KILL"), ("rm", "-f")):
            for task in tasks:
                subprocess.run([*self._ctr(), "tasks", *action, task], check=False, capture_output=True)
        for container in self._listed("containers"):
            subprocess.run([*self._ctr(), "containers", "rm", container], check=False, capture_output=True)
        self._process.end()
        self._kill_shims()

    def kill(self) -> int:
        """Ends it and all its containers without a word, and leaves all as it lies there.

        Returns:
            How many containers were killed, pause containers among them.
        """
        running = subprocess.run(
            [*self._ctr(), "tasks", "ls"], check=True, capture_output=True, text=True
        ).stdout.splitlines()[1:]
        containers = [int(line.split()[1]) for line in running if line.split()[2] == "RUNNING"]
        self._process.kill()
        self._kill_shims()
        for pid in containers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(containers)

    def _ctr(self) -> list[str | Path]:
        return ["ctr", "-a", str(self.socket), "-n", "k8s.io"]

    def _answers(self) -> bool:
        return subprocess.run([*self._ctr(), "version"], capture_output=True, check=False).returncode == 0

    def _listed(self, kind: str) -> list[str]:
        return subprocess.run(
            [*self._ctr(), kind, "ls", "-q"], capture_output=True, text=True, check=False
        ).stdout.split()

    def _kill_shims(self) -> None:
        """Who holds containers for containerd, and does not end with it."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if b"containerd-shim" in command and str(self._folder).encode() in command:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(process.name), signal.SIGKILL)
