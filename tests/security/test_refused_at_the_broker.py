"""Who is not let in at the broker stands in its log: from where, as which client, and why."""

import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_manager.site.certificates import server_names
from edge_manager.site.credentials import MOSQUITTO, OPERATOR
from edge_manager.site.preparation import AUTHORITY_FILE, TLS_FILE, prepare_certificates
from testbed.mosquitto import Mosquitto
from testbed.site import Site
from testbed.waiting import wait_until

EVERYTHING = 10_000_000
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: "


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(Site(tmp_path_factory.mktemp("refused"))) as server:
        yield server


def logged(broker: Mosquitto, line: str, *, after: int = 0) -> None:
    """Waits until a line of the log, its time apart, is as the pattern says."""
    wait_until(
        lambda: re.search(f"{TIME}{line}$", broker.log(last=EVERYTHING)[after:], re.MULTILINE),
        within_s=10,
        what=f"{line!r} in the broker's log",
    )


@pytest.mark.parametrize("encrypted", [False, True], ids=["in clear", "encrypted"])
@pytest.mark.parametrize(
    ("user", "password"),
    [(None, None), ("predictor", "wrong"), ("predictor", ""), ("nobody", "x")],
    ids=["anonymous", "wrong password", "no password", "unknown user"],
)
def test_each_refused_sign_in_stands_in_the_log_with_client_and_address(
    broker: Mosquitto, user: str | None, password: str | None, encrypted: bool
) -> None:
    tls = ssl.create_default_context(cafile=str(broker.site.authority)) if encrypted else None
    began = len(broker.log(last=EVERYTHING))
    with pytest.raises(ConnectionRefusedError, match="Not authorized"):
        broker.connect(user, password, client_id="intruder", tls=tls)
    port = broker.tls_port if encrypted else broker.port
    logged(broker, rf"New connection from 127\.0\.0\.1:\d+ on port {port}\.", after=began)
    logged(broker, r"Client intruder \[127\.0\.0\.1:\d+\] disconnected: not authorised\.", after=began)
    assert "wrong" not in broker.log(last=EVERYTHING), "the password that was tried"


def test_a_broker_with_an_expired_certificate_is_given_no_password(tmp_path: Path) -> None:
    site = Site(tmp_path)
    # Set up three years ago and not since: the authority is good for 20 years, the certificate for 825 days.
    long_ago = datetime.now(UTC) - timedelta(days=3 * 365)
    site.store.remove(OPERATOR, AUTHORITY_FILE)
    site.store.remove(MOSQUITTO, TLS_FILE)
    prepare_certificates(site.store, server_names([]), long_ago)
    with Mosquitto(site) as broker:
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            broker.connect("simulator", tls=ssl.create_default_context(cafile=str(site.authority)))
        logged(broker, r"OpenSSL Error .*alert certificate expired")


def test_a_client_id_that_would_widen_the_access_rules_stands_in_the_log(broker: Mosquitto) -> None:
    with broker.connect("simulator", client_id="all#") as client:
        client.publish("other", "x")
    logged(broker, 'ACL denying access to client with dangerous client id "all#"')
