"""What an intruder would look for: each protective setting of the chart stands where it must."""

import json
import re
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from edge_manager.site.credentials import CREDENTIALS, GATEWAY, GIVEN, MOSQUITTO
from edge_manager.site.gateway_certificate import CERTIFICATE_FILE, PRIVATE_KEY_FILE
from edge_manager.site.preparation import ACL_FILE, PASSWORD_FILE, PROBE_OPTIONS_FILE, TLS_FILE
from testbed.chart import CHART, VALUES, Pod, helm, pod_of, pods, rendered
from testbed.pod_files import variables_of

MORE = {
    "values.yaml": (
        "pipeline.enabled=true",
        "model.image=plant.example/models:2",
        "model.version=2",
        "broker.expose.type=NodePort",
    ),
    "values-hub.yaml": ("pipeline.enabled=true",),
    "values-three-nodes.yaml": ("gateway.enabled=true", "networkPolicy.controllers[0].cidr=192.0.2.0/24"),
}
ALL = [
    pytest.param(values, settings, id=f"{values}{' and more' if settings else ''}")
    for values in VALUES
    for settings in dict.fromkeys([(), MORE.get(values, ())])
]
SITES = ("values.yaml", "values-machines.yaml")
"""All that a site can have: what Compose starts, and what its profile adds."""
PART_OF = "app.kubernetes.io/part-of"
NAME = "app.kubernetes.io/name"


_NO_ADDRESS = {
    "FANWATCH_PAGE_URL",
    "FANWATCH_GRAFANA_URL",
    "FANWATCH_MQTT_USERNAME",
    "FANWATCH_INFLUXDB_USERNAME",
}


def policies(values: str, settings: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    return {
        each["metadata"]["name"]: each["spec"]
        for each in rendered(values, *settings)
        if each["kind"] == "NetworkPolicy"
    }


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", {})
    return all(labels.get(key) == value for key, value in wanted.items())


def ports_of(pod: Pod) -> set[int]:
    return {port["containerPort"] for each in pod.containers for port in each.get("ports", [])}


@pytest.mark.parametrize(("values", "settings"), ALL)
def test_no_pod_can_be_root_write_gain_rights_or_speak_to_kubernetes(
    values: str, settings: tuple[str, ...]
) -> None:
    for pod in pods(rendered(values, *settings)):
        security = pod.spec["securityContext"]
        assert security["runAsNonRoot"] is True, pod.owner
        assert security["runAsUser"] > 0, pod.owner
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod.spec["enableServiceLinks"] is False
        setup = pod.labels[NAME] == "setup"
        assert pod.spec["automountServiceAccountToken"] is setup, pod.owner
        assert pod.spec.get("serviceAccountName", "default") == ("setup" if setup else "default")
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod.spec)
        assert not any("hostPath" in volume for volume in pod.spec["volumes"])
        for container in pod.containers:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


@pytest.mark.parametrize(("values", "settings"), ALL)
def test_every_container_says_what_it_needs_and_what_it_may_take(
    values: str, settings: tuple[str, ...]
) -> None:
    for pod in pods(rendered(values, *settings)):
        for container in pod.containers:
            resources = container["resources"]
            assert set(resources) == {"requests", "limits"}, pod.owner
            assert set(resources["requests"]) == set(resources["limits"]) == {"cpu", "memory"}
        for volume in pod.spec["volumes"]:
            if "emptyDir" in volume:
                assert "sizeLimit" in volume["emptyDir"], pod.owner


@pytest.mark.parametrize(("values", "settings"), ALL)
def test_whatever_stays_up_says_whether_it_works(values: str, settings: tuple[str, ...]) -> None:
    for pod in pods(rendered(values, *settings)):
        if pod.owner.startswith(("StatefulSet", "Deployment")):
            for container in pod.spec["containers"]:
                assert {"readinessProbe", "livenessProbe"} <= set(container), pod.owner


@pytest.mark.parametrize(("values", "settings"), ALL)
def test_no_environment_holds_a_secret(values: str, settings: tuple[str, ...]) -> None:
    public = {"FANWATCH_SECRETS_DIR", "FANWATCH_SECRETS_IN_KUBERNETES", "FANWATCH_MODEL_PUBLIC_KEYS"}
    for pod in pods(rendered(values, *settings)):
        for container in pod.containers:
            assert "envFrom" not in container
            for variable in container.get("env", []):
                assert "secretKeyRef" not in variable.get("valueFrom", {})
                if (
                    re.search("PASSWORD|TOKEN|SECRET|KEY", variable["name"])
                    and variable["name"] not in public
                ):
                    assert re.fullmatch(r"\$__file\{/run/fanwatch/\w+\}", variable["value"]), variable


