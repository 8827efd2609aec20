"""The files of the host that are a site's own and not the release's: .env, and what .env names.

Where a restore writes, this machine's folder decides and not the backup: under the name that .env gives, when that lies
in the site's folder, else beside docker-compose.yml; never outside, never over what is there.
"""

import os
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edge_manager.device.compose import COMPOSE_FILE
from edge_manager.device.docker import SiteError
from edge_manager.device.env_file import read_values
from edge_manager.device.site_plan import DATA_DIR_FILE, OVERRIDE_FILE

__all__ = ["LEFT_OUT", "NAMED", "SiteFile", "bring_back", "site_files", "take_away"]

NAMED = {"plant.toml": "FANWATCH_PLANT_FILE", "machines.toml": "FANWATCH_MACHINES_FILE"}
"""By its name in a backup, the variable by which docker-compose.yml finds a file of the host."""
LEFT_OUT = frozenset({"FANWATCH_MACHINES_CERTIFICATES"})
"""A folder of what OPC UA servers show to whoever asks: had anew from them (docs/keeping.md)."""
_COMPOSE_FILES = "COMPOSE_FILE"
_RELEASE = {COMPOSE_FILE, DATA_DIR_FILE}


@dataclass(frozen=True, slots=True)
class SiteFile:
    """One file.

    Attributes:
        place: Where this machine has it, if it has it.
        target: Where a restore writes it: in the site's folder.
        variable: That of .env which names it; empty where it has a fixed name.
        named: Whether .env does.
    """

    place: Path
    target: Path
    variable: str = ""
    named: bool = False

    @property
    def found_by_env(self) -> bool:
        """Whether what is written to the target is what .env, or Compose by itself, looks for."""
        return not self.variable or (self.named and self.place == self.target)


def site_files(folder: Path) -> dict[str, SiteFile]:
    """The files of one site, by their names in a backup; .env, which says the others' names, first.

    Raises:
        OSError: .env is there and cannot be read.
    """
    folder = Path(os.path.realpath(folder))
    env = folder / ".env"
    # Bytes that no path has, so that nothing below stumbles over them.
    text = env.read_text(errors="replace").replace("\0", "\ufffd") if env.is_file() else ""
    values = read_values(text)
    found = {"env": SiteFile(env, env)}
    for name, variable in NAMED.items():
        named = values.get(variable)
        beside = folder / name
        found[name] = _named(folder, named, variable, name) if named else SiteFile(beside, beside, variable)
    if not values.get(_COMPOSE_FILES):
        override = folder / OVERRIDE_FILE
        found[f"compose/{OVERRIDE_FILE}"] = SiteFile(override, override)
    for named in filter(None, values.get(_COMPOSE_FILES, "").split(os.pathsep)):
        file = _named(folder, named, _COMPOSE_FILES)
        relative = file.target.relative_to(folder).as_posix()
        if relative not in _RELEASE and _may_be_made(folder, file.target):
            found[f"compose/{relative}"] = file
    return found


def bring_back(
    files: Callable[[], Mapping[str, SiteFile]], content: IO[bytes], say: Callable[[str], None]
) -> list[Path]:
    """Writes the files that are not there; one that is there is this machine's own.

    Args:
        files: This machine's; asked again for each, since .env is one of them.
        content: Theirs in the backup, a tar stream.
        say: Told what stays, and what .env has to say.

    Returns:
        What was made, folders too: each behind what it lies in.

    Raises:
        SiteError: Something else has a file's place; nothing was left.
        OSError: It cannot be written; nothing was left.
    """
    made: list[Path] = []
    try:
        with tarfile.open(mode="r|", fileobj=content) as archive:
            for member in archive:
                taken, file = archive.extractfile(member), files().get(member.name)
                if taken is not None and file is not None:
                    _write(file, taken.read(), made, say)
    except BaseException:
        take_away(made)
        raise
    return made


def take_away(made: list[Path]) -> None:
    """Undoes bring_back()."""
    for path in reversed(made):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


def _named(folder: Path, named: str, variable: str, beside: str = "") -> SiteFile:
    # Not Path.expanduser, which raises where there is no such user.
    place = Path(os.path.realpath(folder / os.path.expanduser(named)))  # noqa: PTH111
    target = place if _may_be_made(folder, place) else folder / (beside or place.name)
    return SiteFile(place, target, variable, named=True)


def _may_be_made(folder: Path, path: Path) -> bool:
    """In the folder, and in nothing hidden: there git and Python keep what they run."""
    if folder not in path.parents:
        return False
    return not any(part.startswith(".") for part in path.relative_to(folder).parts)


def _write(file: SiteFile, content: bytes, made: list[Path], say: Callable[[str], None]) -> None:
    target = file.target
    if target.is_file():
        if target.read_bytes() != content:
            say(f"{target} stays as it is on this machine")
    elif target.is_symlink() or target.exists():
        raise SiteError(
            f"{target} is no file, the backup has one for its place, and nothing was changed. Remove it (Docker makes "
            "a folder where a file that it shall mount is missing), and restore again"
        )
    else:
        for parent in reversed([each for each in target.parents if not each.exists()]):
            parent.mkdir()
            made.append(parent)
        with target.open("xb") as out:
            made.append(target)
            out.write(content)
    if not file.found_by_env:
        say(
            f"{target} is not what .env names: {file.variable} is to say ./{target.name}, or the site goes without it"
        )
