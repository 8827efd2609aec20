"""A mistake on the command line gets a sentence, and a replay publishes what the file holds."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.mosquitto import Mosquitto
from testbed.ports import free_port
from testbed.site import Site

HEADER = "DeviceID,Time,Rotation,Temperature,Vibration,Sound,Faulty\n"


def simulator(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simulator", *arguments],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def recording(folder: Path, rows: int) -> Path:
    file = folder / "recorded.csv"
    lines = [f"replayed-{n % 3},2016-01-03 06:20:{n:02d},6{n:02d}.5,40,150,48,{n % 2}\n" for n in range(rows)]
    file.write_text(HEADER + "".join(lines))
    return file


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--fault", "9"], "there is no fan '9': the fans are 1 to 6"),
        (["--condition", "5=broken"], "expected FAN=CONDITION"),
        (["--rate", "0"], "--rate 0: expected 0.001 to 1000 readings a second"),
        (["--fans", "1000000", "--rate", "1"], "expected at most 100,000 in all"),
        (["replay", "/nowhere/fan.csv"], "/nowhere/fan.csv: No such file or directory"),
        (["command", "a/b", "faulty"], "fan 'a/b': expected 1 to 64 letters"),
        (["command", "5", "faulty", "--over", "10"], "only wearing takes a time"),
        (["command", "5", "broken"], "'broken' is not one of 'healthy', 'faulty'"),
    ],
)
def test_a_mistake_gets_a_sentence_and_exit_code_2(arguments: list[str], sentence: str) -> None:
    answer = simulator(*arguments)
    assert answer.returncode == 2
    assert sentence in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_csv_with_a_wrong_column_is_refused_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "wrong.csv"
    file.write_text(HEADER.replace("Vibration", "Shaking") + "1,2016-01-03 06:20:39,600,40,150,48,0\n")
    answer = simulator("replay", str(file))
    assert answer.returncode == 2
    assert "column Vibration is missing (found instead: Shaking)" in answer.stderr


def test_speed_is_refused_for_a_file_that_is_not_in_order_of_time(tmp_path: Path) -> None:
    file = tmp_path / "shuffled.csv"
    row = "1,{},600,40,150,48,0\n"
    file.write_text(HEADER + row.format("2016-01-03 06:20:39") + row.format("2016-01-02 06:20:39"))
    answer = simulator("replay", str(file), "--speed", "60")
    assert answer.returncode == 2
    assert "not in order of time" in answer.stderr


def test_a_wrong_setting_is_named() -> None:
    answer = simulator("replay", "x.csv", FANWATCH_MQTT_PORT="mqtt")
    assert answer.returncode == 2
    assert "FANWATCH_MQTT_PORT='mqtt'" in answer.stderr


def test_a_broker_that_is_not_there_gets_a_sentence() -> None:
    answer = simulator("command", "5", "faulty", "--mqtt-port", str(free_port()))
    assert answer.returncode == 1
    assert "cannot reach the broker at 127.0.0.1:" in answer.stderr


def test_a_port_that_is_taken_gets_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = simulator(FANWATCH_LISTEN_PORT=str(port), FANWATCH_MQTT_PORT=str(free_port()))
    assert answer.returncode == 1
    assert f"cannot serve /metrics on 127.0.0.1:{port}: Address already in use" in answer.stderr


def replay(broker: Mosquitto, *arguments: str) -> subprocess.CompletedProcess[str]:
    return simulator(
        "replay",
        *arguments,
        FANWATCH_MQTT_HOST=broker.host,
        FANWATCH_MQTT_PORT=str(broker.port),
        FANWATCH_MQTT_USERNAME="simulator",
        FANWATCH_SECRETS_DIR=str(broker.site.secrets_of("simulator")),
    )


def test_a_replay_publishes_every_row_in_order_stamped_with_now(mosquitto: Mosquitto, tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    with mosquitto.connect("telegraf") as connection:
        connection.subscribe("fan/messages/#")
        answer = replay(mosquitto, str(recording(tmp_path, 50)), "--rate", "1000", "--truth", str(truth))
        assert answer.returncode == 0, answer.stderr
        assert "50/50" in answer.stderr  # the progress bar
        bodies: list[dict[str, object]] = []
        while len(bodies) < 50:
            body = json.loads(connection.next().payload)
            if str(body["deviceID"]).startswith("replayed-"):
                bodies.append(body)
    assert [body["rotation"] for body in bodies] == [600.5 + n for n in range(50)]
    assert not any(str(body["timeStamp"]).startswith("2016") for body in bodies)
    assert all(set(body) & {"Faulty", "fault", "faulty"} == set() for body in bodies)
    labels = [json.loads(line)["fault"] for line in truth.read_text().splitlines()]
    assert {0, 1} == set(labels)


def test_a_replay_may_keep_the_recorded_times(mosquitto: Mosquitto, tmp_path: Path) -> None:
    with mosquitto.connect("telegraf") as connection:
        connection.subscribe("fan/messages/replayed-0")
        answer = replay(mosquitto, str(recording(tmp_path, 1)), "--keep-time", "--speed", "10")
        assert answer.returncode == 0, answer.stderr
        assert json.loads(connection.next().payload)["timeStamp"] == "2016-01-03T06:20:00.000Z"


def encrypted(broker: Mosquitto, ca_file: Path) -> dict[str, str]:
    """What a person sets who replays at a site."""
    return {
        "FANWATCH_MQTT_HOST": broker.host,
        "FANWATCH_MQTT_PORT": str(broker.tls_port),
        "FANWATCH_MQTT_USERNAME": "simulator",
        "FANWATCH_MQTT_CA_FILE": str(ca_file),
        "FANWATCH_SECRETS_DIR": str(broker.site.secrets_of("simulator")),
        "FANWATCH_LISTEN_PORT": str(free_port()),
        "FANWATCH_STOP_S": "2",
    }


def test_a_replay_to_a_site_is_encrypted_when_it_has_the_sites_authority(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    with mosquitto.connect("telegraf") as connection:
        connection.subscribe("fan/messages/replayed-0")
        variables = encrypted(mosquitto, mosquitto.site.authority)
        answer = simulator("replay", str(recording(tmp_path, 1)), **variables)
        assert answer.returncode == 0, answer.stderr
        assert json.loads(connection.next().payload)["deviceID"] == "replayed-0"


def test_a_command_goes_encrypted_too(mosquitto: Mosquitto) -> None:
    variables = encrypted(mosquitto, mosquitto.site.authority) | {
        "FANWATCH_MQTT_USERNAME": "monitor",
        "FANWATCH_SECRETS_DIR": str(mosquitto.site.secrets_of("monitor")),
    }
    with mosquitto.connect("simulator") as connection:
        connection.subscribe("fan/commands/encrypted-1")
        answer = simulator("command", "encrypted-1", "faulty", **variables)
        assert answer.returncode == 0, answer.stderr
        assert json.loads(connection.next().payload)["condition"] == "faulty"


def test_a_broker_of_another_site_gets_no_password_and_the_log_says_why(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    other = Site(tmp_path / "other")
    answer = simulator("replay", str(recording(tmp_path, 1)), **encrypted(mosquitto, other.authority))
    assert answer.returncode == 1
    assert "the broker has 0 of 1 readings" in answer.stderr
    assert "certificate verify failed" in answer.stderr
    answer = simulator("command", "5", "faulty", **encrypted(mosquitto, other.authority))
    assert answer.returncode == 1
    assert "certificate verify failed" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("arguments", [["simulate"], ["replay", "FILE"], ["command", "5", "faulty"]])
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_without_an_authority_is_refused_with_the_way_to_get_one(
    tmp_path: Path, arguments: list[str], content: str | None
) -> None:
    ca_file = tmp_path / "ca.crt"
    if content is not None:
        ca_file.write_text(content)
    arguments = [str(recording(tmp_path, 1)) if each == "FILE" else each for each in arguments]
    answer = simulator(*arguments, "--ca-file", str(ca_file), FANWATCH_LISTEN_PORT=str(free_port()))
    assert answer.returncode == 2
    assert ("No such file" if content is None else "setup show ca") in answer.stderr
    assert "Traceback" not in answer.stderr
