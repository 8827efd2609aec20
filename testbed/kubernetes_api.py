"""A server of the few calls of Kubernetes' API that setup makes; make test-cluster has the real one."""

import base64
import json
import ssl
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from edge_manager.site.certificates import make_authority, make_server_certificate
from edge_manager.site.kubernetes_secrets import KubernetesSecrets

__all__ = ["KubernetesApi"]

_TOKEN = "the pod's token"
_PATH = "/api/v1/namespaces/plant/secrets"


class KubernetesApi(ThreadingHTTPServer):
    """GET, POST and PATCH of Secrets, with versions, over TLS; a read-only one refuses as RBAC does.

    Args:
        folder: Where the pod's account lies, as Kubernetes mounts it: token, ca.crt, namespace.

    interfere_with names a Secret that somebody else changes just before the next change of it.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.secrets: dict[str, dict[str, Any]] = {}
        self.read_only = False
        self.interfere_with = ""
        self.account = folder / "account"
        self.account.mkdir(parents=True)
        now = datetime.now(UTC)
        authority = make_authority(now)
        (self.account / "ca.crt").write_text(authority.certificate)
        (self.account / "token").write_text(_TOKEN)
        (self.account / "namespace").write_text("plant")
        (folder / "server.pem").write_text(make_server_certificate(authority, ("127.0.0.1",), now))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(folder / "server.pem")
        self.socket = tls.wrap_socket(self.socket, server_side=True)

    def connect(self) -> KubernetesSecrets:
        """A pod's way to it."""
        return KubernetesSecrets(f"https://127.0.0.1:{self.server_port}", self.account)

    def held(self, name: str) -> dict[str, str]:
        """The files of a Secret, as the kubelet would mount them."""
        data = self.secrets[name]["data"]
        return {file: base64.b64decode(value).decode() for file, value in data.items()}

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: "KubernetesApi"

    def do_GET(self) -> None:
        name = self.path.removeprefix(f"{_PATH}/")
        found = self.server.secrets.get(name)
        self._answer(404 if found is None else 200, found or {"message": f'secrets "{name}" not found'})

    def do_POST(self) -> None:
        body = self._body()
        assert self.path == _PATH
        name = body["metadata"]["name"]
        if name in self.server.secrets:
            return self._answer(409, {"message": "already exists"})
        body["metadata"]["resourceVersion"] = "1"
        return self._change(name, body)

    def do_PATCH(self) -> None:
        body, name = self._body(), self.path.removeprefix(f"{_PATH}/")
        assert self.headers["Content-Type"] == "application/merge-patch+json"
        held = self.server.secrets[name]
        if name == self.server.interfere_with:
            self.server.interfere_with = ""
            held["metadata"]["resourceVersion"] = str(int(held["metadata"]["resourceVersion"]) + 1)
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
        if self.headers["Authorization"] != f"Bearer {_TOKEN}":
            status, body = 401, {"message": "Unauthorized"}
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
