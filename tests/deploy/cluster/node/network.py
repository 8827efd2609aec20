"""The node's address, the pods' cables, and the rules of the firewall that both need."""

import json
import shlex
import subprocess
from pathlib import Path

__all__ = ["GATEWAY", "PODS", "SERVICES", "PodNetwork"]

BRIDGE, GATEWAY, PODS, SERVICES = "fanwatch0", "10.244.0.1", "10.244.0.0/24", "10.245.0.0/24"
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


class PodNetwork:
    """Of one node; made and removed, with all that Kubernetes leaves in it."""

    def __init__(self) -> None:
        self._others = _namespaces()

    def make(self, configuration: Path, addresses: Path) -> None:
        """The node's address, and a network of pods for containerd.

        Args:
            configuration: The folder that containerd reads.
            addresses: A folder for which address is whose.
        """
        _remove_cables()
        subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], check=True)
        subprocess.run(["ip", "addr", "add", f"{GATEWAY}/24", "dev", BRIDGE], check=True)
        subprocess.run(["ip", "link", "set", BRIDGE, "up"], check=True)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        _firewall("-D", check=False)
        _firewall("-I", check=True)
        # Each pod on a cable of its own, so that whatever pods say to each other passes this machine's firewall.
        cable = {
            "type": "ptp",
            "ipMasq": False,
            "ipam": {
                "type": "host-local",
                "dataDir": str(addresses),
                "ranges": [[{"subnet": PODS, "gateway": GATEWAY}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
        network = {"cniVersion": "0.4.0", "name": "pods", "plugins": [cable]}
        (configuration / "10-pods.conflist").write_text(json.dumps(network))

    def remove(self) -> None:
        """Leaves what others have made."""
        _firewall("-D", check=False)
        _remove_kubernetes_rules()
        _remove_cables()
        for namespace in _namespaces() - self._others:
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)


def _remove_cables() -> None:
    """The node's address, and its ends of the pods' cables, each of which has it too."""
    shown = subprocess.run(
        ["ip", "-o", "-4", "addr", "show", "to", GATEWAY], check=True, capture_output=True, text=True
    )
    for line in shown.stdout.splitlines():
        subprocess.run(["ip", "link", "del", line.split()[1]], check=False, capture_output=True)


def _namespaces() -> set[str]:
    """The network namespaces that containerd has made for pods, of this cluster or another."""
    return {path.name for path in Path("/run/netns").glob("cni-*")}


def _firewall(action: str, *, check: bool) -> None:
    for table, chain, *rule in _FIREWALL:
        subprocess.run(
            ["iptables", "-w", "-t", table, action, chain, *rule], check=check, capture_output=True
        )


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
