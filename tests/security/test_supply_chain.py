"""What the images are made of: listed, looked up, and never passed without a look."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
UV = ROOT / ".cache" / "uv" / "bin" / "uv"
IMAGES = ("simulator", "predictor", "inference", "monitor", "drift", "edge-manager", "pipeline")


def _locked() -> set[tuple[str, str]]:
    """A package may be locked in two versions, for two versions of Python."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    return {(package["name"], package["version"]) for package in lock["package"] if "version" in package}


@pytest.fixture(scope="module")
def sboms() -> dict[str, dict[str, Any]]:
    subprocess.run(["make", "sbom"], cwd=ROOT, check=True, capture_output=True, timeout=120)
    return {
        image: json.loads((ROOT / "reports" / "sbom" / f"{image}.cdx.json").read_text()) for image in IMAGES
    }


def test_each_image_of_ours_has_a_list_of_its_packages_as_they_are_locked(
    sboms: dict[str, dict[str, Any]],
) -> None:
    locked = _locked()
    for image, sbom in sboms.items():
        assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.5"), image
        assert len(sbom["components"]) > 5, image
        for part in sbom["components"]:
            assert part["purl"].split("?")[0] == f"pkg:pypi/{part['name']}@{part['version']}"
            assert (part["name"], part["version"]) in locked, image
    assert {"flask", "gunicorn"} <= {part["name"] for part in sboms["monitor"]["components"]}
    assert "tensorflow-cpu" not in {part["name"] for part in sboms["predictor"]["components"]}


def test_every_dockerfile_of_ours_is_on_the_list() -> None:
    extras = {
        extra
        for file in ROOT.glob("*/Dockerfile")
        for extra in re.findall(r"uv sync .*--extra ([a-z-]+)", file.read_text())
    }
    assert extras == set(IMAGES)


def _audit(tmp_path: Path, *packages: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"dependencies": packages, "fixes": []}))
    return subprocess.run(
        [sys.executable, ROOT / ".ci" / "audit.py", "--report", report],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


GOOD = {"name": "flask", "version": "3.1.0", "vulns": []}


def test_packages_that_were_looked_up_pass(tmp_path: Path) -> None:
    done = _audit(tmp_path, GOOD)
    assert (done.returncode, done.stdout) == (0, "1 packages looked up: no known vulnerability\n")


def test_a_known_vulnerability_fails_the_audit_and_names_the_version_that_mends_it(tmp_path: Path) -> None:
    done = _audit(
        tmp_path,
        GOOD,
        {"name": "x", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"], "aliases": []}]},
    )
    assert done.returncode == 1
    assert "x 1: PYSEC-1, mended in 2" in done.stdout


def test_what_could_not_be_looked_up_never_passes_in_silence(tmp_path: Path) -> None:
    # As pip-audit says it behind a mirror without advisories, with exit code 0.
    unknown = {"name": "y", "skip_reason": "Dependency not found on PyPI and could not be audited: y (1)"}
    for done in (_audit(tmp_path, GOOD, unknown), _audit(tmp_path)):
        assert done.returncode == 2
        assert "NOT AUDITED" in done.stdout


@pytest.mark.parametrize("stand_in", [None, "exit 2", 'echo \'{"error": "no answer"}\''])
def test_an_audit_that_could_not_run_is_none(tmp_path: Path, stand_in: str | None) -> None:
    """No uv, one that fails, a report of something else: never 1, which says that a vulnerability was found."""
    script = tmp_path / ".ci" / "audit.py"
    script.parent.mkdir()
    script.write_text((ROOT / ".ci" / "audit.py").read_text())
    uv = tmp_path / ".cache" / "uv" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    if stand_in is not None:
        uv.write_text(f"#!/bin/sh\n{stand_in}\n")
        uv.chmod(0o755)
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert "NOT AUDITED" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
