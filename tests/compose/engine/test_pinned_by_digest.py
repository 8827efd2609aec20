"""What `make pin-images` has written is what an engine runs and builds on, whatever becomes of the tags."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.containers import ROOT, docker
from testbed.registry import Registry

COMPOSE = """\
name: fanwatch-pins
services:
  broker:
    image: {broker}

  ours:
    build: {{ context: . }}
    image: fanwatch-pins-ours
"""


class Site:
    """A folder with a compose file of a foreign image and of one that is built on a foreign base."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        self.folder = folder
        self.registry = registry
        self.broker, self.base = f"{registry.host}/team/broker:1", f"{registry.host}/library/base:1"
        (folder / "docker-compose.yml").write_text(COMPOSE.format(broker=self.broker))
        (folder / "Dockerfile").write_text(
            f'ARG PYTHON_IMAGE={self.base}\nFROM ${{PYTHON_IMAGE}}\nLABEL ours=1\nCMD ["/no"]\n'
        )

    def push(self, image: str, which: str) -> None:
        """A new image under that tag; this machine then forgets it, so that the registry is asked."""
        folder = self.folder / "pushed"
        folder.mkdir(exist_ok=True)
        (folder / "which").write_text(which)
        (folder / "Dockerfile").write_text(f'FROM scratch\nCOPY which /\nLABEL which={which}\nCMD ["/no"]\n')
        docker("build", "--quiet", "--tag", image, str(folder))
        docker("push", "--quiet", image)
        self.forget()

    def forget(self) -> None:
        """No image of this test is on the machine."""
        self.compose("down", check=False)
        for image in (self.broker, self.base, "fanwatch-pins-ours"):
            repository = image.rpartition(":")[0] or image
            for one in docker("image", "ls", "--quiet", repository).stdout.split():
                docker("image", "rm", "--force", one, check=False)

    def pin(self) -> None:
        """As `make pin-images`, and what it says is to be done then."""
        files = ("--dockerfile", "Dockerfile", "--to", "docker-compose.digests.yml")
        pin = str(ROOT / ".ci" / "pin_images.py")
        done = subprocess.run(
            [sys.executable, pin, "--plain-http", "--compose", "docker-compose.yml", *files],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        (self.folder / ".env").write_text(done.stderr.rsplit(maxsplit=1)[-1] + "\n")

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`docker compose` in the site's folder, which reads .env as it does everywhere."""
        return subprocess.run(
            ["docker", "compose", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=check,
        )

    def label_of(self, service: str) -> str:
        """Which of the pushed images the container of that service was made from, or was built on."""
        [container] = json.loads(docker("inspect", f"fanwatch-pins-{service}-1").stdout)
        [image] = json.loads(docker("image", "inspect", container["Image"]).stdout)
        return str(image["Config"]["Labels"]["which"])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    if docker("info", check=False, timeout_s=30).returncode:
        pytest.exit("test-compose needs a Docker engine and none answers: .ci/docker-engine.sh start", 1)
    with Registry(tmp_path / "registry") as registry:
        (tmp_path / "site").mkdir()
        made = Site(tmp_path / "site", registry)
        for image in (made.broker, made.base):
            made.push(image, "first")
        yield made
        made.forget()


def test_what_was_pinned_is_run_and_built_on_although_the_tags_have_moved(site: Site) -> None:
    site.pin()
    for image in (site.broker, site.base):
        site.push(image, "second")
    site.compose("create", "--build")
    assert (site.label_of("broker"), site.label_of("ours")) == ("first", "first")
    # Unpinned the tag counts, or the test would pass on an image that never changed.
    site.forget()
    (site.folder / ".env").unlink()
    site.compose("create", "--build")
    assert (site.label_of("broker"), site.label_of("ours")) == ("second", "second")


def test_a_registry_that_holds_something_else_under_the_pinned_digest_gets_nothing_run(site: Site) -> None:
    site.pin()
    site.push(site.broker, "second")
    blobs = site.registry.folder / "data" / "docker" / "registry" / "v2" / "blobs" / "sha256"
    pinned = (site.folder / "docker-compose.digests.yml").read_text().split("broker:1@sha256:")[1][:64]
    links = blobs.parents[1] / "repositories" / "team" / "broker" / "_manifests" / "tags" / "1" / "current"
    moved = (links / "link").read_text().removeprefix("sha256:")
    assert moved != pinned
    shutil.copyfile(blobs / moved[:2] / moved / "data", blobs / pinned[:2] / pinned / "data")
    done = site.compose("create", "broker", check=False)
    assert done.returncode != 0
    assert docker("ps", "--all", "--quiet", "--filter", "name=fanwatch-pins").stdout == ""
