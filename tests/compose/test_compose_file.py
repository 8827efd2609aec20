"""docker-compose.yml and the Dockerfiles, read without an engine: each protective setting stands where it must."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_manager.site.credentials import CREDENTIALS, MOSQUITTO

ROOT = Path(__file__).parents[2]
OURS = ("predictor", "inference", "monitor", "drift", "simulator", "edge_manager")
Service = dict[str, Any]


def _file() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return content


SERVICES: dict[str, Service] = _file()["services"]
COMMANDS = {"setup", "model", "archive"}
"""What does something and ends."""
STAYING = {name: service for name, service in SERVICES.items() if name not in COMMANDS}


def _dockerfile(room: str) -> str:
    return (ROOT / room / "Dockerfile").read_text()


def test_every_service_of_the_design_is_there() -> None:
    assert set(SERVICES) == {
        *("mosquitto", "inference", "predictor", "monitor", "drift", "simulator"),
        *("telegraf", "influxdb", "grafana", "setup", "history", "model", "archive", "gateway"),
    }


def test_a_command_is_no_service_that_up_starts() -> None:
    for name in COMMANDS - {"setup"}:
        assert SERVICES[name]["profiles"] == ["tools"]


def test_what_a_backup_is_made_of_is_every_volume_and_whoever_sees_them_all_has_no_network() -> None:
    archive = SERVICES["archive"]
    mounts = dict(mount.split(":") for mount in archive["volumes"])
    assert set(mounts) == set(_file()["volumes"]), "a new volume is in the backup, or has a reason not to be"
    assert archive["network_mode"] == "none"
    assert "networks" not in archive
    assert archive["entrypoint"] == ["python", "-m", "edge_manager.backup.places"]
    for volume, place in mounts.items():
        reader = volume.removeprefix("secrets-")
        assert place in {f"/kept/secrets/{reader}", f"/kept/{volume.removesuffix('-data')}"}


def test_the_gateway_runs_only_where_a_site_wants_it_and_has_its_own_way_to_the_machines() -> None:
    gateway = SERVICES["gateway"]
    assert gateway["profiles"] == ["machines"]
    assert gateway["networks"] == ["broker", "machines"]
    assert [name for name, service in SERVICES.items() if "machines" in service.get("networks", [])] == [
        "gateway"
    ]
    mount = "${FANWATCH_MACHINES_FILE:-./telegraf/gateway/machines.toml}:/etc/telegraf/machines.toml:ro"
    assert mount in gateway["volumes"]
    certificates = "${FANWATCH_MACHINES_CERTIFICATES:-./telegraf/gateway}:/etc/telegraf/machines:ro"
    assert certificates in gateway["volumes"]
    assert "/etc/telegraf/machines/" in (ROOT / "telegraf/gateway/machines.toml").read_text()


def test_the_models_lie_in_a_volume_that_begins_with_the_images_and_that_drift_only_reads() -> None:
    mounts = {name: service.get("volumes", []) for name, service in SERVICES.items()}
    found = {name: each for name, all_ in mounts.items() for each in all_ if each.startswith("models:")}
    assert found == {
        "inference": "models:/app/models",
        "model": "models:/app/models",
        "archive": "models:/kept/models",
        "drift": "models:/app/models:ro",
    }
    assert "models" in _file()["volumes"]
    for room in ("inference", "drift"):  # a named volume takes its owner from the image that begins it
        assert "COPY --chown=10001:10001 models /app/models" in _dockerfile(room)


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_can_write_gain_rights_fork_without_end_take_all_memory_or_fill_the_disk(
    name: str,
) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] <= 200
    assert re.fullmatch(r"\d+m|[12]g", service["mem_limit"])
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}
    assert all("noexec" in mount and "size=" in mount for mount in service["tmpfs"])
    assert not {"privileged", "pid", "devices", "env_file"} & set(service)
    assert service.get("network_mode", "none") == "none"
    assert not any("docker.sock" in mount for mount in service.get("volumes", []))


def test_the_monitor_keeps_alarms_and_accounts_in_a_volume_that_nobody_else_has() -> None:
    mounts = {name: service.get("volumes", []) for name, service in SERVICES.items()}
    assert "monitor-data:/var/lib/fanwatch" in mounts["monitor"]
    assert [name for name, all_ in mounts.items() if any("monitor-data" in each for each in all_)] == [
        "monitor",
        "archive",
    ]
    assert "monitor-data" in _file()["volumes"]
    # A named volume takes its owner from the image.
    assert "install -d -o 10001 -g 10001 -m 700 /var/lib/fanwatch" in _dockerfile("monitor")


def test_a_site_brings_its_own_plant_file_and_without_one_has_ours() -> None:
    mount = "${FANWATCH_PLANT_FILE:-./monitor/plant.toml}:/etc/fanwatch/plant.toml:ro"
    assert mount in SERVICES["monitor"]["volumes"]
    assert SERVICES["monitor"]["environment"]["FANWATCH_PLANT_FILE"] == "/etc/fanwatch/plant.toml"


@pytest.mark.parametrize("name", STAYING)
def test_every_service_comes_back_after_a_crash_and_says_whether_it_works(name: str) -> None:
    service = STAYING[name]
    assert service["restart"] == "unless-stopped"
    if "healthcheck" not in service:
        assert re.search(r"^HEALTHCHECK .*\\\n +CMD \[", _dockerfile(name), re.MULTILINE)


def test_only_setup_and_the_backups_are_root_and_only_with_the_rights_to_give_files_away() -> None:
    assert {name for name, service in SERVICES.items() if "cap_add" in service} == {"setup", "archive"}
    for name in ("setup", "archive"):
        assert SERVICES[name]["cap_add"] == ["CHOWN", "DAC_OVERRIDE", "FOWNER"]
        assert SERVICES[name]["restart"] == "no"
    assert SERVICES["setup"]["networks"] == ["storage"]
    for name, service in STAYING.items():
        user = service.get("user") or re.findall(r"^USER (.+)$", _dockerfile(_room(name)), re.MULTILINE)[-1]
        assert re.fullmatch(r"[1-9]\d*:\d+", user), name


def _room(service: str) -> str:
    return "edge_manager" if service == "history" else service


def test_the_uids_are_those_that_the_secrets_are_written_for() -> None:
    owners = {c.reader.name: f"{c.reader.uid}:{c.reader.gid}" for c in CREDENTIALS.values()}
    owners["mosquitto"] = f"{MOSQUITTO.uid}:{MOSQUITTO.gid}"
    for name, owner in owners.items():
        if name == "operator":
            continue
        user = (
            SERVICES[name].get("user")
            or re.findall(r"^USER (.+)$", _dockerfile(_room(name)), re.MULTILINE)[-1]
        )
        assert user == owner, name


def test_a_secrets_volume_is_mounted_by_its_reader_alone_and_read_only() -> None:
    mounts = [
        (name, *mount.split(":"))
        for name, service in SERVICES.items()
        for mount in service.get("volumes", [])
        if mount.startswith("secrets-")
    ]
    readers = {c.reader.name for c in CREDENTIALS.values()} | {"mosquitto"}
    assert {mount for mount in mounts if mount[0] not in {"setup", "archive"}} == {
        (reader, f"secrets-{reader}", "/run/fanwatch", "ro") for reader in readers - {"operator"}
    }
    assert {mount for mount in mounts if mount[0] == "setup"} == {
        ("setup", f"secrets-{reader}", f"/secrets/{reader}") for reader in readers
    }


def test_no_environment_variable_holds_a_secret() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            public = {"FANWATCH_SECRETS_DIR", "FANWATCH_MODEL_PUBLIC_KEYS"}
            if re.search(r"PASSWORD|TOKEN|SECRET|KEY", variable) and variable not in public:
                assert re.fullmatch(r"\$\$__file\{/run/fanwatch/\w+\}", value), f"{name}: {variable}"


def test_ports_are_published_on_this_machine_alone_unless_a_variable_says_otherwise() -> None:
    """MQTT in clear has a variable of its own: whoever opens the site does not open that by the way."""
    assert {port for service in SERVICES.values() for port in service.get("ports", [])} == {
        "${FANWATCH_BIND:-127.0.0.1}:8883:8883",
        "${FANWATCH_UNENCRYPTED_MQTT_BIND:-127.0.0.1}:1883:1883",
        "${FANWATCH_BIND:-127.0.0.1}:3000:3000",
        "${FANWATCH_BIND:-127.0.0.1}:8080:8080",
    }


def test_setup_knows_the_names_for_the_brokers_certificate_and_where_the_shipped_rules_are() -> None:
    setup = SERVICES["setup"]
    assert setup["environment"]["FANWATCH_HOSTNAMES"] == "${FANWATCH_HOSTNAMES:-}"
    assert setup["environment"]["FANWATCH_BIND"] == "${FANWATCH_BIND:-127.0.0.1}"
    assert setup["environment"]["FANWATCH_ACL_FILE"] == "/etc/fanwatch/mosquitto/acl"
    assert "./mosquitto:/etc/fanwatch/mosquitto:ro" in setup["volumes"]


def test_what_is_not_published_has_no_way_out() -> None:
    internal = {name for name, network in _file()["networks"].items() if network and network.get("internal")}
    for name, service in SERVICES.items():
        networks = service.get("networks", [])
        assert ("front" in networks) == ("ports" in service), name
        # The gateway reaches the plant's controllers over a network of its own.
        own_way = {"machines"} if name == "gateway" else set()
        assert set(networks) - {"front"} - own_way <= internal, name
    assert SERVICES["influxdb"]["networks"] == ["storage"]
    assert SERVICES["inference"]["networks"] == ["scoring"]


def test_configuration_is_mounted_read_only_and_is_there() -> None:
    for name, service in SERVICES.items():
        for mount in service.get("volumes", []):
            if mount.startswith("."):
                source, _, mode = mount.split(":")
                assert mode == "ro", name
                assert (ROOT / source).exists(), f"{name}: {source}"


def test_every_foreign_image_is_pinned_to_a_full_version() -> None:
    images = {service["image"] for service in SERVICES.values() if "image" in service}
    assert images == {
        "eclipse-mosquitto:2.1.2-alpine",
        "telegraf:1.38.4",
        "influxdb:1.13.1",
        "grafana/grafana:13.2.3",
    }


def test_data_lies_in_named_volumes_so_that_it_survives_down_and_up() -> None:
    named = set(_file()["volumes"])
    mounted = {
        m.split(":")[0]
        for s in SERVICES.values()
        for m in s.get("volumes", [])
        if not m.startswith((".", "$"))
    }
    assert mounted == named
    assert {"mosquitto-data", "influxdb-data", "grafana-data"} <= named


def test_the_brokers_health_check_is_the_one_that_ends_it_before_its_volume_is_full() -> None:
    check = SERVICES["mosquitto"]["healthcheck"]
    assert check["test"] == ["CMD", "sh", "/mosquitto/config/healthcheck.sh"]
    assert "./mosquitto:/mosquitto/config:ro" in SERVICES["mosquitto"]["volumes"]
    assert (ROOT / "mosquitto" / "healthcheck.sh").exists()
    assert check["interval"] == "10s", "docs/nothing-lost.md says how often"


def test_telegraf_sees_the_brokers_volume_where_its_configuration_looks_and_cannot_write_there() -> None:
    [place] = re.findall(
        r"FANWATCH_BROKER_VOLUME:-([^}]+)}", (ROOT / "telegraf" / "telegraf.conf").read_text()
    )
    assert f"mosquitto-data:{place}:ro" in SERVICES["telegraf"]["volumes"]


def test_the_fans_of_the_demonstration_can_be_left_out_by_a_variable() -> None:
    assert SERVICES["simulator"]["scale"] == "${FANWATCH_SIMULATORS:-1}"
    assert [name for name, service in SERVICES.items() if "scale" in service] == ["simulator"]


def test_one_variable_says_how_long_readings_are_kept_to_all_who_must_agree() -> None:
    """InfluxDB's policy, what the predictor and Telegraf still take, and what the backfill computes again."""
    said = {
        (name, variable): value
        for name, service in SERVICES.items()
        for variable, value in service.get("environment", {}).items()
        if "FANWATCH_RETENTION_DAYS" in str(value)
    }
    assert said == {
        ("setup", "FANWATCH_RETENTION_DAYS"): "${FANWATCH_RETENTION_DAYS:-}",
        ("predictor", "FANWATCH_RETENTION_DAYS"): "${FANWATCH_RETENTION_DAYS:-30}",
        ("telegraf", "FANWATCH_RETENTION_DAYS"): "${FANWATCH_RETENTION_DAYS:-30}",
        ("history", "FANWATCH_BACKFILL_DAYS"): "${FANWATCH_RETENTION_DAYS:-30}",
    }
    assert "${FANWATCH_RETENTION_DAYS:-30}" in (ROOT / "telegraf" / "telegraf.conf").read_text()


