"""The comparison page says what the committed measurements say."""

import gzip
import io
import json
from pathlib import Path

import pytest

from benchmarks.comparison.table import blocks, one_process
from contract.bundle import MANIFEST_FILE, Manifest
from edge_manager.models.parcel import pack

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = (ROOT / "docs" / "comparison.md").read_text()
LATEST = json.loads((RESULTS / "latest.json").read_text())
COMPARISON = json.loads((RESULTS / "comparison.json").read_text())


@pytest.mark.parametrize("name", ["readings", "forms"])
def test_each_table_of_the_page_is_that_of_the_committed_measurements(name: str) -> None:
    table = blocks(LATEST, COMPARISON)[name]
    assert f"<!-- begin: benchmarks.comparison {name} -->\n{table}<!-- end -->\n" in PAGE


def test_memory_and_start_of_the_last_table_are_those_of_the_first() -> None:
    found = one_process(LATEST)
    predictor, inference = found["memory_mib predictor"], found["memory_mib inference"]
    assert f"{predictor:.0f} MiB predictor, {inference:.0f} MiB scoring service" in PAGE
    assert f"| {found['first_verdict_s']:.1f} s as processes (measured) |" in PAGE


def test_the_size_of_an_update_of_a_model_is_that_of_its_parcel() -> None:
    bundle, stream = ROOT / "models" / "fan", io.BytesIO()
    pack(bundle, Manifest.model_validate_json((bundle / MANIFEST_FILE).read_text()), stream)
    sent = stream.getvalue()
    assert f"{len(sent):,} bytes over the wire for `fan` (a tar of its five files)" in PAGE
    assert f"{len(gzip.compress(sent)) / 1000:.0f} KB compressed" in PAGE


def test_the_size_of_an_update_of_the_software_is_that_of_the_last_images_layers() -> None:
    run = [each for each in COMPARISON["runs"] if "layers" in each][-1]
    layers = run["layers"]
    code, libraries = layers["code_bytes"] / 1e3, layers["libraries_bytes"] / 1e6
    assert f"{code:.0f} KB for a change of the scoring service's code, {libraries:.0f} MB when its" in PAGE
    assert f"`docker history`, {run['date']}" in PAGE
