from pathlib import Path

import pytest
from pydantic import ValidationError

from monitor.settings import MonitorSettings


def test_every_setting_has_a_description() -> None:
    assert all(field.description for field in MonitorSettings.model_fields.values())


def test_the_password_comes_from_the_secrets_folder_and_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fanwatch_mqtt_password").write_text("hush\n")
    monkeypatch.setenv("FANWATCH_SECRETS_DIR", str(tmp_path))
    settings = MonitorSettings.read()
    assert settings.mqtt_password is not None
    assert settings.mqtt_password.get_secret_value() == "hush"
    assert "hush" not in repr(settings)


def test_a_missing_secrets_folder_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANWATCH_SECRETS_DIR", str(tmp_path / "none"))
    assert MonitorSettings.read().mqtt_password is None


def test_host_names_are_read_from_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANWATCH_ALLOWED_HOSTS", "nuc.plant.local, Monitor")
    assert MonitorSettings.read().allowed_hosts == ("nuc.plant.local", "monitor")


def test_an_impossible_port_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANWATCH_LISTEN_PORT", "70000")
    with pytest.raises(ValidationError, match="listen_port"):
        MonitorSettings.read()
