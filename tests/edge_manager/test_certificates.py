"""The site's certificate authority and the broker's certificate, judged by the TLS library that checks them."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_manager.site.certificates import (
    RENEW_BEFORE,
    SERVER_LIFE,
    Authority,
    make_authority,
    make_server_certificate,
    reason_to_renew,
    server_names,
)
from edge_manager.site.credentials import MOSQUITTO, OPERATOR
from edge_manager.site.preparation import AUTHORITY_FILE, TLS_FILE, prepare_certificates
from testbed.site import Site

NOW = datetime.now(UTC)
NAMES = server_names(["fans.example", "192.168.1.20"])


def handshake(
    folder: Path, server: str, trusted: str, name: str, client: ssl.SSLContext | None = None
) -> str:
    """A whole TLS handshake in memory; the protocol's version."""
    file = folder / "server.pem"
    file.write_text(server)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(file)
    client_side = client or ssl.create_default_context(cadata=trusted)
    # What Python 3.13 does by itself.
    client_side.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client_side.wrap_bio(to_client, to_server, server_hostname=name)
    other = server_side.wrap_bio(to_server, to_client, server_side=True)
    ready: set[ssl.SSLObject] = set()
    while len(ready) < 2:
        for side in (one, other):
            try:
                side.do_handshake()
                ready.add(side)
            except ssl.SSLWantReadError:
                continue
    return str(one.version())


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority(NOW)


@pytest.fixture(scope="module")
def server(authority: Authority) -> str:
    return make_server_certificate(authority, NAMES, NOW)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "mosquitto", "fans.example", "192.168.1.20"])
def test_a_device_that_trusts_the_authority_trusts_the_broker_under_each_of_its_names(
    tmp_path: Path, authority: Authority, server: str, name: str
) -> None:
    assert handshake(tmp_path, server, authority.certificate, name).startswith("TLSv1")


@pytest.mark.parametrize("name", ["other.example", "192.168.1.21"])
def test_under_another_name_the_broker_is_not_trusted(
    tmp_path: Path, authority: Authority, server: str, name: str
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(tmp_path, server, authority.certificate, name)


def test_a_device_of_another_site_does_not_trust_the_broker(tmp_path: Path, server: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, server, make_authority(NOW).certificate, "fans.example")


def test_an_expired_certificate_is_not_trusted(tmp_path: Path, authority: Authority) -> None:
    old = make_server_certificate(authority, NAMES, NOW - SERVER_LIFE - timedelta(days=1))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        handshake(tmp_path, old, authority.certificate, "fans.example")


def test_the_brokers_certificate_cannot_sign_another(
    tmp_path: Path, authority: Authority, server: str
) -> None:
    forged = make_server_certificate(Authority(server), ("fans.example",), NOW)
    chain = (
        forged + server.partition("-----BEGIN CERTIFICATE")[1] + server.partition("-----BEGIN CERTIFICATE")[2]
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, chain, authority.certificate, "fans.example")


def test_what_is_given_to_devices_holds_no_key(authority: Authority) -> None:
    assert "PRIVATE" in authority.pem
    assert "PRIVATE" not in authority.certificate


@pytest.mark.parametrize(
    ("names", "ahead", "why"),
    [
        (["fans.example", "192.168.1.20"], timedelta(), None),
        (["fans.example", "192.168.1.20"], SERVER_LIFE - RENEW_BEFORE - timedelta(minutes=1), None),
        (["fans.example", "192.168.1.20"], SERVER_LIFE - RENEW_BEFORE + timedelta(minutes=1), "it ends on"),
        (["fans.example"], timedelta(), "names"),
        (["fans.example", "192.168.1.21"], timedelta(), "names"),
    ],
)
def test_a_certificate_is_renewed_before_its_end_and_for_other_names(
    authority: Authority, server: str, names: list[str], ahead: timedelta, why: str | None
) -> None:
    reason = reason_to_renew(server, authority, server_names(names), NOW + ahead)
    assert reason is None if why is None else why in str(reason)


def test_a_certificate_that_does_not_fit_is_renewed(authority: Authority, server: str) -> None:
    other = make_server_certificate(authority, NAMES, NOW)
    mixed = server.partition("-----BEGIN CERTIFICATE")[0] + "".join(
        other.partition("-----BEGIN CERTIFICATE")[1:]
    )
    reasons = {
        str(reason_to_renew(pem, each, NAMES, NOW))
        for pem, each in (
            (None, authority),
            ("", authority),
            (server[:200], authority),
            (authority.certificate, authority),
            (mixed, authority),
            (server, make_authority(NOW)),
        )
    }
    assert reasons == {
        "there is none",
        "it cannot be read",
        "it belongs to another key",
        "another authority signed it",
    }


@pytest.mark.parametrize("name", ["fans example", "-x", "a..b", "x" * 64, "fans.example/8883", "http://fans"])
def test_what_is_no_host_name_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(ValueError, match=r"fans\.plant\.example,192\.168\.1\.20"):
        server_names([name])


def test_every_address_is_no_name_and_a_name_counts_once() -> None:
    assert server_names(["0.0.0.0", "", " Fans.example ", "fans.example", "[::1]"]) == (
        *("localhost", "127.0.0.1", "mosquitto"),
        *("fans.example", "::1"),
    )


def _held(site: Site) -> tuple[str | None, str | None]:
    return site.store.read(OPERATOR, AUTHORITY_FILE), site.store.read(MOSQUITTO, TLS_FILE)


def test_setting_up_again_keeps_authority_and_certificate_while_both_are_good(tmp_path: Path) -> None:
    site = Site(tmp_path)
    before = _held(site)
    prepare_certificates(site.store, server_names([]), datetime.now(UTC))
    assert _held(site) == before


def test_the_authority_outlives_every_renewal_and_is_replaced_only_at_its_end(tmp_path: Path) -> None:
    site = Site(tmp_path)
    authority, server = _held(site)
    prepare_certificates(site.store, server_names(["fans.example"]), NOW + timedelta(days=800))
    renewed_authority, renewed = _held(site)
    assert renewed_authority == authority
    assert renewed != server
    prepare_certificates(site.store, server_names([]), NOW + timedelta(days=21 * 365))
    assert _held(site)[0] != authority


def test_a_certificate_never_outlives_its_authority(tmp_path: Path, authority: Authority) -> None:
    late = NOW + timedelta(days=20 * 365 - 300)
    assert "it ends on" in str(
        reason_to_renew(
            make_server_certificate(authority, NAMES, late), authority, NAMES, late + timedelta(days=220)
        )
    )


def test_a_damaged_authority_is_not_replaced_behind_the_devices_backs(tmp_path: Path) -> None:
    site = Site(tmp_path)
    path = site.store.path(OPERATOR, AUTHORITY_FILE)
    path.unlink()
    site.store.write_new(OPERATOR, AUTHORITY_FILE, "damaged")
    with pytest.raises(ValueError, match=r"bring back certificate_authority\.pem"):
        prepare_certificates(site.store, server_names([]), NOW)
    assert path.read_text() == "damaged"


def test_the_keys_lie_where_their_one_reader_alone_reads_them(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for reader, name in ((OPERATOR, AUTHORITY_FILE), (MOSQUITTO, TLS_FILE)):
        assert site.store.path(reader, name).stat().st_mode & 0o777 == 0o400
    authority_key = str(_held(site)[0]).partition("-----BEGIN CERTIFICATE")[0]
    others = [p for p in (tmp_path / "secrets").rglob("*") if p.is_file() and p.parent.name != "operator"]
    assert others
    assert not any(authority_key in path.read_text() for path in others)
