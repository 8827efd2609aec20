"""Secrets behind Kubernetes' API. Here a server of the few calls that are made; make test-cluster has the real one."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from edge_manager.site.certificates import make_authority, make_server_certificate
from edge_manager.site.credentials import CREDENTIALS, MOSQUITTO, make_missing
from edge_manager.site.kubernetes_secrets import KubernetesSecrets, KubernetesSecretStore, SecretsRefusedError
from edge_manager.site.preparation import prepare_broker
from edge_manager.site.secret_store import Reader

PREDICTOR = Reader("predictor", 10001, 10001)
TOKEN = "the pod's token"
PATH = "/api/v1/namespaces/plant/secrets"


class Api(ThreadingHTTPServer):
    """GET, POST and PATCH of Secrets, with versions; a read-only one refuses as RBAC does."""

    secrets: dict[str, dict[str, Any]]
    read_only = False


class Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        name = self.path.removeprefix(f"{PATH}/")
        found = self.server.secrets.get(name)
        self._answer(404 if found is None else 200, found or {"message": f'secrets "{name}" not found'})

    def do_POST(self) -> None:
        body = self._body()
        assert self.path == PATH
        name = body["metadata"]["name"]
        if name in self.server.secrets:
            return self._answer(409, {"message": "already exists"})
        body["metadata"]["resourceVersion"] = "1"
        return self._change(name, body)

    def do_PATCH(self) -> None:
        body, name = self._body(), self.path.removeprefix(f"{PATH}/")
        assert self.headers["Content-Type"] == "application/merge-patch+json"
        held = self.server.secrets[name]
        if body["metadata"]["resourceVersion"] != held["metadata"]["resourceVersion"]:
            return self._answer(409, {"message": "the object has been modified"})
        data = {key: value for key, value in (held["data"] | body["data"]).items() if value is not None}
        version = str(int(held["metadata"]["resourceVersion"]) + 1)
        return self._change(
            name, held | {"data": data, "metadata": {"name": name, "resourceVersion": version}}
        )

    def _change(self, name: str, secret: dict[str, Any]) -> None:
        if self.server.read_only:
            return self._answer(403, {"message": "secrets is forbidden: User setup cannot do that"})
        self.server.secrets[name] = secret
        return self._answer(200, secret)

    def _body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return body

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            status, body = 401, {"message": "Unauthorized"}
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    now = datetime.now(UTC)
    authority = make_authority(now)
    account = tmp_path / "account"
    account.mkdir()
    (account / "ca.crt").write_text(authority.certificate)
    (account / "token").write_text(TOKEN)
    (account / "namespace").write_text("plant")
    (tmp_path / "server.pem").write_text(make_server_certificate(authority, ("127.0.0.1",), now))
    server = Api(("127.0.0.1", 0), Handler)
    server.secrets = {}
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.pem")
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def connect(api: Api, tmp_path: Path) -> KubernetesSecrets:
    return KubernetesSecrets(f"https://127.0.0.1:{api.server_port}", tmp_path / "account")


def store(api: Api, tmp_path: Path, name: str = "copy") -> KubernetesSecretStore:
    return KubernetesSecretStore(tmp_path / name, connect(api, tmp_path))


def held(api: Api, name: str) -> dict[str, str]:
    return {file: base64.b64decode(value).decode() for file, value in api.secrets[name]["data"].items()}


def test_every_reader_gets_a_secret_of_its_own_with_its_files(api: Api, tmp_path: Path) -> None:
    ours = store(api, tmp_path)
    make_missing(ours)
    prepare_broker(ours, "pattern write fan/messages/%u\n")
    assert set(api.secrets) == {f"secrets-{c.reader.name}" for c in CREDENTIALS.values()} | {
        "secrets-mosquitto"
    }
    for credential in CREDENTIALS.values():
        assert len(held(api, f"secrets-{credential.reader.name}")[credential.file]) == 40
    assert "predictor:$7$" in held(api, "secrets-mosquitto")["mosquitto_passwords"]


def test_the_next_setup_keeps_every_secret(api: Api, tmp_path: Path) -> None:
    make_missing(store(api, tmp_path))
    before = json.dumps(api.secrets)
    assert make_missing(store(api, tmp_path, "another pod")) == []
    assert json.dumps(api.secrets) == before


def test_a_secret_that_is_there_is_never_replaced(api: Api, tmp_path: Path) -> None:
    ours = store(api, tmp_path)
    ours.write_new(PREDICTOR, "fanwatch_mqtt_password", "first")
    with pytest.raises(FileExistsError):
        ours.write_new(PREDICTOR, "fanwatch_mqtt_password", "second")
    assert held(api, "secrets-predictor") == {"fanwatch_mqtt_password": "first"}


def test_a_removed_file_is_gone_from_the_secret(api: Api, tmp_path: Path) -> None:
    ours = store(api, tmp_path)
    ours.replace(MOSQUITTO, "a", "1")
    ours.replace(MOSQUITTO, "b", "2")
    assert ours.remove(MOSQUITTO, "a")
    assert held(api, "secrets-mosquitto") == {"b": "2"}


def test_a_change_by_somebody_else_meanwhile_is_not_overwritten(api: Api, tmp_path: Path) -> None:
    ours, theirs = store(api, tmp_path), None
    ours.replace(PREDICTOR, "a", "1")
    theirs = store(api, tmp_path, "another pod")
    theirs.replace(PREDICTOR, "a", "theirs")
    with pytest.raises(SecretsRefusedError, match="changed by somebody else meanwhile; run this again"):
        ours.replace(PREDICTOR, "a", "ours")
    assert held(api, "secrets-predictor") == {"a": "theirs"}


def test_a_refusal_says_what_kubernetes_said_and_no_secret(api: Api, tmp_path: Path) -> None:
    api.read_only = True
    with pytest.raises(SecretsRefusedError, match="cannot do that") as refused:
        store(api, tmp_path).write_new(PREDICTOR, "a", "a-secret")
    assert "a-secret" not in str(refused.value)


def test_a_server_whose_certificate_the_pod_does_not_know_is_not_spoken_to(api: Api, tmp_path: Path) -> None:
    stranger = make_authority(datetime.now(UTC))
    (tmp_path / "account" / "ca.crt").write_text(stranger.certificate)
    with pytest.raises(SecretsRefusedError, match="cannot be reached"):
        store(api, tmp_path)
