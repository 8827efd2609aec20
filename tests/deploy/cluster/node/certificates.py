"""Who the cluster's programs are to each other: keys, certificates, and the administrator's account."""

import subprocess
from pathlib import Path

import yaml

__all__ = ["make_certificates", "write_kubeconfig"]

_COMMANDS = (
    (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ca.key -out ca.crt -subj /CN=one-node"
        " -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,digitalSignature"
    ),
    "openssl req -newkey rsa:2048 -nodes -keyout api.key -out api.csr -subj /CN=kubernetes",
    "openssl x509 -req -in api.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out api.crt -extfile names",
    "openssl genrsa -out accounts.key 2048",
    # The API server's own, where it hands a request on: to the metrics server.
    "openssl req -newkey rsa:2048 -nodes -keyout proxy.key -out proxy.csr -subj /CN=front-proxy-client",
    "openssl x509 -req -in proxy.csr -CA ca.crt -CAkey ca.key -days 2 -out proxy.crt -extfile proxy",
)


def make_certificates(folder: Path, addresses: tuple[str, ...], token: str) -> None:
    """An authority, the API server's certificates, the key of service accounts, and the administrator's token.

    Args:
        folder: Where they are written.
        addresses: Of the API server.
        token: By which the administrator signs in.
    """
    (folder / "names").write_text(
        f"subjectAltName={','.join(f'IP:{each}' for each in addresses)},"
        "DNS:kubernetes.default.svc,DNS:kubernetes\n"
        "keyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    (folder / "proxy").write_text("keyUsage=digitalSignature\nextendedKeyUsage=clientAuth\n")
    for command in _COMMANDS:
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')


def write_kubeconfig(file: Path, server: str, authority: Path, token: str) -> None:
    """The administrator's way to the API server, readable for its owner alone."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "one", "cluster": {"server": server, "certificate-authority": str(authority)}}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "admin"}}],
        "current-context": "one",
    }
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(config))
