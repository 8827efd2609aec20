"""A real Kubernetes of one node out of the programs of build.sh.

etcd, API server, controllers, scheduler, kubelet, kube-proxy and containerd as processes; CoreDNS, an enforcer of
NetworkPolicies and the metrics server as pods. Everything lies in one folder and behind one address of this machine's
own; leaving takes all of it away. Root only.

What it is not: K3s, Calico, Portworx. Its volumes are folders of this machine, as those of K3s' local-path.
"""

import contextlib
import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.deploy.cluster.program_image import save_program_image

REPOSITORY = Path(__file__).parents[3]
CLUSTER = (REPOSITORY / ".cache" / "cluster").resolve()
BIN = CLUSTER / "bin"
BRIDGE, GATEWAY, PODS, SERVICES = "fanwatch0", "10.244.0.1", "10.244.0.0/24", "10.245.0.0/24"
API = f"https://{GATEWAY}:6443"
DNS = "10.245.0.10"
PAUSE = "fanwatch/pause:1"
SYSTEM = ("coredns", "kube-network-policies", "metrics-server")
"""Programs that run as pods (system.yaml)."""
_NEW = ("-m", "conntrack", "--ctstate", "NEW", "-j", "NFQUEUE", "--queue-num", "98")
_FIREWALL = (
    # Docker, where it has run, drops what it does not know.
    ("filter", "FORWARD", "-s", PODS, "-j", "ACCEPT"),
    ("filter", "FORWARD", "-d", PODS, "-j", "ACCEPT"),
    # The first packet of each connection from or to a pod goes to the enforcer of NetworkPolicies, after kube-proxy
    # has named the pod and before anybody hides the sender; while nobody is there to judge, it is dropped. What this
    # machine itself asks of a pod, as the kubelet's probes, does not pass here. The enforcer would write these rules
    # by itself in nftables' own words, of which this kernel may lack "queue" (CONFIG_NFT_QUEUE).
    ("mangle", "FORWARD", "-s", PODS, *_NEW),
    ("mangle", "FORWARD", "!", "-s", PODS, "-d", PODS, *_NEW),
    ("mangle", "INPUT", "!", "-i", "lo", "-s", PODS, *_NEW),
)
_PAUSE_SOURCE = """package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	<-end
}
"""


def wait(what: str, condition: Callable[[], bool], within_s: float = 120) -> None:
    """Asks until it holds.

    Raises:
        TimeoutError: It did not in time.
    """
    until = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not within {within_s:.0f} s")
        time.sleep(0.5)


