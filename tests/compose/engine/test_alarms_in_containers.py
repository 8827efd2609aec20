"""The operator's page on the shipped stack: the first sign-in, and that alarms and accounts outlive every container."""

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from testbed.containers import BIND, PROJECT, ROOT, Stack, docker, kill, sign_in
from testbed.mosquitto import Connection
from testbed.waiting import wait_until

PAGE = f"http://{BIND}:8080"
DATA = "/var/lib/fanwatch"
READINGS = 12


class Operator:
    """Somebody at the page."""

    def __init__(self, name: str, password: str) -> None:
        self._session = requests.Session()
        token = self._token("/login")
        answer = self._session.post(
            f"{PAGE}/login",
            data={"csrf_token": token, "name": name, "password": password, "next": "/alarms"},
            headers={"Origin": PAGE},
            timeout=10,
        )
        self.status = answer.status_code
        self.landed = answer.url

    def _token(self, path: str) -> str:
        text = self._session.get(f"{PAGE}{path}", timeout=10).text
        found = re.search(r'name="csrf[_-]token" (?:value|content)="([^"]+)"', text)
        assert found, f"{path} has no token"
        return found[1]

    def acknowledge(self, alarm_id: int) -> None:
        """The button of the alarm."""
        answer = self._session.post(
            f"{PAGE}/api/alarms/{alarm_id}/acknowledge",
            json={},
            headers={"Origin": PAGE, "X-CSRFToken": self._token("/alarms")},
            timeout=10,
        )
        assert answer.status_code == 200, answer.text

    def may_see_the_log(self) -> bool:
        """Whether the session is still one."""
        return self._session.get(f"{PAGE}/log", timeout=10, allow_redirects=False).status_code == 200


def faults() -> dict[str, dict[str, Any]]:
    """The machine faults on the page, by fan; none while it does not answer."""
    try:
        body = requests.get(f"{PAGE}/api/alarms", timeout=5).json()
    except (requests.RequestException, ValueError):
        return {}
    return {each["device"]: each for each in body["alarms"] if each["kind"] == "machine_fault"}


