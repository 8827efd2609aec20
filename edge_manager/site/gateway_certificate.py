"""The certificate with which the gateway shows itself to the plant's OPC UA servers, which a person tells to trust it.

An application instance certificate after OPC UA Part 6, 6.2.2: self-signed, RSA (Basic256Sha256 asks for 2,048 to
4,096 bits), with the application's URI as a name in subjectAltName.
"""

from datetime import datetime, timedelta

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_manager.site.credentials import GATEWAY
from edge_manager.site.secret_store import SecretStore

__all__ = ["APPLICATION_URI", "CERTIFICATE_FILE", "PRIVATE_KEY_FILE", "prepare_gateway"]

APPLICATION_URI = "urn:fanwatch:gateway"
CERTIFICATE_FILE = "opcua_certificate.pem"
PRIVATE_KEY_FILE = "opcua_private_key.pem"
LIFE = timedelta(days=20 * 365)
"""A new one means a visit to every OPC UA server, so it outlives them."""
_BEFORE_NOW = timedelta(days=1)

log = structlog.get_logger()


def prepare_gateway(store: SecretStore, now: datetime) -> None:
    """Makes key and certificate once. A half, left by a setup that was killed, is made anew: nobody trusts it yet.

    Args:
        store: Where the secrets are.
        now: The time; valid from a day before it.
    """
    if store.read(GATEWAY, CERTIFICATE_FILE) is not None:
        return
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Fanwatch gateway")])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,  # it signs itself
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE_NOW)
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(APPLICATION_URI)]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    # The key first: a certificate that is there has its key.
    store.replace(GATEWAY, PRIVATE_KEY_FILE, private.decode())
    store.replace(GATEWAY, CERTIFICATE_FILE, certificate.public_bytes(pem).decode())
    log.info("certificate of the gateway made")