@pytest.mark.parametrize(("values", "settings"), ALL)
def test_helm_never_sees_a_secret(values: str, settings: tuple[str, ...]) -> None:
    """What it renders lies in the release, readable for whoever may list releases."""
    assert not [each for each in rendered(values, *settings) if each["kind"] == "Secret"]


def mounted_secrets(pod: Pod) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for volume in pod.spec["volumes"]:
        sources = volume.get("projected", {}).get("sources", [])
        if "secret" in volume:
            sources = [{"secret": volume["secret"] | {"name": volume["secret"]["secretName"]}}]
        for source in sources:
            items = {item["key"] for item in source["secret"].get("items", [])}
            found.setdefault(source["secret"]["name"], set()).update(items)
    return found


@pytest.mark.parametrize("values", SITES)
def test_a_pod_mounts_its_own_secrets_each_file_and_nobody_elses(values: str) -> None:
    files: dict[str, set[str]] = {}
    for credential in (*CREDENTIALS.values(), *GIVEN.values()):
        files.setdefault(credential.reader.name, set()).add(credential.file)
    files[MOSQUITTO.name] = {PASSWORD_FILE, ACL_FILE, TLS_FILE, PROBE_OPTIONS_FILE}
    files[GATEWAY.name] |= {CERTIFICATE_FILE, PRIVATE_KEY_FILE}
    for pod in pods(rendered(values)):
        name = pod.labels[NAME]
        wanted = {f"secrets-{name}": files[name]} if name in files else {}
        assert mounted_secrets(pod) == wanted, pod.owner


@pytest.mark.parametrize("values", SITES)
def test_a_pod_waits_until_its_secrets_are_whole(values: str) -> None:
    """An optional one would let the broker start without its passwords."""
    given = {credential.file for credential in GIVEN.values()}
    for pod in pods(rendered(values)):
        for volume in pod.spec["volumes"]:
            for source in volume.get("projected", {}).get("sources", []):
                keys = {item["key"] for item in source["secret"]["items"]}
                assert source["secret"].get("optional", False) is (keys <= given), pod.owner


@pytest.mark.parametrize("values", SITES)
def test_the_uids_are_those_of_compose(values: str) -> None:
    readers = {c.reader.name: (c.reader.uid, c.reader.gid) for c in CREDENTIALS.values()}
    readers[MOSQUITTO.name] = (MOSQUITTO.uid, MOSQUITTO.gid)
    for pod in pods(rendered(values)):
        security = pod.spec["securityContext"]
        ids = (security["runAsUser"], security["runAsGroup"])
        assert ids == readers.get(
            pod.labels[NAME], (1500, 1500) if "influxdb" in pod.owner else (10001, 10001)
        )


@pytest.mark.parametrize("values", VALUES)
def test_setup_may_make_secrets_and_look_at_its_own_and_nothing_else(values: str) -> None:
    (role,) = [each for each in rendered(values) if each["kind"] == "Role"]
    readers = {f"secrets-{c.reader.name}" for c in CREDENTIALS.values()} | {"secrets-mosquitto"}
    make, look = role["rules"]
    assert (make["resources"], make["verbs"]) == (["secrets"], ["create"])
    assert (look["resources"], set(look["verbs"])) == (["secrets"], {"get", "patch"})
    assert set(look["resourceNames"]) == readers
    assert not [each for each in rendered(values) if each["kind"].startswith("ClusterRole")]


@pytest.mark.parametrize("values", SITES)
def test_the_place_where_fans_are_let_in_is_setups_own_and_opens_for_a_person_alone(values: str) -> None:
    [access] = [each["spec"] for each in rendered(values) if each["kind"] == "CronJob"]
    assert access["suspend"] is True
    job = access["jobTemplate"]["spec"]
    assert job["activeDeadlineSeconds"] <= 900
    assert job["ttlSecondsAfterFinished"] <= 60
    specs = [pod.spec for pod in pods(rendered(values)) if pod.labels[NAME] == "setup"]
    [of_setup, of_access] = specs
    # Whoever runs a command there finds what setup has: variables, rules, account.
    for same in ("serviceAccountName", "volumes", "securityContext"):
        assert of_setup[same] == of_access[same]
    for same in ("image", "env", "volumeMounts", "securityContext"):
        assert of_setup["containers"][0][same] == of_access["containers"][0][same]
    # It says nothing, so that its log holds nothing: kubectl exec writes to the terminal.
    assert of_access["containers"][0]["command"] == ["sleep", "infinity"]


