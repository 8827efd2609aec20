"""The model of a site, over SSH."""

import shlex
from pathlib import Path

from pydantic import ValidationError

from edge_manager.fleet.fleet_file import Fleet, SiteAddress
from edge_manager.fleet.push import SiteFailed
from edge_manager.fleet.ssh import Ssh, Unreachable
from edge_manager.models.state import ModelState

__all__ = ["RemoteSite"]

_COMMAND_WITHIN_S = 90
_RECEIVE_WITHIN_S = 600


class RemoteSite:
    """What push.py does with a site, as commands of `fanwatch model` there.

    Args:
        ssh: The connections.
        fleet: Whose command it is.
        address: The site.
        model: The model's name.
        parcel: The bundle as one file.
        why: For the deployment.
    """

    def __init__(
        self, ssh: Ssh, fleet: Fleet, address: SiteAddress, *, model: str, parcel: Path, why: str
    ) -> None:
        self.name = address.name
        self._ssh = ssh
        self._command = fleet.model_command
        self._address = address
        self._model = model
        self._parcel = parcel
        self._why = why

    def state(self) -> ModelState:
        """Asks."""
        text = self._run("state", self._model)
        try:
            return ModelState.model_validate_json(text.strip().splitlines()[-1])
        except (ValidationError, IndexError):
            raise SiteFailed(
                f"`{self._command} state` answered {text.strip()[-200:]!r}, expected one JSON object: is another "
                "version of Fanwatch there?"
            ) from None

    def receive(self) -> None:
        """Sends the bundle."""
        self._run("receive", within_s=_RECEIVE_WITHIN_S, stdin=self._parcel)

    def shadow(self, version: str) -> None:
        """The challenger."""
        self._run("shadow", self._model, version, "--why", self._why)

    def use(self, version: str) -> None:
        """The champion."""
        self._run("use", self._model, version, "--why", self._why)

    def roll_back(self, why: str) -> None:
        """Back."""
        self._run("rollback", self._model, "--why", f"{self._why}: {why}")

    def _run(self, *arguments: str, within_s: float = _COMMAND_WITHIN_S, stdin: Path | None = None) -> str:
        command = f"{self._command} {shlex.join(arguments)}"
        try:
            answer = self._ssh.run(self._address, command, within_s=within_s, stdin=stdin)
        except Unreachable as error:
            raise SiteFailed(f"not reached for `{arguments[0]}`: {error}") from error
        if answer.status:
            raise SiteFailed(answer.complaint)
        return answer.output
