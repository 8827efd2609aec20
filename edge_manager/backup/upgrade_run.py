"""The steps of an upgrade on Docker Compose; what they decide is in edge_manager.backup.upgrade."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from contract.timestamp import format_timestamp, parse_timestamp
from edge_manager.backup.encryption import Passphrase, Recipients
from edge_manager.backup.operations import back_up
from edge_manager.backup.site_stack import ComposeStack
from edge_manager.backup.upgrade import STATE_FILE, Noted, UpgradeError, Used, is_fresh, objections
from edge_manager.device.compose import Compose
from edge_manager.device.docker import SiteError
from edge_manager.device_health.device import ComposeDevice, gather
from edge_manager.device_health.findings import find

__all__ = ["Upgrade"]

_QUICK_S = 120.0
_BUILD_S = 3600.0
_TOOLS = ("archive", "model")
"""Images of commands, which have no container now and belong to the version all the same."""
_HEALTHY_S = 300
_FRESH_VERDICT_BEFORE_S = 60.0


class Upgrade:
    """One stack, upgraded and taken back.

    Args:
        compose: Drives it.
        now: The clock.
        say: Told of each step.
        pause: Waits so many seconds between two questions.
    """

    def __init__(
        self,
        compose: Compose,
        now: Callable[[], datetime],
        say: Callable[[str], None],
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._compose = compose
        self._now = now
        self._say = say
        self._pause = pause
        self._device = ComposeDevice(compose)
        self._state = compose.folder / STATE_FILE

    def upgrade(
        self,
        backup: Path,
        lock: Recipients | Passphrase | None,
        *,
        to: str | None = None,
        despite_findings: bool = False,
        verdict_within: timedelta = timedelta(minutes=2),
    ) -> list[str]:
        """Upgrades, and goes back by itself when the new images do not do what the old ones did.

        Args:
            backup: Where the backup goes that is made before.
            lock: For whom it is encrypted.
            to: A revision of the clone to check out; None leaves the files as they are.
            despite_findings: Begins though doctor finds errors.
            verdict_within: How soon a verdict of the new path must be stored.

        Returns:
            The services that run another image now.

        Raises:
            UpgradeError: It was not begun, or was taken back; says which.
            SiteError: It was not begun.
        """
        self._say("looking at the device")
        facts = gather(self._device, self._now, thorough=True)
        if facts.services is None:
            raise SiteError(facts.services_unknown)
        used = self._used()
        if not used:
            raise UpgradeError(
                "no service of Fanwatch was started here; docker compose up --detach starts it"
            )
        free = min((disk.free_bytes for disk in facts.disks if disk.holds_images), default=None)
        against = objections(find(facts), self._bytes(used), free, despite_findings=despite_findings)
        if against:
            raise UpgradeError(
                f"not begun, because {'; '.join(each.rstrip('.') for each in against)}. "
                "`fanwatch doctor` says what to do; --despite-findings begins all the same"
            )
        revision = self._revision(to)
        flowed = (
            facts.figures is not None
            and facts.figures.newest_verdict_age_s is not None
            and facts.figures.newest_verdict_age_s < _FRESH_VERDICT_BEFORE_S
        )
        self._say(f"making a backup, {backup}")
        back_up(ComposeStack(self._compose), backup, lock, self._now(), self._say)
        noted = Noted(
            at=format_timestamp(self._now()), images=used, backup=str(backup.resolve()), revision=revision
        )
        self._note(noted)
        try:
            if to is not None:
                self._git("checkout", "--quiet", to)
            self._fetch(list(used))
            started = self._now()
            self._start(list(used))
            if flowed:
                self._await_verdict(started, verdict_within)
        except (SiteError, UpgradeError) as error:
            self._say(f"failed: {error}")
            self._go_back(noted)
            raise UpgradeError(
                f"the upgrade failed and was taken back: {error}. What ran before runs again; the data is as the "
                f"failed upgrade left it, and as it was in {noted.backup}"
            ) from error
        return noted.differing(self._used())

    def back(self) -> Noted:
        """Goes back to what ran before the last upgrade.

        Raises:
            UpgradeError: Nothing was noted.
            SiteError: A step failed.
        """
        try:
            noted = Noted.read(self._state.read_text())
        except FileNotFoundError as error:
            raise UpgradeError("nothing to go back to: no upgrade was made here") from error
        self._go_back(noted)
        return noted

    def _used(self) -> dict[str, Used]:
        """The image of every container."""
        ids = self._compose.answer("ps", "--all", "--quiet").split()
        if not ids:
            return {}
        known = json.loads(self._docker("inspect", *ids))
        return {
            each["Config"]["Labels"]["com.docker.compose.service"]: Used(
                name=each["Config"]["Image"], image_id=each["Image"]
            )
            for each in known
        }

    def _bytes(self, used: dict[str, Used]) -> int:
        images = sorted({each.image_id for each in used.values()})
        return sum(
            int(size) for size in self._docker("image", "inspect", "--format", "{{.Size}}", *images).split()
        )

    def _note(self, noted: Noted) -> None:
        for service, used in noted.images.items():
            self._docker("tag", used.image_id, used.kept_as(service))
        fresh = self._state.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            file.write(noted.model_dump_json(indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._state)

    def _fetch(self, services: list[str]) -> None:
        self._say("building and pulling the new images; the old ones run on meanwhile")
        self._compose.answer("build", "--quiet", *services, *_TOOLS, timeout_s=_BUILD_S)
        # Versions are pinned: one that is here is the one.
        self._compose.answer(
            "pull", "--quiet", "--policy", "missing", "--ignore-buildable", *services, timeout_s=_BUILD_S
        )

    def _start(self, services: list[str], *options: str) -> None:
        self._say("starting, until each service is healthy")
        wait = ("--wait", "--wait-timeout", str(_HEALTHY_S))
        self._compose.answer("up", "--detach", *wait, *options, *services, timeout_s=_HEALTHY_S + 120)

    def _await_verdict(self, started: datetime, within: timedelta) -> None:
        self._say("waiting for a verdict of the new path in InfluxDB")
        while self._now() - started < within:
            figures = gather(self._device, self._now, thorough=False).figures
            if figures is not None and is_fresh(figures.newest_verdict_age_s, started, self._now()):
                return
            self._pause(2)
        raise UpgradeError(
            f"every service is healthy, but no new verdict was stored within {within.total_seconds():.0f} s"
        )

    def _go_back(self, noted: Noted) -> None:
        self._say(f"going back to what ran at {parse_timestamp(noted.at):%Y-%m-%d %H:%M} UTC")
        if noted.revision and self._git("rev-parse", "HEAD").strip() != noted.revision:
            self._git("checkout", "--quiet", noted.revision)
        for image_id, name in noted.retags():
            self._docker("tag", image_id, name)
        self._start(list(noted.images), "--no-build", "--pull", "never")

    def _revision(self, to: str | None) -> str:
        """The clone's revision; empty where nothing is to be checked out.

        Raises:
            UpgradeError: It cannot be changed.
        """
        if to is None:
            return ""
        if self._git("status", "--porcelain", "--untracked-files=no").strip():
            raise UpgradeError(
                "not begun: files of the clone were changed here (git status), and a checkout would mix them with the "
                "new ones; commit them, or take them back"
            )
        self._git("rev-parse", "--verify", "--quiet", f"{to}^{{commit}}")
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        try:
            ended = subprocess.run(  # noqa: S603 - a list, no shell
                ["git", *arguments],  # noqa: S607 - the person's own
                cwd=self._compose.folder,
                capture_output=True,
                text=True,
                check=False,
                timeout=_QUICK_S,
            )
        except FileNotFoundError as error:
            raise SiteError("git is not installed") from error
        except subprocess.TimeoutExpired as error:
            raise SiteError(f"`git {' '.join(arguments)}` did not end within {_QUICK_S:g} s") from error
        if ended.returncode:
            said = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
            raise SiteError(f"`git {' '.join(arguments)}` failed: {said[-1]}")
        return ended.stdout

    def _docker(self, *arguments: str) -> str:
        return self._compose.docker.answer(*arguments, timeout_s=_QUICK_S)
