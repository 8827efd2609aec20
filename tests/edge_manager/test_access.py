"""Letting fans and clients in and out again: what the files say, and what the real broker then does."""

import json
import signal
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from edge_manager.commands import app
from edge_manager.site.access import Access, AccessError
from edge_manager.site.broker_access import BrokerUser, Kind
from edge_manager.site.broker_users import update_password_file
from edge_manager.site.credentials import CREDENTIALS, MOSQUITTO, OPERATOR, password_of
from edge_manager.site.preparation import ACL_FILE, PASSWORD_FILE, USERS_FILE
from testbed.mosquitto import Mosquitto
from testbed.site import ACL, Site
from testbed.waiting import wait_until

runner = CliRunner()


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """A command configures the log of its whole process, which here is that of the tests."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def somewhere(tmp_path: Path) -> Site:
    return Site(tmp_path)


def access_of(site: Site) -> Access:
    return Access(site.store, ACL.read_text())


def call(site: Site, *arguments: str, code: int = 0, names: str = "") -> str:
    """One command of the setup container; what it writes for people or programs."""
    environment = {
        "FANWATCH_SECRETS_ROOT": str(site.folder / "secrets"),
        "FANWATCH_ACL_FILE": str(ACL),
        "FANWATCH_HOSTNAMES": names,
    }
    result = runner.invoke(app, list(arguments), env=environment)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.stdout if code == 0 else result.stderr


def files(site: Site) -> dict[str, str | None]:
    return {
        PASSWORD_FILE: site.store.read(MOSQUITTO, PASSWORD_FILE),
        ACL_FILE: site.store.read(MOSQUITTO, ACL_FILE),
        USERS_FILE: site.store.read(OPERATOR, USERS_FILE),
    }


# --- files ------------------------------------------------------------------------------------------


def test_what_is_added_and_removed_leaves_the_files_as_they_were(somewhere: Site) -> None:
    access = access_of(somewhere)
    before = files(somewhere)
    access.add(BrokerUser("fan-7", Kind.FAN))
    access.add(BrokerUser("historian", Kind.CLIENT, read=("fan/#",)))
    assert files(somewhere) != before
    access.remove("historian")
    access.remove("fan-7")
    assert files(somewhere) == before | {USERS_FILE: "[]"}


def test_setting_up_again_keeps_whom_people_added(somewhere: Site) -> None:
    access_of(somewhere).add(BrokerUser("historian", Kind.CLIENT, read=("fan/#",)))
    before = files(somewhere)
    somewhere.use_rules(ACL.read_text())
    assert files(somewhere) == before


def test_a_password_stands_nowhere(somewhere: Site) -> None:
    granted = access_of(somewhere).add(BrokerUser("fan-7", Kind.FAN))
    held = [path.read_text() for path in (somewhere.folder / "secrets").rglob("*") if path.is_file()]
    assert len(held) > len(CREDENTIALS)
    assert not any(granted.password in text for text in held)


@pytest.mark.parametrize("name", ["predictor", "probe", "legacy", "certificate", "influxdb-admin"])
def test_a_name_of_our_own_is_nobodys(somewhere: Site, name: str) -> None:
    with pytest.raises(AccessError, match="choose another"):
        access_of(somewhere).add(BrokerUser(name, Kind.FAN))


def test_who_is_there_is_not_added_again_under_another_kind(somewhere: Site) -> None:
    access = access_of(somewhere)
    access.add(BrokerUser("fan-7", Kind.FAN))
    before = files(somewhere)
    with pytest.raises(AccessError, match="there already"):
        access.add(BrokerUser("fan-7", Kind.CLIENT, read=("#",)))
    assert files(somewhere) == before


def test_who_was_half_added_when_the_power_went_is_added_by_asking_again(somewhere: Site) -> None:
    access = access_of(somewhere)
    before = somewhere.store.read(MOSQUITTO, PASSWORD_FILE)
    access.add(BrokerUser("fan-7", Kind.FAN))
    somewhere.store.replace(MOSQUITTO, PASSWORD_FILE, f"{before}\n")
    assert "fan-7" not in [each.name for each in access.users()]
    access.add(BrokerUser("fan-7", Kind.FAN))
    assert "fan-7" in [each.name for each in access.users()]


@pytest.mark.parametrize("name", ["simulator", "predictor", "monitor", "drift", "telegraf"])
def test_a_services_new_password_is_in_its_own_file_and_in_the_brokers(somewhere: Site, name: str) -> None:
    credential = CREDENTIALS[f"mqtt-{name}"]
    before, others = somewhere.mqtt_password(name), files(somewhere)
    rotated = access_of(somewhere).rotate(name)
    assert (rotated.granted, rotated.restart) == (None, credential.reader.name)
    assert password_of(somewhere.store, credential) != before
    changed = {
        line.partition(":")[0]
        for line in str(files(somewhere)[PASSWORD_FILE]).splitlines()
        if line not in str(others[PASSWORD_FILE])
    }
    assert changed == {name}


def test_the_probes_new_password_is_in_the_options_of_the_health_check(somewhere: Site) -> None:
    assert access_of(somewhere).rotate("probe").restart is None
    assert somewhere.mqtt_password("probe") in str(somewhere.store.read(MOSQUITTO, "probe_options"))


def test_the_flat_topics_new_password_is_handed_out(somewhere: Site) -> None:
    granted = access_of(somewhere).rotate("legacy").granted
    assert granted is not None
    assert granted.password == somewhere.mqtt_password("legacy")
    assert granted.publish == ("fan/messages",)


def test_a_user_that_was_made_by_hand_is_listed_and_can_be_removed(somewhere: Site) -> None:
    text = somewhere.store.read(MOSQUITTO, PASSWORD_FILE) or ""
    by_hand = update_password_file(text + "\n", {"fan-9": "x"}, {"fan-9": bytes(64)})
    somewhere.store.replace(MOSQUITTO, PASSWORD_FILE, by_hand)
    access = access_of(somewhere)
    assert [each.name for each in access.users() if each.kind == "made by hand"] == ["fan-9"]
    with pytest.raises(AccessError, match="made by hand"):
        access.rotate("fan-9")
    access.remove("fan-9")
    assert "fan-9" not in [each.name for each in access.users()]


# --- commands ---------------------------------------------------------------------------------------


def test_the_handout_of_a_fan_has_all_that_it_needs(somewhere: Site) -> None:
    text = call(somewhere, "add", "fan", "fan-7", names="fans.example,192.168.1.20")
    for needed in ("192.168.1.20", "fans.example", "8883", "fan-7", "fan/messages/fan-7"):
        assert needed in text
    assert somewhere.authority.read_text() in text
    assert "PRIVATE" not in text


def test_the_handout_for_a_program_is_one_json_object(somewhere: Site) -> None:
    handout = json.loads(call(somewhere, "add", "client", "historian", "--json", names="fans.example"))
    assert handout["host"] == "fans.example"
    assert handout["subscribe"] == ["fan/alarms/#", "fan/anomaly/#"]
    assert handout["publish"] == []
    assert handout["ca_certificate"] == somewhere.authority.read_text()


def test_a_client_may_do_what_is_said_and_no_more(somewhere: Site) -> None:
    handout = json.loads(call(somewhere, "add", "client", "erp", "--json", "--write", "plant/orders"))
    assert (handout["publish"], handout["subscribe"]) == (["plant/orders"], [])


def test_the_list_says_who_may_do_what_and_no_password(somewhere: Site) -> None:
    handout = json.loads(call(somewhere, "add", "fan", "fan-7", "--json"))
    call(somewhere, "add", "client", "historian")
    text = call(somewhere, "users")
    lines = {line.split()[0]: line for line in text.splitlines()}
    assert "writes fan/messages/fan-7" in lines["fan-7"]
    assert "reads fan/alarms/#, reads fan/anomaly/#" in lines["historian"]
    assert lines["predictor"].split()[1] == "service"
    assert handout["password"] not in text
    listed = json.loads(call(somewhere, "users", "--json"))
    assert {each["name"] for each in listed} == set(lines)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "fan", "two words"), "cannot be a name"),
        (("add", "fan", "predictor"), "choose another"),
        (("add", "client", "x", "--read", "fan/#/x"), "is no topic"),
        (("remove", "nobody"), "there is no user nobody"),
        (("remove", "monitor"), "cannot be removed"),
        (("rotate", "nobody"), "there is no user nobody"),
        (("rotate", "page"), "on the live page"),
        (("rotate", "grafana"), "in Grafana"),
    ],
)
def test_a_mistake_gets_a_sentence_and_changes_nothing(
    somewhere: Site, arguments: tuple[str, ...], sentence: str
) -> None:
    before = files(somewhere)
    error = call(somewhere, *arguments, code=1)
    assert error.startswith("error: ")
    assert sentence in error
    assert files(somewhere) == before


def test_before_setup_a_command_says_so_and_makes_nobody(tmp_path: Path) -> None:
    environment = {"FANWATCH_SECRETS_ROOT": str(tmp_path), "FANWATCH_ACL_FILE": str(ACL)}
    result = runner.invoke(app, ["add", "fan", "fan-7"], env=environment)
    assert result.exit_code == 1
    assert "not set up yet" in result.stderr
    assert not (tmp_path / "mosquitto").exists()


def test_the_brokers_certificate_is_made_anew_when_asked_for(somewhere: Site) -> None:
    before = somewhere.store.read(MOSQUITTO, "mosquitto_tls.pem")
    authority = somewhere.authority.read_text()
    call(somewhere, "rotate", "certificate")
    assert somewhere.store.read(MOSQUITTO, "mosquitto_tls.pem") != before
    assert somewhere.authority.read_text() == authority


# --- the real broker --------------------------------------------------------------------------------


def gets_in(broker: Mosquitto, user: str, password: str) -> bool:
    """Encrypted, by what the handout gives."""
    try:
        context = ssl.create_default_context(cafile=str(broker.site.authority))
        broker.connect(user, password, tls=context).close()
    except ConnectionRefusedError:
        return False
    return True


def test_the_life_of_a_fan_at_a_running_broker(new_site: Callable[[], Site]) -> None:
    with Mosquitto(new_site()) as broker, broker.connect("predictor") as predictor:
        predictor.subscribe("fan/messages/#")

        def reload_until(user: str, password: str, *, there: bool) -> None:
            broker.send(signal.SIGHUP)
            wait_until(lambda: gets_in(broker, user, password) is there, within_s=10, what=f"{user}: {there}")

        first = json.loads(call(broker.site, "add", "fan", "fan-7", "--json"))
        assert not gets_in(broker, "fan-7", first["password"])
        reload_until("fan-7", first["password"], there=True)
        with broker.connect("fan-7", first["password"]) as fan:
            fan.publish(first["publish"][0], "hello")
            assert predictor.next().payload == b"hello"

            second = json.loads(call(broker.site, "rotate", "fan-7", "--json"))["handout"]
            reload_until("fan-7", second["password"], there=True)
            assert fan.disconnected.wait(10)
        assert not gets_in(broker, "fan-7", first["password"])

        with broker.connect("fan-7", second["password"]) as fan:
            call(broker.site, "remove", "fan-7")
            reload_until("fan-7", second["password"], there=False)
            assert fan.disconnected.wait(10)
        assert not predictor.disconnected.is_set()


def test_a_client_reads_verdicts_and_cannot_pass_for_a_fan(new_site: Callable[[], Site]) -> None:
    with Mosquitto(new_site()) as broker:
        handout = json.loads(call(broker.site, "add", "client", "historian", "--json"))
        broker.restart()
        with (
            broker.connect("historian", handout["password"]) as historian,
            broker.connect("predictor") as predictor,
        ):
            for topic in ("fan/#", "nothing"):
                historian.subscribe(topic)
            predictor.subscribe("fan/messages/#")
            for topic in ("fan/messages/historian", "fan/messages", "fan/anomaly/1"):
                historian.publish(topic, "forged")
            predictor.publish("fan/rejected", "not for it")
            predictor.publish("fan/anomaly/1", "a verdict")
            assert historian.next().payload == b"a verdict"
            predictor.settle()
            assert predictor.messages.empty()


def test_a_service_with_a_new_password_signs_in_again_and_finds_what_waited(
    new_site: Callable[[], Site],
) -> None:
    with Mosquitto(new_site()) as broker:
        with broker.connect("predictor", client_id="p", session_expiry_s=600) as predictor:
            predictor.subscribe("fan/messages/#")
            old = broker.site.mqtt_password("predictor")
            assert json.loads(call(broker.site, "rotate", "predictor", "--json"))["restart"] == "predictor"
            broker.send(signal.SIGHUP)
            assert predictor.disconnected.wait(10)
        with pytest.raises(ConnectionRefusedError):
            broker.connect("predictor", old)
        with broker.connect("simulator") as fan:
            fan.publish("fan/messages/1", "meanwhile")
        with broker.connect("predictor", client_id="p", clean_start=False, session_expiry_s=600) as predictor:
            assert predictor.next().payload == b"meanwhile"
