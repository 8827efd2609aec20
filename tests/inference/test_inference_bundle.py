"""A bundle is verified before anything of it is parsed, and says clearly what is wrong with it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from inference.bundle import Bundle, read_bundle
from inference.errors import ModelUnusable
from inference.runtimes import load_runtime


def test_the_committed_bundle_is_whole(bundle: Bundle) -> None:
    assert bundle.manifest.model_id == "fan:1"
    assert set(bundle.files) == {"model.tflite", "model.keras", "reference.json"}
    assert {name: hashlib.sha256(content).hexdigest() for name, content in bundle.files.items()} == dict(
        bundle.manifest.files
    )


@pytest.mark.parametrize("file", ["model.tflite", "model.keras"])
def test_a_damaged_model_file_is_refused_before_it_is_opened(copied_models: Path, file: str) -> None:
    path = copied_models / "fan" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelUnusable, match=f"{file}: is damaged .* its SHA-256 is"):
        read_bundle(copied_models / "fan", "fan", None)


def test_what_is_parsed_is_what_was_verified_even_when_the_file_changes_in_between(
    copied_models: Path,
) -> None:
    bundle = read_bundle(copied_models / "fan", "fan", None)
    (copied_models / "fan" / "model.tflite").write_bytes(b"exchanged")
    assert load_runtime("litert", bundle).platform == "litert"


def test_a_missing_file_is_named(copied_models: Path) -> None:
    (copied_models / "fan" / "model.keras").unlink()
    with pytest.raises(ModelUnusable, match=r"model\.keras: cannot be read: No such file"):
        read_bundle(copied_models / "fan", "fan", None)


def test_a_missing_bundle_says_which_settings_name_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match="FANWATCH_MODELS_DIR"):
        read_bundle(tmp_path / "fan", "fan", None)


def test_a_link_out_of_the_bundle_is_refused(copied_models: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes((copied_models / "fan" / "model.tflite").read_bytes())
    (copied_models / "fan" / "model.tflite").unlink()
    (copied_models / "fan" / "model.tflite").symlink_to(secret)
    with pytest.raises(ModelUnusable, match="points outside of the bundle"):
        read_bundle(copied_models / "fan", "fan", None)


def test_links_within_the_bundle_are_followed_as_kubernetes_mounts_them(copied_models: Path) -> None:
    folder = copied_models / "fan"
    data = folder / "..2026"
    data.mkdir()
    for file in ("manifest.json", "model.tflite", "model.keras", "reference.json"):
        (folder / file).rename(data / file)
        (folder / file).symlink_to(Path("..2026", file))
    assert read_bundle(copied_models / "fan", "fan", None).manifest.name == "fan"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"files": {"../../etc/passwd": "0" * 64}}, "files"),
        ({"files": {"/etc/passwd": "0" * 64}}, "files"),
        ({"files": {}}, "files"),
        ({"threshold": 2}, "threshold"),
        ({"name": "pump"}, "is of model 'pump', expected 'fan'"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused_with_the_field(
    copied_models: Path, change: dict[str, Any], told: str
) -> None:
    path = copied_models / "fan" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelUnusable, match=told):
        read_bundle(copied_models / "fan", "fan", None)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b" " * (1024 * 1024 + 1)])
def test_a_manifest_that_is_none_is_refused(copied_models: Path, content: bytes) -> None:
    (copied_models / "fan" / "manifest.json").write_bytes(content)
    with pytest.raises(ModelUnusable, match=r"manifest\.json"):
        read_bundle(copied_models / "fan", "fan", None)
