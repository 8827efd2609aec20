"""Who hands out a registry's tokens, as Docker Hub's own does: to anybody, for reading what is public."""

import base64
import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from testbed.ports import free_port

SERVICE = "registry of the tests"
ISSUER = "issuer of the tests"


class TokenIssuer:
    """Answers `GET /token?service=...&scope=repository:NAME:ACTIONS` (CNCF Distribution, "Token Authentication").

    Args:
        certificate: Where it writes its certificate, which the registry is told to trust.
        field: The name under which the answer holds the token: registries say `token` or `access_token`.
    """

    def __init__(self, certificate: Path, field: str = "token") -> None:
        self.certificate = certificate
        self.scopes: list[str] = []
        """What was asked for without an account, in order."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, ISSUER)])
        now = datetime.now(UTC)
        self._made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(self._key, hashes.SHA256())
        )
        certificate.write_bytes(self._made.public_bytes(serialization.Encoding.PEM))
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = parse_qs(urlsplit(self.path).query)
                scope = asked.get("scope", [""])[0]
                issuer.scopes.append(scope)
                only_pull = ",".join(a for a in scope.rpartition(":")[2].split(",") if a == "pull")
                token = issuer.token(f"{scope.rpartition(':')[0]}:{only_pull}")
                content = json.dumps({field: token}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name for it
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.realm = f"http://127.0.0.1:{self._server.server_port}/token"

    def token(self, scope: str) -> str:
        """A token (RFC 7519, ES256) for `repository:NAME:ACTIONS`; the test asks for more than the public gets."""
        kind, name, actions = scope.split(":")
        now = int(datetime.now(UTC).timestamp())
        chain = [base64.b64encode(self._made.public_bytes(serialization.Encoding.DER)).decode()]
        head = {"typ": "JWT", "alg": "ES256", "x5c": chain}
        access = [{"type": kind, "name": name, "actions": actions.split(",") if actions else []}]
        claims = {
            "iss": ISSUER,
            "aud": SERVICE,
            "sub": "",
            "jti": str(now),
            "iat": now,
            "nbf": now - 5,
            "exp": now + 300,
            "access": access,
        }
        signed = f"{_encoded(json.dumps(head).encode())}.{_encoded(json.dumps(claims).encode())}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_encoded(r.to_bytes(32) + s.to_bytes(32))}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
