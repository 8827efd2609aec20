"""The chart is valid for every values file, for several Kubernetes, and holds the repository's own files."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from monitor.alarms.settings import AlarmSettings
from testbed.chart import CHART, VALUES, HelmRefusedError, folder_of, helm, pod_of, pods, rendered
from testbed.process import REPOSITORY

# Beside the files that ship: everything that a value can switch on.
EVERYTHING = (
    "pipeline.enabled=true",
    "model.image=plant.example/models:2",
    "model.version=2",
    "ingress.hosts.monitor=fans.plant.example",
    "ingress.hosts.grafana=grafana.plant.example",
    "bridge.host=hub.example",
    "bridge.site=munich",
    "portworx.enabled=true",
    "gateway.enabled=true",
    "networkPolicy.controllers[0].cidr=192.0.2.0/24",
)
ALARMS = str(AlarmSettings.model_fields["alarm_file"].default.parent)
KUBERNETES = ("1.29", "1.33", "1.36")
COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]


def config(values: str, name: str, *settings: str) -> dict[str, str]:
    found = [
        each["data"]
        for each in rendered(values, *settings)
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == name
    ]
    assert len(found) == 1
    data: dict[str, str] = found[0]
    return data


def test_the_files_of_one_three_nodes_a_site_its_machines_and_a_hub_ship() -> None:
    names = [f"values{which}.yaml" for which in ("-hub", "-machines", "-site", "-three-nodes", "")]
    assert list(VALUES) == names


@pytest.mark.parametrize("values", VALUES)
def test_helm_finds_nothing_wrong(values: str) -> None:
    lint = helm("lint", "--strict", str(CHART), "-f", str(CHART / values))
    assert "0 chart(s) failed" in lint


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", VALUES)
def test_several_kubernetes_know_every_field(values: str, version: str) -> None:
    for each in rendered(values):
        kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("version", KUBERNETES)
def test_several_kubernetes_know_every_field_with_everything_on(version: str) -> None:
    for each in rendered("values-three-nodes.yaml", *EVERYTHING):
        kubernetes_validate.validate(each, version, strict=True)


def test_the_validation_finds_a_misspelt_field() -> None:
    stateful = next(each for each in rendered("values.yaml") if each["kind"] == "StatefulSet")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            stateful | {"spec": stateful["spec"] | {"replica": 1}}, "1.34", strict=True
        )


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("simulator.fanz=2", "fanz"),
        ("bridge.host=hub.example", "site"),
        ("bridge.site=a/b", "site"),
        ("storage.influxdb.size=much", "size"),
        ("predictor.autoscaling.max=9", "max"),
        ("broker.image=eclipse-mosquitto", "image"),
        ("model.image=models:2", "model.version says"),
        ("gateway.enabled=true", "networkPolicy.controllers is empty"),
        ("networkPolicy.controllers[0].ports={502}", "cidr"),
    ],
)
def test_a_mistake_in_the_values_is_refused_with_its_name(setting: str, said: str) -> None:
    with pytest.raises(HelmRefusedError, match=said):
        helm("template", "fanwatch", str(CHART), "--set", setting)


def test_a_hub_has_no_gateway_because_machines_join_a_site() -> None:
    hub = str(CHART / "values-hub.yaml")
    with pytest.raises(HelmRefusedError, match="machines join a site"):
        helm("template", "fanwatch", str(CHART), "-f", hub, "--set", "gateway.enabled=true")


def test_the_configuration_is_the_repositorys_byte_for_byte() -> None:
    assert config("values.yaml", "mosquitto") | config("values.yaml", "mosquitto-acl") == folder_of(
        REPOSITORY / "mosquitto"
    )
    assert config("values.yaml", "telegraf") == folder_of(REPOSITORY / "telegraf")
    gateway = folder_of(REPOSITORY / "telegraf" / "gateway")
    assert config("values-machines.yaml", "gateway") == gateway
    assert config("values-machines.yaml", "gateway-machines") == {"machines.toml": gateway["machines.toml"]}
    influxdb = folder_of(REPOSITORY / "influxdb")
    assert config("values.yaml", "influxdb") == influxdb
    assert config("values.yaml", "influxdb-schema") == folder_of(REPOSITORY / "influxdb" / "schema")
    plant = (REPOSITORY / "monitor" / "plant.toml").read_text()
    assert config("values.yaml", "plant") == {"plant.toml": plant}
    assert config("values.yaml", "grafana-dashboards") == folder_of(REPOSITORY / "grafana" / "dashboards")
    for folder in (REPOSITORY / "grafana" / "provisioning").iterdir():
        assert config("values.yaml", f"grafana-provisioning-{folder.name}") == folder_of(folder)


def test_the_chart_has_no_copy_of_a_configuration_file() -> None:
    assert all(path.is_symlink() for path in (CHART / "config").iterdir())
    assert {path.name for path in (CHART / "config").iterdir()} == {
        *("mosquitto", "telegraf", "influxdb", "grafana", "plant.toml")
    }


@pytest.mark.parametrize("values", VALUES)
def test_every_claim_has_a_user_at_once_or_helm_would_wait_for_its_volume(values: str) -> None:
    objects = rendered(values, "pipeline.enabled=true")
    claims = {each["metadata"]["name"] for each in objects if each["kind"] == "PersistentVolumeClaim"}
    used = {
        volume["persistentVolumeClaim"]["claimName"]
        for pod in pods(objects)
        for volume in pod.spec["volumes"]
        if "persistentVolumeClaim" in volume and not pod.owner.startswith("CronJob")
    }
    assert claims <= used


def test_the_pipeline_learns_from_what_technicians_said_and_can_change_none_of_it() -> None:
    (pod,) = [
        pod
        for pod in pods(rendered("values.yaml", "pipeline.enabled=true"))
        if pod.owner == "CronJob/pipeline"
    ]
    (labels,), (pipeline,) = pod.spec["initContainers"], pod.spec["containers"]
    places = {mount["name"]: mount for mount in labels["volumeMounts"]}
    assert places["alarms"] == {"name": "alarms", "mountPath": ALARMS, "readOnly": True}
    assert "alarms" not in {mount["name"] for mount in pipeline["volumeMounts"]}
    written = labels["command"][labels["command"].index("--out") + 1]
    assert written.startswith(places["data"]["mountPath"])
    assert pipeline["args"][pipeline["args"].index("--labels") + 1] == written


def test_a_bridge_adds_lines_to_the_brokers_file_and_changes_none() -> None:
    shipped = (REPOSITORY / "mosquitto" / "mosquitto.conf").read_text()
    bridged = config("values-site.yaml", "mosquitto")["mosquitto.conf"]
    assert bridged.startswith(shipped)
    assert "connection hub\n" in bridged.removeprefix(shipped)
    assert "remote_password" not in bridged


@pytest.mark.parametrize("values", VALUES)
def test_a_config_map_fits_into_what_kubernetes_takes(values: str) -> None:
    for each in rendered(values):
        if each["kind"] == "ConfigMap":
            assert sum(len(text.encode()) for text in each["data"].values()) < 900_000


def test_a_changed_file_of_the_plant_starts_the_gateway_again(tmp_path: Path) -> None:
    """Telegraf reads its files at its start alone, and Kubernetes changes a pod only when its template changes."""
    (tmp_path / "machines.toml").write_text("# another")
    (tmp_path / "server.pem").write_text("-----BEGIN CERTIFICATE-----")
    files = (
        (),
        (f"gateway.machines={tmp_path}/machines.toml",),
        (rf"gateway.serverCertificates.server\.pem={tmp_path}/server.pem",),
    )
    templates = [
        each["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        for given in files
        for each in rendered("values-machines.yaml", files=given)
        if each["kind"] == "Deployment" and each["metadata"]["name"] == "gateway"
    ]
    assert len(set(templates)) == len(files)


def test_images_are_those_of_compose() -> None:
    pinned = {service["image"] for service in COMPOSE.values() if "image" in service}
    used = {container["image"] for pod in pods(rendered("values.yaml")) for container in pod.containers}
    ours = {image for image in used if image.startswith("fanwatch/")}
    assert used - ours == pinned
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    rooms = {
        service["build"]["dockerfile"].split("/")[0].replace("_", "-")
        for service in COMPOSE.values()
        if "build" in service
    }
    assert ours == {f"fanwatch/{room}:{version}" for room in rooms}
    assert f'version = "{version}"' in (REPOSITORY / "pyproject.toml").read_text()


@pytest.mark.parametrize("values", ["values.yaml", "values-machines.yaml"])
def test_memory_limits_are_those_of_compose(values: str) -> None:
    units = {"g": "Gi", "m": "Mi"}
    for pod in pods(rendered(values)):
        name = pod.labels["app.kubernetes.io/name"]
        (container,) = pod.spec["containers"]
        limit = COMPOSE[name]["mem_limit"]
        assert container["resources"]["limits"]["memory"] == limit[:-1] + units[limit[-1]], name


def test_the_gateway_is_the_image_of_compose() -> None:
    [container] = pod_of(rendered("values-machines.yaml"), "gateway").containers
    assert container["image"] == COMPOSE["gateway"]["image"]


def test_services_have_the_variables_of_compose() -> None:
    """Names; the values of both are templates of their own kind. What Kubernetes does otherwise is listed."""
    elsewhere = {
        "setup": {"FANWATCH_BIND"},  # no address of the machine is published
        "telegraf": set(),
    }
    for pod in pods(rendered("values.yaml")):
        name = pod.labels["app.kubernetes.io/name"]
        ours = {each["name"] for each in pod.spec["containers"][0].get("env", [])}
        theirs = set(COMPOSE[name].get("environment", {}))
        assert theirs - ours == elsewhere.get(name, set()), name


def test_grafana_is_as_closed_as_with_compose() -> None:
    (grafana,) = [
        pod for pod in pods(rendered("values.yaml")) if pod.labels["app.kubernetes.io/name"] == "grafana"
    ]
    ours = {each["name"]: each["value"] for each in grafana.spec["containers"][0]["env"]}
    theirs = {name: value.replace("$$", "$") for name, value in COMPOSE["grafana"]["environment"].items()}
    assert ours == theirs
