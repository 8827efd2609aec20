"""The image: the scoring service's own Dockerfile, with one model and the key that it was signed with.

What the engine is given is gathered in a folder of the moment, so that nothing else can slip into a layer.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from contract.bundle import MANIFEST_FILE, SIGNATURE_FILE, Manifest
from inference_toolkit.errors import ToolkitError
from inference_toolkit.source import manifest_of
from training.signing import SigningError, verify_bundle

SOURCES = Path(__file__).parents[1]
"""The clone of Fanwatch that this runs from."""

_RECIPE = ("pyproject.toml", "uv.lock")
_PACKAGES = ("contract", "inference", "model_folder")
_KEY = "model-signing.pub"
_LITERT = ".tflite"
_EXTRAS = {".onnx": "onnx", ".keras": "tensorflow"}


def build_image(bundle: Path, public_key: Path, tag: str, *, sources: Path = SOURCES) -> str:
    """Build the image of one model.

    Args:
        bundle: Signed.
        public_key: Of the key that it was signed with; the only one that the image takes bundles of.
        tag: Of the image.
        sources: A clone of Fanwatch.

    Returns:
        The image's digest.

    Raises:
        ToolkitError: The signature does not hold, this is no clone, or the engine fails.
    """
    manifest = manifest_of(bundle)
    try:
        verify_bundle(bundle, public_key)
    except SigningError as error:
        raise ToolkitError(str(error)) from error
    missing = [name for name in (*_RECIPE, "inference/Dockerfile") if not (sources / name).is_file()]
    if missing:
        raise ToolkitError(
            f"{sources}: holds no {', '.join(missing)}; an image is built from a clone of Fanwatch: run this in one"
        )
    with tempfile.TemporaryDirectory(prefix="fanwatch-image-") as scratch:
        context = Path(scratch)
        gather(context, bundle, manifest, public_key, sources)
        extras = " ".join(f"--extra {extra}" for extra in extras_of(manifest))
        arguments = [f"--build-arg=MORE_EXTRAS={extras}"]
        run_docker("build", "--quiet", "--tag", tag, *arguments, str(context))
    return run_docker("image", "inspect", "--format", "{{.Id}}", tag).strip()


def gather(context: Path, bundle: Path, manifest: Manifest, public_key: Path, sources: Path) -> None:
    """Write what the engine is given into a folder, readable by the user of the container."""
    context.mkdir(exist_ok=True)
    for name in _RECIPE:
        shutil.copyfile(sources / name, context / name)
    for name in _PACKAGES:
        shutil.copytree(
            sources / name, context / name, ignore=shutil.ignore_patterns("__pycache__", "Dockerfile")
        )
    model = context / "models" / manifest.name
    model.mkdir(parents=True)
    for name in (MANIFEST_FILE, SIGNATURE_FILE, *manifest.files):
        shutil.copyfile(bundle / name, model / name)
    shutil.copyfile(public_key, context / "models" / _KEY)
    recipe = (sources / "inference" / "Dockerfile").read_text(encoding="utf-8")
    (context / "Dockerfile").write_text(recipe + _settings(manifest), encoding="utf-8")
    for path in context.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _settings(manifest: Manifest) -> str:
    settings = {
        "FANWATCH_MODEL_NAME": manifest.name,
        "FANWATCH_MODEL_PUBLIC_KEYS": f"/app/models/{_KEY}",
        "FANWATCH_LISTEN_HOST": "0.0.0.0",  # noqa: S104 - inside of the container; what is published is the runner's choice
        "FANWATCH_ALLOW_HANDLERS": str(manifest.handler).lower(),
    }
    lines = [f"ENV {name}={json.dumps(value)}" for name, value in settings.items()]
    labels = {
        "org.opencontainers.image.title": manifest.name,
        "org.opencontainers.image.version": manifest.version,
    }
    lines += [f"LABEL {name}={json.dumps(value)}" for name, value in labels.items()]
    return "\n# The model that `fanwatch toolkit build` was given.\n" + "\n".join(lines) + "\n"


def extras_of(manifest: Manifest) -> list[str]:
    """The extras that this model needs beside the service's own."""
    endings = {Path(name).suffix for name in manifest.files}
    if manifest.handler:  # LiteRT is there anyway; of the others, what a file of its own asks for
        return [_EXTRAS[ending] for ending in sorted(endings & set(_EXTRAS))]
    if _LITERT in endings:
        return []
    return [next(extra for ending, extra in _EXTRAS.items() if ending in endings)]


def run_docker(*arguments: str) -> str:
    """Run one docker command; its output.

    Raises:
        ToolkitError: There is no Docker here, or it fails; with the end of what it wrote.
    """
    program = shutil.which("docker")
    if program is None:
        raise ToolkitError("docker is not installed: see docs.docker.com/engine/install")
    done = subprocess.run(  # noqa: S603 - the engine's client, with our own arguments
        [program, *arguments], capture_output=True, text=True, check=False, env=os.environ
    )
    if done.returncode:
        raise ToolkitError(f"docker {arguments[0]} failed:\n{(done.stdout + done.stderr).strip()[-2000:]}")
    return done.stdout
