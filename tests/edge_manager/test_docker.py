"""Docker's own command: what fails says why, and a silent engine is never taken for an answer."""

import subprocess
from pathlib import Path

import pytest

from edge_manager.device.compose import COMPOSE_FILE, Compose
from edge_manager.device.docker import Docker, SiteError

SILENT = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"


@pytest.fixture(autouse=True)
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker that can be found; what starts it is played."""
    found = tmp_path / "bin" / "docker"
    found.parent.mkdir()
    found.touch(0o755)
    monkeypatch.setenv("PATH", str(found.parent))
    return found


class Played:
    """Answers what begins with one of these words; whatever else is asked succeeds with nothing to say."""

    def __init__(self, **failures: str) -> None:
        self.failures = failures
        self.asked: list[list[str]] = []

    def __call__(self, command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        self.asked.append(command[1:])
        said = self.failures.get(command[1])
        return subprocess.CompletedProcess(command, 0 if said is None else 1, "", said or "")


def test_an_image_that_is_not_there_is_not_there(tmp_path: Path) -> None:
    assert not Docker(tmp_path, Played(image="Error: No such image: x:1")).has_image("x:1")
    assert Docker(tmp_path, Played()).has_image("x:1")


def test_a_silent_engine_is_no_missing_image(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="no Docker engine answers: start it"):
        Docker(tmp_path, Played(image=SILENT, version=SILENT)).has_image("x:1")


def test_what_docker_refuses_comes_with_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"^`docker tag a b \.\.\.` failed: No such image: a$"):
        Docker(tmp_path, Played(tag="No such image: a")).answer("tag", "a", "b")


def test_who_may_not_speak_to_the_engine_is_told_how(tmp_path: Path) -> None:
    refused = "permission denied while trying to connect to the Docker daemon socket"
    with pytest.raises(SiteError, match="join the group docker"):
        Docker(tmp_path, Played(load=refused, version=refused)).load(tmp_path / "images.tar")


def test_a_docker_that_does_not_end_is_named(tmp_path: Path) -> None:
    def hang(command: list[str], timeout: float, **_: object) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired(command, timeout)

    with pytest.raises(SiteError, match=r"`docker save --output .* did not end within 3600 s"):
        Docker(tmp_path, hang).save(["x:1"], tmp_path / "images.tar")


def test_a_machine_without_docker_is_told_where_to_get_it(tmp_path: Path, program: Path) -> None:
    program.unlink()
    with pytest.raises(SiteError, match="Docker is not installed"):
        Docker(tmp_path).answer("version")


class PlayedModel(Played):
    """A site whose model container answers with a line, or refuses with a sentence."""

    def __init__(self, said: str = "", refuses: str = "", **failures: str) -> None:
        super().__init__(**failures)
        self.said, self.refuses = said, refuses

    def __call__(self, command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if command[-3:-1] == ["config", "--images"]:
            return subprocess.CompletedProcess(command, 0, f"fanwatch-{command[-1]}\n", "")
        if "run" in command:
            self.asked.append(command[1:])
            return subprocess.CompletedProcess(command, bool(self.refuses), self.said, self.refuses)
        return super().__call__(command)


def test_a_model_that_the_site_refuses_comes_back_with_its_sentence(tmp_path: Path) -> None:
    (tmp_path / COMPOSE_FILE).touch()
    refusing = PlayedModel(refuses="error: fan:2 is signed by nobody that this site trusts")
    with (tmp_path / "parcel").open("wb+") as parcel, pytest.raises(SiteError, match=r"^fan:2 is signed by"):
        Compose(tmp_path, refusing).receive_model(parcel)
    assert ["model", "receive"] in [asked[-2:] for asked in refusing.asked]


@pytest.mark.parametrize("is_there", [True, False])
def test_the_models_image_is_built_first_so_that_nothing_stands_before_the_answer(
    tmp_path: Path, is_there: bool
) -> None:
    """`fanwatch up` does not build it, and `docker compose run` tells of building where the answer is read."""
    (tmp_path / COMPOSE_FILE).touch()
    site = PlayedModel("{}\n", **({} if is_there else {"image": "Error: No such image: fanwatch-model"}))
    assert Compose(tmp_path, site).model("state", "fan") == "{}\n"
    built = ["compose", "build", "--quiet", "model"]
    assert [asked for asked in site.asked if asked == built or "run" in asked][:-1] == (
        [] if is_there else [built]
    )
