"""Each image can be built for amd64 and for arm64: the lock file has a wheel of every package for both."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

LOCK = tomllib.loads((Path(__file__).parents[2] / "uv.lock").read_text())
PACKAGES: dict[str, list[dict[str, Any]]] = {}
for _package in LOCK["package"]:
    PACKAGES.setdefault(_package["name"], []).append(_package)

PYTHON = (3, 13)
IMAGES = ("predictor", "inference", "monitor", "drift", "simulator", "edge-manager", "pipeline")
MACHINES = ("x86_64", "aarch64")


def _environment(machine: str) -> dict[str, str]:
    return {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": "3.13.5",
        "python_version": "3.13",
        "sys_platform": "linux",
    }


def _applies(marker: str | None, machine: str) -> bool:
    return marker is None or Marker(marker).evaluate(_environment(machine))


def _needed(extra: str, machine: str) -> dict[str, dict[str, Any]]:
    """Every package that `uv sync --extra EXTRA` installs on that machine, by name."""
    own = PACKAGES["fanwatch"][0]
    waiting = [*own["dependencies"], *own["optional-dependencies"][extra]]
    found: dict[str, dict[str, Any]] = {}
    while waiting:
        dependency = waiting.pop()
        name = dependency["name"]
        if not _applies(dependency.get("marker"), machine):
            continue
        # Where the lock has several versions, the dependency says which.
        package = next(p for p in PACKAGES[name] if dependency.get("version") in {None, p["version"]})
        for extra_of_it in dependency.get("extra", []):
            waiting += package["optional-dependencies"][extra_of_it]
        if name not in found:
            found[name] = package
            waiting += package.get("dependencies", [])
    return found


def _tags(machine: str) -> set[str]:
    # Debian 12's glibc 2.36 and older: what the oldest supported base has.
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(36, 16, -1)] + [
        f"manylinux2014_{machine}",
        f"manylinux2010_{machine}",
    ]
    tags = {*cpython_tags(PYTHON, platforms=platforms), *compatible_tags(PYTHON, "cp313", platforms)}
    return {str(tag) for tag in tags}


def _without_a_wheel(needed: dict[str, dict[str, Any]], machine: str) -> list[str]:
    fitting = _tags(machine)
    return [
        name
        for name, package in needed.items()
        if not any(
            {str(tag) for tag in parse_wheel_filename(wheel["url"].rsplit("/", 1)[1])[3]} & fitting
            for wheel in package.get("wheels", [])
        )
    ]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("extra", IMAGES)
def test_every_package_of_an_image_has_a_wheel_for_the_machine(extra: str, machine: str) -> None:
    needed = _needed(extra, machine)
    assert len(needed) > 5
    assert _without_a_wheel(needed, machine) == []


@pytest.mark.parametrize("machine", MACHINES)
def test_onnx_runtime_has_a_wheel_for_the_machine(machine: str) -> None:
    needed = _needed("onnx", machine)
    assert "onnxruntime" in needed
    assert _without_a_wheel(needed, machine) == []


def test_the_predictors_image_holds_no_tensorflow_and_no_numpy() -> None:
    for machine in MACHINES:
        assert not {"tensorflow", "tensorflow-cpu", "numpy", "ai-edge-litert"} & set(
            _needed("predictor", machine)
        )
        assert not {"tensorflow", "tensorflow-cpu"} & set(_needed("inference", machine))
