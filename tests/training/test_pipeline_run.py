"""The whole pipeline on the real InfluxDB: readings and labels in, a signed bundle out. Loads TensorFlow (ten s)."""

import csv
import json
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from contract.deployment import Deployment
from inference.bundle import read_bundle
from testbed.influxdb import InfluxDB, nanoseconds
from tests.training.recorded_plant import (
    BEGIN,
    DEVICES,
    READINGS,
    Plant,
    recorded_plant,
)
from training.bundle import read_manifest
from training.deployed import read_deployment
from training.pipeline_command import REFUSED
from training.signing import verify_bundle
from training.steps.all_steps import STEP_NAMES

# Keras 3 against NumPy 2; not ours, and nothing that these tests could act on.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

COMMITTED = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="module")
def plant(influxdb: InfluxDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with recorded_plant(influxdb, tmp_path_factory.mktemp("plant")) as made:
        yield made


@pytest.fixture(scope="module")
def first(plant: Plant) -> Result:
    """The first run, up to validate and then to its end: as one that was killed in between and started again."""
    key = str(plant.folder / "keys" / "model-signing.key")
    begun = plant.pipeline(*plant.options("first", "--key", key, "--until", "validate"))
    assert begun.exit_code == 0, begun.output
    return plant.pipeline("--run", str(plant.folder / "first"))


def test_readings_of_influxdb_become_a_signed_challenger_that_the_scoring_service_reads(
    plant: Plant, first: Result
) -> None:
    assert first.exit_code == 0, first.output
    deployment = read_deployment(plant.models, "fan")
    assert deployment is not None
    assert (deployment.champion, deployment.challenger) == ("1", "2")
    assert "the new fan is better than fan:1 with 95% confidence" in deployment.why
    deployed = plant.models / "fan" / "2"
    verify_bundle(deployed, plant.folder / "keys" / "model-signing.pub")
    shutil.copytree(deployed, plant.folder / "device" / "fan")
    assert read_bundle(plant.folder / "device" / "fan", "fan", None).manifest.model_id == "fan:2"
    assert read_manifest(plant.models / "fan" / "1").model_id == "fan:1"


def test_a_run_that_has_stopped_goes_on_and_says_how_far_it_is(plant: Plant, first: Result) -> None:
    lines = first.output.splitlines()
    assert [line for line in lines if "done before" in line][:2] == [
        "[1/8] extract: done before: 3600 readings of 6 devices, 1200 of them labelled faulty and 2400 healthy",
        lines[2],
    ]
    ended = [line.split("]")[0] + "]" for line in lines if line.startswith("[") and line.endswith(" s)")]
    assert ended == [f"[{number}/8]" for number in range(3, 9)]
    assert plant.influxdb.site.influxdb_password("grafana") not in first.output


def test_bad_rows_are_left_out_and_each_is_reported(plant: Plant, first: Result) -> None:
    with (plant.folder / "first" / "validate" / "bad_rows.csv").open() as text:
        bad = {
            (row["deviceID"], row["column"], row["expected"], row["found"]) for row in csv.DictReader(text)
        }
    assert bad == {
        ("piped1", "rotation", "0 to 1500 r/min", "5000.0"),
        ("piped2", "rotation", "a value that can be read", ""),
    }


def test_the_run_is_tracked_with_its_data_its_figures_and_its_plots(plant: Plant, first: Result) -> None:
    versions = {one.version: one for one in plant.registry.versions("fan")}
    assert {version: one.aliases for version, one in versions.items()} == {
        "1": ("champion",),
        "2": ("challenger",),
    }
    with sqlite3.connect(plant.folder / "registry" / "mlflow.sqlite3") as file:

        def told(table: str) -> dict[str, str]:
            asked = f"select key, value from {table} where run_uuid = ?"
            return dict(file.execute(asked, [versions["2"].run_id]))

        tags, figures, parameters = told("tags"), told("latest_metrics"), told("params")
        (place,) = file.execute(
            "select artifact_uri from runs where run_uuid = ?", [versions["2"].run_id]
        ).fetchone()
    deployed = read_manifest(plant.models / "fan" / "2")
    assert tags["data_sha256"] == deployed.training_data_sha256
    assert (tags["gate"], parameters["epochs"]) == ("passed", "10")
    assert float(figures["log_loss"]) == pytest.approx(deployed.metrics["log_loss"])
    assert figures.keys() >= {"test_log_loss", "newest_log_loss", "newest_recall"}
    kept = Path(place.removeprefix("file://"))
    assert (kept / "report" / "roc.png").is_file()
    verify_bundle(kept / "bundle", plant.folder / "keys" / "model-signing.pub")


def test_only_what_was_damaged_and_what_follows_from_it_is_done_again(plant: Plant, first: Result) -> None:
    again = plant.pipeline("--run", str(plant.folder / "first"))
    assert again.exit_code == 0
    assert again.output.count("done before") == len(STEP_NAMES)
    decision = plant.folder / "first" / "gate" / "decision.json"
    intact = decision.read_bytes()
    decision.write_text("{}")
    mended = plant.pipeline("--run", str(plant.folder / "first"))
    assert mended.exit_code == 0, mended.output
    # The gate decides as it did, so that what follows from it stands.
    assert decision.read_bytes() == intact
    assert "[5/8] gate: the new fan is better" in mended.output
    assert mended.output.count("done before") == len(STEP_NAMES) - 1
    assert [one.version for one in plant.registry.versions("fan")] == ["1", "2"]


def test_a_model_that_is_worse_than_the_one_in_use_is_refused_with_the_reason(
    plant: Plant, first: Result
) -> None:
    other = Plant(plant.folder / "good", plant.influxdb)
    shutil.copytree(COMMITTED, other.models)
    shutil.copy(plant.labels, other.labels)
    refused = other.pipeline(*other.options("worse"))
    assert refused.exit_code == REFUSED, refused.output
    assert "the new fan is not better than fan:1: log loss" in refused.output
    assert "refused: nothing was registered or deployed" in refused.output
    assert other.registry.versions("fan") == []
    assert read_deployment(other.models, "fan") is None
    assert other.pipeline("--run", str(other.folder / "worse")).exit_code == REFUSED, (
        "also when it is asked again"
    )


def test_the_same_model_again_is_refused_and_a_run_behind_a_new_champion_does_not_deploy(
    plant: Plant, first: Result
) -> None:
    waiting = plant.pipeline(*plant.options("waiting", "--as", "champion", "--until", "package"))
    assert waiting.exit_code == 0, waiting.output
    deployment = read_deployment(plant.models, "fan")
    assert isinstance(deployment, Deployment)
    promoted = deployment.promoted("2", at=datetime.now(UTC), why="a person did it")
    (plant.models / "fan" / "deployment.json").write_text(promoted.model_dump_json())

    late = plant.pipeline("--run", str(plant.folder / "waiting"))
    assert late.exit_code == 1
    assert "the champion is 2 now; 3 was measured against 1. Start a new run" in late.output
    assert read_deployment(plant.models, "fan") == promoted

    equal = plant.pipeline(*plant.options("equal"))
    assert equal.exit_code == REFUSED, equal.output
    assert "the new fan is not better than fan:2" in equal.output


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (["--until", "polish"], "no step polish; there are extract, validate, train"),
        (["--days", "3"], "--days counts back"),
        (["--alarms", "alarms.sqlite3"], "either labels or an alarms' file"),
    ],
)
def test_options_that_cannot_be_followed_get_a_sentence(plant: Plant, change: list[str], told: str) -> None:
    answer = plant.pipeline(*plant.options("never", *change))
    assert answer.exit_code == 1
    assert told in answer.output
    assert not (plant.folder / "never").exists()


