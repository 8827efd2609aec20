"""TLS to a site's broker: the one certificate authority that is trusted is the site's own."""

import ssl
from pathlib import Path

__all__ = ["trusting"]


def trusting(ca_file: Path) -> ssl.SSLContext:
    """What checks the broker's certificate and name; TLS 1.2 or later.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds no certificate.
    """
    certificates = ca_file.read_text(encoding="ascii", errors="replace")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=certificates)
    except ssl.SSLError:
        raise ValueError(
            f"{ca_file} holds no certificate: expected the PEM of the site's authority, "
            "as `docker compose run --rm --no-deps -T setup show ca` prints it"
        ) from None
    return context
