"""The commands as people call them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_manager.commands import app
from edge_manager.site.credentials import CREDENTIALS
from testbed.ports import free_port
from testbed.site import Site

runner = CliRunner()


@pytest.fixture
def somewhere(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_show_prints_the_credential_and_nothing_else(somewhere: Site) -> None:
    environment = {"FANWATCH_SECRETS_ROOT": str(somewhere.folder / "secrets")}
    result = runner.invoke(app, ["show", "mqtt-legacy"], env=environment)
    assert result.exit_code == 0
    assert result.stdout == somewhere.mqtt_password("legacy") + "\n"
    result = runner.invoke(app, ["show", "mqtt-probe", "influxdb-admin"], env=environment)
    assert result.stdout.split() == [somewhere.mqtt_password("probe"), somewhere.influxdb_password("admin")]


def test_show_without_a_name_lists_every_credential_and_no_secret(somewhere: Site) -> None:
    environment = {"FANWATCH_SECRETS_ROOT": str(somewhere.folder / "secrets")}
    result = runner.invoke(app, ["show"], env=environment)
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(CREDENTIALS)
    assert somewhere.mqtt_password("legacy") not in result.stdout


def test_show_ca_prints_the_certificate_that_devices_trust_and_no_key(somewhere: Site) -> None:
    environment = {"FANWATCH_SECRETS_ROOT": str(somewhere.folder / "secrets")}
    result = runner.invoke(app, ["show", "ca"], env=environment)
    assert result.exit_code == 0
    assert result.stdout == somewhere.authority.read_text()
    assert "PRIVATE" not in result.stdout


def test_show_of_an_unknown_name_says_which_there_are() -> None:
    result = runner.invoke(app, ["show", "root"])
    assert result.exit_code == 2
    assert "grafana" in result.stderr


def test_a_secret_that_a_person_gives_is_kept_for_its_reader_and_taken_away_by_nothing(
    somewhere: Site,
) -> None:
    environment = {"FANWATCH_SECRETS_ROOT": str(somewhere.folder / "secrets")}
    file = somewhere.secrets_of("monitor") / "fanwatch_notify_urls"

    def keep(text: str, name: str = "notify-urls") -> str:
        result = runner.invoke(app, ["keep", name], input=text, env=environment)
        assert "secret@" not in result.output
        return result.output

    assert keep("json://user:secret@one\n") == "notify-urls is kept; restart monitor\n"
    assert file.read_text() == "json://user:secret@one"
    assert file.stat().st_mode & 0o777 == 0o400
    assert keep("json://user:secret@one") == "notify-urls is as it was\n"
    assert keep("json://user:secret@two") == "notify-urls is kept; restart monitor\n"
    assert keep(" \n") == "notify-urls is taken away; restart monitor\n"
    assert not file.exists()
    assert keep("") == "notify-urls is as it was\n"
    assert keep("x", "mqtt-legacy").startswith("error: no secret 'mqtt-legacy' is given by people")


def test_show_before_setup_says_so(tmp_path: Path) -> None:
    result = runner.invoke(app, ["show", "grafana"], env={"FANWATCH_SECRETS_ROOT": str(tmp_path)})
    assert result.exit_code == 1
    assert "run setup first" in result.stderr
    result = runner.invoke(app, ["show", "ca"], env={"FANWATCH_SECRETS_ROOT": str(tmp_path)})
    assert result.exit_code == 1
    assert "run setup first" in result.stderr


def test_setup_with_an_impossible_host_name_says_which_and_what_is_expected(tmp_path: Path) -> None:
    environment = {"FANWATCH_HOSTNAMES": "fans.example,two words", "FANWATCH_SECRETS_ROOT": str(tmp_path)}
    result = runner.invoke(app, ["setup"], env=environment)
    assert result.exit_code == 1
    assert "'two words' is no host name" in result.output
    assert "Traceback" not in result.output


def _health(folder: Path, **state: str) -> tuple[int, str]:
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "fanwatch_influxdb_password").write_text("x")
    if state:
        (folder / "state.json").write_text(json.dumps(state))
    environment = {
        "FANWATCH_SECRETS_DIR": str(secrets),
        "FANWATCH_HISTORY_STATE_FILE": str(folder / "state.json"),
        "FANWATCH_INFLUXDB_URL": f"http://127.0.0.1:{free_port()}",
    }
    result = runner.invoke(app, ["health"], env=environment)
    return result.exit_code, result.stdout.strip()


def test_health_fails_where_no_service_ran(tmp_path: Path) -> None:
    assert _health(tmp_path) == (1, "InfluxDB has not answered yet")


def test_health_passes_while_influxdb_answers(tmp_path: Path) -> None:
    assert _health(tmp_path, answered_at=datetime.now(UTC).isoformat()) == (0, "the history service works")


def test_health_fails_when_influxdb_has_been_silent(tmp_path: Path) -> None:
    code, text = _health(tmp_path, answered_at=(datetime.now(UTC) - timedelta(minutes=5)).isoformat())
    assert code == 1
    assert "last answered 300 s ago" in text
