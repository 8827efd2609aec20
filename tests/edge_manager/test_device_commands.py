"""`fanwatch init`, `up`, `down`, `logs`, `add` and the others, as a person calls them on a machine."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer import Context
from typer.core import TyperGroup
from typer.main import get_command

from edge_manager.device.compose import COMPOSE_FILE
from edge_manager.device.env_file import read_values
from edge_manager.device.site_plan import DATA_DIR_FILE, SitePlan
from fanwatch.group import app as fanwatch_app
from fanwatch.rooms import COMMANDS as COMMANDS_OF_ROOMS
from testbed.mosquitto import Mosquitto
from testbed.process import REPOSITORY
from testbed.site import ACL, Site
from testbed.waiting import wait_until

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


def fanwatch(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command in a folder; without a terminal, as a script calls it."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("FANWATCH_", "COMPOSE_"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "fanwatch.cli", *arguments],
        cwd=folder,
        env=clean | {"PYTHONPATH": str(REPOSITORY)} | variables,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A site's folder: what of the repository Compose reads."""
    for name in (COMPOSE_FILE, DATA_DIR_FILE):
        (tmp_path / name).write_text((REPOSITORY / name).read_text())
    return tmp_path


COMMANDS = [("up",), ("logs",), ("add", "fan", "fan-7"), ("rotate", "fan-7")]


WANTED = {
    "init": ("--yes",),
    "add fan": ("fan-7",),
    "add client": ("historian",),
    "remove": ("fan-7",),
    "rotate": ("fan-7",),
    "backup": ("--out", "x.backup"),
    "restore": ("x.backup",),
    "upgrade": ("--backup-out", "x.backup"),
    "model add": (str(REPOSITORY / "models" / "fan"),),
    "model list": ("fan",),
    "model use": ("fan", "2"),
    "model shadow": ("fan", "2"),
    "model rollback": ("fan",),
    "model state": ("fan",),
    "bundle": ("--out", "x.fanwatch", "--key", "x.key"),
    "pull model": ("fan:2", "--from", "bundles", "--key", "x.pub"),
}
"""What a command must be told besides its folder."""
LEFT_OUT = {"install"}
"""It makes the folder."""


def with_a_folder() -> list[str]:
    """Every command that a site's folder can be named to."""
    group = get_command(fanwatch_app)
    assert isinstance(group, TyperGroup)
    rooms = [name for name, room in COMMANDS_OF_ROOMS.items() if room.module.startswith("edge_manager.")]
    commands = {name: group.get_command(Context(group), name) for name in rooms}
    return [
        name
        for name, command in commands.items()
        if command is not None and any("--folder" in each.opts for each in command.params)
    ]


@pytest.mark.parametrize("command", sorted(set(with_a_folder()) - LEFT_OUT))
def test_outside_of_a_sites_folder_a_command_says_so(tmp_path: Path, command: str) -> None:
    words = (*command.split(), *WANTED.get(command, ()), "--folder", str(tmp_path))
    done = fanwatch(*words, folder=tmp_path)
    # Of status and doctor 1 would be a finding.
    assert done.returncode == (2 if command in {"status", "doctor"} else 1)
    assert done.stderr.startswith(f"error: {tmp_path} is not a site's folder")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_where_a_person_stands_unless_it_is_named(tmp_path: Path) -> None:
    assert f"error: {tmp_path} is not a site's folder" in fanwatch("up", folder=tmp_path).stderr


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_without_docker_a_command_says_where_to_get_it(clone: Path, arguments: tuple[str, ...]) -> None:
    done = fanwatch(*arguments, folder=clone, PATH="/nonexistent")
    assert done.returncode == 1
    assert "Docker is not installed" in done.stderr


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_when_no_engine_answers_a_command_says_how_to_start_it(
    clone: Path, docker_client: Path, arguments: tuple[str, ...]
) -> None:
    done = fanwatch(*arguments, folder=clone, **NO_ENGINE)
    assert done.returncode == 1
    assert "no Docker engine answers: start it" in done.stderr


@pytest.fixture
def docker_client() -> Path:
    """The real client with Compose; the engine is not needed."""
    found = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    if not found:
        pytest.skip("no docker compose on this machine; tests/compose has all of this too")
    return Path("docker")


# --- init -------------------------------------------------------------------------------------------


