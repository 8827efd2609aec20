"""The real docker-compose.yml, unchanged, under a project name of the tests' own."""

import json
import os
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from testbed.mosquitto import Connection

__all__ = ["BIND", "PROJECT", "ROOT", "Stack", "docker", "fanwatch", "kill", "sign_in"]

ROOT = Path(__file__).parents[1]
PROJECT = "fanwatch-test"
# A loopback address that nothing else uses, so that a stack or a demo that runs on this machine is left in peace.
BIND = os.environ.get("FANWATCH_TEST_BIND", "127.0.77.1")
GRAFANA_IMAGE = "grafana/grafana:13.2.3"

# In a container that has Python and a secret of InfluxDB: its port is not published.
_QUERY = """
import json, os, sys, urllib.parse, urllib.request, base64
user, file, statement = sys.argv[1:]
password = open(file).read().strip()
form = urllib.parse.urlencode({"db": "fan", "epoch": "ns", "q": statement}).encode()
request = urllib.request.Request(os.environ["FANWATCH_INFLUXDB_URL"] + "/query", form)
request.add_header("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
print(urllib.request.urlopen(request, timeout=30).read().decode())
"""


def docker(
    *arguments: str, check: bool = True, timeout_s: float = 600, folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Runs one docker command; its output is in the error when it fails."""
    result = subprocess.run(
        ["docker", *arguments],
        cwd=folder,
        # The unencrypted port too, or a stack that runs on this machine would be in the way.
        env=os.environ | {"FANWATCH_BIND": BIND, "FANWATCH_UNENCRYPTED_MQTT_BIND": BIND},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    if check and result.returncode:
        output = (result.stdout + result.stderr)[-6000:]
        raise AssertionError(f"docker {' '.join(arguments)[:200]} ended with {result.returncode}:\n{output}")
    return result


def fanwatch(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs the host's command on the project of the tests, in a site's folder."""
    here = {"COMPOSE_PROJECT_NAME": PROJECT, "FANWATCH_BIND": BIND, "FANWATCH_UNENCRYPTED_MQTT_BIND": BIND}
    return subprocess.run(
        [sys.executable, "-m", "fanwatch.cli", *arguments],
        cwd=ROOT,
        env=os.environ | here | {"FANWATCH_FOLDER": str(folder)},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=900,
        check=False,
    )


def kill(pid: int) -> None:
    """SIGKILL to a process of a container. Not ``docker kill``, which counts as a wish that it stay down."""
    assert pid > 0, "0 would be this very command's own group"
    number = ("python", "-c", f"import os; os.kill({pid}, 9)")
    docker("run", "--rm", "--pid", "host", "--network", "none", "python:3.13-slim", *number)


def sign_in(user: str | None, password: str | None, *, tls: ssl.SSLContext | None = None) -> Connection:
    """Signs in at the published MQTT port in clear, or at the encrypted one.

    Raises:
        ConnectionRefusedError: The broker refused.
    """
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    port = 1883 if tls is None else 8883
    return Connection(BIND, port, user, password, "", True, properties, manual_ack=False, tls=tls)


class Stack:
    """Everything that docker-compose.yml names and an image is there for.

    Args:
        folder: The site's.
    """

    def __init__(self, folder: Path = ROOT) -> None:
        self._folder = folder
        has_grafana = docker("image", "inspect", GRAFANA_IMAGE, check=False).returncode == 0
        self.left_out = [] if has_grafana else ["grafana"]
        self.services = [s for s in self.compose("config", "--services").split() if s not in self.left_out]

    def compose(self, *arguments: str, check: bool = True, timeout_s: float = 600) -> str:
        """Runs one docker compose command and returns what it wrote."""
        whole = ("compose", "-p", PROJECT, *arguments)
        return docker(*whole, check=check, timeout_s=timeout_s, folder=self._folder).stdout

    def up(self, *options: str) -> None:
        """Starts everything and waits until each service is healthy, or shows why it is not."""
        try:
            self.compose("up", "--detach", "--wait", "--wait-timeout", "300", *options, *self.services)
        except AssertionError:
            sys.stderr.write(self.compose("ps", "--all", check=False))
            sys.stderr.write(self.compose("logs", "--tail", "40", check=False))
            raise

    def down(self, *options: str) -> None:
        """Stops and removes the containers; the volumes too with --volumes."""
        self.compose("down", "--remove-orphans", *options)

    def execute(self, service: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a command inside a service's container, as that service's user."""
        whole = ("compose", "-p", PROJECT, "exec", "-T", service, *command)
        return docker(*whole, check=check, folder=self._folder)

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine knows of each container, by service."""
        ids = self.compose("ps", "--all", "--quiet").split()
        known = json.loads(docker("inspect", *ids).stdout)
        return {container["Config"]["Labels"]["com.docker.compose.service"]: container for container in known}

    def passwords(self, *names: str) -> list[str]:
        """Credentials, by the command that the README gives people."""
        shown = self.compose("run", "--rm", "--no-deps", "-T", "setup", "show", *names).splitlines()
        assert len(shown) == len(names)
        return shown

    def password(self, name: str) -> str:
        """One credential."""
        return self.passwords(name)[0]

    def query(self, statement: str) -> list[dict[str, Any]]:
        """The rows of one InfluxQL statement, time in nanoseconds."""
        credentials = ("history", "/run/fanwatch/fanwatch_influxdb_password")
        answer = json.loads(self.execute("history", "python", "-c", _QUERY, *credentials, statement).stdout)
        result = answer["results"][0]
        assert "error" not in result, result["error"]
        return [
            dict(zip(series["columns"], row, strict=True)) | series.get("tags", {})
            for series in result.get("series", [])
            for row in series["values"]
        ]
