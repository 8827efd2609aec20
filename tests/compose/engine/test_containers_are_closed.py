"""What docker-compose.yml promises of its containers, tried from inside and from outside."""

import json
import socket
import urllib.request

import pytest

from edge_manager.site.credentials import CREDENTIALS
from testbed.containers import BIND, PROJECT, Stack, docker, sign_in

PUBLISHED = {("mosquitto", 1883), ("mosquitto", 8883), ("monitor", 8080), ("grafana", 3000)}
NOT_PUBLISHED = (8000, 8086, 9101, 9102, 9103, 8095)
MEGABYTE = 1_000_000


def test_mqtt_refuses_the_anonymous_and_a_wrong_password(stack: Stack) -> None:
    with pytest.raises(ConnectionRefusedError, match=r"(?i)not authori[sz]ed"):
        sign_in(None, None)
    with pytest.raises(ConnectionRefusedError, match=r"(?i)not authori[sz]ed"):
        sign_in("simulator", "wrong")
    sign_in("simulator", stack.password("mqtt-simulator")).close()


def test_only_mqtt_grafana_and_the_live_page_are_published_and_on_one_address(stack: Stack) -> None:
    published = {
        (service, binding["HostIp"], int(binding["HostPort"]))
        for service, container in stack.containers().items()
        for bindings in (container["NetworkSettings"]["Ports"] or {}).values()
        for binding in bindings or []
    }
    assert published == {(s, BIND, port) for s, port in PUBLISHED if s not in stack.left_out}
    for port in NOT_PUBLISHED:
        with socket.socket() as client:
            client.settimeout(5)
            assert client.connect_ex((BIND, port)) != 0


def test_the_live_page_answers(stack: Stack) -> None:
    with urllib.request.urlopen(f"http://{BIND}:8080/", timeout=10) as page:
        assert page.status == 200
        assert "text/html" in page.headers["Content-Type"]


def test_influxdb_and_inference_cannot_be_reached_from_the_published_network(stack: Stack) -> None:
    addresses = [
        network["IPAddress"]
        for service in ("influxdb", "inference")
        for network in stack.containers()[service]["NetworkSettings"]["Networks"].values()
    ]
    knock = (
        "import socket, sys\n"
        "for host, port in (a.split(':') for a in sys.argv[1:]):\n"
        "    with socket.socket() as s:\n"
        "        s.settimeout(2)\n"
        "        try: s.connect((host, int(port)))\n"
        "        except OSError: continue\n"
        "        print(host, port)\n"
    )
    targets = [f"{host}:{port}" for host in [*addresses, "influxdb", "inference"] for port in (8000, 8086)]
    outside = docker(
        "run", "--rm", "--network", f"{PROJECT}_front", "python:3.13-slim", "python", "-c", knock, *targets
    )
    assert outside.stdout == ""
    # The same knock from a service that may, or the test would pass on a mistake of its own.
    inside = stack.execute("history", "python", "-c", knock, "influxdb:8086")
    assert inside.stdout == "influxdb 8086\n"


def test_every_network_but_the_published_one_has_no_way_out(stack: Stack) -> None:
    names = docker("network", "ls", "--filter", f"label=com.docker.compose.project={PROJECT}", "-q").stdout
    networks = json.loads(docker("network", "inspect", *names.split()).stdout)
    assert {n["Labels"]["com.docker.compose.network"]: n["Internal"] for n in networks} == {
        "front": False,
        "broker": True,
        "scoring": True,
        "storage": True,
    }


def _running(stack: Stack) -> list[str]:
    return [service for service, c in stack.containers().items() if c["State"]["Running"]]


def test_no_service_is_root_has_a_right_of_roots_or_can_gain_one(stack: Stack) -> None:
    services = _running(stack)
    assert len(services) >= 8
    for service in services:
        status = dict(
            line.split(":\t", 1)
            for line in stack.execute(service, "cat", "/proc/1/status").stdout.splitlines()
            if ":\t" in line
        )
        assert "0" not in status["Uid"].split(), service
        # Effective, permitted, and what a program started later could be given.
        assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}, service
        assert status["NoNewPrivs"] == "1", service


def test_no_service_can_write_but_to_its_volumes_and_tmp_nor_execute_from_there(stack: Stack) -> None:
    for service in _running(stack):
        for folder in ("/", "/etc", "/usr/bin", "/run/fanwatch"):
            result = stack.execute(service, "sh", "-c", f"echo x > {folder}/intruder", check=False)
            assert result.returncode != 0, f"{service} can write to {folder}"
        # /dev/shm is the engine's own, and writable everywhere.
        for folder in ("/tmp", "/dev/shm"):
            dropped = f"cp /bin/true {folder}/t && ! {folder}/t 2>/dev/null; e=$?; rm -f {folder}/t; exit $e"
            assert stack.execute(service, "sh", "-c", dropped, check=False).returncode == 0, (
                f"{service}: {folder}"
            )


