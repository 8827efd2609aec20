"""Setting up a site on a Docker engine: TLS at the published port; who is let in, changed, taken out."""

import json
import ssl

import pytest

from testbed import containers
from testbed.containers import BIND, Stack, kill, sign_in
from testbed.readings import now_ms, reading
from testbed.waiting import wait_until


def fanwatch(*arguments: str) -> str:
    done = containers.fanwatch(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trusting(stack: Stack) -> ssl.SSLContext:
    """What a device that was given the site's certificate has."""
    shown = stack.compose("run", "--rm", "--no-deps", "-T", "setup", "show", "ca")
    return ssl.create_default_context(cadata=shown)


def gets_in(user: str, password: str, trusting: ssl.SSLContext) -> bool:
    try:
        sign_in(user, password, tls=trusting).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_fan_is_let_in_over_tls_and_its_reading_gets_a_verdict(
    stack: Stack, trusting: ssl.SSLContext
) -> None:
    handout = json.loads(fanwatch("add", "fan", "site-1", "--json"))
    assert (handout["host"], handout["port"]) == (BIND, 8883)
    wait_until(lambda: gets_in("site-1", handout["password"], trusting), within_s=20, what="the fan")
    with pytest.raises(ssl.SSLCertVerificationError):
        sign_in("site-1", handout["password"], tls=ssl.create_default_context())
    with (
        sign_in("site-1", handout["password"], tls=trusting) as fan,
        sign_in("monitor", stack.password("mqtt-monitor")) as monitor,
    ):
        monitor.subscribe("fan/anomaly/site-1")
        fan.publish(handout["publish"][0], reading("site-1", now_ms(), seq=1))
        assert json.loads(monitor.next(60).payload)["deviceID"] == "site-1"


def test_who_is_removed_or_rotated_is_cut_off(stack: Stack, trusting: ssl.SSLContext) -> None:
    first = json.loads(fanwatch("add", "fan", "site-2", "--json"))["password"]
    wait_until(lambda: gets_in("site-2", first, trusting), within_s=20, what="the fan")
    with sign_in("site-2", first, tls=trusting) as fan:
        second = json.loads(fanwatch("rotate", "site-2", "--json"))["handout"]["password"]
        assert fan.disconnected.wait(20)
    assert not gets_in("site-2", first, trusting)
    with sign_in("site-2", second, tls=trusting) as fan:
        fanwatch("remove", "site-2")
        assert fan.disconnected.wait(20)
    assert "site-2" not in fanwatch("users")


def test_a_service_works_on_with_its_new_password(stack: Stack, trusting: ssl.SSLContext) -> None:
    for service, credential in (("predictor", "mqtt-predictor"), ("telegraf", "influxdb-telegraf")):
        before = stack.password(credential)
        fanwatch("rotate", credential.replace("mqtt-", ""))
        assert stack.password(credential) != before
        wait_until(
            lambda service=service: stack.containers()[service]["State"]["Health"]["Status"] == "healthy",  # type: ignore[misc]
            within_s=120,
            what=f"{service} to be healthy with its new password",
        )
    handout = json.loads(fanwatch("add", "fan", "site-3", "--json"))
    wait_until(lambda: gets_in("site-3", handout["password"], trusting), within_s=20, what="the fan")
    with sign_in("site-3", handout["password"], tls=trusting) as fan:
        fan.publish("fan/messages/site-3", reading("site-3", now_ms(), seq=1))
    wait_until(
        lambda: stack.query('SELECT "fault" FROM "anomaly" WHERE "deviceID" = \'site-3\''),
        within_s=60,
        what="the stored verdict",
    )


def test_after_a_reload_the_engine_still_starts_a_broker_again_that_crashed(
    stack: Stack, trusting: ssl.SSLContext
) -> None:
    """A signal by `docker kill` would count as a wish that it stay down."""
    fanwatch("rotate", "certificate")
    process = stack.containers()["mosquitto"]["State"]["Pid"]
    kill(process)
    wait_until(
        lambda: stack.containers()["mosquitto"]["State"]["Pid"] not in {0, process},
        within_s=60,
        what="the broker to run again",
    )
    probe = stack.password("mqtt-probe")
    wait_until(lambda: gets_in("probe", probe, trusting), within_s=60, what="the broker to serve")


def test_what_setup_renewed_is_shown_without_a_signal(stack: Stack) -> None:
    """As at any start: nobody sends a signal, the health check sees the file."""
    before = ssl.get_server_certificate((BIND, 8883))
    stack.compose("run", "--rm", "--no-deps", "-T", "setup", "rotate", "certificate")
    wait_until(
        lambda: ssl.get_server_certificate((BIND, 8883)) != before,
        within_s=40,
        what="the renewed certificate",
    )


def test_up_says_where_everything_is_and_logs_are_readable(stack: Stack) -> None:
    if not stack.left_out:
        said = fanwatch("up")
        assert f"{BIND}:8883" in said
    lines = fanwatch("logs", "predictor", "--tail", "50").splitlines()
    assert lines
    assert all("predictor" in line for line in lines)
    assert not any(line.startswith("{") for line in lines)
