"""`fanwatch model ... --folder SITE`: the models of a Compose site, by the command that the others print.

The engine is played: its model container is our code on a folder of the test (stand_in_docker.py).
"""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from edge_manager.device.compose import COMPOSE_FILE
from testbed.site import Site
from tests.edge_manager.test_device_commands import Host, fanwatch
from tests.inference.model_versions import COMMITTED, Signer, add_version, deployed
from tests.installation.test_install import bundle_of


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.make(tmp_path / "keys")


@pytest.fixture
def bundle(tmp_path: Path, signer: Signer) -> Path:
    """Version 2, signed."""
    return add_version(tmp_path / "bundles", "2", signer)


class ModelHost(Host):
    """A site whose folder has a space in its name; people stand elsewhere, in a clone with models of its own."""

    def __init__(self, tmp_path: Path) -> None:
        self.site = tmp_path / "hall 2"
        self.site.mkdir()
        (self.site / COMPOSE_FILE).touch()
        self.elsewhere = tmp_path / "clone"
        self.elsewhere.mkdir()
        super().__init__(self.elsewhere, Site(tmp_path / "secrets"))
        self.models = tmp_path / "volume"
        add_committed(self.models)
        add_committed(self.elsewhere / "models")
        self.variables["STAND_IN_MODELS"] = str(self.models)

    def model(self, *arguments: str, code: int = 0) -> str:
        return self.call("model", *arguments, "--folder", str(self.site), code=code)

    def run_what_is_printed(self, text: str) -> str:
        """The one indented command among the lines that a command wrote, as a person copies it."""
        [line] = [
            line for line in text.splitlines() if line.startswith("  fanwatch ") and "model use" in line
        ]
        program, *arguments = shlex.split(line)
        assert program == "fanwatch"
        return self.call(*arguments)

    @property
    def elsewhere_is_untouched(self) -> bool:
        return not (self.elsewhere / "models" / "fan" / "deployment.json").exists()


def add_committed(models: Path) -> None:
    folder = models / "fan"
    folder.mkdir(parents=True)
    for file in COMMITTED.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())


@pytest.fixture
def host(tmp_path: Path) -> ModelHost:
    return ModelHost(tmp_path)


def test_a_model_that_is_pulled_onto_a_site_is_used_by_the_command_that_is_printed(
    host: ModelHost, bundle: Path, signer: Signer
) -> None:
    source, key = ("--from", str(bundle.parents[1])), ("--key", str(signer.public_key))
    printed = host.call("pull", "model", "fan:2", *source, *key, "--folder", str(host.site))
    assert "champion 2" in host.run_what_is_printed(printed)
    assert deployed(host.models).champion == "2"
    assert host.elsewhere_is_untouched


def test_a_model_that_came_with_a_sites_file_is_used_by_the_command_that_is_printed(
    host: ModelHost, bundle: Path, signer: Signer, tmp_path: Path
) -> None:
    file = bundle_of(tmp_path, signer, compose="", model=bundle)
    printed = host.call(
        "up", "--bundle", str(file), "--key", str(signer.public_key), "--folder", str(host.site)
    )
    assert "fan:2 is on the device" in printed
    assert "champion 2" in host.run_what_is_printed(printed)
    assert deployed(host.models).champion == "2"
    assert host.elsewhere_is_untouched


def test_a_site_that_is_installed_is_started_by_the_command_that_is_printed(
    host: ModelHost, bundle: Path, signer: Signer, tmp_path: Path
) -> None:
    file = bundle_of(tmp_path, signer, compose="", model=bundle)
    printed = host.call("install", str(file), "--key", str(signer.public_key), "--folder", str(host.site))
    [line] = [line for line in printed.splitlines() if line.startswith("  fanwatch up ")]
    assert "fan:2 is on the device" in host.call(*shlex.split(line)[1:])


