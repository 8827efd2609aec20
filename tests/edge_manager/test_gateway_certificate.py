"""The certificate that a plant's OPC UA servers are told to trust: made once, and kept."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edge_manager.site.credentials import GATEWAY
from edge_manager.site.gateway_certificate import (
    APPLICATION_URI,
    CERTIFICATE_FILE,
    LIFE,
    PRIVATE_KEY_FILE,
    prepare_gateway,
)
from testbed.site import Site

NOW = datetime.now(UTC)


def certificate_of(site: Site) -> x509.Certificate:
    return x509.load_pem_x509_certificate((site.store.read(GATEWAY, CERTIFICATE_FILE) or "").encode())


def test_it_names_the_application_and_is_good_for_many_years(site: Site) -> None:
    certificate = certificate_of(site)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [APPLICATION_URI]
    assert certificate.not_valid_after_utc > NOW + LIFE - timedelta(days=1)
    key = load_pem_private_key((site.store.read(GATEWAY, PRIVATE_KEY_FILE) or "").encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 2048
    assert key.public_key() == certificate.public_key()


def test_another_setup_keeps_it_and_a_half_of_one_is_made_anew(site: Site) -> None:
    before = certificate_of(site)
    prepare_gateway(site.store, NOW)
    assert certificate_of(site) == before
    site.store.remove(GATEWAY, CERTIFICATE_FILE)
    prepare_gateway(site.store, NOW)
    assert certificate_of(site) != before
