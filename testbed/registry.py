"""A real OCI registry: CNCF Distribution, as Debian packages it."""

from pathlib import Path

import requests

from testbed.ports import free_port
from testbed.process import ServerProcess, server_binary
from testbed.token_issuer import ISSUER, SERVICE, TokenIssuer

_CONFIGURATION = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: {data}
http:
  addr: {host}
"""


_TOKENS = """\
auth:
  token:
    realm: {realm}
    service: {service}
    issuer: {issuer}
    rootcertbundle: {certificate}
"""


class Registry(ServerProcess):
    """On a loopback port of its own, without TLS.

    Args:
        folder: Where it keeps what it is sent.
        issuer: Whose tokens it wants for everything, as Docker's own registry does; None wants none.
    """

    def __init__(self, folder: Path, issuer: TokenIssuer | None = None) -> None:
        super().__init__("registry", folder)
        self._issuer = issuer
        self.host = f"127.0.0.1:{free_port()}"

    def command(self) -> list[str]:
        """The registry with its file."""
        file = self.folder / "registry.yml"
        text = _CONFIGURATION.format(data=self.folder / "data", host=self.host)
        if self._issuer is not None:
            text += _TOKENS.format(
                realm=self._issuer.realm,
                service=SERVICE,
                issuer=ISSUER,
                certificate=self._issuer.certificate,
            )
        file.write_text(text)
        return [str(server_binary("registry")), "serve", str(file)]

    def is_ready(self) -> bool:
        """Whether it answers."""
        answer = requests.get(f"http://{self.host}/v2/", timeout=2)
        return answer.ok if self._issuer is None else answer.status_code == 401
