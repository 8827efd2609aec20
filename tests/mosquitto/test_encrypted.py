"""The shipped broker against listening in: TLS for whatever leaves the machine, and what SIGHUP does."""

import itertools
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from edge_manager.site.certificates import make_authority, server_names
from edge_manager.site.preparation import prepare_certificates
from testbed.mosquitto import ACL, CONFIGURATION, Connection, Mosquitto
from testbed.process import with_line
from testbed.site import Site
from testbed.waiting import wait_until

FAN = "fan-7"
PASSWORD = "a fan's password"
_numbers = itertools.count()
TLS_1_1 = ssl.TLSVersion.TLSv1_1


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    site = Site(tmp_path_factory.mktemp("tls"))
    site.add_fan(FAN, PASSWORD)
    with Mosquitto(site) as server:
        yield server


def trusting(site: Site) -> ssl.SSLContext:
    """What a device that was given the site's authority has."""
    return ssl.create_default_context(cafile=str(site.authority))


def certificate_of(broker: Mosquitto) -> bytes:
    """What the broker shows to a new connection."""
    with (
        socket.create_connection((broker.host, broker.tls_port), timeout=10) as plain,
        trusting(broker.site).wrap_socket(plain, server_hostname=broker.host) as encrypted,
    ):
        return encrypted.getpeercert(binary_form=True) or b""


def test_a_fan_with_the_sites_authority_publishes_encrypted(broker: Mosquitto) -> None:
    with (
        broker.connect("predictor") as predictor,
        broker.connect(FAN, PASSWORD, tls=trusting(broker.site)) as fan,
    ):
        predictor.subscribe("fan/messages/#")
        fan.publish(f"fan/messages/{FAN}", "encrypted")
        assert predictor.next().payload == b"encrypted"


def test_a_fan_of_another_site_does_not_give_the_broker_its_password(broker: Mosquitto) -> None:
    other = ssl.create_default_context(cadata=make_authority(datetime.now(UTC)).certificate)
    with pytest.raises(ssl.SSLCertVerificationError):
        broker.connect(FAN, PASSWORD, tls=other)
    # What the README tells people to look for.
    wait_until(lambda: "alert unknown ca" in broker.log(), within_s=10, what="a line in the log")


def test_no_clear_text_is_taken_on_the_encrypted_port(broker: Mosquitto) -> None:
    with socket.create_connection((broker.host, broker.tls_port), timeout=10) as plain:
        # CONNECT of MQTT 3.1.1, as any client in clear begins.
        plain.sendall(bytes.fromhex("101000044d5154540402003c000466616e37"))
        try:
            answer = plain.recv(100)
        except ConnectionResetError:
            answer = b""
    assert answer[:1] != b"\x20", "a CONNACK"
    wait_until(lambda: "wrong version number" in broker.log(), within_s=10, what="a line in the log")


def test_without_its_certificate_the_second_port_is_in_clear(new_site: Callable[[], Site]) -> None:
    changed = CONFIGURATION.read_text()
    for option in ("certfile", "keyfile"):
        changed = changed.replace(f"{option} /run/fanwatch/mosquitto_tls.pem\n", "")
    with Mosquitto(new_site(), changed) as broker:
        broker.port = broker.tls_port
        broker.connect("simulator").close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(broker: Mosquitto, version: ssl.TLSVersion) -> None:
    context = trusting(broker.site)
    context.minimum_version = context.maximum_version = version
    broker.connect(FAN, PASSWORD, tls=context).close()


def old_client(site: Site) -> ssl.SSLContext:
    """A client that speaks TLS 1.1 alone, as OpenSSL still does when it is asked to in so many words."""
    context = trusting(site)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = context.maximum_version = TLS_1_1
    return context


@pytest.mark.filterwarnings("ignore:.*TLSv1_1 is deprecated:DeprecationWarning")
def test_tls_1_1_is_refused(broker: Mosquitto) -> None:
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        broker.connect(FAN, PASSWORD, tls=old_client(broker.site))


@pytest.mark.filterwarnings("ignore:.*TLSv1_1 is deprecated:DeprecationWarning")
def test_with_an_older_version_allowed_tls_1_1_gets_in(new_site: Callable[[], Site]) -> None:
    changed = with_line(
        CONFIGURATION, "tls_version tlsv1.2", "tls_version tlsv1.1\nciphers DEFAULT@SECLEVEL=0"
    )
    with Mosquitto(new_site(), changed) as broker:
        broker.connect("simulator", tls=old_client(broker.site)).close()


@pytest.mark.parametrize("encrypted", [False, True])
def test_both_listeners_refuse_the_nameless_and_hold_a_fan_to_its_own_topic(
    broker: Mosquitto, encrypted: bool
) -> None:
    def tls() -> ssl.SSLContext | None:
        return trusting(broker.site) if encrypted else None

    for user, password in ((None, None), (FAN, "wrong"), ("nobody", "x")):
        with pytest.raises(ConnectionRefusedError):
            broker.connect(user, password, tls=tls())
    with broker.connect("predictor") as predictor, broker.connect(FAN, PASSWORD, tls=tls()) as fan:
        predictor.subscribe("fan/messages/#")
        fan.publish("fan/messages/other", "forged")
        fan.publish(f"fan/messages/{FAN}", "own")
        assert predictor.next().payload == b"own"


# --- SIGHUP -----------------------------------------------------------------------------------------