def init(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return fanwatch("init", "--yes", *arguments, folder=folder, **(NO_ENGINE | variables))


def test_init_writes_what_is_given_and_says_what_is_to_be_mended(clone: Path) -> None:
    done = init(
        clone,
        "--site",
        "hall 2",
        "--bind",
        "0.0.0.0",
        "--hostname",
        "fans.plant.example",
        "--hostname",
        "192.168.1.20",
    )
    values = read_values((clone / ".env").read_text())
    assert values["FANWATCH_SITE"] == "hall 2"
    assert values["FANWATCH_BIND"] == "0.0.0.0"
    assert values["FANWATCH_HOSTNAMES"] == "fans.plant.example,192.168.1.20"
    assert values["FANWATCH_ALLOWED_HOSTS"] == "fans.plant.example"
    assert (values["FANWATCH_DEMO"], values["FANWATCH_SIMULATORS"]) == ("false", "0")
    assert "FANWATCH_UNENCRYPTED_MQTT_BIND" not in values
    assert "COMPOSE_FILE" not in values
    # There is no engine here, and that is what the table and the exit code say.
    assert done.returncode == 1
    assert re.search(r"^  bad +Docker", done.stdout, re.MULTILINE)
    assert "First mend: Docker" in done.stderr


def test_init_of_a_folder_elsewhere_says_what_works_from_here(
    clone: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    done = init(tmp_path_factory.mktemp("elsewhere"), "--folder", str(clone))
    assert f"Then: fanwatch up --folder {clone}" in done.stderr
    assert (clone / ".env").is_file()


def test_init_again_changes_nothing_and_a_persons_lines_stay(clone: Path) -> None:
    (clone / ".env").write_text("# ask Kim\nHTTP_PROXY=http://proxy:3128\nFANWATCH_BIND=10.0.0.5\n")
    init(clone, "--site", "hall-2", "--hostname", "fans.plant.example")
    once = (clone / ".env").read_text()
    assert once.startswith("# ask Kim\nHTTP_PROXY=http://proxy:3128\nFANWATCH_BIND=10.0.0.5\n")
    done = init(clone)
    assert (clone / ".env").read_text() == once
    assert "says so already" in done.stdout


def test_init_changes_what_is_given_and_keeps_the_rest(clone: Path) -> None:
    init(clone, "--site", "hall-2", "--hostname", "a.example", "--retention-days", "60")
    init(clone, "--hostname", "b.example", "--unencrypted-bind", "192.168.1.20")
    values = read_values((clone / ".env").read_text())
    assert values["FANWATCH_SITE"] == "hall-2"
    assert values["FANWATCH_RETENTION_DAYS"] == "60"
    assert values["FANWATCH_HOSTNAMES"] == "b.example"
    assert values["FANWATCH_UNENCRYPTED_MQTT_BIND"] == "192.168.1.20"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--bind", "everywhere"), "0.0.0.0 for every network"),
        (("--hostname", "two words"), "is no host name"),
        (("--retention-days", "1"), "expected 2 to 364 days"),
        (("--data-dir", "here"), "expected a path from the root"),
        (("--site", "x" * 65), "1 to 64 characters"),
        (("--site", "it's"), "cannot stand in an environment file"),
        (("--data-dir", "/proc/fanwatch"), "cannot make /proc/fanwatch"),
    ],
)
def test_an_impossible_wish_gets_a_sentence_and_writes_nothing(
    clone: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    done = init(clone, *arguments)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert not (clone / ".env").exists()


def test_init_without_a_terminal_and_without_yes_says_so(clone: Path) -> None:
    done = fanwatch("init", folder=clone, **NO_ENGINE)
    assert done.returncode == 1
    assert "give --yes" in done.stderr
    assert not (clone / ".env").exists()


def test_init_asks_and_offers_what_stands(clone: Path) -> None:
    said = answer(clone, "fans.plant.example", "docker", "hall 2", "", "45", "n")
    values = read_values((clone / ".env").read_text())
    assert "Enter keeps what stands in brackets" in said
    assert values["FANWATCH_HOSTNAMES"] == "fans.plant.example"
    assert (values["FANWATCH_SITE"], values["FANWATCH_RETENTION_DAYS"]) == ("hall 2", "45")
    assert values["FANWATCH_BIND"] == "127.0.0.1"


def answer(clone: Path, *answers: str) -> str:
    """`fanwatch init` at a terminal of its own, as a person has; what it said."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "r+b", buffering=0) as terminal:
        process = subprocess.Popen(
            [sys.executable, "-m", "fanwatch.cli", "init"],
            cwd=clone,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | NO_ENGINE,
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(theirs)
        terminal.write("".join(f"{each}\n" for each in answers).encode())
        said, _ = process.communicate(timeout=60)
    return said


PINNED = f"{COMPOSE_FILE}:docker-compose.digests.yml"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"{COMPOSE_FILE}:{DATA_DIR_FILE}"),
        (f"COMPOSE_FILE={PINNED}\n", f"{PINNED}:{DATA_DIR_FILE}"),
        (f"COMPOSE_FILE={DATA_DIR_FILE}:{PINNED}\n", f"{DATA_DIR_FILE}:{PINNED}"),
        (f"COMPOSE_FILE=./{DATA_DIR_FILE}:{PINNED}\n", f"./{DATA_DIR_FILE}:{PINNED}"),
        ("COMPOSE_PATH_SEPARATOR=,\nCOMPOSE_FILE=a.yml,b.yml\n", f"a.yml,b.yml,{DATA_DIR_FILE}"),
    ],
    ids=["nothing", "pins", "pins and ours", "ours by its folder", "another separator"],
)
def test_init_with_a_folder_for_data_adds_our_file_to_those_that_a_person_named_and_no_other(
    clone: Path, tmp_path_factory: pytest.TempPathFactory, before: str, after: str
) -> None:
    (clone / ".env").write_text(before)
    data = ("--data-dir", str(tmp_path_factory.mktemp("data")))
    for options in (data, data, ()):
        init(clone, *options)
        assert read_values((clone / ".env").read_text())["COMPOSE_FILE"] == after


def test_init_without_a_folder_for_data_leaves_the_pins_of_images_as_they_are(clone: Path) -> None:
    (clone / ".env").write_text(f"COMPOSE_FILE={PINNED}\n")
    init(clone, "--site", "hall 2")
    assert (clone / ".env").read_text().startswith(f"COMPOSE_FILE={PINNED}\n")


@pytest.mark.parametrize(
    ("others", "after"), [(COMPOSE_FILE, COMPOSE_FILE), (PINNED, PINNED)], ids=["alone", "with pins"]
)
def test_who_goes_back_to_dockers_own_volumes_leaves_our_file_and_keeps_the_others(
    clone: Path, tmp_path_factory: pytest.TempPathFactory, others: str, after: str
) -> None:
    """The file with an empty FANWATCH_DATA_DIR is one that Compose refuses."""
    data = tmp_path_factory.mktemp("data")
    (clone / ".env").write_text(f"FANWATCH_DATA_DIR={data}\nCOMPOSE_FILE={others}:{DATA_DIR_FILE}\n")
    answer(clone, "fans.plant.example", "docker", "hall 2", "", "45", "n")
    values = read_values((clone / ".env").read_text())
    assert (values["FANWATCH_DATA_DIR"], values["COMPOSE_FILE"]) == ("", after)


@pytest.mark.parametrize("content", [b"FANWATCH_SITE=H\xe4lle 2\n", b"\xff\xfeA\x00=\x001\x00"])
def test_an_environment_file_in_another_encoding_is_a_sentence_and_stays_as_it_is(
    clone: Path, content: bytes
) -> None:
    (clone / ".env").write_bytes(content)
    done = init(clone)
    assert done.returncode == 1
    assert done.stderr.startswith("error: .env: is not UTF-8 text")
    assert (clone / ".env").read_bytes() == content


def test_a_folder_for_data_is_prepared_and_compose_binds_every_volume_into_it(
    clone: Path, docker_client: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = tmp_path_factory.mktemp("data")
    (clone / "docker-compose.override.yml").write_text("services: {simulator: {mem_limit: 99m}}\n")
    init(clone, "--data-dir", str(data))
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("FANWATCH_", "COMPOSE_"))}
    done = subprocess.run(
        ["docker", "compose", "config", "--format", "json"],
        cwd=clone,
        env=clean,
        capture_output=True,
        text=True,
        check=True,
    )
    content = json.loads(done.stdout)
    devices = {name: volume["driver_opts"]["device"] for name, volume in content["volumes"].items()}
    assert devices == {name: str(data / name) for name in devices}
    assert {path.name for path in data.iterdir()} == set(devices)
    assert content["services"]["simulator"]["mem_limit"] == str(99 * 1024 * 1024)
    assert content["services"]["simulator"]["scale"] == 0


def test_the_plan_that_a_file_says_is_the_plan_that_was_written() -> None:
    plan = SitePlan("hall 2", "10.0.0.5", ("a.example", "10.0.0.5"), Path("/srv"), 60, True, "10.0.0.6")
    assert SitePlan.from_variables(plan.variables()) == plan


# --- users, at a real broker ------------------------------------------------------------------------


class Host:
    """A site's folder with a stand-in of Docker: the setup container is our code, the broker a process."""

    def __init__(self, clone: Path, site: Site) -> None:
        self.folder = clone
        self.programs = clone / "programs"
        self.programs.mkdir()
        docker = self.programs / "docker"
        docker.write_text(
            f'#!/bin/sh\nexec {sys.executable} {Path(__file__).parent / "stand_in_docker.py"} "$@"\n'
        )
        docker.chmod(0o755)
        self.variables = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "STAND_IN_BROKER_PID": "0",
            "FANWATCH_SECRETS_ROOT": str(site.folder / "secrets"),
            "FANWATCH_ACL_FILE": str(ACL),
            "FANWATCH_HOSTNAMES": "fans.plant.example",
        }

    def call(self, *arguments: str, code: int = 0) -> str:
        done = fanwatch(*arguments, folder=self.folder, **self.variables)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr


