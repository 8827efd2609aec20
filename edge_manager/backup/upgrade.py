"""`fanwatch upgrade`: newer images with a check before, and a way back to those that run now. The decisions, pure.

What an upgrade does, in this order, each step only when the one before went well:

1. doctor finds nothing that is an error, and there is room for a second set of images;
2. a backup is made;
3. the images that run now are noted and tagged, so that no clean-up removes them;
4. the new ones are built or pulled, while the old ones still run;
5. what ran is started with them, and what the new files add, until each service is healthy; what they drop is ended;
6. a verdict is stored that is newer than the start, if verdicts flowed before.

When 4, 5 or 6 fails the noted images are started again. Data stays where it is: what a newer service has changed in it
is in the backup as it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from edge_manager.device.docker import SiteError
from edge_manager.device_health.findings import Finding, Severity

__all__ = ["Declared", "Noted", "Plan", "UpgradeError", "Used", "objections", "plan", "room_needed"]

STATE_FILE = ".fanwatch-upgrade.json"
"""Beside docker-compose.yml: what to go back to."""
TAG_PREFIX = "fanwatch-before"
_TOOLS_PROFILE = "tools"
"""In docker-compose.yml: services that are commands."""
_SPARE_BYTES = 1_000_000_000
"""Beyond twice the images: layers are unpacked before old ones go, and logs grow meanwhile."""


class UpgradeError(SiteError):
    """An upgrade, or the way back, that could not be done; says what runs now."""


class Used(BaseModel):
    """The image that one service runs.

    Attributes:
        name: Under which docker-compose.yml finds it.
        image_id: Its digest, which never changes.
        stopped: Somebody stopped it, and it ended well: it is to stay so.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    image_id: str
    stopped: bool = False

    def kept_as(self, service: str) -> str:
        """The tag that keeps it."""
        return f"{TAG_PREFIX}/{service}:{self.image_id.removeprefix('sha256:')[:12]}"


class Noted(BaseModel):
    """What ran before an upgrade."""

    model_config = ConfigDict(frozen=True)

    at: str
    """RFC 3339."""
    images: dict[str, Used]
    """By service."""
    backup: str
    """The file that holds the data as it was."""
    revision: str = ""
    """Of the clone, where it is one: configuration belongs to images."""
    added: list[str] = []
    """Services that the upgrade brought."""

    @classmethod
    def read(cls, text: str) -> Self:
        """What an earlier upgrade noted.

        Raises:
            UpgradeError: It is not that.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise UpgradeError(
                f"{STATE_FILE} does not say what ran before: {error.errors()[0]['msg']}"
            ) from error

    def retags(self) -> list[tuple[str, str]]:
        """Which image gets which name again: image, name."""
        return sorted({(used.image_id, used.name) for used in self.images.values()})

    def differing(self, now: Mapping[str, Used]) -> list[str]:
        """The services whose image is another now, or that are new."""
        return sorted(
            service
            for service, used in now.items()
            if service not in self.images or self.images[service].image_id != used.image_id
        )


@dataclass(frozen=True, slots=True)
class Declared:
    """The services of docker-compose.yml.

    Attributes:
        every: All of them, whatever their profile.
        by_default: Those that belong to every site: of no profile that is not in use, and not of a number that each
            site chooses (`scale`), such as simulated fans.
        tools: Commands, whose images belong to the version.
    """

    every: frozenset[str]
    by_default: frozenset[str] = frozenset()
    tools: frozenset[str] = frozenset()

    @classmethod
    def of(cls, every: Mapping[str, Mapping[str, Any]], enabled: Mapping[str, Mapping[str, Any]]) -> Self:
        """From what Compose makes of the file, with all profiles and with those in use."""
        return cls(
            frozenset(every),
            frozenset(name for name, service in enabled.items() if "scale" not in service),
            frozenset(
                name for name, service in every.items() if _TOOLS_PROFILE in service.get("profiles", ())
            ),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of each service.

    Attributes:
        start: Started with their new images.
        fetch: Whose images are built or pulled; of stopped services too, or who starts one would start the old one.
        added: Started, and new.
        gone: Had a container, and the files name them no more.
    """

    start: list[str]
    fetch: list[str]
    added: list[str]
    gone: list[str]


def plan(used: Mapping[str, Used], declared: Declared, before: frozenset[str] = frozenset()) -> Plan:
    """Which services an upgrade starts, and which it ends.

    Args:
        used: Who has a container.
        declared: What the new files say.
        before: What belonged to every site in the old files, where they are known: one of these without a container
            was left out on purpose, and is not new.
    """
    added = declared.by_default - used.keys() - before
    stay = used.keys() & declared.every
    return Plan(
        start=sorted({name for name in stay if not used[name].stopped} | added),
        fetch=sorted(stay | added | declared.tools),
        added=sorted(added),
        gone=sorted(used.keys() - declared.every),
    )


def objections(
    findings: list[Finding], image_bytes: int, free_bytes: int | None, *, despite_findings: bool
) -> list[str]:
    """Why an upgrade should not be begun; empty when it may.

    Args:
        findings: What doctor finds. A warning is no objection.
        image_bytes: The size of the images that run.
        free_bytes: On the disk where images lie; None where nobody knows.
        despite_findings: Whoever asks has seen the errors and wants to go on: an upgrade may be what mends them.
    """
    found = []
    if not despite_findings:
        found += [each.what for each in findings if each.severity is Severity.ERROR]
    needed = room_needed(image_bytes)
    if free_bytes is not None and free_bytes < needed:
        found.append(
            f"the new images need about {needed / 1e9:.1f} GB beside the old ones, and {free_bytes / 1e9:.1f} GB are "
            "free."
        )
    return found


def room_needed(image_bytes: int) -> int:
    """How much must be free: another set of images, and some to spare."""
    return 2 * image_bytes + _SPARE_BYTES


def is_fresh(verdict_age_s: float | None, started: datetime, now: datetime) -> bool:
    """Whether the newest verdict is newer than the start, so that the new path made it."""
    return verdict_age_s is not None and verdict_age_s < (now - started).total_seconds()