def test_a_database_that_refuses_or_holds_nothing_gets_a_sentence_and_the_way_on(plant: Plant) -> None:
    refused = plant.pipeline(*plant.options("refused"), password="no")
    assert refused.exit_code == 1
    assert f"InfluxDB at {plant.influxdb.url} refused: 401" in refused.output
    assert f"go on: fanwatch pipeline run --run {plant.folder / 'refused'}" in refused.output
    times = ["--from", "2001-01-01T00:00:00Z", "--to", "2001-01-01T01:00:00Z"]
    empty = plant.pipeline("--run", str(plant.folder / "empty"), *times, "--models", str(plant.models))
    assert empty.exit_code == 1
    assert "holds no rotation, temperature, vibration, sound from 2001-01-01T00:00:00.000Z" in empty.output


def test_what_no_alarm_covers_is_taken_for_healthy_and_what_stood_open_is_not(plant: Plant) -> None:
    """Device 1 had an alarm from its hour 10 to 20 that nobody has closed; of device 6 only one hour is labelled."""
    told = [(10, "unacknowledged", 1), (12, "acknowledged", 1), (20, "normal", 0)]
    assert plant.influxdb.write(
        [
            f'alarm,deviceID=piped1 state="{state}",active={active}.0 {nanoseconds(BEGIN + timedelta(hours=hour))}'
            for hour, state, active in told
        ]
    ).ok
    labels = plant.folder / "few.csv"
    labels.write_text(
        f"deviceID,from,to,faulty\npiped6,{BEGIN.isoformat()},{(BEGIN + timedelta(hours=1)).isoformat()},1\n"
    )
    options = plant.options("open", "--unlabelled", "healthy", "--until", "extract", "--every", "720")
    answer = plant.pipeline(*options, "--labels", str(labels))
    assert answer.exit_code == 0, answer.output
    with (plant.folder / "open" / "extract" / "readings.csv").open() as text:
        rows = list(csv.DictReader(text))
    half = DEVICES * READINGS // 2
    assert half <= len(rows) <= half + DEVICES, "every other reading"

    def hours(device: str, *, known: bool) -> list[float]:
        return [
            (datetime.fromisoformat(row["timeStamp"]) - BEGIN).total_seconds() / 3600
            for row in rows
            if row["deviceID"] == device and (row["faulty"] != "") == known
        ]

    margin = 10 / 60
    assert len(hours("piped1", known=False)) >= 50
    assert all(10 - margin <= hour <= 20 + margin for hour in hours("piped1", known=False))
    assert not any(10 - margin < hour < 20 + margin for hour in hours("piped1", known=True))
    assert hours("piped2", known=False) == []
    assert all(1 <= hour <= 1 + margin for hour in hours("piped6", known=False))
    assert {row["faulty"] for row in rows if row["deviceID"] == "piped6"} >= {"1", "0"}