def test_every_service_is_bounded_in_memory_and_processes(stack: Stack) -> None:
    for service, container in stack.containers().items():
        host = container["HostConfig"]
        assert 0 < host["Memory"] <= 2 * 1024**3, service
        assert 0 < host["PidsLimit"] <= 200, service
        assert host["LogConfig"]["Config"] == {"max-file": "3", "max-size": "10m"}, service


def test_the_broker_may_open_as_many_files_as_a_flood_needs_to_be_refused(stack: Stack) -> None:
    limits = stack.execute("mosquitto", "cat", "/proc/1/limits").stdout
    [line] = [each for each in limits.splitlines() if each.startswith("Max open files")]
    assert line.split()[3:5] == ["8192", "8192"]


def test_each_service_reads_its_own_secrets_and_nobody_elses(stack: Stack) -> None:
    own = {
        "predictor": {"fanwatch_mqtt_password"},
        "monitor": {"fanwatch_mqtt_password", "fanwatch_page_password", "fanwatch_session_secret"},
        "drift": {"fanwatch_mqtt_password"},
        "simulator": {"fanwatch_mqtt_password"},
        "history": {"fanwatch_influxdb_password"},
        "telegraf": {"fanwatch_mqtt_password", "influxdb_password"},
        "mosquitto": {"mosquitto_passwords", "mosquitto_acl", "mosquitto_tls.pem", "probe_options"},
    }
    for service in _running(stack):
        files = stack.execute(
            service, "sh", "-c", "ls -A /run/fanwatch 2>/dev/null", check=False
        ).stdout.split()
        assert set(files) == own.get(service, set()), service
        for name in files:
            mode = stack.execute(service, "stat", "-c", "%a %u", f"/run/fanwatch/{name}").stdout.split()
            uid = stack.execute(service, "id", "-u").stdout.strip()
            assert mode == ["400", uid], f"{service}: {name}"


def test_no_secret_stands_in_an_environment_a_command_line_or_a_log(stack: Stack) -> None:
    secrets = dict(zip(CREDENTIALS, stack.passwords(*CREDENTIALS), strict=True))
    assert len(set(secrets.values())) == len(secrets)
    ids = stack.compose("ps", "--all", "--quiet").split()
    seen = docker("inspect", *ids).stdout + stack.compose("logs", "--no-log-prefix")
    for service in _running(stack):
        seen += stack.execute(
            service, "sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ", check=False
        ).stdout
    assert [name for name, secret in secrets.items() if secret in seen] == []


def test_setting_up_again_changes_no_credential(stack: Stack) -> None:
    before = stack.passwords(*CREDENTIALS)
    again = stack.compose("run", "--rm", "-T", "setup")
    assert "setup show grafana" in again
    assert stack.passwords(*CREDENTIALS) == before


def test_a_health_check_that_says_healthy_asked_the_service(stack: Stack) -> None:
    """Each check fails where its service does not run: it is no `exit 0`."""
    for service, container in stack.containers().items():
        if service == "setup":
            continue
        check = container["Config"]["Healthcheck"]["Test"]
        assert check[0] == "CMD", service
        elsewhere = docker(
            "run",
            "--rm",
            "--network",
            "none",
            "--entrypoint",
            check[1],
            container["Image"],
            *check[2:],
            check=False,
        )
        assert elsewhere.returncode != 0, f"{service}'s check passes without the service"


def _layers_above_base(image: str) -> float:
    base = json.loads(docker("image", "inspect", "python:3.13-slim").stdout)[0]
    ours = json.loads(docker("image", "inspect", image).stdout)[0]
    assert ours["RootFS"]["Layers"][: len(base["RootFS"]["Layers"])] == base["RootFS"]["Layers"]
    return (int(ours["Size"]) - int(base["Size"])) / MEGABYTE


def test_the_images_are_small(stack: Stack, report: list[str]) -> None:
    containers = stack.containers()
    sizes = {
        service: _layers_above_base(containers[service]["Image"])
        for service in ("predictor", "inference", "monitor", "simulator", "setup")
        if service in containers
    }
    report += [f"layers above the base image: {s} {size:.0f} MB" for s, size in sizes.items()]
    assert sizes["predictor"] <= 60
    assert sizes["inference"] <= 220


def test_the_memory_of_each_service_is_reported(stack: Stack, report: list[str]) -> None:
    format_ = "{{.Name}} {{.MemUsage}}"
    lines = docker(
        "stats", "--no-stream", "--format", format_, *stack.compose("ps", "--quiet").split()
    ).stdout
    report += [f"memory: {line}" for line in lines.splitlines()]
    assert len(report) >= len(_running(stack))
