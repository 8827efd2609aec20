"""The steps of an upgrade on Docker Compose; what they decide is in edge_manager.backup.upgrade."""

import json
import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from contract.timestamp import format_timestamp, parse_timestamp
from edge_manager.backup.clone import Clone
from edge_manager.backup.encryption import Passphrase, Recipients
from edge_manager.backup.operations import back_up
from edge_manager.backup.site_stack import ComposeStack
from edge_manager.backup.upgrade import (
    STATE_FILE,
    Declared,
    Noted,
    UpgradeError,
    Used,
    is_fresh,
    objections,
    plan,
)
from edge_manager.device.compose import COMPOSE_FILE, Compose
from edge_manager.device.docker import SiteError
from edge_manager.device_health.device import ComposeDevice, gather
from edge_manager.device_health.findings import find

__all__ = ["Upgrade"]

_QUICK_S = 120.0
_BUILD_S = 3600.0
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
        self._clone = Clone(compose.folder)
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
        revision = "" if to is None else self._clone.ready_for(to)
        # Without a checkout the files are the new ones already, and nobody knows what the old ones had.
        before = frozenset() if to is None else self._declared().by_default
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
                self._clone.check_out(to)
            coming = plan(used, self._declared(), before)
            noted = noted.model_copy(update={"added": coming.added})
            self._note(noted)
            if coming.added:
                self._say(f"new in this version: {', '.join(coming.added)}")
            if coming.gone:
                self._say(f"no longer in this version: {', '.join(coming.gone)}")
            self._fetch(coming.fetch)
            started = self._now()
            self._start(coming.start, *(["--remove-orphans"] if coming.gone else []))
            if flowed:
                self._await_verdict(started, verdict_within)
        except SiteError as error:
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
        """The image of every service's container; those of one-off commands apart."""
        ids = self._compose.answer("ps", "--all", "--quiet").split()
        if not ids:
            return {}
        known = json.loads(self._docker("inspect", *ids))
        return {
            each["Config"]["Labels"]["com.docker.compose.service"]: Used(
                name=each["Config"]["Image"], image_id=each["Image"], stopped=_was_stopped(each)
            )
            for each in known
            if each["Config"]["Labels"].get("com.docker.compose.oneoff") != "True"
        }

    def _bytes(self, used: dict[str, Used]) -> int:
        images = sorted({each.image_id for each in used.values()})
        return sum(
            int(size) for size in self._docker("image", "inspect", "--format", "{{.Size}}", *images).split()
        )

    def _note(self, noted: Noted) -> None:
        """Keeps the images, and what they are for."""
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
        self._compose.answer("build", "--quiet", *services, timeout_s=_BUILD_S)
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
        if noted.revision:
            self._clone.check_out(noted.revision)
        for image_id, name in noted.retags():
            self._docker("tag", image_id, name)
        known = self._declared().every
        for service in sorted(noted.images.keys() - known):
            self._say(
                f"{service} ran before, and {COMPOSE_FILE} does not name it any more: it is not started"
            )
        # What came with the upgrade goes with it: as an orphan where the old files are back, and else by its name.
        brought = sorted(known.intersection(noted.added))
        if brought:
            self._compose.answer("rm", "--stop", "--force", *brought, timeout_s=_QUICK_S)
        orphans = ["--remove-orphans"] if len(brought) < len(noted.added) else []
        back = sorted(name for name, used in noted.images.items() if name in known and not used.stopped)
        self._start(back, "--no-build", "--pull", "never", *orphans)

    def _declared(self) -> Declared:
        every = self._compose.resolved("--profile", "*")["services"]
        return Declared.of(every, self._compose.resolved()["services"])

    def _docker(self, *arguments: str) -> str:
        return self._compose.docker.answer(*arguments, timeout_s=_QUICK_S)


def _was_stopped(container: Mapping[str, Any]) -> bool:
    """Whether somebody stopped a container that runs for ever: the engine starts it again after any other end."""
    state, policy = container["State"], container["HostConfig"]["RestartPolicy"]["Name"]
    return state["Status"] == "exited" and state["ExitCode"] == 0 and policy not in {"", "no"}