class OneNode:
    """The cluster, while the `with` lasts.

    Args:
        folder: For data and logs; emptied at the start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kubeconfig = folder / "admin.kubeconfig"
        self._token = secrets.token_hex(20)
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._others = self._namespaces()

    def __enter__(self) -> Self:
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("logs", "etcd", "certificates", "cni", "volumes", "tmp"):
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
        for name, process in reversed(self._processes):
            if name == "containerd":
                self._remove_pods()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._kill_shims()
        for line in Path("/proc/mounts").read_text().splitlines():
            mount = line.split()[1].replace("\\040", " ")
            if mount.startswith(str(self.folder)):
                subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
        self._firewall("-D", check=False)
        self._remove_kubernetes_rules()
        self._remove_cables()
        for namespace in self._namespaces() - self._others:
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)

    # -- using it ----------------------------------------------------------------------------------------

    def kubectl(
        self, *arguments: str, given: str | None = None, check: bool = True, within_s: float = 600
    ) -> str:
        """Runs kubectl as the cluster's administrator, and returns its standard output.

        Raises:
            RuntimeError: It failed; with what it said.
        """
        done = subprocess.run(
            [BIN / "kubectl", f"--kubeconfig={self.kubeconfig}", *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get -o json`."""
        content: dict[str, Any] = json.loads(self.kubectl("get", "-o", "json", *arguments))
        return content

    def load(self, images: Path) -> None:
        """Takes images from a file of `docker save`."""
        subprocess.run(
            [*self._ctr(), "images", "import", images], check=True, capture_output=True, timeout=900
        )

    # -- making it ---------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._network()
        self._certificates()
        self._containerd()
        for name, program in (("pause", self._pause()), *((name, BIN / name) for name in SYSTEM)):
            file = CLUSTER / f"{name}.tar"
            save_program_image(program, f"fanwatch/{name}:1", file)
            self.load(file)
        self._etcd_and_api_server()
        self._rest()
        self.kubectl("apply", "-f", str(Path(__file__).with_name("system.yaml")))
        self._wait_for_system()

    def kill_and_start_again(self) -> int:
        """Everything of the node at once with SIGKILL, Kubernetes and containers alike, then Kubernetes again.

        The machine itself goes on, so what a program has written and not synced is still there, unlike after a power
        cut.

        Returns:
            How many containers were killed, pause containers among them.
        """
        # Who would start containers anew goes first.
        for _, process in reversed(self._processes):
            if process is not self._named("containerd"):
                process.kill()
                process.wait()
        running = subprocess.run(
            [*self._ctr(), "tasks", "ls"], check=True, capture_output=True, text=True
        ).stdout.splitlines()[1:]
        containers = [int(line.split()[1]) for line in running if line.split()[2] == "RUNNING"]
        self._named("containerd").kill()
        self._named("containerd").wait()
        self._kill_shims()
        for pid in containers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._processes.clear()
        self._containerd()
        self._etcd_and_api_server()
        self._rest()
        self._wait_for_system()
        return len(containers)

    def _named(self, name: str) -> subprocess.Popen[bytes]:
        return dict(self._processes)[name]

    def _kill_shims(self) -> None:
        """Who holds containers for containerd, and does not end with it."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if b"containerd-shim" in command and str(self.folder).encode() in command:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(process.name), signal.SIGKILL)

    def _wait_for_system(self) -> None:
        for workload in (
            "deployment/coredns",
            "daemonset/kube-network-policies",
            "deployment/metrics-server",
        ):
            self.kubectl("-n", "kube-system", "rollout", "status", workload, "--timeout=180s")

    def _run(self, name: str, *command: str | Path, cwd: Path | None = None) -> None:
        log = (self.folder / "logs" / f"{name}.log").open("ab")
        environment = os.environ | {
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
            "TMPDIR": str(self.folder / "tmp"),
        }
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=log,
            stderr=log,
            cwd=cwd,
            env=environment,
            start_new_session=True,
        )
        self._processes.append((name, process))

    def _network(self) -> None:
        self._remove_cables()
        subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], check=True)
        subprocess.run(["ip", "addr", "add", f"{GATEWAY}/24", "dev", BRIDGE], check=True)
        subprocess.run(["ip", "link", "set", BRIDGE, "up"], check=True)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        self._firewall("-D", check=False)
        self._firewall("-I", check=True)
        # Each pod on a cable of its own, so that whatever pods say to each other passes this machine's firewall.
        cable = {
            "type": "ptp",
            "ipMasq": False,
            "ipam": {
                "type": "host-local",
                "dataDir": str(self.folder / "addresses"),
                "ranges": [[{"subnet": PODS, "gateway": GATEWAY}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
        network = {"cniVersion": "0.4.0", "name": "pods", "plugins": [cable]}
        (self.folder / "cni" / "10-pods.conflist").write_text(json.dumps(network))

    @staticmethod
    def _remove_cables() -> None:
        """The node's address, and its ends of the pods' cables, each of which has it too."""
        shown = subprocess.run(
            ["ip", "-o", "-4", "addr", "show", "to", GATEWAY], check=True, capture_output=True, text=True
        )
        for line in shown.stdout.splitlines():
            subprocess.run(["ip", "link", "del", line.split()[1]], check=False, capture_output=True)

    @staticmethod
    def _namespaces() -> set[str]:
        """The network namespaces that containerd has made for pods, of this cluster or another."""
        return {path.name for path in Path("/run/netns").glob("cni-*")}

    @staticmethod
    def _firewall(action: str, *, check: bool) -> None:
        for table, chain, *rule in _FIREWALL:
            subprocess.run(
                ["iptables", "-w", "-t", table, action, chain, *rule], check=check, capture_output=True
            )

    @staticmethod
    def _remove_kubernetes_rules() -> None:
        """Those of kube-proxy and of the kubelet, which clean up neither at their end."""
        for table in ("filter", "nat", "mangle"):
            command = ["iptables", "-w", "-t", table]
            rules = subprocess.run(
                [*command, "-S"], check=True, capture_output=True, text=True
            ).stdout.splitlines()
            for rule in rules:
                if " -j KUBE-" in rule and not rule.startswith("-A KUBE-"):
                    words = shlex.split(rule)
                    subprocess.run([*command, "-D", *words[1:]], check=False, capture_output=True)
            ours = [rule.split()[1] for rule in rules if rule.startswith("-N KUBE-")]
            for action in ("-F", "-X"):
                for chain in ours:
                    subprocess.run([*command, action, chain], check=False, capture_output=True)

    def _certificates(self) -> None:
        folder = self.folder / "certificates"
        for command in (
            (
                "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ca.key -out ca.crt -subj /CN=one-node"
                " -addext basicConstraints=critical,CA:TRUE"
                " -addext keyUsage=critical,keyCertSign,digitalSignature"
            ),
            "openssl req -newkey rsa:2048 -nodes -keyout api.key -out api.csr -subj /CN=kubernetes",
            (
                "openssl x509 -req -in api.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out api.crt"
                " -extfile names"
            ),
            "openssl genrsa -out accounts.key 2048",
            # The API server's own, where it hands a request on: to the metrics server.
            "openssl req -newkey rsa:2048 -nodes -keyout proxy.key -out proxy.csr -subj /CN=front-proxy-client",
            "openssl x509 -req -in proxy.csr -CA ca.crt -CAkey ca.key -days 2 -out proxy.crt -extfile proxy",
        ):
            (folder / "names").write_text(
                f"subjectAltName=IP:{GATEWAY},IP:10.245.0.1,DNS:kubernetes.default.svc,DNS:kubernetes\n"
                "keyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth\n"
                "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
            )
            (folder / "proxy").write_text("keyUsage=digitalSignature\nextendedKeyUsage=clientAuth\n")
            subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
        (folder / "tokens.csv").write_text(f'{self._token},admin,admin,"system:masters"\n')
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "one", "cluster": {"server": API, "certificate-authority": str(folder / "ca.crt")}}
            ],
            "users": [{"name": "admin", "user": {"token": self._token}}],
            "contexts": [{"name": "one", "context": {"cluster": "one", "user": "admin"}}],
            "current-context": "one",
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))
        self.kubeconfig.chmod(0o600)

    def _ctr(self) -> list[str | Path]:
        return ["ctr", "-a", str(self.folder / "containerd.sock"), "-n", "k8s.io"]

    def _containerd(self) -> None:
        lines = ["version = 2", f'root = "{CLUSTER}/containerd"', f'state = "{self.folder}/containerd"']
        lines += ["[grpc]", f'address = "{self.folder}/containerd.sock"']
        table = 'plugins."io.containerd.grpc.v1.cri"'
        # A machine that is a container or a small VM itself does not let anybody lower the score.
        lines += [f"[{table}]", f'sandbox_image = "{PAUSE}"', "restrict_oom_score_adj = true"]
        lines += [f"[{table}.cni]", 'bin_dir = "/usr/lib/cni"', f'conf_dir = "{self.folder}/cni"']
        lines += [f"[{table}.containerd]", 'default_runtime_name = "runc"', 'snapshotter = "overlayfs"']
        lines += [f"[{table}.containerd.runtimes.runc]", 'runtime_type = "io.containerd.runc.v2"']
        file = self.folder / "containerd.toml"
        file.write_text("\n".join(lines) + "\n")
        self._run("containerd", "containerd", "--config", file)
        wait(
            "containerd",
            lambda: (
                subprocess.run([*self._ctr(), "version"], capture_output=True, check=False).returncode == 0
            ),
            60,
        )

    @staticmethod
    def _pause() -> Path:
        """What holds a pod's network namespace: a program that waits."""
        source = CLUSTER / "build" / "pause"
        source.mkdir(parents=True, exist_ok=True)
        if not (source / "pause").exists():
            (source / "main.go").write_text(_PAUSE_SOURCE)
            (source / "go.mod").write_text("module pause\n\ngo 1.24\n")
            subprocess.run(
                ["go", "build", "-o", "pause", "."],
                cwd=source,
                check=True,
                env=os.environ | {"CGO_ENABLED": "0"},
            )
        return source / "pause"

    def _etcd_and_api_server(self) -> None:
        self._run(
            "etcd", "etcd", "--data-dir", self.folder / "etcd", "--listen-client-urls=http://127.0.0.1:12379",
            "--advertise-client-urls=http://127.0.0.1:12379", "--listen-peer-urls=http://127.0.0.1:12380",
            "--initial-advertise-peer-urls=http://127.0.0.1:12380", "--initial-cluster=default=http://127.0.0.1:12380",
            "--unsafe-no-fsync",
        )  # fmt: skip
        folder = self.folder / "certificates"
        self._run(
            "kube-apiserver", BIN / "kube-apiserver", "--etcd-servers=http://127.0.0.1:12379",
            f"--bind-address={GATEWAY}", f"--advertise-address={GATEWAY}", "--secure-port=6443",
            f"--tls-cert-file={folder}/api.crt", f"--tls-private-key-file={folder}/api.key",
            f"--client-ca-file={folder}/ca.crt", f"--token-auth-file={folder}/tokens.csv",
            "--authorization-mode=RBAC", f"--service-cluster-ip-range={SERVICES}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder}/accounts.key",
            f"--service-account-signing-key-file={folder}/accounts.key",
            "--kubelet-preferred-address-types=InternalIP",
            # Another server's API behind this one (https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer).
            f"--requestheader-client-ca-file={folder}/ca.crt", "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-", "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User", f"--proxy-client-cert-file={folder}/proxy.crt",
            f"--proxy-client-key-file={folder}/proxy.key", "--enable-aggregator-routing=true",
        )  # fmt: skip
        wait("the API server", lambda: self.kubectl("get", "--raw", "/readyz", check=False) == "ok", 180)

    def _rest(self) -> None:
        folder = self.folder / "certificates"
        self._run(
            "kube-controller-manager", BIN / "kube-controller-manager", f"--kubeconfig={self.kubeconfig}",
            "--leader-elect=false", "--bind-address=127.0.0.1", f"--root-ca-file={folder}/ca.crt",
            f"--service-account-private-key-file={folder}/accounts.key",
        )  # fmt: skip
        self._run(
            "kube-scheduler", BIN / "kube-scheduler", f"--kubeconfig={self.kubeconfig}", "--leader-elect=false",
            "--bind-address=127.0.0.1",
        )  # fmt: skip
        (self.folder / "resolv.conf").write_text("")
        kubelet = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": GATEWAY,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            "clusterDNS": [DNS],
            "clusterDomain": "cluster.local",
            "containerRuntimeEndpoint": f"unix://{self.folder}/containerd.sock",
            "resolvConf": str(self.folder / "resolv.conf"),
            "failCgroupV1": False,
            "failSwapOn": False,
            "localStorageCapacityIsolation": False,
            "oomScoreAdj": 0,
            "enforceNodeAllocatable": [],
            "evictionHard": {
                "memory.available": "200Mi",
                "nodefs.available": "1%",
                "imagefs.available": "1%",
            },
            "imageGCHighThresholdPercent": 99,
            "imageGCLowThresholdPercent": 98,
            "syncFrequency": "10s",
        }
        file = self.folder / "kubelet.yaml"
        file.write_text(yaml.safe_dump(kubelet))
        self._run(
            "kubelet", BIN / "kubelet", f"--config={file}", f"--kubeconfig={self.kubeconfig}",
            f"--root-dir={self.folder}/kubelet", f"--cert-dir={self.folder}/kubelet-certificates",
            "--hostname-override=one-node", f"--node-ip={GATEWAY}",
        )  # fmt: skip
        proxy = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clusterCIDR": PODS,
            "hostnameOverride": "one-node",
            "clientConnection": {"kubeconfig": str(self.kubeconfig)},
            "conntrack": {"maxPerCore": 0},
            "healthzBindAddress": "127.0.0.1:11256",
            "metricsBindAddress": "127.0.0.1:11249",
        }
        file = self.folder / "kube-proxy.yaml"
        file.write_text(yaml.safe_dump(proxy))
        self._run("kube-proxy", BIN / "kube-proxy", f"--config={file}")

        def ready() -> bool:
            nodes = self.get("nodes")["items"]
            return any(
                condition["type"] == "Ready" and condition["status"] == "True"
                for node in nodes
                for condition in node["status"].get("conditions", [])
            )

        wait("the node", ready, 120)

    def _remove_pods(self) -> None:
        listed = subprocess.run(
            [*self._ctr(), "tasks", "ls", "-q"], capture_output=True, text=True, check=False
        ).stdout
        for task in listed.split():
            subprocess.run(
                [*self._ctr(), "tasks", "kill", "-s", "KILL", task], check=False, capture_output=True
            )
        for task in listed.split():
            subprocess.run([*self._ctr(), "tasks", "rm", "-f", task], check=False, capture_output=True)
        made = subprocess.run(
            [*self._ctr(), "containers", "ls", "-q"], capture_output=True, text=True, check=False
        ).stdout
        for container in made.split():
            subprocess.run([*self._ctr(), "containers", "rm", container], check=False, capture_output=True)
