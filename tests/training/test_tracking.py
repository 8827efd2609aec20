"""Runs, versions and aliases in MLflow, on its SQLite file. Loads MLflow (three seconds)."""

import os
import sqlite3
from pathlib import Path

import pytest

from training.bundle import read_manifest
from training.tracking import CHALLENGER, CHAMPION, Registry, RegistryUnusable

COMMITTED = Path(__file__).parents[2] / "models" / "fan"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(tmp_path_factory.mktemp("registry"))


def tracked(registry: Registry, name: str, run: str, folder: Path) -> str:
    (folder / "metrics.json").write_text("{}")
    return registry.track(
        name,
        run,
        parameters={"epochs": 40},
        metrics={"log_loss": 0.14},
        tags={"data_sha256": "a" * 64},
        artifacts=folder,
    )


def test_a_run_is_written_down_once_with_what_it_was_made_of(registry: Registry, tmp_path: Path) -> None:
    first = tracked(registry, "written", "run-1", tmp_path)
    assert tracked(registry, "written", "run-1", tmp_path) == first
    assert tracked(registry, "written", "run-2", tmp_path) != first
    with sqlite3.connect(registry.place.removeprefix("sqlite:///")) as file:
        assert file.execute("select value from params where run_uuid = ?", [first]).fetchall() == [("40",)]
        (artifacts,) = file.execute("select artifact_uri from runs where run_uuid = ?", [first]).fetchone()
    assert (Path(artifacts.removeprefix("file://")) / "metrics.json").is_file()


def test_versions_carry_the_bundles_own_version_and_the_aliases_move(
    registry: Registry, tmp_path: Path
) -> None:
    run = tracked(registry, "moved", "run-1", tmp_path)
    assert registry.versions("moved") == []
    registry.register("moved", "7", run, "it is better")
    registry.register("moved", "7", run, "told twice")
    registry.register("moved", "8", tracked(registry, "moved", "run-2", tmp_path), "it is better still")
    registry.set_alias("moved", CHAMPION, "7")
    registry.set_alias("moved", CHALLENGER, "8")
    assert [(one.version, one.aliases) for one in registry.versions("moved")] == [
        ("7", ("champion",)),
        ("8", ("challenger",)),
    ]
    registry.set_alias("moved", CHAMPION, "8")
    registry.set_alias("moved", CHALLENGER, None)
    assert [one.aliases for one in registry.versions("moved")] == [(), ("champion",)]
    with pytest.raises(RegistryUnusable, match="no version 9 of moved; there are 7, 8"):
        registry.set_alias("moved", CHAMPION, "9")
    with pytest.raises(RegistryUnusable, match="version 8 of moved is registered already, of another run"):
        registry.register("moved", "8", run, "")


def test_a_bundle_that_was_there_before_the_registry_is_taken_in_once(registry: Registry) -> None:
    manifest = read_manifest(COMMITTED)
    first = registry.adopt("fan", manifest, COMMITTED)
    assert registry.adopt("fan", manifest, COMMITTED) == first
    assert [one.version for one in registry.versions("fan")] == ["1"]
    with sqlite3.connect(registry.place.removeprefix("sqlite:///")) as file:
        (artifacts,) = file.execute(
            "select artifact_uri from runs where run_uuid = ?", [first.run_id]
        ).fetchone()
    kept = Path(artifacts.removeprefix("file://")) / "bundle"
    assert read_manifest(kept) == manifest


def test_a_registry_that_cannot_be_opened_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "mlflow.sqlite3").write_text("no database")
    with pytest.raises(RegistryUnusable, match=r"the registry, sqlite:///.*mlflow\.sqlite3, cannot be used"):
        Registry(tmp_path).versions("fan")


SERVER = os.environ.get("FANWATCH_TEST_MLFLOW")


@pytest.mark.skipif(
    SERVER is None,
    reason="LEFT OUT: an MLflow server is 600 MB and 40 s to start; FANWATCH_TEST_MLFLOW=http://HOST:PORT names one",
)
def test_a_server_does_as_the_file_does(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "unused", SERVER)
    name = f"fan-{os.getpid()}"
    run = tracked(registry, name, "run-1", tmp_path)
    assert tracked(registry, name, "run-1", tmp_path) == run
    registry.keep_bundle(run, COMMITTED)
    registry.tag(run, {"gate": "passed"})
    registry.register(name, "7", run, "it is better")
    registry.set_alias(name, CHAMPION, "7")
    assert [(one.version, one.aliases) for one in registry.versions(name)] == [("7", ("champion",))]
    registry.set_alias(name, CHAMPION, None)
    assert [one.aliases for one in registry.versions(name)] == [()]
    assert not (tmp_path / "unused").exists()


def test_a_server_that_is_away_gets_a_sentence_without_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    registry = Registry(tmp_path, "http://someone:horse@127.0.0.1:9")
    with pytest.raises(RegistryUnusable, match="the server of MLFLOW_TRACKING_URI, cannot be used") as told:
        registry.versions("fan")
    assert "horse" not in str(told.value)
