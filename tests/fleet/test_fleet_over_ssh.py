"""`fanwatch fleet` as a person calls it, over real sshd processes on loopback, with the real commands of each site."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edge_manager.fleet.command import app
from testbed.sshd import Sshd
from tests.fleet.desk import Desk, Scoring
from tests.inference.model_versions import Signer, add_version

QUICK = ["--shadow-s", "0", "--watch-s", "1", "--served-within-s", "5"]


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    with Sshd(tmp_path / "sshd") as server:
        yield server


@pytest.fixture
def desk(tmp_path: Path, sshd: Sshd) -> Iterator[Desk]:
    with Scoring(tmp_path / "sites") as scoring:
        yield Desk.make(tmp_path, sshd, scoring)


def fleet(desk: Desk, *arguments: str, **settings: str) -> Result:
    words = [*arguments, "--fleet", str(desk.fleet_file(**settings))]
    return CliRunner().invoke(app, words, catch_exceptions=False)


def push(desk: Desk, *options: str, wanted: str = "fan:2", **settings: str) -> Result:
    source = str(desk.folder / "bundles")
    return fleet(desk, "push", "model", wanted, "--from", source, *QUICK, *options, **settings)


def outcomes(result: Result) -> dict[str, str]:
    found = json.loads(result.stdout)
    return {each["site"]: each["outcome"] for each in found["sites"]}


def test_the_status_of_every_site_is_one_table_and_a_site_that_is_not_well_changes_the_exit_code(
    desk: Desk,
) -> None:
    for name in ("hall-1", "hall-2"):
        desk.add_site(name)
    well = fleet(desk, "status")
    assert (well.exit_code, "2 of 2 sites are well" in well.stdout) == (0, True)
    finding = {"severity": "error", "code": "disk", "what": "the disk is 97 % full", "do": "df -h"}
    desk.says_of_itself("hall-2", {"well": False, "findings": [finding], "figures": None})
    ill = fleet(desk, "status")
    assert ill.exit_code == 1
    assert "disk: the disk is 97 % full" in ill.stdout
    told = json.loads(fleet(desk, "status", "--json").stdout)["sites"]
    assert [(each["site"], each["well"], each["models"]) for each in told] == [
        ("hall-1", True, ["fan:1"]),
        ("hall-2", False, []),
    ]


def test_a_site_that_fails_one_that_hangs_and_one_with_another_host_key_are_told_apart_and_the_others_answer(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_manager.fleet.site_status.STATUS_WITHIN_S", 8)
    desk.add_site("well")
    desk.add_site("fails")
    (tmp_path / "sites" / "fails" / "status.json").unlink()
    desk.add_site("hangs")
    hanging = tmp_path / "sites" / "hangs" / "status.json"
    hanging.unlink()
    os.mkfifo(hanging)
    with Sshd(tmp_path / "other") as other, Sshd(tmp_path / "unknown") as unknown:
        desk.known_hosts.append(other.known_host)
        other.stop()
        other.new_host_key()
        other.start()
        desk.add_site("changed", sshd=other)
        desk.add_site("unknown", sshd=unknown)
        desk.add_site("gone", target=f"ssh://{unknown.user}@127.0.0.1:1")
        began = time.monotonic()
        result = fleet(desk, "status", "--json")
        took = time.monotonic() - began
    assert result.exit_code == 2
    told = {each["site"]: each for each in json.loads(result.stdout)["sites"]}
    assert told["well"]["well"] is True, told
    assert "No such file" in told["fails"]["problem"]
    assert "no answer within 8 s" in told["hangs"]["problem"]
    assert "somebody may be in between" in told["changed"]["problem"]
    assert "its host key is not known" in told["unknown"]["problem"]
    assert "refused" in told["gone"]["problem"]
    assert took < 3 * 8, "side by side"


def test_a_site_where_ssh_finds_no_fanwatch_is_told_with_where_to_name_it(desk: Desk) -> None:
    desk.add_site("hall-1")
    result = fleet(desk, "status", status_command="fanwatch-of-nowhere status --json")
    assert result.exit_code == 2
    assert "no fanwatch-of-nowhere in the PATH of its SSH sessions" in result.stdout
    assert "status_command" in result.stdout


def test_a_model_comes_to_every_site_the_canary_first_and_again_changes_nothing(desk: Desk) -> None:
    for name in ("hall-1", "hall-2", "hall-3"):
        desk.add_site(name)
    result = push(desk, "--json", canary="hall-2")
    assert result.exit_code == 0, result.output
    assert outcomes(result) == dict.fromkeys(desk.sites, "has it")
    assert [desk.champion(name) for name in desk.sites] == ["2", "2", "2"]
    lines = result.stderr.splitlines()
    assert lines[0] == "hall-2: the canary has the bundle"
    assert next(i for i, line in enumerate(lines) if "no roll-back" in line) < lines.index("hall-1: has it")
    again = push(desk, "--json", canary="hall-2")
    assert (again.exit_code, outcomes(again)) == (0, dict.fromkeys(desk.sites, "had it"))


def test_a_canary_that_disagrees_stops_everything_before_it_gives_a_verdict(desk: Desk) -> None:
    desk.add_site("hall-1")
    desk.add_site("hall-2")
    desk.scoring.agreement = 0.5
    result = push(desk, "--json", "--shadow-s", "1")
    assert (result.exit_code, outcomes(result)) == (1, {"hall-1": "failed", "hall-2": "not tried"})
    assert "agrees with the model in use on 50.0%" in result.stdout
    assert (desk.champion("hall-1"), desk.has_bundle("hall-2")) == ("1", False)


def test_a_canary_without_verdicts_proves_nothing_and_goes_back(desk: Desk) -> None:
    desk.add_site("hall-1")
    desk.add_site("hall-2")
    desk.scoring.is_idle = True
    result = push(desk, "--json")
    assert outcomes(result) == {"hall-1": "failed", "hall-2": "not tried"}
    assert "no verdict was given" in result.stdout
    assert desk.champion("hall-1") == "1"


def test_a_site_whose_service_refuses_the_model_goes_back_and_the_rest_is_not_tried(desk: Desk) -> None:
    for name in ("hall-1", "hall-2", "hall-3"):
        desk.add_site(name)
    desk.scoring.refuses.add("hall-2")
    result = push(desk, "--json", "--parallel", "1")
    assert result.exit_code == 1
    assert outcomes(result) == {"hall-1": "has it", "hall-2": "failed", "hall-3": "not tried"}
    assert [desk.champion(name) for name in desk.sites] == ["2", "1", "1"]
    desk.scoring.refuses.clear()
    mended = push(desk, "--json", "--parallel", "1")
    assert outcomes(mended) == {"hall-1": "had it", "hall-2": "has it", "hall-3": "has it"}


def test_nothing_is_changed_anywhere_when_a_site_cannot_be_asked(desk: Desk) -> None:
    desk.add_site("hall-1")
    desk.add_site("hall-2", target=f"ssh://{desk.sshd.user}@127.0.0.1:1")
    result = push(desk, "--json")
    assert outcomes(result) == {"hall-1": "not tried", "hall-2": "failed"}
    assert desk.has_bundle("hall-1") is False
    without = push(desk, "--json", "--site", "hall-1")
    assert (without.exit_code, desk.champion("hall-1")) == (0, "2")


def test_what_a_stranger_has_signed_leaves_the_desk_never(desk: Desk) -> None:
    desk.add_site("hall-1")
    stranger = Signer.make(desk.folder / "stranger")
    add_version(desk.folder / "bundles", "3", stranger)
    add_version(desk.folder / "bundles", "4", None)
    for version in ("3", "4"):
        result = push(desk, wanted=f"fan:{version}")
        assert (result.exit_code, "signed" in result.stderr) == (1, True)
    assert desk.champion("hall-1") == "1"


def test_fifty_sites_get_a_better_model_by_one_command(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(50):
        desk.add_site(f"site-{number:02}")
    began = time.monotonic()
    result = push(desk, "--json", "--served-within-s", "60")
    took = time.monotonic() - began
    assert outcomes(result) == dict.fromkeys(desk.sites, "has it"), result.stderr
    assert {desk.champion(name) for name in desk.sites} == {"2"}
    with capsys.disabled():
        print(f"\n50 sites, {took:.1f} s")  # noqa: T201
