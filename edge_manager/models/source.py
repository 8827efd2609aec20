"""Where bundles come from: a folder (a share, a stick) or an OCI registry. What comes is looked at before its use.

In a folder a bundle lies as NAME/VERSION/, as NAME/, or is the folder itself. In a registry it is
HOST/PATH/NAME:VERSION, an OCI artifact whose layers are its files (as `fanwatch toolkit push` writes it); who may
read is what `docker login` has written.
"""

import hashlib
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from pydantic import TypeAdapter, ValidationError

from contract.bundle import MANIFEST_FILE, SIGNATURE_FILE, FileName, Manifest, ModelVersion
from contract.identity import ModelName
from edge_manager.models.versions import read_whole
from model_folder.folder import ModelFolderError

__all__ = ["Wanted", "fetch"]

CONFIG_TYPE = "application/vnd.fanwatch.model.config.v1+json"
FILE_TYPE = "application/vnd.fanwatch.model.file.v1"
MOST_BYTES = 2 * 1024**3
"""Of one bundle, for whoever sends: a disk must not be filled by a mistake."""
_REGISTRY = "oci://"
_PLACE = re.compile(r"[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*")
_REACHED_WITHIN_S = 10
_FILE_NAME: TypeAdapter[str] = TypeAdapter(FileName)
_NAME: TypeAdapter[str] = TypeAdapter(ModelName)
_VERSION: TypeAdapter[str] = TypeAdapter(ModelVersion)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model, and which version of it; None: the newest."""

    name: str
    version: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads NAME or NAME:VERSION.

        Raises:
            ModelFolderError: It is neither.
        """
        name, colon, version = text.partition(":")
        try:
            return cls(_NAME.validate_python(name), _VERSION.validate_python(version) if colon else None)
        except ValidationError:
            raise ModelFolderError(f"{text!r}: expected NAME or NAME:VERSION, as fan:2") from None

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}:{self.version}"


def fetch(wanted: Wanted, source: str, out: Path, *, plain_http: bool = False) -> Manifest:
    """Copies a bundle into a folder; every file is the one that its manifest describes. Its signature is not looked at.

    Args:
        wanted: Which.
        source: A folder, or oci://HOST[:PORT]/PATH.
        out: An empty folder.
        plain_http: A registry without TLS: on this machine.

    Raises:
        ModelFolderError: There is no such bundle, or what is there is none; says what was found.
        OSError: The folder cannot be written.
    """
    if source.startswith(_REGISTRY):
        _from_registry(wanted, source.removeprefix(_REGISTRY).rstrip("/"), out, plain_http=plain_http)
    else:
        _from_folder(wanted, Path(source), out)
    manifest = read_whole(out)
    if (manifest.name, manifest.version) != (wanted.name, wanted.version or manifest.version):
        raise ModelFolderError(f"{source}: holds {manifest.model_id}, expected {wanted}")
    return manifest


def newest(versions: list[str]) -> str:
    """The newest of version names: numbers within them count as numbers, so 10 comes after 9."""

    def parts(version: str) -> list[tuple[bool, int, str]]:
        found = re.findall(r"[0-9]+|[^0-9]+", version)
        return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in found]

    return max(versions, key=parts)


def _from_folder(wanted: Wanted, source: Path, out: Path) -> None:
    if not source.is_dir():
        raise ModelFolderError(f"{source}: is no folder; expected one with bundles, or {_REGISTRY}HOST/PATH")
    named = source / wanted.name
    if (source / MANIFEST_FILE).is_file():
        bundle = source
    elif (named / MANIFEST_FILE).is_file():
        bundle = named
    else:
        found = {path.parent.name for path in named.glob(f"*/{MANIFEST_FILE}")}
        if not found or (wanted.version or next(iter(found))) not in found:
            raise ModelFolderError(
                f"{source}: holds no {wanted}; of {wanted.name} it has {', '.join(sorted(found)) or 'none'}"
            )
        bundle = named / (wanted.version or newest(sorted(found)))
    manifest = read_whole(bundle)
    for file in (*manifest.files, MANIFEST_FILE, SIGNATURE_FILE):
        if (bundle / file).is_file():
            shutil.copyfile(bundle / file, out / file)


def _from_registry(wanted: Wanted, place: str, out: Path, *, plain_http: bool) -> None:
    import requests  # noqa: PLC0415 - a device without a registry needs neither
    from oras.provider import Registry  # noqa: PLC0415

    if not _PLACE.fullmatch(place):
        raise ModelFolderError(
            f"{_REGISTRY}{place}: expected {_REGISTRY}HOST[:PORT]/PATH, as {_REGISTRY}registry.example/models"
        )
    url = f"{'http' if plain_http else 'https'}://{place.partition('/')[0]}/v2/"
    try:
        requests.get(
            url, timeout=_REACHED_WITHIN_S
        )  # any answer will do; the library would try for two minutes
        registry = Registry(insecure=plain_http)
        repository = f"{place}/{wanted.name}"
        version = wanted.version or newest(registry.get_tags(repository))
        reference = f"{repository}:{version}"
        container = registry.get_container(reference)
        registry.auth.load_configs(container)
        # Not the library's pull, which asks for the manifest again, may be given another, and believes every file.
        for name, (digest, size) in _files_of(reference, registry.get_manifest(container)).items():
            with registry.get_blob(container, digest, stream=True) as answer, (out / name).open("xb") as file:
                answer.raise_for_status()
                _copy(answer.iter_content(1 << 20), file, f"{reference}: {name}", digest, size)
    except (requests.RequestException, ValueError, OSError) as error:
        raise ModelFolderError(f"{wanted} cannot be fetched from {_REGISTRY}{place}: {error}") from error


def _copy(blocks: Iterable[bytes], file: BinaryIO, what: str, digest: str, size: int) -> None:
    """Writes what comes, and no more than was said."""
    sha256, left = hashlib.sha256(), size
    for block in blocks:
        left -= len(block)
        if left < 0:
            break
        sha256.update(block)
        file.write(block)
    if left or f"sha256:{sha256.hexdigest()}" != digest:
        raise ModelFolderError(f"{what} is not what its digest says")


def _files_of(reference: str, manifest: dict[str, object]) -> dict[str, tuple[str, int]]:
    """Name, digest and size of each file.

    Looked at before anything is written: an image has layers of gigabytes, and a name may be anything.

    Raises:
        ModelFolderError: It is no bundle.
    """
    config, layers = manifest.get("config"), manifest.get("layers")
    kind = config.get("mediaType") if isinstance(config, dict) else None
    if kind != CONFIG_TYPE or not isinstance(layers, list):
        raise ModelFolderError(f"{reference}: is no bundle but {kind}")
    files = {}
    for layer in layers:
        name = (layer.get("annotations") or {}).get("org.opencontainers.image.title", "")
        try:
            _FILE_NAME.validate_python(name)
        except ValidationError:
            raise ModelFolderError(
                f"{reference}: holds a file called {name!r}, which no bundle has"
            ) from None
        if layer.get("mediaType") != FILE_TYPE:
            raise ModelFolderError(
                f"{reference}: holds {name} as {layer.get('mediaType')}, expected {FILE_TYPE}"
            )
        files[name] = (str(layer.get("digest")), int(layer.get("size", 0)))
    size = sum(size for _, size in files.values())
    if size > MOST_BYTES:
        raise ModelFolderError(f"{reference}: is {size:,} bytes large, expected at most {MOST_BYTES:,}")
    return files
