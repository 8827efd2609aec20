"""A real OCI registry: CNCF Distribution, as Debian packages it."""

from pathlib import Path

import requests

from testbed.ports import free_port
from testbed.process import ServerProcess, server_binary

_CONFIGURATION = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: {data}
http:
  addr: {host}
"""


class Registry(ServerProcess):
    """On a loopback port of its own, without TLS and without accounts.

    Args:
        folder: Where it keeps what it is sent.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("registry", folder)
        self.host = f"127.0.0.1:{free_port()}"

    def command(self) -> list[str]:
        """The registry with its file."""
        file = self.folder / "registry.yml"
        file.write_text(_CONFIGURATION.format(data=self.folder / "data", host=self.host))
        return [str(server_binary("registry")), "serve", str(file)]

    def is_ready(self) -> bool:
        """Whether it answers."""
        return requests.get(f"http://{self.host}/v2/", timeout=2).ok
