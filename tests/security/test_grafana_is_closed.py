"""Grafana's login, as far as configuration can tell: Grafana itself runs in none of our tests (docs/security.md)."""

import re
from pathlib import Path

import pytest
import yaml

from edge_manager.site.credentials import CREDENTIALS

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "fanwatch" / "templates" / "grafana.yaml"


def _compose() -> dict[str, str]:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    # Compose reads $$ as $.
    return {name: value.replace("$$", "$") for name, value in services["grafana"]["environment"].items()}


def _chart() -> dict[str, str]:
    return dict(re.findall(r'\{ name: (GF_\w+), value: "([^"]*)" \}', CHART.read_text()))


@pytest.mark.parametrize("settings", [_compose(), _chart()], ids=["Compose", "chart"])
def test_grafana_is_configured_to_let_nobody_in_without_the_password_that_setup_made(
    settings: dict[str, str],
) -> None:
    assert settings["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert settings["GF_USERS_ALLOW_SIGN_UP"] == "false"
    made = {
        f"$__file{{/run/fanwatch/{each.file}}}"
        for each in CREDENTIALS.values()
        if each.reader.name == "grafana"
    }
    # Without these two it is admin/admin, and a key that everybody knows.
    assert settings["GF_SECURITY_ADMIN_PASSWORD"] in made
    assert settings["GF_SECURITY_SECRET_KEY"] in made
    opening = {name for name in settings if name.startswith(("GF_AUTH_", "GF_USERS_", "GF_SECURITY_"))}
    assert opening == {
        "GF_AUTH_ANONYMOUS_ENABLED",
        "GF_USERS_ALLOW_SIGN_UP",
        "GF_SECURITY_ADMIN_PASSWORD",
        "GF_SECURITY_SECRET_KEY",
        "GF_SECURITY_DISABLE_GRAVATAR",
    }
