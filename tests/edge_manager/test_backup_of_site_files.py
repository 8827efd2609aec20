"""The files of the host in a backup: .env and what it names, from one site's folder into another's and nowhere else."""

import re
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_manager.backup.archive import FORMAT, About, ArchiveWriter
from edge_manager.backup.site_files import LEFT_OUT, NAMED, site_files
from testbed.process import REPOSITORY
from tests.edge_manager.played_site import PlayedSite

SERVICES: dict[str, object] = {
    "archive": {"image": "fanwatch-archive", "restart": "no", "profiles": ["tools"]},
    "influxdb": {"image": "fanwatch-influxdb", "restart": "unless-stopped"},
}


@pytest.fixture
def there(tmp_path: Path) -> PlayedSite:
    """The site that is backed up."""
    return made(tmp_path / "there")


@pytest.fixture
def here(tmp_path: Path) -> PlayedSite:
    """The empty machine."""
    return made(tmp_path / "here")


def made(folder: Path) -> PlayedSite:
    folder.mkdir()
    site = PlayedSite(folder)
    site.lies_here(SERVICES)
    return site


def from_one_to_the_other(there: PlayedSite, here: PlayedSite) -> str:
    """Backs up and restores; what the restore said."""
    file = str(there.folder.parent / "site.backup")
    done = there.fanwatch("backup", "--out", file)
    assert done.exit_code == 0, done.stderr
    done = here.fanwatch("restore", file)
    assert done.exit_code == 0, done.stderr
    return done.stderr


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_every_variable_by_which_docker_compose_yml_mounts_a_file_of_the_host_is_known() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    mounts = [str(mount) for each in services.values() for mount in each.get("volumes", [])]
    found = {match[1] for mount in mounts if (match := re.match(r"\$\{(\w+)", mount))}
    assert found == {*NAMED.values(), *LEFT_OUT}


def test_the_plants_and_the_machines_files_come_back_under_the_names_that_env_gives(
    there: PlayedSite, here: PlayedSite
) -> None:
    env = "FANWATCH_PLANT_FILE=./my-plant.toml\nFANWATCH_MACHINES_FILE='./hall 2/my-machines.toml'\n"
    (there.folder / ".env").write_text(env)
    (there.folder / "my-plant.toml").write_text("[quality]\n")
    (there.folder / "hall 2").mkdir()
    (there.folder / "hall 2" / "my-machines.toml").write_text("[[inputs.opcua]]\n")
    before = files_below(here.folder)
    said = from_one_to_the_other(there, here)
    assert (here.folder / ".env").read_text() == env
    assert (here.folder / "my-plant.toml").read_text() == "[quality]\n"
    assert (here.folder / "hall 2" / "my-machines.toml").read_text() == "[[inputs.opcua]]\n"
    new = {name for name in files_below(here.folder) - before if not name.startswith("engine.")}
    assert new == {".env", "my-plant.toml", "hall 2/my-machines.toml"}
    assert "is to say" not in said


def test_the_compose_files_that_env_names_come_back_and_those_of_the_release_stay(
    there: PlayedSite, here: PlayedSite
) -> None:
    names = "docker-compose.yml:docker-compose.override.yml:extra/hall.yml:docker-compose.data-dir.yml"
    (there.folder / ".env").write_text(f"COMPOSE_FILE={names}\n")
    (there.folder / "extra").mkdir()
    for name in ("docker-compose.override.yml", "extra/hall.yml", "docker-compose.data-dir.yml"):
        (there.folder / name).write_text(f"# {name} of there\n")
    (here.folder / "docker-compose.data-dir.yml").write_text("# the release's\n")
    from_one_to_the_other(there, here)
    assert (here.folder / "docker-compose.override.yml").read_text().endswith("of there\n")
    assert (here.folder / "extra" / "hall.yml").read_text().endswith("of there\n")
    assert (here.folder / "docker-compose.data-dir.yml").read_text() == "# the release's\n"


def test_an_override_that_compose_finds_by_itself_comes_back_too(there: PlayedSite, here: PlayedSite) -> None:
    (there.folder / "docker-compose.override.yml").write_text("services: {}\n")
    from_one_to_the_other(there, here)
    assert (here.folder / "docker-compose.override.yml").read_text() == "services: {}\n"


def test_a_file_that_env_names_and_is_not_there_is_told_when_the_backup_is_made(there: PlayedSite) -> None:
    (there.folder / ".env").write_text("FANWATCH_PLANT_FILE=./gone.toml\n")
    done = there.fanwatch("backup", "--out", str(there.folder.parent / "site.backup"))
    assert done.exit_code == 0
    assert f"left out: {there.folder / 'gone.toml'} is no file; FANWATCH_PLANT_FILE names it" in done.stderr


