"""Making a bundle of a site, and installing one."""

import os
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from contract.bundle import MANIFEST_FILE, SIGNATURE_FILE
from contract.timestamp import format_timestamp
from edge_manager.device.compose import Compose
from edge_manager.device.docker import Docker
from edge_manager.installation.bundle_file import (
    IMAGES,
    MODELS,
    SITE,
    BundleError,
    SiteManifest,
    entry_of,
    unpack_bundle,
    write_bundle,
)
from edge_manager.models.parcel import pack
from edge_manager.models.versions import read_whole

__all__ = ["add_models", "install", "make_bundle"]

ENVIRONMENT_FILE = ".env"
_COMPOSE_FILES = "docker-compose*.yml"
_EVERY_SERVICE = ("--profile", "*")


def make_bundle(
    site: Compose,
    out: Path,
    *,
    models: Sequence[Path],
    private_key: Path,
    password: bytes | None,
    now: datetime,
    left_out: Sequence[str] = (),
) -> SiteManifest:
    """Writes images, configuration and models of a site into one signed file, which appears whole or not at all.

    Args:
        site: Its Compose project.
        out: The file.
        models: Folders of signed bundles that the site is to have besides those in its images.
        private_key: PEM.
        password: Of that key.
        now: The time.
        left_out: Services whose images stay out.

    Raises:
        BundleError: An image is missing, or the configuration lies elsewhere.
        edge_manager.device.docker.SiteError: Docker refused.
    """
    images = _images(site, left_out)
    sources = _configuration(site)
    for folder in models:
        manifest = read_whole(folder)
        if not (folder / SIGNATURE_FILE).is_file():
            raise BundleError(
                f"{folder}: is not signed, and no scoring service would take it; `fanwatch model sign` signs it"
            )
        for name in (*manifest.files, MANIFEST_FILE, SIGNATURE_FILE):
            sources[f"{MODELS}{manifest.name}/{manifest.version}/{name}"] = folder / name
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        archive = Path(scratch, IMAGES)
        site.docker.save(images, archive)
        sources[IMAGES] = archive
        made = SiteManifest(
            made_at=format_timestamp(now),
            architecture=site.docker.architecture(),
            images=tuple(images),
            files=tuple(entry_of(path, file) for path, file in sources.items()),
        )
        fresh = Path(scratch, "bundle")
        with fresh.open("wb") as file:
            write_bundle(file, made, sources, private_key, password)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(out)
    return made


def install(
    file: Path,
    public_keys: Sequence[Path],
    folder: Path,
    *,
    replace: bool,
    engine: Callable[[Path], Docker] = Docker,
) -> SiteManifest:
    """Checks a bundle, loads its images and writes its configuration. Nothing is started.

    An environment file that is there already stays as it is: it is the site's own.

    Args:
        file: The bundle.
        public_keys: Who may have signed it.
        folder: The site's; made if need be.
        replace: Replaces configuration that is there and differs.
        engine: Docker, seen from a folder.

    Raises:
        BundleError: It is refused, or what is there would be replaced; nothing was changed.
        edge_manager.device.docker.SiteError: Docker refused.
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # On the same disk, so that each file takes its place by a rename.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".installing-") as scratch:
        staged = Path(scratch)
        manifest = unpack_bundle(file, public_keys, staged)
        docker = engine(folder)
        found = docker.architecture()
        if found != manifest.architecture:
            raise BundleError(
                f"{file}: holds images for {manifest.architecture}, this machine's Docker runs {found}"
            )
        places = {entry.path: folder / _place(entry.path) for entry in manifest.files if entry.path != IMAGES}
        kept = {path for path, place in places.items() if place.name == ENVIRONMENT_FILE and place.exists()}
        changed = sorted(
            str(place.relative_to(folder))
            for path, place in places.items()
            if path not in kept and place.exists() and place.read_bytes() != (staged / path).read_bytes()
        )
        if changed and not replace:
            raise BundleError(
                f"{folder}: holds {', '.join(changed[:5])}{' and more' if len(changed) > 5 else ''}, which differ "
                "from the bundle's; --replace replaces them"
            )
        docker.load(staged / IMAGES)
        for path, place in places.items():
            if path not in kept:
                place.parent.mkdir(parents=True, exist_ok=True)
                (staged / path).replace(place)
    missing = [name for name in manifest.images if not docker.has_image(name)]
    if missing:
        raise BundleError(
            f"{file}: the engine has no {', '.join(missing)} after loading; its log may say why"
        )
    return manifest


def add_models(manifest: SiteManifest, site: Compose) -> list[tuple[str, str]]:
    """Puts the bundle's models among those of the running site; nothing uses them yet.

    Returns:
        Name and version of each.
    """
    added = []
    for relative in sorted(
        {entry.path.rpartition("/")[0] for entry in manifest.files if entry.path.startswith(MODELS)}
    ):
        bundle = site.folder / relative
        described = read_whole(bundle)
        with tempfile.TemporaryFile() as parcel:
            pack(bundle, described, parcel)
            parcel.seek(0)
            site.receive_model(parcel)
        added.append((described.name, described.version))
    return added


def _place(path: str) -> str:
    return path.removeprefix(SITE)


def _images(site: Compose, left_out: Sequence[str]) -> list[str]:
    services = site.resolved(*_EVERY_SERVICE)["services"]
    unwanted = {services[name].get("image") for name in left_out if name in services}
    named = set(site.answer(*_EVERY_SERVICE, "config", "--images").split())
    images = sorted(named - unwanted)
    missing = [name for name in images if not site.docker.has_image(name)]
    if missing:
        raise BundleError(
            f"this machine has no {', '.join(missing)}: `docker compose --profile '*' pull --ignore-buildable` and "
            "`docker compose --profile '*' build` bring them"
        )
    return images


def _configuration(site: Compose) -> dict[str, Path]:
    """Every file that the services mount from the site's folder, the Compose files, and the environment file."""
    folder = site.folder.resolve()
    roots = {
        *folder.glob(_COMPOSE_FILES),
        *([folder / ENVIRONMENT_FILE] if (folder / ENVIRONMENT_FILE).is_file() else []),
    }
    for name, service in site.resolved(*_EVERY_SERVICE)["services"].items():
        for mount in service.get("volumes", []):
            if mount.get("type") != "bind":
                continue
            source = Path(mount["source"]).resolve()
            if not source.is_relative_to(folder) or source == folder:
                raise BundleError(
                    f"{name} mounts {source}, which is not in {folder}; a bundle takes what lies in the folder"
                )
            roots.add(source)
    files = {
        file for root in roots for file in ([root] if root.is_file() else root.rglob("*")) if file.is_file()
    }
    return {f"{SITE}{file.relative_to(folder).as_posix()}": file for file in sorted(files)}
