"""Registries: a bundle as an OCI artifact, an image as an image.

A bundle is an OCI manifest (image-spec 1.0) whose layers are its files, each under its name (the annotation
org.opencontainers.image.title, as the tools of ORAS write it). Whether it is whole and whose it is, its own signature
says wherever it is used; a registry is not trusted with that.
"""

import hashlib
import re
import tempfile
from pathlib import Path

import requests
from oras.provider import Registry
from pydantic import TypeAdapter, ValidationError

from contract.bundle import MANIFEST_FILE, SIGNATURE_FILE, FileName, Manifest
from inference_toolkit.errors import ToolkitError
from inference_toolkit.image import run_docker
from inference_toolkit.source import manifest_of

CONFIG_TYPE = "application/vnd.fanwatch.model.config.v1+json"
"""Tells a bundle from an image and from other artifacts."""
FILE_TYPE = "application/vnd.fanwatch.model.file.v1"
_REFERENCE = re.compile(
    r"[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|@sha256:[0-9a-f]{64})"
)
_REACHED_WITHIN_S = 10
_FILE_NAME: TypeAdapter[str] = TypeAdapter(FileName)


def push_bundle(bundle: Path, reference: str, *, plain_http: bool = False) -> str:
    """Send a bundle; who may is what `docker login` has written.

    Args:
        bundle: The folder; signed.
        reference: HOST[:PORT]/REPOSITORY:TAG.
        plain_http: Without TLS: for a registry on this machine.

    Returns:
        The reference by digest, HOST/REPOSITORY@sha256:...

    Raises:
        ToolkitError: It is no bundle, not signed, or the registry refuses it.
    """
    manifest = manifest_of(bundle)
    if not (bundle / SIGNATURE_FILE).is_file():
        raise ToolkitError(
            f"{bundle}: is not signed, and no device would take it; `fanwatch model sign` signs it"
        )
    registry = _registry(reference, plain_http=plain_http)
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch, "config.json")
        config.write_text(manifest.model_dump_json(include={"name", "version"}), encoding="utf-8")
        files = [f"{bundle / name}:{FILE_TYPE}" for name in (MANIFEST_FILE, SIGNATURE_FILE, *manifest.files)]
        try:
            answer = registry.push(
                target=reference,
                files=files,
                disable_path_validation=True,  # the bundle may lie anywhere
                manifest_config=f"{config}:{CONFIG_TYPE}",
                manifest_annotations={
                    "org.opencontainers.image.title": manifest.name,
                    "org.opencontainers.image.version": manifest.version,
                },
                quiet=True,
            )
        except (requests.RequestException, ValueError, OSError) as error:
            raise ToolkitError(f"{reference}: the registry does not take the bundle: {error}") from error
    digest: str = answer.headers.get("Docker-Content-Digest", "")
    return f"{reference.rpartition(':')[0]}@{digest}" if digest else reference


def pull_bundle(reference: str, out: Path, *, plain_http: bool = False) -> Manifest:
    """Fetch a bundle; its signature is looked at where it is used.

    Args:
        reference: HOST[:PORT]/REPOSITORY:TAG or @sha256:DIGEST.
        out: Folder of the bundle; appears whole or not at all.
        plain_http: Without TLS: for a registry on this machine.

    Raises:
        ToolkitError: The folder is there already, the registry has no such bundle, or what came is none.
    """
    if out.exists():
        raise ToolkitError(f"{out} is there already; choose another --out")
    registry = _registry(reference, plain_http=plain_http)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        fresh = Path(scratch, "bundle")
        fresh.mkdir(mode=0o755)
        try:
            # Not the library's pull, which asks for the manifest again, may be given another, and believes every file.
            for name, digest in _files_of(reference, registry).items():
                registry.download_blob(registry.get_container(reference), digest, str(fresh / name))
                with (fresh / name).open("rb") as file:
                    if f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" != digest:
                        raise ToolkitError(f"{reference}: {name} is not what its digest says")
        except (requests.RequestException, ValueError, OSError) as error:
            raise ToolkitError(f"{reference}: cannot be fetched: {error}") from error
        manifest = manifest_of(fresh)
        fresh.rename(out)
    return manifest


def push_image(image: str, reference: str) -> str:
    """Send an image by the engine's own means, under another name where need be.

    Args:
        image: As it is called here.
        reference: HOST[:PORT]/REPOSITORY:TAG.

    Returns:
        The reference by digest.

    Raises:
        ToolkitError: There is no such image, or the registry refuses it.
    """
    _check(reference)
    if image != reference:
        run_docker("tag", image, reference)
    run_docker("push", "--quiet", reference)
    repository = reference.rpartition(":")[0]
    digests = run_docker(
        "image", "inspect", "--format", "{{range .RepoDigests}}{{println .}}{{end}}", reference
    )
    return next((line for line in digests.split() if line.startswith(f"{repository}@")), reference)


def _registry(reference: str, *, plain_http: bool) -> Registry:
    _check(reference)
    host = reference.partition("/")[0]
    url = f"{'http' if plain_http else 'https'}://{host}/v2/"
    try:
        requests.get(
            url, timeout=_REACHED_WITHIN_S
        )  # any answer will do; the library would try for two minutes
    except requests.RequestException as error:
        raise ToolkitError(f"{url}: the registry does not answer: {error}") from error
    return Registry(insecure=plain_http)


def _check(reference: str) -> None:
    if not _REFERENCE.fullmatch(reference):
        raise ToolkitError(
            f"{reference}: expected HOST[:PORT]/REPOSITORY:TAG, as registry.example/models/pump:1"
        )


def _files_of(reference: str, registry: Registry) -> dict[str, str]:
    """Name and digest of each file.

    Looked at before anything is written: an image has layers of gigabytes, and a name may be anything.

    Raises:
        ToolkitError: It is no bundle.
    """
    container = registry.get_container(reference)
    registry.auth.load_configs(container)
    manifest = registry.get_manifest(container)
    kind = manifest.get("config", {}).get("mediaType")
    if kind != CONFIG_TYPE:
        raise ToolkitError(f"{reference}: is no bundle but {kind}")
    files = {}
    for layer in manifest.get("layers", []):
        name = (layer.get("annotations") or {}).get("org.opencontainers.image.title", "")
        try:
            _FILE_NAME.validate_python(name)
        except ValidationError:
            raise ToolkitError(f"{reference}: holds a file called {name!r}, which no bundle has") from None
        if layer.get("mediaType") != FILE_TYPE:
            raise ToolkitError(f"{reference}: holds {name} as {layer.get('mediaType')}, expected {FILE_TYPE}")
        files[name] = str(layer.get("digest"))
    return files
