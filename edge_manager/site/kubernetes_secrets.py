"""The same secrets where no volume can be shared out: one Kubernetes Secret a reader, which its pods alone mount.

Protocol: the core/v1 API, GET, POST and PATCH (application/merge-patch+json) of
/api/v1/namespaces/NAMESPACE/secrets (https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/),
as the service account of the pod that this runs in.
"""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from edge_manager.site.credentials import CREDENTIALS, GIVEN, MOSQUITTO
from edge_manager.site.secret_store import Reader, SecretStore

__all__ = ["KubernetesSecretStore", "KubernetesSecrets", "SecretsRefusedError"]

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes puts a pod's token, its authority's certificate and its namespace."""
_LABELS = {"app.kubernetes.io/part-of": "fanwatch", "app.kubernetes.io/managed-by": "fanwatch-setup"}


class SecretsRefusedError(OSError):
    """Kubernetes did not take or give a Secret."""


class KubernetesSecrets:
    """The Secrets of one namespace.

    Args:
        url: The API server's address.
        account: The folder with token, ca.crt and namespace.
    """

    def __init__(
        self,
        url: str = "https://kubernetes.default.svc",
        account: Path = SERVICE_ACCOUNT,
        timeout_s: float = 30,
    ) -> None:
        namespace = (account / "namespace").read_text().strip()
        self._url = f"{url.rstrip('/')}/api/v1/namespaces/{namespace}/secrets"
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(account / "ca.crt")
        self._session.headers["Authorization"] = f"Bearer {(account / 'token').read_text().strip()}"

    def get(self, name: str) -> tuple[dict[str, str], str] | None:
        """What a Secret holds, by file name, and its version; None when there is none."""
        response = self._ask("GET", f"/{name}")
        if response.status_code == requests.codes.not_found:
            return None
        body = self._body(response, f"the Secret {name}")
        data = {file: base64.b64decode(value).decode() for file, value in (body.get("data") or {}).items()}
        return data, body["metadata"]["resourceVersion"]

    def create(self, name: str, files: dict[str, str]) -> str:
        """Makes a Secret, and returns its version."""
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "labels": _LABELS},
            "data": {file: _encode(content) for file, content in files.items()},
        }
        made = self._body(self._ask("POST", "", body), f"the Secret {name}")
        return str(made["metadata"]["resourceVersion"])

    def change(self, name: str, version: str, file: str, content: str | None) -> str:
        """Writes one file of a Secret, or takes it away, unless somebody changed the Secret since; its new version."""
        body = {
            "metadata": {"resourceVersion": version},
            "data": {file: None if content is None else _encode(content)},
        }
        changed = self._body(self._ask("PATCH", f"/{name}", body), f"the Secret {name}")
        return str(changed["metadata"]["resourceVersion"])

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        try:
            return self._session.request(
                method,
                self._url + path,
                data=None if body is None else json.dumps(body),
                headers={"Content-Type": kind},
                timeout=self._timeout_s,
            )
        except requests.RequestException as error:
            raise SecretsRefusedError(
                f"Kubernetes cannot be reached at {self._url}: {error}; the network policy 'setup' must let it there"
            ) from error

    @staticmethod
    def _body(response: requests.Response, what: str) -> dict[str, Any]:
        if response.ok:
            body: dict[str, Any] = response.json()
            return body
        if response.status_code == requests.codes.conflict:
            raise SecretsRefusedError(f"{what} was changed by somebody else meanwhile; run this again")
        # Kubernetes' own sentence, which names the account and the right; never the request, which holds secrets.
        try:
            message = response.json().get("message", "")
        except requests.JSONDecodeError:
            message = ""
        raise SecretsRefusedError(f"Kubernetes refused {what}: {message or response.status_code}")


@dataclass
class _Held:
    version: str | None
    """None: there is no such Secret yet."""


class KubernetesSecretStore(SecretStore):
    """The folders of SecretStore, with a Secret behind each: read at the start, written through at each change.

    A change that Kubernetes does not take raises SecretsRefusedError, so that nothing is made from a secret that nobody
    else will ever see.

    Args:
        root: The working copy, a folder that ends with this pod (in memory).
        secrets: The namespace's Secrets. A reader's is called secrets-READER.
    """

    def __init__(self, root: Path, secrets: KubernetesSecrets) -> None:
        # This pod is not root and needs not be: kubelet gives the files to their readers.
        super().__init__(root, change_owner=lambda *_: None)
        self._secrets = secrets
        self._held: dict[str, _Held] = {}
        readers = {c.reader for c in (*CREDENTIALS.values(), *GIVEN.values())} | {MOSQUITTO}
        for reader in sorted(readers, key=lambda each: each.name):
            found = secrets.get(_name(reader))
            self._held[reader.name] = _Held(None if found is None else found[1])
            for file, content in (found[0] if found else {}).items():
                super().replace(reader, file, content)

    def write_new(self, reader: Reader, name: str, content: str) -> None:
        """Writes a secret that is not there yet.

        Raises:
            FileExistsError: There is one; it stays as it is.
            SecretsRefusedError: Kubernetes did not take it.
        """
        super().write_new(reader, name, content)
        self._write_through(reader, name, content)

    def replace(self, reader: Reader, name: str, content: str) -> bool:
        """Writes a file that is made from others, in place of the old one; whether anything changed.

        Raises:
            SecretsRefusedError: Kubernetes did not take it.
        """
        changed = super().replace(reader, name, content)
        if changed:
            self._write_through(reader, name, content)
        return changed

    def remove(self, reader: Reader, name: str) -> bool:
        """Takes a file away; whether there was one.

        Raises:
            SecretsRefusedError: Kubernetes did not take it.
        """
        there = super().remove(reader, name)
        if there:
            self._write_through(reader, name, None)
        return there

    def _write_through(self, reader: Reader, file: str, content: str | None) -> None:
        held = self._held[reader.name]
        if held.version is not None:
            held.version = self._secrets.change(_name(reader), held.version, file, content)
        elif content is not None:
            held.version = self._secrets.create(_name(reader), {file: content})


def _name(reader: Reader) -> str:
    return f"secrets-{reader.name}"


def _encode(content: str) -> str:
    return base64.b64encode(content.encode()).decode()
