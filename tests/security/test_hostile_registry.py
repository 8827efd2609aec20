"""A registry that would write where it likes: what it names and how it changes its answers is refused."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from edge_manager.models.source import Wanted, fetch
from inference_toolkit.errors import ToolkitError
from inference_toolkit.registry import CONFIG_TYPE, FILE_TYPE, pull_bundle
from model_folder.folder import ModelFolderError

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONTENT = b"{}"
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
FOLDER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
OUTWARD = ["../evil", "../../evil", "/tmp/evil", "a/../../evil", "a/b", "..", ".", "", "a\\..\\evil"]


def manifest(name: str, kind: str = FILE_TYPE) -> bytes:
    layer: dict[str, Any] = {"mediaType": kind, "digest": DIGEST, "size": len(CONTENT)}
    layer["annotations"] = {"org.opencontainers.image.title": name}
    config = {"mediaType": CONFIG_TYPE, "digest": DIGEST, "size": len(CONTENT)}
    body = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": [layer]}
    return json.dumps(body).encode()


@contextmanager
def registry(*answers: bytes, blob: bytes = CONTENT) -> Iterator[str]:
    """Where its models are; asked for the manifest it gives one answer after the other, and the last one for ever."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = blob
            if "/manifests/" in self.path:
                content = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(200)
            self.send_header("Content-Type", MANIFEST_TYPE)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name for it
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}/models"
        server.shutdown()


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def pull_into_a_folder(place: str, tmp_path: Path) -> None:
    pull_bundle(f"{place}/fan:1", tmp_path / "in" / "bundle", plain_http=True)


def pull_onto_a_device(place: str, tmp_path: Path) -> None:
    out = tmp_path / "in" / "bundle"
    out.mkdir(parents=True)
    with TemporaryDirectory(dir=tmp_path / "in") as scratch:  # as `fanwatch pull model` gives it
        fetch(Wanted.parse("fan:1"), f"oci://{place}", Path(scratch), plain_http=True)


PULLS = [pull_into_a_folder, pull_onto_a_device]
Pull = Callable[[str, Path], None]
REFUSED = (ToolkitError, ModelFolderError)


@pytest.mark.parametrize("name", OUTWARD)
@pytest.mark.parametrize("pull", PULLS)
def test_a_bundle_whose_file_would_land_outside_is_refused_before_anything_is_fetched(
    tmp_path: Path, pull: Pull, name: str
) -> None:
    with registry(manifest(name)) as place, pytest.raises(REFUSED, match="which no bundle has"):
        pull(place, tmp_path)
    assert files_under(tmp_path) == []


@pytest.mark.parametrize(("name", "kind"), [("../evil", FILE_TYPE), ("evil", FOLDER_TYPE)])
@pytest.mark.parametrize("pull", PULLS)
def test_a_registry_that_answers_otherwise_the_second_time_is_held_to_what_was_looked_at(
    tmp_path: Path, pull: Pull, name: str, kind: str
) -> None:
    """What was looked at has no manifest of a bundle, so that a sentence says so, and nothing of the second answer."""
    with (
        registry(manifest("model.tflite"), manifest(name, kind)) as place,
        pytest.raises(REFUSED, match=r"manifest\.json"),
    ):
        pull(place, tmp_path)
    assert files_under(tmp_path) == []


@pytest.mark.parametrize("blob", [b"{ }", b"[]", b"", b"{}" * 1_000_000])
@pytest.mark.parametrize("pull", PULLS)
def test_a_file_that_is_not_what_its_digest_says_is_refused(tmp_path: Path, pull: Pull, blob: bytes) -> None:
    with (
        registry(manifest("manifest.json"), blob=blob) as place,
        pytest.raises(REFUSED, match="is not what its digest says"),
    ):
        pull(place, tmp_path)
    assert files_under(tmp_path) == []
