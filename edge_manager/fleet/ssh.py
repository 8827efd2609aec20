"""Commands on a site, by the system's own OpenSSH client: a person's ssh_config (keys, jumps, agents) holds here too.

Never a question (BatchMode) and never a host that is not known already (StrictHostKeyChecking): a fleet is reached at
night, by a program. The connection to a site is kept open between its commands (ControlMaster).
"""

import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from edge_manager.fleet.fleet_file import Fleet, FleetError, SiteAddress

__all__ = ["Answer", "Ssh", "Unreachable"]

_OF_SSH_ITSELF = 255
"""The exit status of ssh when it is ssh that failed (ssh(1), EXIT STATUS)."""
CONNECT_WITHIN_S = 10
_SHOWN = 400


class Unreachable(RuntimeError):  # noqa: N818 - it names the state
    """A site could not be reached, did not answer in time, or its host key is not the known one; says which."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command on a site left."""

    status: int
    output: str
    errors: str

    @property
    def complaint(self) -> str:
        """The end of what it said went wrong."""
        said = self.errors.strip() or self.output.strip() or f"it ended with {self.status}"
        return said[-_SHOWN:]


class Ssh:
    """The connections of one run; closed at its end.

    Args:
        fleet: Where the sites are.

    Raises:
        FleetError: There is no ssh.
    """

    def __init__(self, fleet: Fleet) -> None:
        program = shutil.which("ssh")
        if program is None:
            raise FleetError("there is no ssh in PATH: install the OpenSSH client")
        # A short path: a socket's name has room for 107 characters.
        self._sockets = tempfile.TemporaryDirectory(prefix="fw-", dir="/tmp")  # mode 0700
        self._program = program
        config = [] if fleet.ssh_config is None else ["-F", str(fleet.ssh_config)]
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": str(CONNECT_WITHIN_S),
            "ServerAliveInterval": "5",
            "ServerAliveCountMax": "3",
            "ControlMaster": "auto",
            "ControlPersist": "60",
        }
        self._options = [*config, *(f"-o{name}={value}" for name, value in options.items())]
        self._used: set[SiteAddress] = set()

    def run(self, site: SiteAddress, command: str, *, within_s: float, stdin: Path | None = None) -> Answer:
        """Runs a command in the site's folder.

        Args:
            site: Where.
            command: For the shell there.
            within_s: How long it may take, connecting included.
            stdin: A file that it reads.

        Raises:
            Unreachable: There was no answer.
        """
        self._used.add(site)
        # ~ is the shell's there, and shlex would quote it.
        home = site.folder.startswith("~/")
        folder = f"~/{shlex.quote(site.folder[2:])}" if home else shlex.quote(site.folder)
        words = [*self._words(site), "--", site.ssh, f"cd {folder} && {command}"]
        # Files, not pipes: the connection that stays open inherits them, and a pipe would not end before it.
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            source = subprocess.DEVNULL if stdin is None else stdin.open("rb")
            try:
                done = subprocess.run(  # noqa: S603 - ssh by its whole path; the target cannot be an option
                    words, stdin=source, stdout=output, stderr=errors, timeout=within_s, check=False
                )
            except subprocess.TimeoutExpired:
                raise Unreachable(f"no answer within {within_s:.0f} s") from None
            finally:
                if not isinstance(source, int):
                    source.close()
            answer = Answer(done.returncode, _read(output), _read(errors))
        if answer.status == _OF_SSH_ITSELF:
            raise Unreachable(_why(answer.errors))
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for site in self._used:
            subprocess.run(  # noqa: S603 - as above
                [*self._words(site), "-Oexit", "--", site.ssh],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=10,
                check=False,
            )
        self._sockets.cleanup()

    def _words(self, site: SiteAddress) -> list[str]:
        """A connection for each site: the one that is given up because its command hangs takes no other with it."""
        return [self._program, *self._options, f"-oControlPath={self._sockets.name}/{site.name}"]


def _read(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _why(errors: str) -> str:
    if "Host key verification failed" in errors or "HOST IDENTIFICATION HAS CHANGED" in errors:
        changed = "HOST IDENTIFICATION HAS CHANGED" in errors
        return (
            "its host key is another than the known one: somebody may be in between"
            if changed
            else "its host key is not known; connect once with ssh, compare the key, and accept it"
        )
    lines = [line for line in errors.strip().splitlines() if line.strip()]
    return lines[-1].strip()[-_SHOWN:] if lines else "ssh failed and did not say why"