def test_a_file_elsewhere_on_the_machine_is_kept_and_comes_back_beside_docker_compose_yml(
    there: PlayedSite, here: PlayedSite, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "etc" / "plant.toml"
    elsewhere.parent.mkdir()
    elsewhere.write_text("[quality]\n")
    (there.folder / ".env").write_text(f"FANWATCH_PLANT_FILE={elsewhere}\n")
    file = str(tmp_path / "site.backup")
    assert there.fanwatch("backup", "--out", file).exit_code == 0
    elsewhere.unlink()
    done = here.fanwatch("restore", file)
    assert done.exit_code == 0, done.stderr
    assert (here.folder / "plant.toml").read_text() == "[quality]\n"
    assert not elsewhere.exists(), "a backup does not say where to write"
    assert "FANWATCH_PLANT_FILE is to say ./plant.toml" in done.stderr


def test_where_env_is_this_machines_own_its_names_count_and_nothing_that_is_there_is_replaced(
    there: PlayedSite, here: PlayedSite
) -> None:
    (there.folder / ".env").write_text(
        "FANWATCH_PLANT_FILE=./my-plant.toml\nFANWATCH_MACHINES_FILE=./machines-1.toml\n"
    )
    (there.folder / "my-plant.toml").write_text("there\n")
    (there.folder / "machines-1.toml").write_text("there\n")
    (here.folder / ".env").write_text("FANWATCH_MACHINES_FILE=./machines-2.toml\n")
    (here.folder / "machines-2.toml").write_text("here\n")
    said = from_one_to_the_other(there, here)
    assert (here.folder / "plant.toml").read_text() == "there\n"
    assert "FANWATCH_PLANT_FILE is to say ./plant.toml" in said
    assert (here.folder / "machines-2.toml").read_text() == "here\n"
    assert f"{here.folder / 'machines-2.toml'} stays as it is on this machine" in said


def test_a_folder_that_docker_made_in_a_files_place_stops_the_restore_before_it_changes_anything(
    there: PlayedSite, here: PlayedSite
) -> None:
    (there.folder / ".env").write_text("FANWATCH_PLANT_FILE=./my-plant.toml\n")
    (there.folder / "my-plant.toml").write_text("there\n")
    (here.folder / "my-plant.toml").mkdir()
    file = str(there.folder.parent / "site.backup")
    assert there.fanwatch("backup", "--out", file).exit_code == 0
    before = files_below(here.folder)
    done = here.fanwatch("restore", file)
    assert done.exit_code == 1
    assert f"error: {here.folder / 'my-plant.toml'} is no file" in done.stderr
    assert files_below(here.folder) - {"engine.log", "engine.json"} == before - {"engine.log", "engine.json"}


def test_a_link_of_this_machine_to_nothing_is_not_followed(
    there: PlayedSite, here: PlayedSite, tmp_path: Path
) -> None:
    (there.folder / "plant.toml").write_text("there\n")
    (here.folder / "plant.toml").symlink_to(tmp_path / "nothing-yet.toml")
    file = str(tmp_path / "site.backup")
    assert there.fanwatch("backup", "--out", file).exit_code == 0
    done = here.fanwatch("restore", file)
    assert done.exit_code == 1
    assert "plant.toml is no file" in done.stderr
    assert not (tmp_path / "nothing-yet.toml").exists()


HOSTILE = {
    "an absolute path": "{outside}/x.toml",
    "a path that climbs": "../outside/x.toml",
    "a path that climbs later": "./monitor/../../outside/x.toml",
    "a folder that is a link": "./link/x.toml",
    "a link to nothing yet": "./dangling.toml",
    "the folder itself": ".",
    "a home": "~/x.toml",
    "what git or Python would run": "./.venv/x.pth",
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("variable", ["FANWATCH_PLANT_FILE", "COMPOSE_FILE"])
def test_an_env_of_a_backup_that_names_a_place_elsewhere_makes_nothing_there(
    what: str, variable: str, here: PlayedSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (here.folder / ".venv").mkdir()
    monkeypatch.setenv("HOME", str(outside))
    (here.folder / "link").symlink_to(outside)
    (here.folder / "dangling.toml").symlink_to(outside / "x.toml")
    file = tmp_path / "hostile.backup"
    about = About(format=FORMAT, made_at="2026-11-27T12:00:00.000Z", fanwatch="0.1.0", host="nuc")
    with file.open("wb") as out, ArchiveWriter(out, about) as archive:
        named = HOSTILE[what].format(outside=outside)
        archive.add_bytes("site/env", f"{variable}={named}\n".encode())
        archive.add_bytes("site/plant.toml", b"hostile")
        for name in {Path(named).name or "here", "x.toml", "x.pth"}:
            archive.add_bytes(f"site/compose/{name}", b"hostile")
        archive.finish()
    before = files_below(here.folder)
    done = here.fanwatch("restore", str(file))
    assert "Traceback" not in done.output
    assert list(outside.iterdir()) == []
    new = files_below(here.folder) - before - {"engine.log", "engine.json"}
    assert new - {".env", "plant.toml", "x.toml", "x.pth", "here"} == set()


@settings(max_examples=300, deadline=None)
@example("..", "..")
@example("a\0b", "a\0b")
@example("~nobody-here/x", "~nobody-here/x")
@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_env_says_every_target_lies_in_the_sites_folder(plant: str, compose: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve() / "site"
        folder.mkdir()
        text = f"FANWATCH_PLANT_FILE={plant}\nCOMPOSE_FILE={compose}\n"
        (folder / ".env").write_bytes(text.encode(errors="surrogatepass"))
        for each in site_files(folder).values():
            assert folder in each.target.resolve().parents
