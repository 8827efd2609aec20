"""Images pinned by digest, asked of a real registry."""

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
import yaml

from testbed.registry import Registry
from testbed.token_issuer import TokenIssuer

ROOT = Path(__file__).parents[2]
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as server:
        yield server


def push(registry: Registry, repository: str, tag: str, content: bytes, token: str = "") -> str:
    """Pushes a smallest image, whose configuration is this content; its digest."""
    auth = {"Authorization": f"Bearer {token}"} if token else {}
    base = f"http://{registry.host}/v2/{repository}"
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    place = requests.post(f"{base}/blobs/uploads/", headers=auth, timeout=10).headers["Location"]
    separator = "&" if "?" in place else "?"
    url = f"{place}{separator}digest={digest}"
    assert requests.put(url, data=content, headers=auth, timeout=10).status_code == 201
    config = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": digest,
        "size": len(content),
    }
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": []})
    headers = auth | {"Content-Type": MANIFEST_TYPE}
    answer = requests.put(f"{base}/manifests/{tag}", data=manifest, headers=headers, timeout=10)
    assert answer.status_code == 201, answer.text
    return answer.headers["Docker-Content-Digest"]


def pin(tmp_path: Path, *images: str, compose: Path | None = None) -> subprocess.CompletedProcess[str]:
    if compose is None:
        compose = tmp_path / "docker-compose.yml"
        services = "".join(
            f"  service-{'ab'[n]}:\n    # why\n    image: {image}\n" for n, image in enumerate(images)
        )
        compose.write_text(f"name: x\nservices:\n{services}\nvolumes:\n  x:\n")
    dockerfile = tmp_path / "Dockerfile"
    if not dockerfile.exists():
        dockerfile.write_text("ARG PYTHON_IMAGE=nobody.asks/for/it:1\n")
    to = tmp_path / "digests.yml"
    command = [sys.executable, str(ROOT / ".ci" / "pin_images.py"), "--plain-http"]
    return subprocess.run(
        [*command, "--compose", str(compose), "--dockerfile", str(dockerfile), "--to", str(to)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_image_is_pinned_to_what_its_registry_has_and_renewed_by_asking_again(
    registry: Registry, tmp_path: Path
) -> None:
    image = f"{registry.host}/team/broker:1.2.3"
    first = push(registry, "team/broker", "1.2.3", b'{"first": 1}')
    assert pin(tmp_path, image).returncode == 0
    written = tmp_path / "digests.yml"
    assert yaml.safe_load(written.read_text()) == {"services": {"service-a": {"image": f"{image}@{first}"}}}
    second = push(registry, "team/broker", "1.2.3", b'{"second": 2}')
    assert second != first
    assert pin(tmp_path, image).returncode == 0
    assert second in written.read_text()


@pytest.mark.parametrize("field", ["token", "access_token"])
def test_a_registry_that_wants_a_token_is_asked_with_one_that_may_read_that_image_and_no_more(
    tmp_path: Path, field: str
) -> None:
    """As Docker's own registry, which gives anybody a token for what is public."""
    with (
        TokenIssuer(tmp_path / "issuer.pem", field) as issuer,
        Registry(tmp_path / "registry", issuer) as registry,
    ):
        image = f"{registry.host}/library/broker:1"
        url = f"http://{registry.host}/v2/library/broker/manifests/1"
        assert requests.get(url, timeout=10).status_code == 401
        digest = push(
            registry, "library/broker", "1", b"{}", issuer.token("repository:library/broker:pull,push")
        )
        done = pin(tmp_path, image)
        assert done.returncode == 0, done.stderr
        assert f"{image}@{digest}" in (tmp_path / "digests.yml").read_text()
        assert issuer.scopes == ["repository:library/broker:pull"]


def test_an_answer_that_has_not_the_digest_that_is_said_of_it_is_refused(tmp_path: Path) -> None:
    """A proxy or a registry that exchanges an image: what is sent counts, not what is said."""

    class Liar(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Docker-Content-Digest", f"sha256:{'0' * 64}")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name for it
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Liar) as liar:
        threading.Thread(target=liar.serve_forever, daemon=True).start()
        done = pin(tmp_path, f"127.0.0.1:{liar.server_port}/team/broker:1")
        liar.shutdown()
    assert done.returncode == 1
    assert f"says sha256:{'0' * 64}, and what it sent has sha256:44136fa" in done.stderr
    assert not (tmp_path / "digests.yml").exists()


def test_no_digest_is_written_unless_every_registry_has_said_its_own(
    registry: Registry, tmp_path: Path
) -> None:
    push(registry, "team/known", "1", b"{}")
    for unknown in (f"{registry.host}/team/unknown:1", "127.0.0.1:1/team/away:1"):
        done = pin(tmp_path, f"{registry.host}/team/known:1", unknown)
        assert done.returncode == 1
        assert unknown in done.stderr
        assert "Nothing is written" in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "digests.yml").exists()


def test_what_is_asked_for_is_every_image_of_the_shipped_compose_file_and_the_base_of_ours() -> None:
    program = (
        "import runpy, json; m = runpy.run_path('.ci/pin_images.py');"
        "images, built = m['images_of'](open('docker-compose.yml').read());"
        "bases = sorted({m['base_of'](file.read_text()) for file in m['ROOT'].glob('*/Dockerfile')});"
        "print(json.dumps([images, sorted(built), bases, {i: m['place_of'](i) for i in images.values()}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    images, built, bases, places = json.loads(done.stdout)
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert images == {name: service["image"] for name, service in services.items() if "image" in service}
    assert built == sorted(name for name, service in services.items() if "build" in service)
    assert bases == ["python:3.13-slim"]
    assert places["grafana/grafana:13.2.3"] == ["registry-1.docker.io", "grafana/grafana", "13.2.3"]
    assert places["influxdb:1.13.1"] == ["registry-1.docker.io", "library/influxdb", "1.13.1"]


def test_the_base_of_our_own_images_is_pinned_in_their_build(registry: Registry, tmp_path: Path) -> None:
    broker, base = f"{registry.host}/team/one:1", f"{registry.host}/library/python:3"
    digests = {
        broker: push(registry, "team/one", "1", b'{"one": 1}'),
        base: push(registry, "library/python", "3", b'{"python": 3}'),
    }
    (tmp_path / "Dockerfile").write_text(f"# why\nARG PYTHON_IMAGE={base}\nFROM ${{PYTHON_IMAGE}}\n")
    (tmp_path / "compose.yml").write_text(
        "x-ours: &ours\n  build: { context: . }\n\nservices:\n  setup:\n    <<: [*ours]\n    # why\n    user: a\n\n"
        f"  broker:\n    image: {broker}\n\n  monitor:\n    build: {{ context: . }}\n\nnetworks:\n  x:\n"
    )
    done = pin(tmp_path, compose=tmp_path / "compose.yml")
    assert done.returncode == 0, done.stderr
    pinned = {"build": {"args": {"PYTHON_IMAGE": f"{base}@{digests[base]}"}}}
    assert yaml.safe_load((tmp_path / "digests.yml").read_text()) == {
        "services": {
            "broker": {"image": f"{broker}@{digests[broker]}"},
            "setup": pinned,
            "monitor": pinned,
        }
    }
    assert "COMPOSE_FILE=compose.yml:digests.yml" in done.stderr