def reload(broker: Mosquitto) -> None:
    """SIGHUP, and waits until the broker has read everything again: until it knows a user that is new with it."""
    marker = f"marker-{next(_numbers)}"
    broker.site.add_fan(marker, "x")
    broker.send(signal.SIGHUP)

    def is_known() -> bool:
        try:
            broker.connect(marker, "x").close()
        except ConnectionRefusedError:
            return False
        return True

    wait_until(is_known, within_s=10, what="the broker to reload")


def test_a_renewed_certificate_is_shown_after_a_reload_and_nobody_is_cut_off(
    new_site: Callable[[], Site],
) -> None:
    with Mosquitto(new_site()) as broker:
        before = certificate_of(broker)
        with broker.connect("simulator", tls=trusting(broker.site)) as fan:
            prepare_certificates(broker.site.store, server_names(["fans.example"]), datetime.now(UTC))
            assert certificate_of(broker) == before
            reload(broker)
            assert certificate_of(broker) != before
            fan.publish("fan/messages/1", "still here")
            assert not fan.disconnected.is_set()


def test_whoevers_password_changed_or_went_is_cut_off_by_a_reload(new_site: Callable[[], Site]) -> None:
    site = new_site()
    site.add_fan("kept", "p1")
    site.add_fan("rotated", "p2")
    site.add_fan("removed", "p3")
    with Mosquitto(site) as broker:
        kept, rotated, removed = (
            broker.connect(name, word, client_id=name, session_expiry_s=3600)
            for name, word in (("kept", "p1"), ("rotated", "p2"), ("removed", "p3"))
        )
        site.add_fan("rotated", "another")
        site.remove_fan("removed")
        reload(broker)
        assert rotated.disconnected.wait(10)
        assert removed.disconnected.wait(10)
        kept.publish("fan/messages/kept", "x")
        assert not kept.disconnected.is_set()
        for each in (kept, rotated, removed):
            each.close()
        broker.connect("rotated", "another").close()
        with pytest.raises(ConnectionRefusedError):
            broker.connect("removed", "p3")


def waiting_in(session: Connection) -> list[bytes | bytearray]:
    """What waited for a session that is there again, up to the message "end"."""
    found: list[bytes | bytearray] = []
    while (payload := session.next().payload) != b"end":
        found.append(payload)
    return found


@pytest.mark.parametrize("restarted", [False, True])
def test_what_waits_for_a_service_that_is_away_survives_reloads(
    new_site: Callable[[], Site], restarted: bool
) -> None:
    """A session that is away has no password that a reload could check, least of all after a start."""

    def predictor(*, new: bool = False) -> Connection:
        return server.connect("predictor", client_id="p", clean_start=new, session_expiry_s=3600)

    with Mosquitto(new_site()) as server:
        with predictor(new=True) as session:
            session.subscribe("fan/messages/#")
        with server.connect("simulator") as fan:
            fan.publish_all([("fan/messages/1", f"{n}") for n in range(10)])
        if restarted:
            server.restart(killed=True)
        for _ in range(3):
            reload(server)
        with server.connect("simulator") as fan:
            fan.publish("fan/messages/1", "end")
        with predictor() as session:
            assert waiting_in(session) == [f"{n}".encode() for n in range(10)]


def test_nothing_waits_for_a_client_whose_right_to_read_was_taken(new_site: Callable[[], Site]) -> None:
    site = new_site()
    with Mosquitto(site) as broker:
        with broker.connect("telegraf", client_id="t", session_expiry_s=3600) as session:
            session.subscribe("fan/messages/#")
        site.use_rules(ACL.read_text().replace("user telegraf\n", "user somebody-else\n"))
        reload(broker)
        with broker.connect("simulator") as fan:
            fan.publish_all([("fan/messages/1", "x")])
        with broker.connect("telegraf", client_id="t", clean_start=False, session_expiry_s=3600) as session:
            session.settle()
            assert session.messages.empty()


def test_what_setup_has_written_is_taken_by_the_next_health_check(new_site: Callable[[], Site]) -> None:
    with Mosquitto(new_site()) as broker:
        assert broker.check_health()
        before = certificate_of(broker)
        prepare_certificates(broker.site.store, server_names(["fans.example"]), datetime.now(UTC))
        assert broker.check_health()
        wait_until(lambda: certificate_of(broker) != before, within_s=10, what="the renewed certificate")


def test_a_health_check_reloads_once_for_each_change(new_site: Callable[[], Site]) -> None:
    """A reload asks every device's password again, which takes the broker a millisecond each."""
    changed = with_line(CONFIGURATION, "log_type notice", "log_type notice\nlog_type information")
    with Mosquitto(new_site(), changed) as broker:

        def reloads() -> int:
            # The check's own sign-in comes behind the reload.
            assert broker.check_health()
            return broker.log(last=1_000_000).count("Reloading config")

        assert [reloads(), reloads(), reloads()] == [1, 1, 1]
        broker.site.add_fan("fan-7", PASSWORD)
        assert [reloads(), reloads()] == [2, 2]


def test_without_a_health_check_or_a_signal_what_was_written_is_not_read(
    new_site: Callable[[], Site],
) -> None:
    site = new_site()
    site.add_fan(FAN, PASSWORD)
    with Mosquitto(site) as broker:
        site.remove_fan(FAN)
        broker.connect(FAN, PASSWORD).close()
