"""Settings come from the environment and the secrets folder, and a secret shows nowhere."""

import pathlib
from datetime import timedelta

import pytest
from pydantic import ValidationError

from predictor.settings import PredictorSettings


def test_the_defaults_serve_one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FANWATCH_SECRETS_DIR", raising=False)
    settings = PredictorSettings.read()
    assert (settings.mqtt_host, settings.mqtt_port, settings.topic_root) == ("127.0.0.1", 1883, "fan")
    assert settings.mqtt_password is None


def test_the_password_is_read_from_its_file_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "fanwatch_mqtt_password").write_text("tops3cret")
    monkeypatch.setenv("FANWATCH_SECRETS_DIR", str(tmp_path))
    settings = PredictorSettings.read()
    assert settings.mqtt_password is not None
    assert settings.mqtt_password.get_secret_value() == "tops3cret"
    assert "tops3cret" not in repr(settings)
    assert "tops3cret" not in settings.model_dump_json()


@pytest.mark.parametrize(
    ("name", "value"), [("MQTT_PORT", "0"), ("MQTT_PORT", "mqtt"), ("NAIVE_TIME_ZONE", "Mars/Olympus")]
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"FANWATCH_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        PredictorSettings.read()


@pytest.mark.parametrize(
    ("variables", "days"),
    [
        ({}, 29),
        ({"FANWATCH_RETENTION_DAYS": "60"}, 59),
        ({"FANWATCH_RETENTION_DAYS": "60", "FANWATCH_MAX_AGE": "P7D"}, 7),
    ],
)
def test_the_oldest_reading_that_is_taken_is_a_day_younger_than_what_is_kept(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], days: int
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert PredictorSettings.read().oldest == timedelta(days=days)