def test_a_folder_for_data_takes_every_volume() -> None:
    bound = yaml.safe_load((ROOT / "docker-compose.data-dir.yml").read_text())["volumes"]
    assert set(bound) == set(_file()["volumes"])
    for name, volume in bound.items():
        assert volume["driver_opts"]["device"].endswith(f"}}/{name}")


def test_the_broker_may_open_as_many_files_as_its_ports_take_connections() -> None:
    configuration = (ROOT / "mosquitto" / "mosquitto.conf").read_text()
    most = [int(number) for number in re.findall(r"^max_connections (\d+)$", configuration, re.MULTILINE)]
    assert len(most) == 2
    assert SERVICES["mosquitto"]["ulimits"]["nofile"] >= sum(most) + 1000, "and a thousand for all else"


def test_a_scaled_service_has_no_name_of_its_own() -> None:
    assert not any("container_name" in service for service in SERVICES.values())


@pytest.mark.parametrize("room", OURS)
def test_an_image_holds_the_packages_of_its_service_alone_and_no_root(room: str) -> None:
    text = _dockerfile(room)
    extra = room.replace("_", "-")
    assert re.findall(r"--extra (\S+)", text) == [extra]
    sources = [
        source for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE) for source in line.split()[:-1]
    ]
    copied = {source for source in sources if source[0] not in "-/"}
    models = {"models"} if room in {"inference", "drift"} else set()
    library = {"mqtt_session"} if room in {"predictor", "monitor", "drift"} else set()
    library |= {"model_folder"} if room in {"inference", "edge_manager"} else set()
    assert copied == {"pyproject.toml", "uv.lock", "contract", room} | models | library
    assert text.count("ARG PYTHON_IMAGE=python:3.13-slim\n") == 1
    assert [line.split()[1] for line in text.splitlines() if line.startswith("FROM ")] == [
        "${PYTHON_IMAGE}"
    ] * 2
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    assert "--frozen" in text


@pytest.mark.parametrize("room", OURS)
def test_a_dockerfile_builds_on_the_older_builder_too(room: str) -> None:
    text = _dockerfile(room)
    assert "--mount" not in text
    assert "<<" not in text


def test_nothing_reaches_the_engine_but_what_an_image_copies() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    rooms = {"contract", "model_folder", "mqtt_session", "fanwatch", "training", *OURS}
    assert allowed == {"pyproject.toml", "uv.lock", "models"} | rooms
