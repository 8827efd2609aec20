"""A site without internet, its data in a folder of its own: `fanwatch bundle`, `install`, `init`, `up --bundle`."""

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.containers import BIND, PROJECT, ROOT, Stack, docker, fanwatch, sign_in
from testbed.readings import now_ms, reading
from testbed.waiting import wait_until
from training.signing import generate_keys, sign_bundle


@pytest.fixture
def key(tmp_path: Path) -> Path:
    private, _ = generate_keys(tmp_path / "keys")
    return private


@pytest.fixture
def model(tmp_path: Path, key: Path) -> Path:
    folder = tmp_path / "fan-2"
    shutil.copytree(ROOT / "models" / "fan", folder, ignore=shutil.ignore_patterns("model.sig"))
    described = json.loads((folder / "manifest.json").read_text()) | {"version": "2"}
    (folder / "manifest.json").write_text(json.dumps(described))
    sign_bundle(folder, key, None)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder; the site that is made in it is gone afterwards."""
    site = tmp_path / "site"
    yield site
    if (site / "docker-compose.yml").exists():
        docker("compose", "-p", PROJECT, "down", "--volumes", folder=site)


def on_the_site(*arguments: str, folder: Path) -> str:
    done = fanwatch(*arguments, folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def store_a_reading(site: Stack, device_id: str) -> None:
    with sign_in("legacy", site.password("mqtt-legacy")) as fan:
        fan.publish("fan/messages", reading(device_id, now_ms(), seq=1))
    wait_until(lambda: judged(site, device_id) == 1, within_s=90, what=f"the stored verdict of {device_id}")


def judged(site: Stack, device_id: str) -> int:
    rows = site.query(f"SELECT count(fault) FROM anomaly WHERE \"deviceID\" = '{device_id}'")
    return int(rows[0]["count"]) if rows else 0


@pytest.mark.timeout(1800)
def test_one_signed_file_makes_a_site_whose_data_outlives_its_containers_and_volumes(
    stack: Stack, tmp_path: Path, key: Path, model: Path, folder: Path
) -> None:
    bundle, public, data = tmp_path / "site.fanwatch", key.with_suffix(".pub"), tmp_path / "data"
    stack.compose("--profile", "*", "build", "--quiet", timeout_s=1200)
    left_out = [option for name in stack.left_out for option in ("--leave-out", name)]
    made = fanwatch("bundle", "--out", str(bundle), "--key", str(key), "--model", str(model), *left_out)
    assert made.returncode == 0, made.stderr

    # From here on a machine that holds none of the images by name.
    stack.down("--volumes")
    images = json.loads(subprocess.check_output(["tar", "-xOf", bundle, "manifest.json"]))["images"]
    docker("image", "rm", "--force", "--no-prune", *images)
    trusted = ("--key", str(public))
    on_the_site("install", str(bundle), *trusted, folder=folder)
    on_the_site("init", "--yes", "--bind", BIND, "--data-dir", str(data), folder=folder)
    start = ("up", "--bundle", str(bundle), *trusted, *stack.services)
    printed = on_the_site(*start, folder=folder)
    assert "fan:2 is on the device" in printed

    site = Stack(folder)
    [serve] = [shlex.split(line) for line in printed.splitlines() if line.startswith("  fanwatch model use")]
    assert "champion 2, a roll-back goes to 1" in on_the_site(*serve[1:], folder=folder)
    assert "champion 1" in on_the_site("model", "rollback", "fan", folder=folder)
    password = site.password("mqtt-monitor")
    store_a_reading(site, "first")
    kept = {"mosquitto-data", "influxdb-data", "monitor-data", "models", "secrets-operator"}
    assert all(any((data / name).iterdir()) for name in kept)

    on_the_site("down", folder=folder)
    site.compose("down", "--volumes")
    on_the_site("up", *stack.services, folder=folder)
    assert site.password("mqtt-monitor") == password
    assert judged(site, "first") == 1
    store_a_reading(site, "second")
