"""The alarms' settings: a site changes a rule by name, and secrets stay secret."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from contract.alarm import AlarmPriority
from monitor.alarms.policy import AlarmPolicy
from monitor.alarms.settings import AlarmSettings
from monitor.findings import FindingKind


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FANWATCH_SECRETS_DIR", str(tmp_path))
    return tmp_path


def test_without_any_setting_nobody_is_called_and_the_rules_are_ours(secrets: Path) -> None:
    settings = AlarmSettings.read()
    assert settings.policy() == AlarmPolicy()
    assert settings.destinations() == ()


def test_a_site_changes_what_it_names_and_nothing_else(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "FANWATCH_ALARM_RULES",
        '{"machine_fault": {"latching": true, "on_delay_s": 12.5}, "spikes": {"priority": 2}}',
    )
    rules, ours = AlarmSettings.read().policy().rules, AlarmPolicy().rules
    changed = rules[FindingKind.MACHINE_FAULT]
    assert (changed.latching, changed.on_delay) == (True, timedelta(seconds=12.5))
    assert changed.suppressed_by == ours[FindingKind.MACHINE_FAULT].suppressed_by
    assert changed.off_delay == ours[FindingKind.MACHINE_FAULT].off_delay
    assert rules[FindingKind.SPIKES].priority is AlarmPriority.MEDIUM
    assert rules[FindingKind.WEAR] == ours[FindingKind.WEAR]


@pytest.mark.parametrize(
    "wrong",
    [
        '{"no_such_kind": {}}',
        '{"wear": {"on_delay_s": -1}}',
        '{"wear": {"deadband": 1}}',
        '{"wear": {"priority": 4}}',
    ],
)
def test_a_rule_that_is_none_is_refused(secrets: Path, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("FANWATCH_ALARM_RULES", wrong)
    with pytest.raises(ValidationError, match="alarm_rules"):
        AlarmSettings.read()


def test_urls_come_from_the_secrets_folder_and_are_not_shown(secrets: Path) -> None:
    (secrets / "fanwatch_notify_urls").write_text("mailtos://a:SECRET@b.example\n json://c.example/SECRET\n")
    (secrets / "fanwatch_work_order_url").write_text("https://d.example/SECRET")
    settings = AlarmSettings.read()
    assert len(settings.destinations()) == 2
    policy = settings.policy()
    assert (policy.destinations, policy.work_orders) == (2, True)
    assert "SECRET" not in repr(settings) + str(settings.destinations()) + settings.model_dump_json()
