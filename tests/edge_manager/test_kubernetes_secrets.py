"""Secrets behind Kubernetes' API."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_manager.site.certificates import make_authority
from edge_manager.site.credentials import CREDENTIALS, MOSQUITTO, make_missing
from edge_manager.site.kubernetes_secrets import KubernetesSecretStore, SecretsRefusedError
from edge_manager.site.preparation import prepare_broker
from edge_manager.site.secret_store import Reader
from testbed.kubernetes_api import KubernetesApi

PREDICTOR = Reader("predictor", 10001, 10001)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[KubernetesApi]:
    with KubernetesApi(tmp_path) as server:
        yield server


def store(api: KubernetesApi, tmp_path: Path, name: str = "copy") -> KubernetesSecretStore:
    return KubernetesSecretStore(tmp_path / name, api.connect())


def test_every_reader_gets_a_secret_of_its_own_with_its_files(api: KubernetesApi, tmp_path: Path) -> None:
    ours = store(api, tmp_path)
    make_missing(ours)
    prepare_broker(ours, "pattern write fan/messages/%u\n")
    assert set(api.secrets) == {f"secrets-{c.reader.name}" for c in CREDENTIALS.values()} | {
        "secrets-mosquitto"
    }
    for credential in CREDENTIALS.values():
        assert len(api.held(f"secrets-{credential.reader.name}")[credential.file]) == 40
    assert "predictor:$7$" in api.held("secrets-mosquitto")["mosquitto_passwords"]


def test_the_next_setup_keeps_every_secret(api: KubernetesApi, tmp_path: Path) -> None:
    make_missing(store(api, tmp_path))
    before = json.dumps(api.secrets)
    assert make_missing(store(api, tmp_path, "another pod")) == []
    assert json.dumps(api.secrets) == before


def test_a_secret_that_is_there_is_never_replaced(api: KubernetesApi, tmp_path: Path) -> None:
    ours = store(api, tmp_path)
    ours.write_new(PREDICTOR, "fanwatch_mqtt_password", "first")
    with pytest.raises(FileExistsError):
        ours.write_new(PREDICTOR, "fanwatch_mqtt_password", "second")
    assert api.held("secrets-predictor") == {"fanwatch_mqtt_password": "first"}


def test_a_removed_file_is_gone_from_the_secret(api: KubernetesApi, tmp_path: Path) -> None:
    ours = store(api, tmp_path)
    ours.replace(MOSQUITTO, "a", "1")
    ours.replace(MOSQUITTO, "b", "2")
    assert ours.remove(MOSQUITTO, "a")
    assert api.held("secrets-mosquitto") == {"b": "2"}


def test_a_change_by_somebody_else_meanwhile_is_not_overwritten(api: KubernetesApi, tmp_path: Path) -> None:
    ours, theirs = store(api, tmp_path), None
    ours.replace(PREDICTOR, "a", "1")
    theirs = store(api, tmp_path, "another pod")
    theirs.replace(PREDICTOR, "a", "theirs")
    with pytest.raises(SecretsRefusedError, match="changed by somebody else meanwhile; run this again"):
        ours.replace(PREDICTOR, "a", "ours")
    assert api.held("secrets-predictor") == {"a": "theirs"}


def test_a_refusal_says_what_kubernetes_said_and_no_secret(api: KubernetesApi, tmp_path: Path) -> None:
    api.read_only = True
    with pytest.raises(SecretsRefusedError, match="cannot do that") as refused:
        store(api, tmp_path).write_new(PREDICTOR, "a", "a-secret")
    assert "a-secret" not in str(refused.value)


def test_a_server_whose_certificate_the_pod_does_not_know_is_not_spoken_to(
    api: KubernetesApi, tmp_path: Path
) -> None:
    stranger = make_authority(datetime.now(UTC))
    (api.account / "ca.crt").write_text(stranger.certificate)
    with pytest.raises(SecretsRefusedError, match="cannot be reached"):
        store(api, tmp_path)
