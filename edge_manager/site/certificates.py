"""The site's own certificate authority, and the certificate that its broker shows to devices.

Certificates after RFC 5280: X.509 version 3, names in subjectAltName alone (no client reads the common name any more),
keys on the curve P-256, which every TLS 1.2 library of the last ten years speaks and a microcontroller can afford.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = [
    "RENEW_BEFORE",
    "Authority",
    "make_authority",
    "make_server_certificate",
    "reason_to_renew",
    "server_names",
]

AUTHORITY_LIFE = timedelta(days=20 * 365)
"""A new authority means a new file on every device, so it outlives them."""
SERVER_LIFE = timedelta(days=825)
"""The longest that common clients take (Apple's limit for private authorities)."""
RENEW_BEFORE = timedelta(days=90)
"""So long before its end the broker's certificate is made anew: two starts, each with a setup, may be months apart."""
_BEFORE_NOW = timedelta(days=1)
"""Valid since yesterday: the clock of a device is seldom exact."""
_ALWAYS = ("localhost", "127.0.0.1", "mosquitto")
_HOST_NAME = re.compile(r"^(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*$")
_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 # no address that anybody connects to


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority: key and certificate in one PEM. The key signs for whoever has it.

    Raises:
        ValueError: The PEM lacks one of the two.
    """

    pem: str

    def __post_init__(self) -> None:
        _private_key(self.pem), _certificate(self.pem)

    @property
    def certificate(self) -> str:
        """The certificate alone, in PEM: for everybody who shall trust this site's broker."""
        return _pem(_certificate(self.pem))

    def expired(self, now: datetime) -> bool:
        """Whether its certificate is not valid any more, so that another authority is needed."""
        return _certificate(self.pem).not_valid_after_utc <= now


def server_names(names: Iterable[str]) -> tuple[str, ...]:
    """What the broker's certificate is for: this machine's own names, then the given ones, each once.

    Args:
        names: Host names and addresses as a person wrote them; empty ones and "every address" (0.0.0.0) are left out.

    Raises:
        ValueError: One is neither a host name nor an address.
    """
    found = dict.fromkeys(_ALWAYS)
    for name in (each.strip().strip("[]") for each in names):
        if not name or name in _EVERYWHERE:
            continue
        if _address(name) is None and (len(name) > 253 or not _HOST_NAME.match(name)):
            raise ValueError(
                f"{name!r} is no host name: expected names and addresses as devices use them, separated by commas, "
                "for example fans.plant.example,192.168.1.20"
            )
        found[name.lower()] = None
    return tuple(found)


def make_authority(now: datetime) -> Authority:
    """A new authority for one site.

    Args:
        now: The time; valid from a day before it.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # The number makes the authorities of two sites two names, so that a client with both picks the right one.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Fanwatch site {serial:x}"[:64])])
    certificate = (
        _builder(name, name, key.public_key(), serial, now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(_key_pem(key) + _pem(certificate))


def make_server_certificate(authority: Authority, names: tuple[str, ...], now: datetime) -> str:
    """The broker's key and certificate, in one PEM, so that a file with both changes as a whole.

    Args:
        authority: Who signs.
        names: Of server_names().
        now: The time; valid from a day before it, and no longer than the authority.
    """
    issuer, issuer_key = _certificate(authority.pem), _private_key(authority.pem)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Fanwatch broker")])
    life = min(SERVER_LIFE, issuer.not_valid_after_utc - now)
    certificate = (
        _builder(subject, issuer.subject, key.public_key(), x509.random_serial_number(), now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return _key_pem(key) + _pem(certificate)


def reason_to_renew(
    server: str | None, authority: Authority, names: tuple[str, ...], now: datetime
) -> str | None:
    """Why the broker needs another certificate, in a few words; None while it does not.

    Args:
        server: What make_server_certificate() made, or None.
        authority: The site's.
        names: What the certificate shall be for.
        now: The time.
    """
    try:
        certificate, key = _certificate(server or ""), _private_key(server or "")
    except ValueError:
        return "it cannot be read" if server else "there is none"
    if certificate.public_key() != key.public_key():
        return "it belongs to another key"
    try:
        certificate.verify_directly_issued_by(_certificate(authority.pem))
    except (InvalidSignature, ValueError):  # the latter: another issuer's name
        return "another authority signed it"
    if certificate.not_valid_after_utc - now < RENEW_BEFORE:
        return f"it ends on {certificate.not_valid_after_utc:%Y-%m-%d}"
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if list(held) != [_general_name(name) for name in names]:
        return "the names of this machine changed"
    return None


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    serial: int,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(now - _BEFORE_NOW)
        .not_valid_after(now + life)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _general_name(name: str) -> x509.GeneralName:
    address = _address(name)
    return x509.DNSName(name) if address is None else x509.IPAddress(address)


def _certificate(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificates(pem.encode())[0]


def _private_key(pem: str) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is not on an elliptic curve")  # noqa: TRY004 - the file's fault, no caller's
    return key


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
