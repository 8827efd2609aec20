"""fleet.toml: which sites there are, and how this desk reaches them."""

import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

__all__ = ["Fleet", "FleetError", "SiteAddress", "read_fleet"]


class FleetError(ValueError):
    """What stands in the way, in a sentence that says what to do."""


SiteName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
# Never begins with a dash: ssh would take it for an option, and ProxyCommand is one.
Target = Annotated[str, Field(pattern=r"^(ssh://)?[A-Za-z0-9_][A-Za-z0-9_.@:%\[\]-]{0,254}$")]
Folder = Annotated[
    str,
    Field(
        pattern=r"^[/~][^\x00-\x1f\x7f]{0,999}$",
        description="On the site; absolute, or below the home folder (~/...).",
    ),
]


class SiteAddress(BaseModel):
    """One site."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: SiteName
    ssh: Target = Field(description="As for ssh: user@host, or a Host of ssh_config.")
    folder: Folder = Field(description="The site's folder there, with docker-compose.yml.")


class Fleet(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sites: tuple[SiteAddress, ...] = Field(min_length=1)
    canary: SiteName | None = Field(
        default=None, description="Gets a model before the others; the first one unless named."
    )
    public_keys: tuple[Path, ...] = Field(
        default=(), description="Whose bundles are sent; below this file's folder unless absolute."
    )
    ssh_config: Path | None = Field(default=None, description="In place of ~/.ssh/config.")
    model_command: str = Field(
        default="docker compose run --rm --no-deps -T model",
        description="What `fanwatch model` is in a site's folder.",
    )
    status_command: str = Field(
        default="fanwatch status --json", description="What says how a site does, as JSON."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [site.name for site in self.sites]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"site {twice[0]} is named twice")
        if self.canary is not None and self.canary not in names:
            raise ValueError(
                f"the canary {self.canary} is no site of this file; there are {', '.join(names)}"
            )
        return self

    @property
    def canary_site(self) -> SiteAddress:
        """The one that gets a model before the others."""
        return next((site for site in self.sites if site.name == self.canary), self.sites[0])

    def must_know_signers(self) -> None:
        """A desk that knows nobody's key sends nothing.

        Raises:
            FleetError: The file names no public_keys.
        """
        if not self.public_keys:
            raise FleetError(
                "the list of sites names no public_keys: what nobody we know has signed is not sent"
            )

    def only(self, names: list[str]) -> Self:
        """The fleet with these sites alone.

        Raises:
            FleetError: One is none of its sites.
        """
        known = {site.name for site in self.sites}
        for name in names:
            if name not in known:
                raise FleetError(f"there is no site {name!r}; there are {', '.join(sorted(known))}")
        kept = tuple(site for site in self.sites if site.name in names)
        canary = self.canary if self.canary in names else None
        return self.model_copy(update={"sites": kept, "canary": canary})


def read_fleet(path: Path) -> Fleet:
    """Reads the file; paths in it are made absolute.

    Raises:
        FleetError: It cannot be read, or something in it is not as it must be.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FleetError(
            f"{path}: cannot be read: {error.strerror}; expected a list of sites, see docs/fleet.md"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FleetError(f"{path}: is no TOML: {error}") from error
    try:
        fleet = Fleet.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise FleetError(
            f"{path}: {place + ': ' if place else ''}{first['msg'].removeprefix('Value error, ')}"
        ) from error
    here = path.resolve().parent
    return fleet.model_copy(
        update={
            "public_keys": tuple(here / key for key in fleet.public_keys),
            "ssh_config": None if fleet.ssh_config is None else here / fleet.ssh_config,
        }
    )
