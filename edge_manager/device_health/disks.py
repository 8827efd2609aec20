"""The file systems that a site needs: Docker's own, and those of the folders that its volumes are bound to."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge_manager.device_health.facts import Disk

__all__ = ["disk_of", "disks_of"]


def disk_of(path: Path, what: str, *, holds_data: bool = True, holds_images: bool = True) -> Disk | None:
    """The file system under a path, as `df` sees it; None where there is no such path."""
    try:
        state = os.statvfs(path)
    except OSError:
        return None
    used = state.f_blocks - state.f_bfree
    # As df: what is reserved for root counts neither as used nor as free.
    share, free = used / max(1, used + state.f_bavail), state.f_bavail * state.f_frsize
    mounted = next(each for each in (path.absolute(), *path.absolute().parents) if each.is_mount())
    return Disk(what, share, free, str(mounted), holds_data, holds_images)


def disks_of(root: Path | None, volumes: Mapping[str, Any]) -> tuple[Disk, ...]:
    """Each file system once, whatever lies on it; one that cannot be looked at is left out.

    Args:
        root: Docker's folder of images and volumes; None where nobody knows.
        volumes: As `docker compose config` tells them.
    """
    options = [(volume or {}).get("driver_opts") or {} for volume in volumes.values()]
    bound = [Path(each["device"]) for each in options if each.get("device")]
    by_disk: dict[int, list[Path]] = {}
    for place in bound if root is None else [root, *bound]:
        with suppress(OSError):
            by_disk.setdefault(place.stat().st_dev, []).append(place)
    found = []
    for places in by_disk.values():
        data = [place for place in places if place is not root]
        holds_data, holds_images = bool(data) or len(bound) < len(options) or not options, root in places
        folder = Path(os.path.commonpath(data)) if data else places[0]
        if not holds_images:
            what = f"{folder} (the site's data)"
        elif data:
            what = f"{root} and {folder} (images and the site's data)"
        else:
            what = f"{root} (all of Docker's volumes)" if holds_data else f"{root} (images)"
        found.append(disk_of(folder, f"the disk of {what}", holds_data=holds_data, holds_images=holds_images))
    return tuple(disk for disk in found if disk is not None)