def test_who_stands_elsewhere_is_told_what_works_from_there(host: ModelHost) -> None:
    there = shlex.quote(str(host.site))
    started = host.call("up", "--folder", str(host.site))
    assert f"fanwatch add fan NAME --folder {there}" in started
    assert f"cd {there} && docker compose run --rm --no-deps -T setup show page" in started
    assert f"fanwatch doctor --folder {there} says what is wrong" in host.call(
        "status", "--folder", str(host.site), code=1
    )
    for_the_site = f"The commands are for the folder {host.site}"
    assert for_the_site in host.call("doctor", "--folder", str(host.site), code=1)
    host.folder = host.site
    assert for_the_site not in host.call("doctor", code=1)
    started = host.call("up")
    assert "fanwatch add fan NAME\n" in started
    assert "password: docker compose run --rm --no-deps -T setup show page" in started


def test_a_model_that_is_added_to_a_site_is_used_by_the_command_that_is_printed(
    host: ModelHost, bundle: Path
) -> None:
    printed = host.model("add", str(bundle))
    assert "fan:2 is on this device (signed)" in printed
    assert "champion 2" in host.run_what_is_printed(printed)
    assert deployed(host.models).champion == "2"
    assert host.elsewhere_is_untouched


def test_a_model_in_a_folder_is_used_by_the_command_that_is_printed(
    host: ModelHost, bundle: Path, tmp_path: Path
) -> None:
    models = tmp_path / "other models"
    add_committed(models)
    printed = host.call("model", "add", str(bundle), "--models", str(models))
    assert "champion 2" in host.run_what_is_printed(printed)
    assert deployed(models).champion == "2"
    assert host.elsewhere_is_untouched


def test_a_sites_versions_are_listed_compared_in_the_shadow_used_and_taken_back(
    host: ModelHost, bundle: Path
) -> None:
    host.model("add", str(bundle))
    assert "challenger 2" in host.model("shadow", "fan", "2", "--why", "it's new")
    assert deployed(host.models).why == "it's new"
    assert "challenger" not in host.model("shadow", "fan", "--end")
    assert "champion 2" in host.model("use", "fan", "2", "--why", "better")
    listed = host.model("list", "fan")
    assert [line.split()[:2] for line in listed.splitlines()[:2]] == [
        ["fan:1", "previous"],
        ["fan:2", "champion"],
    ]
    assert "better" in listed
    assert '"champion":"2"' in host.model("state", "fan")
    assert "champion 1" in host.model("rollback", "fan", "--why", "no")
    assert deployed(host.models).why == "no"
    assert host.elsewhere_is_untouched


def test_what_a_site_refuses_is_said_in_its_sentence(host: ModelHost) -> None:
    assert "model fan has no version 9 on this device" in host.model("use", "fan", "9", code=1)
    assert "there is no model pump on this device" in host.model("list", "pump", code=1)
    assert "the scoring service does not answer" in host.model("compare", code=1)


def test_the_environment_may_name_the_site_as_for_the_other_commands(host: ModelHost, bundle: Path) -> None:
    host.model("add", str(bundle))
    host.variables["FANWATCH_FOLDER"] = str(host.site)
    assert "fan:2" in host.call("model", "list", "fan")


@pytest.mark.parametrize(
    "command", [("list", "fan"), ("use", "fan", "2"), ("receive",), ("add", "bundle")], ids=" ".join
)
def test_a_site_and_a_folder_of_models_at_once_are_refused(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = fanwatch("model", *command, "--folder", "site", "--models", "models", folder=tmp_path)
    assert done.returncode == 1
    assert "give one of the two" in done.stderr


def test_in_the_container_no_command_of_the_host_is_named(host: ModelHost, bundle: Path) -> None:
    """There nobody knows the site's folder."""
    done = subprocess.run(
        [sys.executable, "-m", "edge_manager.models.command", "add", str(bundle)],
        env={"FANWATCH_MODELS_DIR": str(host.models), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "fan:2 is on this device" in done.stdout
    assert "fanwatch" not in done.stdout