def signs_in(broker: Mosquitto, user: str, password: str) -> bool:
    try:
        broker.connect(user, password).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_fan_is_let_in_given_another_password_and_taken_out_on_the_host(
    clone: Path, new_site: Callable[[], Site]
) -> None:
    with Mosquitto(new_site()) as broker:
        host = Host(clone, broker.site)
        host.variables["STAND_IN_BROKER_PID"] = str(broker.pid)
        handout = json.loads(host.call("add", "fan", "fan-7", "--json"))
        assert handout["host"] == "fans.plant.example"
        wait_until(lambda: signs_in(broker, "fan-7", handout["password"]), within_s=10, what="the fan")
        with broker.connect("fan-7", handout["password"]) as fan:
            text = host.call("rotate", "fan-7")
            assert fan.disconnected.wait(10)
        [password] = re.findall(r"^  password +(\S+)$", text, re.MULTILINE)
        assert password != handout["password"]
        assert signs_in(broker, "fan-7", password)
        assert "fan-7" in host.call("users")
        with broker.connect("fan-7", password) as fan:
            assert "cut off" in host.call("remove", "fan-7")
            assert fan.disconnected.wait(10)
        assert not signs_in(broker, "fan-7", password)


def test_a_services_password_is_renewed_and_the_service_started_again(
    clone: Path, new_site: Callable[[], Site]
) -> None:
    with Mosquitto(new_site()) as broker:
        host = Host(clone, broker.site)
        host.variables["STAND_IN_BROKER_PID"] = str(broker.pid)
        before = broker.site.mqtt_password("predictor")
        assert "predictor was started again" in host.call("rotate", "predictor")
        wait_until(
            lambda: not signs_in(broker, "predictor", before), within_s=10, what="the old one to be refused"
        )
        assert signs_in(broker, "predictor", broker.site.mqtt_password("predictor"))
        assert "monitor does not run" in host.call("rotate", "monitor")


def test_while_the_broker_is_away_a_fan_is_added_for_its_next_start(clone: Path, tmp_path: Path) -> None:
    host = Host(clone, Site(tmp_path / "site"))
    text = host.call("add", "client", "historian", "--read", "fan/#")
    assert "The broker does not run; it reads this at its start." in text
    assert "subscribe to  fan/#" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "fan", "two words"), "cannot be a name"),
        (("add", "client", "x", "--write", "a\nuser monitor"), "is no topic"),
        (("remove", "nobody"), "there is no user nobody"),
        (("rotate", "page"), "on the live page"),
    ],
)
def test_what_the_container_refuses_is_said_in_its_sentence(
    clone: Path, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    host = Host(clone, Site(tmp_path / "site"))
    error = host.call(*arguments, code=1)
    assert error.startswith("error: ")
    assert sentence in error
