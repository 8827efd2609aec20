"""A real OpenSSH server, Debian's, on a loopback port, with host and user keys of its own."""

import getpass
import subprocess
from pathlib import Path

from testbed.ports import free_port
from testbed.process import SERVERS, ServerProcess, server_binary
from testbed.waiting import port_answers

__all__ = ["Sshd"]

_PARTS = {"SshdSessionPath": "sshd-session", "SshdAuthPath": "sshd-auth"}
"""Programs that newer servers are made of besides."""


class Sshd(ServerProcess):
    """Lets one key in, as the user who runs the tests.

    Args:
        folder: Its keys and its log.
        environment: What every command that comes in has in its environment.
    """

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        super().__init__("sshd", folder)
        self.port = free_port()
        self.user = getpass.getuser()
        self.user_key = folder / "user_key"
        self._environment = environment or {}
        self._host_key = folder / "host_key"
        for key in (self.user_key, self._host_key):
            if not key.exists():
                _keygen(key)

    @property
    def known_host(self) -> str:
        """Its line in a known_hosts file."""
        return f"[127.0.0.1]:{self.port} {self._host_key.with_suffix('.pub').read_text()}"

    def new_host_key(self) -> None:
        """It is another host from its next start on."""
        self._host_key.unlink()
        self._host_key.with_suffix(".pub").unlink()
        _keygen(self._host_key)

    def command(self) -> list[str]:
        """The server with its file."""
        (self.folder / "authorized_keys").write_text(self.user_key.with_suffix(".pub").read_text())
        lines = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self._host_key}",
            f"AuthorizedKeysFile {self.folder / 'authorized_keys'}",
            f"PidFile {self.folder / 'sshd.pid'}",
            # The folders above belong to pytest.
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            # A fleet comes all at once, from one address.
            "MaxStartups 100",
            "MaxSessions 100",
        ]
        lines += [f"SetEnv {name}={value}" for name, value in self._environment.items()]
        lines += [
            f"{option} {SERVERS / 'bin' / program}"
            for option, program in _PARTS.items()
            if (SERVERS / "bin" / program).exists()
        ]
        file = self.folder / "sshd_config"
        file.write_text("\n".join(lines) + "\n")
        return [str(server_binary("sshd")), "-D", "-e", "-f", str(file)]

    def is_ready(self) -> bool:
        """Whether it accepts connections."""
        return port_answers(self.port)


def _keygen(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
