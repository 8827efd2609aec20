"""A version beside the one in use, and one atomic switch."""

import fcntl
import json
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contract.bundle import SIGNATURE_FILE
from contract.deployment import Deployment
from model_folder.folder import ModelFolderError
from training.bundle import BundleError, assemble_bundle, read_manifest
from training.deployed import bundle_folder, champion_in_use, deploy, read_deployment

COMMITTED = Path(__file__).parents[2] / "models" / "fan"
AT = datetime(2026, 11, 25, 12, tzinfo=UTC)


def bundle(folder: Path, version: str, extra: bytes = b"") -> Path:
    """The committed model under another version."""
    manifest = read_manifest(COMMITTED)
    files = {file: (COMMITTED / file).read_bytes() for file in manifest.files}
    assemble_bundle(
        folder / f"made-{version}-{len(extra)}",
        files | {"notes.txt": extra},
        name="fan",
        version=version,
        signature=manifest,
        metrics={},
        training_data_sha256=manifest.training_data_sha256,
        overwrite=True,
    )
    return folder / f"made-{version}-{len(extra)}"


def put(models: Path, made: Path, role: str, against: str | None) -> Deployment:
    return deploy(models, made, role, measured_against=against, at=AT, why="test")  # type: ignore[arg-type]


def test_the_first_bundle_of_a_model_is_its_champion(tmp_path: Path) -> None:
    models = tmp_path / "models"
    assert champion_in_use(models, "fan") is None
    assert put(models, bundle(tmp_path, "1"), "challenger", None).champion == "1"
    assert champion_in_use(models, "fan") == "1"
    assert read_manifest(bundle_folder(models, "fan", "1")).version == "1"


def test_a_folder_that_is_itself_a_bundle_becomes_one_of_versions(tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(COMMITTED, models / "fan")
    assert champion_in_use(models, "fan") == "1"
    deployment = put(models, bundle(tmp_path, "2"), "challenger", "1")
    assert (deployment.champion, deployment.challenger) == ("1", "2")
    assert read_deployment(models, "fan") == deployment
    for version in ("1", "2"):
        assert read_manifest(models / "fan" / version).version == version
    assert [path.name for path in (models / "fan").iterdir() if path.name[0] == "."] == [".deployment.lock"]


def test_a_champion_takes_the_place_of_the_one_before_and_remembers_it(tmp_path: Path) -> None:
    models = tmp_path / "models"
    put(models, bundle(tmp_path, "1"), "champion", None)
    deployment = put(models, bundle(tmp_path, "2"), "champion", "1")
    assert (deployment.champion, deployment.previous) == ("2", "1")
    assert put(models, bundle(tmp_path, "2"), "champion", "1") == deployment, "told twice, done once"


def test_what_was_measured_against_another_champion_is_not_deployed(tmp_path: Path) -> None:
    models = tmp_path / "models"
    put(models, bundle(tmp_path, "1"), "champion", None)
    put(models, bundle(tmp_path, "2"), "champion", "1")
    with pytest.raises(ModelFolderError, match="the champion is 2 now; 3 was measured against 1"):
        put(models, bundle(tmp_path, "3"), "challenger", "1")
    assert not (models / "fan" / "3").exists()


def test_another_bundle_under_a_version_that_is_there_is_refused(tmp_path: Path) -> None:
    models = tmp_path / "models"
    put(models, bundle(tmp_path, "1"), "champion", None)
    with pytest.raises(ModelFolderError, match="a version never changes"):
        put(models, bundle(tmp_path, "1", b"other"), "champion", "1")


def test_the_same_bundle_signed_anew_stays_as_it_is_and_an_unsigned_one_gets_its_signature(
    tmp_path: Path,
) -> None:
    models, made = tmp_path / "models", bundle(tmp_path, "1")
    signature = models / "fan" / "1" / SIGNATURE_FILE
    put(models, made, "champion", None)
    assert not signature.exists()
    for content, there in (("first", "first"), ("second", "first")):
        (made / SIGNATURE_FILE).write_text(content)
        put(models, made, "champion", None)
        assert signature.read_text() == there


def test_who_changes_a_deployment_waits_for_who_changes_it_already(tmp_path: Path) -> None:
    models, made = tmp_path / "models", bundle(tmp_path, "2")
    put(models, bundle(tmp_path, "1"), "champion", None)
    with (models / "fan" / ".deployment.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = threading.Thread(target=put, args=(models, made, "challenger", "1"))
        waiting.start()
        waiting.join(timeout=0.5)
        assert waiting.is_alive()
        deployment = read_deployment(models, "fan")
        assert deployment is not None
        assert deployment.challenger is None
    waiting.join(timeout=30)
    deployment = read_deployment(models, "fan")
    assert deployment is not None
    assert deployment.challenger == "2"


def test_a_damaged_bundle_is_not_deployed(tmp_path: Path) -> None:
    made = bundle(tmp_path, "1")
    (made / "model.tflite").write_bytes(b"damaged")
    with pytest.raises(BundleError, match="SHA-256"):
        put(tmp_path / "models", made, "champion", None)
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("content", ["", "{}", json.dumps({"model": "fan", "champion": "../1"})])
def test_a_deployment_that_is_none_gets_a_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "fan").mkdir()
    (tmp_path / "fan" / "deployment.json").write_text(content)
    with pytest.raises(ModelFolderError, match="does not say which version"):
        champion_in_use(tmp_path, "fan")


def test_another_models_deployment_and_a_version_that_is_not_there_get_a_sentence(tmp_path: Path) -> None:
    put(tmp_path, bundle(tmp_path, "1"), "champion", None)
    shutil.copytree(tmp_path / "fan", tmp_path / "pump")
    with pytest.raises(ModelFolderError, match="is of model fan, expected pump"):
        champion_in_use(tmp_path, "pump")
    with pytest.raises(ModelFolderError, match="version 7 of fan is not there"):
        bundle_folder(tmp_path, "fan", "7")