@pytest.mark.parametrize(("values", "settings"), ALL)
def test_nobody_speaks_to_anybody_unless_a_policy_names_the_path(
    values: str, settings: tuple[str, ...]
) -> None:
    all_ = policies(values, settings)
    assert all_["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for pod in pods(rendered(values, *settings)):
        assert pod.labels[PART_OF] == "fanwatch"  # what "all-to-dns" selects
        named = [
            name
            for name, spec in all_.items()
            if name != "default-deny" and selects(spec["podSelector"], pod.labels)
        ]
        assert set(named) > {"all-to-dns"} or pod.labels[NAME] == "model", pod.owner  # model changes a volume


@pytest.mark.parametrize(("values", "settings"), ALL)
def test_every_path_has_a_client_and_a_server_that_listens_there(
    values: str, settings: tuple[str, ...]
) -> None:
    all_ = policies(values, settings)
    found = pods(rendered(values, *settings))
    paths = {name.removesuffix("-out") for name in all_ if name.endswith("-out")}
    inside = {name for name in paths if f"{name}-in" in all_}
    assert paths - inside <= {
        *("setup-to-kubernetes", "mosquitto-to-hub", "telegraf-to-hub-broker", "monitor-to-notified"),
        "gateway-to-controllers",
    }
    assert inside
    for path in inside:
        out, into = all_[f"{path}-out"], all_[f"{path}-in"]
        client, server = path.split("-to-")
        assert out["podSelector"] == into["ingress"][0]["from"][0]["podSelector"]
        assert into["podSelector"] == out["egress"][0]["to"][0]["podSelector"]
        assert out["egress"][0]["ports"] == into["ingress"][0]["ports"]
        (port,) = out["egress"][0]["ports"]
        clients = [pod for pod in found if selects(out["podSelector"], pod.labels)]
        servers = [pod for pod in found if selects(into["podSelector"], pod.labels)]
        assert {pod.labels[NAME] for pod in clients} == {client}
        assert {pod.labels[NAME] for pod in servers} == {server}
        assert all(port["port"] in ports_of(pod) for pod in servers), path
    for name, spec in all_.items():
        if name.endswith("-in"):
            assert any(selects(spec["podSelector"], pod.labels) for pod in found), name


@pytest.mark.parametrize("values", VALUES)
def test_a_client_may_go_wherever_its_variables_send_it(values: str) -> None:
    """The other way round: a path that is needed and not named would be found in the plant only."""
    all_ = policies(values, ())
    services = {
        each["metadata"]["name"]: each["spec"]["selector"][NAME]
        for each in rendered(values)
        if each["kind"] == "Service"
    }
    for pod in pods(rendered(values)):
        for container in pod.containers:
            for variable in container.get("env", []):
                value = str(variable.get("value", ""))
                host = (
                    value
                    if value in services
                    else (re.findall(r"^https?://(?:[\w-]+\.)?([\w-]+):\d+", value) or [""])[0]
                )
                name = pod.labels[NAME]
                if host in services and variable["name"] not in _NO_ADDRESS:
                    assert f"{name}-to-{services[host]}-out" in all_, f"{name}: {variable}"


@pytest.mark.parametrize("values", [values for values in VALUES if values != "values-hub.yaml"])
def test_telegraf_asks_each_pod_of_what_is_scaled_for_its_figures(values: str) -> None:
    """A Service with an address of its own would let one pod answer for all of them, each time another one."""
    objects = rendered(values)
    services = {each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == "Service"}
    variables = variables_of(pod_of(objects, "telegraf"))
    for name in ("predictor", "inference"):
        address = urlsplit(variables[f"FANWATCH_{name.upper()}_METRICS_URL"])
        service = services[address.hostname]
        assert service["clusterIP"] == "None"
        assert service["selector"][NAME] == name
        assert service["publishNotReadyAddresses"] is True
        assert address.port in {port["port"] for port in service["ports"]}


def test_the_database_and_the_scoring_service_are_reached_by_our_pods_alone() -> None:
    all_ = policies("values-three-nodes.yaml", ())
    for server in ("influxdb", "inference"):
        (labels,) = [
            pod.labels for pod in pods(rendered("values-three-nodes.yaml")) if pod.labels[NAME] == server
        ]
        peers = [
            peer
            for spec in all_.values()
            if selects(spec["podSelector"], labels)
            for rule in spec.get("ingress", [])
            for peer in rule["from"]
        ]
        assert peers
        assert all(set(peer) == {"podSelector"} for peer in peers)


def addresses_let_in(*settings: str) -> list[dict[str, Any]]:
    """The networks from which the broker is reached."""
    (labels,) = [
        pod.labels for pod in pods(rendered("values.yaml", *settings)) if pod.labels[NAME] == "mosquitto"
    ]
    return [
        peer["ipBlock"]
        for spec in policies("values.yaml", settings).values()
        if selects(spec["podSelector"], labels)
        for rule in spec.get("ingress", [])
        for peer in rule["from"]
        if "ipBlock" in peer
    ]


def lets_in(block: dict[str, Any], address: str) -> bool:
    return ip_address(address) in ip_network(block["cidr"]) and not any(
        ip_address(address) in ip_network(each) for each in block.get("except", [])
    )


def test_the_broker_is_open_to_no_network_while_it_is_not_exposed() -> None:
    assert not addresses_let_in()


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_an_exposed_broker_is_open_to_machines_and_not_to_other_pods_of_k3s(kind: str) -> None:
    blocks = addresses_let_in(f"broker.expose.type={kind}")
    for machine in ("10.1.2.3", "172.20.0.9", "192.168.7.20"):
        assert any(lets_in(block, machine) for block in blocks), machine
    assert not any(lets_in(block, pod) for block in blocks for pod in ("10.42.0.5", "10.42.255.9"))
    assert not any(lets_in(block, "203.0.113.9") for block in blocks)


def test_a_load_balancer_of_k3s_may_hand_machines_on_and_no_other_pod_may() -> None:
    """Its pods hide the machine's address behind their own, on some of a node's addresses."""
    for kind, expected in (("ClusterIP", 0), ("NodePort", 0), ("LoadBalancer", 1)):
        spec = policies("values.yaml", (f"broker.expose.type={kind}",)).get("machines-to-mosquitto-in", {})
        peers = [peer for rule in spec.get("ingress", []) for peer in rule["from"] if "ipBlock" not in peer]
        assert len(peers) == expected, kind
        for peer in peers:
            assert peer["namespaceSelector"] == {
                "matchLabels": {"kubernetes.io/metadata.name": "kube-system"}
            }
            assert peer["podSelector"]["matchLabels"] == {
                "svccontroller.k3s.cattle.io/svcname": "mosquitto-devices",
                "svccontroller.k3s.cattle.io/svcnamespace": "fanwatch",
            }


def test_the_machines_networks_are_the_operators_to_name() -> None:
    machines = [{"cidr": "192.168.7.0/24"}]
    settings = ("broker.expose.type=NodePort",)
    rendered_with = helm(
        *("template", "fanwatch", str(CHART), "--set", *settings),
        *("--set-json", f"networkPolicy.machines={json.dumps(machines)}"),
        *("--show-only", "templates/network.yaml"),
    )
    (policy,) = [
        each
        for each in yaml.safe_load_all(rendered_with)
        if each and each["metadata"]["name"] == "machines-to-mosquitto-in"
    ]
    assert policy["spec"]["ingress"][0]["from"] == [{"ipBlock": machines[0]}]


def ways_out_of_the_gateway(*settings: str) -> list[tuple[dict[str, Any], list[int]]]:
    """Its networks outside the cluster, each with the ports that it may reach there."""
    [gateway] = [
        pod for pod in pods(rendered("values-machines.yaml", *settings)) if pod.labels[NAME] == "gateway"
    ]
    return [
        (peer["ipBlock"], [port["port"] for port in rule["ports"]])
        for spec in policies("values-machines.yaml", settings).values()
        if selects(spec["podSelector"], gateway.labels)
        for rule in spec.get("egress", [])
        for peer in rule["to"]
        if "ipBlock" in peer
    ]


def test_the_gateway_reaches_the_machines_that_the_operator_names_and_nobody_else_outside() -> None:
    assert ways_out_of_the_gateway() == [({"cidr": "192.0.2.0/24"}, [4840, 502])]
    named = ways_out_of_the_gateway(
        *("networkPolicy.controllers[0].cidr=192.168.10.0/24", "networkPolicy.controllers[0].ports={4841}"),
        "networkPolicy.controllers[0].except={192.168.10.1/32}",
        "networkPolicy.controllers[1].cidr=192.168.11.7/32",
    )
    assert named == [
        ({"cidr": "192.168.10.0/24", "except": ["192.168.10.1/32"]}, [4841]),
        ({"cidr": "192.168.11.7/32"}, [4840, 502]),
    ]


def test_nobody_reaches_the_gateway() -> None:
    [gateway] = [pod for pod in pods(rendered("values-machines.yaml")) if pod.labels[NAME] == "gateway"]
    into = [
        spec
        for spec in policies("values-machines.yaml", ()).values()
        if selects(spec["podSelector"], gateway.labels) and spec.get("ingress")
    ]
    assert not into
    assert not [
        each
        for each in rendered("values-machines.yaml")
        if each["kind"] == "Service" and selects({"matchLabels": each["spec"]["selector"]}, gateway.labels)
    ]


@pytest.mark.parametrize(("values", "settings"), ALL)
def test_only_the_encrypted_port_is_published(values: str, settings: tuple[str, ...]) -> None:
    published = [
        port["port"]
        for each in rendered(values, *settings)
        if each["kind"] == "Service" and each["spec"].get("type", "ClusterIP") != "ClusterIP"
        for port in each["spec"]["ports"]
    ]
    assert set(published) <= {8883}


@pytest.mark.parametrize("values", VALUES)
def test_what_is_scaled_has_a_budget_and_an_autoscaler(values: str) -> None:
    kinds: dict[str, set[str]] = {}
    for each in rendered(values):
        kinds.setdefault(each["kind"], set()).add(each["metadata"]["name"])
    scaled = set() if values == "values-hub.yaml" else {"predictor", "inference"}
    assert kinds.get("PodDisruptionBudget", set()) == scaled
    assert kinds.get("HorizontalPodAutoscaler", set()) == scaled
    for each in rendered(values):
        if each["kind"] in {"StatefulSet", "Deployment"} and each["metadata"]["name"] in scaled:
            # Otherwise each upgrade would take back what the autoscaler did.
            assert "replicas" not in each["spec"]


def test_no_autoscaler_takes_a_predictor_away() -> None:
    """Its session would keep its share of the readings, and nobody would score them."""
    (scaler,) = [
        each
        for each in rendered("values.yaml")
        if each["kind"] == "HorizontalPodAutoscaler" and each["metadata"]["name"] == "predictor"
    ]
    assert scaler["spec"]["behavior"]["scaleDown"] == {"selectPolicy": "Disabled"}


def test_each_predictor_is_a_name_that_its_successor_has_too() -> None:
    (predictor,) = [pod for pod in pods(rendered("values.yaml")) if pod.owner == "StatefulSet/predictor"]
    environment = {each["name"]: each for each in predictor.spec["containers"][0]["env"]}
    assert environment["FANWATCH_CLIENT_ID"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}


@pytest.mark.parametrize("values", VALUES)
def test_data_outlives_the_release(values: str) -> None:
    for each in rendered(values):
        if each["kind"] == "StatefulSet" and "volumeClaimTemplates" in each["spec"]:
            assert each["spec"]["persistentVolumeClaimRetentionPolicy"] == {
                "whenDeleted": "Retain",
                "whenScaled": "Retain",
            }
        if each["kind"] in {"PersistentVolumeClaim", "StorageClass"}:
            assert each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_with_three_nodes_data_is_replicated_and_models_are_shared() -> None:
    objects = rendered("values-three-nodes.yaml")
    classes = {each["metadata"]["name"]: each for each in objects if each["kind"] == "StorageClass"}
    assert classes["fanwatch-replicated"]["parameters"]["repl"] == "3"
    assert classes["fanwatch-shared"]["parameters"]["sharedv4"] == "true"
    assert all(each["reclaimPolicy"] == "Retain" for each in classes.values())
    claims = {
        each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == "PersistentVolumeClaim"
    }
    claims |= {
        each["metadata"]["name"]: template["spec"]
        for each in objects
        if each["kind"] == "StatefulSet"
        for template in each["spec"].get("volumeClaimTemplates", [])
    }
    assert claims["models"]["storageClassName"] == "fanwatch-shared"
    assert claims["models"]["accessModes"] == ["ReadWriteMany"]
    for name in ("mosquitto", "influxdb", "monitor", "grafana-data"):
        assert claims[name]["storageClassName"] == "fanwatch-replicated"


def test_with_three_nodes_nobody_but_the_broker_holds_the_brokers_volume() -> None:
    """A Telegraf that stays on the old node would keep it there, and the broker could not start on another one."""
    for values, expected in (("values.yaml", {"telegraf"}), ("values-three-nodes.yaml", set())):
        holders = {
            pod.labels[NAME]
            for pod in pods(rendered(values))
            for volume in pod.spec["volumes"]
            if volume.get("persistentVolumeClaim", {}).get("claimName") == "data-mosquitto-0"
        }
        assert holders == expected