def broken(fans: Connection, *names: str) -> None:
    """Readings of fans that broke half a minute ago, as the broker acknowledges them."""
    start = datetime.now(UTC) - timedelta(seconds=READINGS + 8)
    for number in range(READINGS):
        at = (start + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        fans.publish_all(
            [
                (
                    f"fan/messages/{name}",
                    json.dumps(
                        {
                            "deviceID": name,
                            "timeStamp": at,
                            "seq": number,
                            "bootID": "broken",
                            "rotation": 430 + number,
                            "temperature": 51.0 + number / 10,
                            "vibration": 231.0 + number,
                            "sound": 55.0 + number / 10,
                        }
                    ),
                )
                for name in names
            ]
        )


@pytest.fixture
def fans(stack: Stack) -> Iterator[Connection]:
    connection = sign_in("simulator", stack.password("mqtt-simulator"))
    yield connection
    connection.close()


def wait_faults(*names: str) -> dict[str, dict[str, Any]]:
    return wait_until(
        lambda: found if set(names) <= set(found := faults()) else None,
        within_s=90,
        what=f"alarms of {names}, while there are {sorted(faults())}",
    )


def test_the_password_that_the_readme_names_opens_the_page_and_another_does_not(stack: Stack) -> None:
    shown = stack.compose("run", "--rm", "--no-deps", "-T", "setup", "show", "page").strip()
    operator = Operator("operator", shown)
    assert (operator.status, operator.landed) == (200, f"{PAGE}/alarms")
    assert operator.may_see_the_log()
    wrong = Operator("operator", shown[:-1])
    assert wrong.status == 403
    assert not wrong.may_see_the_log()


def test_alarms_and_accounts_lie_in_a_volume_that_is_the_monitors_alone(stack: Stack) -> None:
    container = stack.containers()["monitor"]
    [mount] = [each for each in container["Mounts"] if each["Destination"] == DATA]
    assert (mount["Type"], mount["Name"], mount["RW"]) == ("volume", f"{PROJECT}_monitor-data", True)
    owners = stack.execute(
        "monitor", "sh", "-c", f"stat -c '%n %u %g %a' {DATA} {DATA}/*"
    ).stdout.splitlines()
    rights = {line.split()[0].removeprefix(DATA): line.split()[1:] for line in owners}
    assert rights[""] == ["10001", "10001", "700"]
    assert {"/alarms.sqlite3", "/accounts.sqlite3"} <= set(rights)
    assert {tuple(each[:2]) for each in rights.values()} == {("10001", "10001")}
    elsewhere = [
        (service, each["Destination"])
        for service, other in stack.containers().items()
        for each in other["Mounts"]
        if service != "monitor" and each.get("Name") == mount["Name"]
    ]
    assert elsewhere == []


def test_an_acknowledged_alarm_an_account_and_a_session_outlive_a_kill_and_a_new_container(
    stack: Stack, fans: Connection
) -> None:
    password = "a password of kim's own"
    added = subprocess.run(
        [
            "docker",
            "compose",
            "-p",
            PROJECT,
            "exec",
            "-T",
            "monitor",
            "python",
            "-m",
            "monitor.login",
            "add",
            "kim",
        ],
        input=f"{password}\n",
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert added.stdout == "kim may sign in.\n", added.stderr
    kim = Operator("kim", password)
    assert kim.status == 200
    broken(fans, "compose-broken")
    alarm = wait_faults("compose-broken")["compose-broken"]
    kim.acknowledge(alarm["id"])

    def still() -> dict[str, Any] | None:
        found = faults().get("compose-broken")
        return found if found and kim.may_see_the_log() else None

    victim = stack.containers()["monitor"]
    kill(victim["State"]["Pid"])
    wait_until(
        lambda: stack.containers()["monitor"]["RestartCount"] == victim["RestartCount"] + 1,
        within_s=60,
        what="a restart by the engine",
    )
    after_kill = wait_until(still, within_s=60, what="the alarm after the kill")
    stack.compose("up", "--detach", "--wait", "--no-deps", "--force-recreate", "monitor")
    assert stack.containers()["monitor"]["Id"] != victim["Id"]
    after_recreation = wait_until(still, within_s=60, what="the alarm in the new container")
    for found in (after_kill, after_recreation):
        assert (found["id"], found["acknowledged_by"]) == (alarm["id"], "kim")
        assert found["raised"] == alarm["raised"]
    assert Operator("kim", password).status == 200


_RECEIVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print("CALL", self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *arguments):
        pass
http.server.HTTPServer(("", 8099), Handler).serve_forever()
"""


def test_people_are_called_at_the_address_that_was_kept_for_the_monitor_and_the_plants_file_is_the_sites(
    stack: Stack, fans: Connection
) -> None:
    receiver = f"{PROJECT}-receiver"
    docker("rm", "--force", receiver, check=False)
    server = ("python:3.13-slim", "python", "-c", _RECEIVER)
    docker("run", "--detach", "--rm", "--name", receiver, "--network", f"{PROJECT}_front", *server)
    try:
        assert _keep("notify-urls", f"json://{receiver}:8099/") == "notify-urls is kept; restart monitor\n"
        stack.compose("restart", "monitor")
        broken(fans, "compose-calls")
        wait_faults("compose-calls")
        wait_until(
            lambda: "compose-calls" in docker("logs", receiver).stdout, within_s=60, what="a call to people"
        )
    finally:
        _keep("notify-urls", "")
        docker("rm", "--force", receiver, check=False)
        stack.compose("up", "--detach", "--wait", "--no-deps", "--force-recreate", "monitor")
    inside = stack.execute("monitor", "sh", "-c", "cat $FANWATCH_PLANT_FILE").stdout
    assert inside == (ROOT / "monitor" / "plant.toml").read_text()


def _keep(name: str, content: str) -> str:
    kept = subprocess.run(
        ["docker", "compose", "-p", PROJECT, "run", "--rm", "--no-deps", "-T", "setup", "keep", name],
        input=content,
        cwd=ROOT,
        env=os.environ | {"FANWATCH_BIND": BIND},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert kept.returncode == 0, kept.stderr
    return kept.stdout


def test_the_report_and_the_labels_can_be_had_of_the_running_monitor(stack: Stack) -> None:
    command = ("monitor", "python", "-m", "monitor.alarms")
    report = json.loads(stack.execute(*command, "report", "--json").stdout)
    assert report["alarms"] >= 1
    labels = stack.execute(*command, "labels", "--out", "-").stdout
    assert labels.startswith("deviceID,from,to,label,kind,faulty")


def test_a_monitor_that_is_killed_while_fans_break_raises_the_alarm_of_each(
    stack: Stack, fans: Connection
) -> None:
    names = [f"compose-breaks-{number}" for number in range(20)]
    telling = threading.Thread(target=broken, args=(fans, *names))
    telling.start()
    for _ in range(2):
        pid = wait_until(
            lambda: stack.containers()["monitor"]["State"]["Pid"] or None,
            within_s=60,
            what="a running monitor",
        )
        kill(pid)
    telling.join(60)
    assert not telling.is_alive()
    wait_faults(*names)
    with_history = requests.get(f"{PAGE}/api/fans/{names[0]}/history", timeout=10).json()["past"]
    assert [each["kind"] for each in with_history].count("machine_fault") == 1


def test_the_monitors_memory_is_enough_for_what_it_went_through(stack: Stack, report: list[str]) -> None:
    """2,000 fans, ten readings of each: the processes' anonymous memory stays far from the limit."""
    container = stack.containers()["monitor"]
    assert not container["State"]["OOMKilled"]
    predictor = sign_in("predictor", stack.password("mqtt-predictor"))
    try:
        now = datetime.now(UTC)
        for number in range(10):
            at = (now - timedelta(seconds=20 - number)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            predictor.publish_all(
                [
                    (
                        f"fan/anomaly/many-{fan}",
                        json.dumps(
                            {
                                "deviceID": f"many-{fan}",
                                "timeStamp": at,
                                "seq": number,
                                "bootID": "many",
                                "rotation": 600 + number,
                                "temperature": 40 + number / 10,
                                "vibration": 150 + number,
                                "sound": 48 + number / 10,
                                "fault": 0,
                                "probability": 0.02,
                                "model": "fan:1",
                            }
                        ),
                    )
                    for fan in range(2000)
                ]
            )
    finally:
        predictor.close()

    def taken() -> bool:
        metrics = requests.get(f"{PAGE}/metrics", timeout=10).text
        waiting = re.search(r"^fanwatch_monitor_waiting ([0-9.e+]+)$", metrics, re.MULTILINE)
        return waiting is not None and float(waiting[1]) == 0

    wait_until(taken, within_s=120, what="2,000 fans to be diagnosed")
    stats = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", container["Id"]).stdout.strip()
    peak = stack.execute(
        "monitor",
        "python",
        "-c",
        "print(sum(int(l.split()[1]) for p in __import__('glob').glob('/proc/[0-9]*/status')"
        " for l in open(p) if l.startswith('RssAnon')))",
    ).stdout.strip()
    report.append(f"monitor after 2,000 fans: {stats}, {int(peak) / 1024:.0f} MB of it its own")
    assert int(peak) * 1024 < container["HostConfig"]["Memory"] * 0.75
    state = stack.containers()["monitor"]["State"]
    assert (state["OOMKilled"], state["Running"]) == (False, True)
