"""`fanwatch up` and `fanwatch down` on a Docker engine: what a person types in the morning and before a move."""

import json
import socket

from testbed.containers import BIND, Stack, fanwatch, sign_in
from testbed.readings import now_ms, reading
from testbed.waiting import wait_until


def verdict_comes(stack: Stack, device_id: str) -> None:
    """Also where the predictor is still on its way to the broker: a reading waits for it there."""
    with (
        sign_in("monitor", stack.password("mqtt-monitor")) as monitor,
        sign_in("legacy", stack.password("mqtt-legacy")) as fan,
    ):
        monitor.subscribe("fan/anomaly")
        fan.publish("fan/messages", reading(device_id, now_ms(), seq=1))
        wait_until(
            lambda: json.loads(monitor.next(60).payload)["deviceID"] == device_id,
            within_s=60,
            what=f"the verdict of {device_id}",
        )


def stored(stack: Stack, device_id: str) -> int:
    rows = stack.query(f"SELECT count(rotation) FROM telemetry WHERE \"deviceID\" = '{device_id}'")
    return int(rows[0]["count"]) if rows else 0


def test_a_site_goes_down_and_comes_up_again_with_its_passwords_and_readings(stack: Stack) -> None:
    password = stack.password("mqtt-monitor")
    verdict_comes(stack, "before")
    wait_until(lambda: stored(stack, "before") == 1, within_s=60, what="the reading in InfluxDB")

    down = fanwatch("down")
    assert down.returncode == 0, down.stderr
    assert stack.compose("ps", "--all", "--quiet") == ""

    # By name: where its image cannot be had, without Grafana.
    up = fanwatch("up", *stack.services)
    assert up.returncode == 0, up.stderr
    assert f"live page        http://{BIND}:8080" in up.stdout
    assert "Fanwatch runs." in up.stdout
    assert all(
        state["Health"]["Status"] == "healthy"
        for state in (container["State"] for container in stack.containers().values())
        if state["Running"] and "Health" in state
    )
    assert stack.password("mqtt-monitor") == password
    assert stored(stack, "before") == 1
    verdict_comes(stack, "after")


def test_a_port_that_is_taken_is_named_in_the_end(stack: Stack) -> None:
    fanwatch("down")
    with socket.create_server((BIND, 8080)):
        up = fanwatch("up", *stack.services)
    assert up.returncode == 1
    assert "Traceback" not in up.stderr
    assert "8080" in up.stderr
    assert "monitor" in up.stderr.splitlines()[-1]
