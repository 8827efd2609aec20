"""Kubernetes' own programs on one node, and what each is told."""

from pathlib import Path

import yaml

from tests.deploy.cluster.node.kubectl import Kubectl, wait_until
from tests.deploy.cluster.node.network import GATEWAY, PODS, SERVICES
from tests.deploy.cluster.node.processes import Processes

__all__ = ["API", "KUBERNETES", "Kubernetes"]

API = f"https://{GATEWAY}:6443"
KUBERNETES = "10.245.0.1"
"""The address of the API server's Service."""
_DNS = "10.245.0.10"


class Kubernetes:
    """API server on kine, controllers, scheduler, kubelet and kube-proxy.

    Args:
        folder: For data and logs; holds `certificates`.
        programs: Where they lie.
        config: The administrator's account, which all of them use.
        socket: Where containerd listens.
    """

    def __init__(self, folder: Path, programs: Path, config: Path, socket: Path) -> None:
        self._folder = folder
        self._programs = programs
        self._config = config
        self._socket = socket
        self._processes = Processes(folder)
        self._kubectl = Kubectl(programs / "kubectl", config)

    def start(self) -> None:
        """Starts all, and waits until the node takes pods."""
        self._start_api_server()
        wait_until(
            lambda: self._kubectl.run("get", "--raw", "/readyz", check=False) == "ok",
            within_s=180,
            what="the API server",
        )
        self._start_controllers()
        self._start_kubelet()
        self._start_kube_proxy()
        wait_until(self._is_ready, within_s=120, what="the node")

    def end(self) -> None:
        """Asks all of them to end."""
        self._processes.end()

    def kill(self) -> None:
        """Ends all of them without a word."""
        self._processes.kill()

    def _is_ready(self) -> bool:
        return any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for node in self._kubectl.get("nodes")["items"]
            for condition in node["status"].get("conditions", [])
        )

    def _start_api_server(self) -> None:
        # As K3s of one server keeps its state, with its options (https://github.com/k3s-io/kine, pkg/drivers/sqlite).
        state = (
            f"{self._folder}/kine/state.db?_journal=WAL&cache=shared&_busy_timeout=30000&_txlock=immediate"
        )
        self._processes.start(
            "kine", self._programs / "kine", f"--endpoint=sqlite://{state}", "--listen-address=127.0.0.1:12379",
            "--metrics-bind-address=0",
        )  # fmt: skip
        folder = self._folder / "certificates"
        self._processes.start(
            "kube-apiserver", self._programs / "kube-apiserver", "--etcd-servers=http://127.0.0.1:12379",
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

    def _start_controllers(self) -> None:
        folder = self._folder / "certificates"
        self._processes.start(
            "kube-controller-manager", self._programs / "kube-controller-manager", f"--kubeconfig={self._config}",
            "--leader-elect=false", "--bind-address=127.0.0.1", f"--root-ca-file={folder}/ca.crt",
            f"--service-account-private-key-file={folder}/accounts.key",
        )  # fmt: skip
        self._processes.start(
            "kube-scheduler", self._programs / "kube-scheduler", f"--kubeconfig={self._config}", "--leader-elect=false",
            "--bind-address=127.0.0.1",
        )  # fmt: skip

    def _start_kubelet(self) -> None:
        (self._folder / "resolv.conf").write_text("")
        kubelet = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": GATEWAY,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            "clusterDNS": [_DNS],
            "clusterDomain": "cluster.local",
            "containerRuntimeEndpoint": f"unix://{self._socket}",
            "resolvConf": str(self._folder / "resolv.conf"),
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
        file = self._folder / "kubelet.yaml"
        file.write_text(yaml.safe_dump(kubelet))
        self._processes.start(
            "kubelet", self._programs / "kubelet", f"--config={file}", f"--kubeconfig={self._config}",
            f"--root-dir={self._folder}/kubelet", f"--cert-dir={self._folder}/kubelet-certificates",
            "--hostname-override=one-node", f"--node-ip={GATEWAY}",
        )  # fmt: skip

    def _start_kube_proxy(self) -> None:
        proxy = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clusterCIDR": PODS,
            "hostnameOverride": "one-node",
            "clientConnection": {"kubeconfig": str(self._config)},
            "conntrack": {"maxPerCore": 0},
            "healthzBindAddress": "127.0.0.1:11256",
            "metricsBindAddress": "127.0.0.1:11249",
        }
        file = self._folder / "kube-proxy.yaml"
        file.write_text(yaml.safe_dump(proxy))
        self._processes.start("kube-proxy", self._programs / "kube-proxy", f"--config={file}")