def test_too_many_bad_rows_end_the_run(plant: Plant) -> None:
    answer = plant.pipeline(*plant.options("strict", "--most-bad", "0", "--until", "validate"))
    assert answer.exit_code == 1
    assert "2 of 3600 rows are bad, 0.1%; expected at most 0.0% (--most-bad)" in answer.output
    assert "expected 0 to 1500 r/min, found '5000.0'" in answer.output


MACHINE = """
name = "pump"
separator = ";"
healthy_rows = 300

[[signals]]
name = "flow"
column = "Volume Flow"
unit = "l/min"
minimum = 0
maximum = 100
"""


def test_a_machine_without_labels_gets_a_baseline_and_its_second_has_to_be_judged_by_a_test_set(
    plant: Plant, tmp_path: Path
) -> None:
    chance = np.random.default_rng(2)
    (tmp_path / "pump.toml").write_text(MACHINE)
    (tmp_path / "pump.csv").write_text(
        "\n".join(["Volume Flow", *(f"{value:.3f}" for value in chance.normal(32, 0.4, 600))])
    )
    machine = ["--machine", str(tmp_path / "pump.toml"), "--data", str(tmp_path / "pump.csv")]
    common = [*machine, "--models", str(tmp_path / "models")]
    begun = plant.pipeline(*common, "--run", str(tmp_path / "1"))
    assert begun.exit_code == 0, begun.output
    assert "the first version, learned from 300 rows that are taken for healthy" in begun.output
    assert "NOT signed: no --key was given" in begun.output
    deployment = json.loads((tmp_path / "models" / "pump" / "deployment.json").read_text())
    assert (deployment["champion"], deployment["challenger"]) == ("1", None)
    second = plant.pipeline(*common, "--run", str(tmp_path / "2"))
    assert second.exit_code == REFUSED
    assert "there is no labelled row to tell whether the new pump is better than pump:1" in second.output
    assert "--test FILE" in second.output

    faults = chance.normal(60, 2, 300)
    rows = [*((v, 0) for v in chance.normal(32, 0.4, 300)), *((v, 1) for v in faults)]
    (tmp_path / "test.csv").write_text("\n".join(["Volume Flow;faulty", *(f"{v:.3f};{f}" for v, f in rows)]))
    third = plant.pipeline(*common, "--run", str(tmp_path / "3"), "--test", str(tmp_path / "test.csv"))
    assert third.exit_code == REFUSED
    assert "on 600 rows of the frozen test set" in third.output
