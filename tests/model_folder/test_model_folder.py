"""One model's folder: what is in use is replaced whole, and a version appears whole or not at all."""

import os
import shutil
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contract.bundle import MANIFEST_FILE, SIGNATURE_FILE, Manifest
from contract.deployment import DEPLOYMENT_FILE, Deployment
from model_folder.folder import ModelFolder, ModelFolderError

COMMITTED = Path(__file__).parents[2] / "models" / "fan"
MANIFEST = Manifest.model_validate_json((COMMITTED / MANIFEST_FILE).read_bytes())
AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
FIRST = Deployment.first("fan", "1", at=AT, why="test")


@pytest.fixture
def fan(tmp_path: Path) -> ModelFolder:
    (tmp_path / "fan").mkdir()
    return ModelFolder(tmp_path / "fan", "fan")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was written to the disk, in order, by name; a power cut cannot be tried here."""
    names: list[str] = []
    really = os.fsync

    def note(handle: int) -> None:
        names.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        really(handle)

    monkeypatch.setattr(os, "fsync", note)
    return names


def test_a_deployment_is_replaced_whole_on_the_disk_before_its_name_and_readable_by_other_users(
    fan: ModelFolder, synced: list[str]
) -> None:
    assert fan.deployment() is None
    fan.replace(FIRST)
    assert fan.deployment() == FIRST
    assert stat.S_IMODE((fan.path / DEPLOYMENT_FILE).stat().st_mode) == 0o644
    assert [path.name for path in fan.path.iterdir()] == [DEPLOYMENT_FILE]
    assert synced[0].startswith(".deployment-")
    assert synced[1:] == ["fan"]


def test_a_deployment_that_cannot_be_written_leaves_the_one_before_and_nothing_else(
    fan: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    fan.replace(FIRST)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        fan.replace(FIRST.promoted("2", at=AT, why="test"))
    assert fan.deployment() == FIRST
    assert [path.name for path in fan.path.iterdir()] == [DEPLOYMENT_FILE]


def test_a_version_is_on_the_disk_before_it_appears(fan: ModelFolder, synced: list[str]) -> None:
    fan.put(COMMITTED, MANIFEST)
    assert [path.name for path in fan.path.iterdir()] == ["1"]
    copied = {path.name for path in (fan.path / "1").iterdir()}
    assert copied == {*MANIFEST.files, MANIFEST_FILE, SIGNATURE_FILE}
    assert set(synced[:-2]) == copied
    assert synced[-2:] == ["new", "fan"], "its folder, and then the folder in which it was renamed"


def test_a_copy_that_breaks_off_leaves_nothing(fan: ModelFolder, tmp_path: Path) -> None:
    half = shutil.copytree(COMMITTED, tmp_path / "half")
    (half / next(iter(MANIFEST.files))).unlink()
    with pytest.raises(FileNotFoundError):
        fan.put(half, MANIFEST)
    assert list(fan.path.iterdir()) == []


def test_a_folder_that_is_one_bundle_becomes_one_of_versions(tmp_path: Path) -> None:
    fan = ModelFolder(shutil.copytree(COMMITTED, tmp_path / "fan"), "fan")
    assert fan.is_one_bundle
    assert fan.bundles() == [fan.path]
    assert fan.begin_versions(MANIFEST, at=AT, why="test") == FIRST == fan.deployment()
    assert fan.bundles() == [fan.path / "1"]


@pytest.mark.parametrize("content", ["", "{}", '{"model": "fan", "champion": "../1"}', "[" * 100_000])
def test_a_file_that_is_no_deployment_gets_a_sentence(fan: ModelFolder, content: str) -> None:
    (fan.path / DEPLOYMENT_FILE).write_text(content)
    with pytest.raises(ModelFolderError, match=r"deployment\.json: does not say which version to serve"):
        fan.deployment()


def test_another_models_deployment_gets_a_sentence(fan: ModelFolder) -> None:
    fan.replace(FIRST)
    with pytest.raises(ModelFolderError, match="is of model fan, expected pump"):
        ModelFolder(fan.path, "pump").deployment()
