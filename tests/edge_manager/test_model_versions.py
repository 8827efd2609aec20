"""The versions of a model on a device: copied whole, switched by one rename, and back."""

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from contract.deployment import NotDeployed
from edge_manager.models.shadow_report import Comparison, comparisons
from edge_manager.models.versions import ModelVersions
from model_folder.folder import ModelFolderError

COMMITTED = Path(__file__).parents[2] / "models" / "fan"


def bundle(folder: Path, version: str, **changes: object) -> Path:
    shutil.copytree(COMMITTED, folder)
    manifest = json.loads((folder / "manifest.json").read_text()) | {"version": version, **changes}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """As a device has it at first: one folder that is itself the bundle."""
    shutil.copytree(COMMITTED, tmp_path / "models" / "fan")
    return tmp_path / "models"


@pytest.fixture
def fan(models: Path) -> ModelVersions:
    return ModelVersions(models, "fan")


def test_the_bundle_that_came_with_the_device_stays_the_champion_until_another_is_used(
    fan: ModelVersions, tmp_path: Path
) -> None:
    assert fan.deployment() is None
    fan.add(bundle(tmp_path / "new", "2"))
    deployment = fan.deployment()
    assert deployment is not None
    assert deployment.champion == "1"
    assert [each.manifest.version for each in fan.versions()] == ["1", "2"]


def test_a_device_without_any_model_takes_its_first(tmp_path: Path) -> None:
    fan = ModelVersions(tmp_path / "models", "fan")
    fan.add(bundle(tmp_path / "new", "7"))
    assert fan.use("7", "first").champion == "7"


def test_use_and_roll_back(fan: ModelVersions, tmp_path: Path) -> None:
    fan.add(bundle(tmp_path / "new", "2"))
    used = fan.use("2", "it is better")
    assert (used.champion, used.previous, used.why) == ("2", "1", "it is better")
    back = fan.roll_back("it is not")
    assert (back.champion, back.previous) == ("1", None)
    assert fan.deployment() == back
    with pytest.raises(NotDeployed, match="no version before 1"):
        fan.roll_back("again")


def test_a_challenger_is_named_and_taken_back(fan: ModelVersions, tmp_path: Path) -> None:
    fan.add(bundle(tmp_path / "new", "2"))
    assert fan.shadow("2", "try").challenger == "2"
    assert fan.shadow(None, "enough").challenger is None


def test_a_version_that_is_not_here_is_named_with_those_that_are(fan: ModelVersions) -> None:
    with pytest.raises(ModelFolderError, match="no version 9 on this device; it has 1"):
        fan.use("9", "")


def test_a_version_never_changes(fan: ModelVersions, tmp_path: Path) -> None:
    fan.add(bundle(tmp_path / "new", "2"))
    fan.add(tmp_path / "new")
    with pytest.raises(ModelFolderError, match="a version never changes"):
        fan.add(bundle(tmp_path / "other", "2", threshold=0.7))


def test_a_damaged_bundle_is_refused_and_leaves_nothing(
    fan: ModelVersions, models: Path, tmp_path: Path
) -> None:
    damaged = bundle(tmp_path / "new", "2")
    (damaged / "model.tflite").write_bytes(b"half of it")
    with pytest.raises(ModelFolderError, match=r"model\.tflite: is damaged"):
        fan.add(damaged)
    assert not (models / "fan" / "2").exists()


def test_the_bundle_of_another_model_is_refused(fan: ModelVersions, tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="is of model pump, expected fan"):
        fan.add(bundle(tmp_path / "new", "2", name="pump"))


def test_what_lies_beside_the_described_files_is_not_copied(
    fan: ModelVersions, models: Path, tmp_path: Path
) -> None:
    new = bundle(tmp_path / "new", "2")
    (new / "notes.txt").write_text("not of the bundle")
    fan.add(new)
    assert not (models / "fan" / "2" / "notes.txt").exists()
    assert (models / "fan" / "2" / "model.sig").exists()


def test_many_who_change_it_at_a_time_leave_one_whole_deployment(
    fan: ModelVersions, models: Path, tmp_path: Path
) -> None:
    for version in "2345":
        fan.add(bundle(tmp_path / version, version))
    threads = [
        threading.Thread(target=ModelVersions(models, "fan").use, args=(version, "a race"))
        for version in "2345" * 5
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deployment = fan.deployment()
    assert deployment is not None
    assert deployment.champion in "2345"
    assert not list((models / "fan").glob(".deployment-*"))


EXPOSITION = """
# TYPE fanwatch_inference_shadow_rows_total counter
fanwatch_inference_shadow_rows_total{challenger="fan:2",champion="fan:1"} 200.0
# TYPE fanwatch_inference_shadow_agreed_total counter
fanwatch_inference_shadow_agreed_total{challenger="fan:2",champion="fan:1"} 190.0
# TYPE fanwatch_inference_shadow_faults_total counter
fanwatch_inference_shadow_faults_total{by="champion",challenger="fan:2",champion="fan:1"} 20.0
fanwatch_inference_shadow_faults_total{by="challenger",challenger="fan:2",champion="fan:1"} 30.0
# TYPE fanwatch_inference_shadow_seconds histogram
fanwatch_inference_shadow_seconds_bucket{by="champion",challenger="fan:2",champion="fan:1",le="0.001"} 100.0
fanwatch_inference_shadow_seconds_bucket{by="champion",challenger="fan:2",champion="fan:1",le="+Inf"} 100.0
fanwatch_inference_shadow_seconds_bucket{by="challenger",challenger="fan:2",champion="fan:1",le="0.001"} 98.0
fanwatch_inference_shadow_seconds_bucket{by="challenger",challenger="fan:2",champion="fan:1",le="0.01"} 100.0
fanwatch_inference_shadow_seconds_bucket{by="challenger",challenger="fan:2",champion="fan:1",le="+Inf"} 100.0
"""


def test_a_challenger_is_compared_by_the_metrics_of_the_scoring_service() -> None:
    assert comparisons(EXPOSITION) == [Comparison("fan:1", "fan:2", 200, 0.95, (0.1, 0.15), (0.001, 0.01))]
    assert comparisons("") == []


def fanwatch(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fanwatch.cli", "model", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_person_adds_uses_and_takes_back_a_version(models: Path, tmp_path: Path) -> None:
    new, at = str(bundle(tmp_path / "new", "2")), ("--models", str(models))
    assert "fanwatch model use fan 2" in fanwatch("add", new, *at).stdout
    assert "champion 2, a roll-back goes to 1" in fanwatch("use", "fan", "2", "--why", "better", *at).stdout
    listed = fanwatch("list", "fan", *at).stdout
    assert "champion" in listed
    assert "better" in listed
    assert "champion 1" in fanwatch("rollback", "fan", *at).stdout


def test_a_persons_mistake_is_a_sentence_and_no_traceback(models: Path, tmp_path: Path) -> None:
    for arguments in (
        ["add", str(tmp_path / "nowhere")],
        ["use", "fan", "9", "--models", str(models)],
        ["rollback", "pump", "--models", str(models)],
        ["shadow", "fan", "--models", str(models)],
        ["compare", "--url", "http://127.0.0.1:1"],
    ):
        answer = fanwatch(*arguments)
        assert answer.returncode == 1
        assert answer.stderr.startswith("error: ")
        assert "Traceback" not in answer.stderr
