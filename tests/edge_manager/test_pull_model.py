"""`fanwatch pull model`: from a folder or a real registry, and only what one of our keys has signed."""

import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edge_manager.models.parcel import pack, unpack
from edge_manager.models.pull_command import app
from edge_manager.models.source import newest
from edge_manager.models.versions import read_whole
from inference_toolkit.registry import push_bundle
from model_folder.folder import ModelFolderError
from testbed.registry import Registry
from tests.inference.model_versions import Signer, add_version


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.make(tmp_path / "keys")


@pytest.fixture
def bundles(tmp_path: Path, signer: Signer) -> Path:
    """Versions 2, 9 and 10, signed."""
    for version in ("2", "9", "10"):
        add_version(tmp_path / "bundles", version, signer)
    return tmp_path / "bundles"


def pull(
    wanted: str, source: Path | str, signer: Signer, place: Path, *options: str, into: str = "--models"
) -> Result:
    words = [
        wanted,
        "--from",
        str(source),
        "--key",
        str(signer.public_key),
        into,
        str(place),
        *options,
    ]
    return CliRunner().invoke(app, words, catch_exceptions=False)


def test_a_signed_bundle_of_a_folder_comes_onto_the_device_and_nothing_uses_it_yet(
    bundles: Path, signer: Signer, tmp_path: Path
) -> None:
    result = pull("fan:2", bundles, signer, tmp_path / "models")
    assert (result.exit_code, "fan:2 is on this device, signed with signer.pub" in result.stdout) == (0, True)
    assert read_whole(tmp_path / "models" / "fan" / "2").version == "2"
    assert not (tmp_path / "models" / "fan" / "deployment.json").exists()


def test_without_a_version_the_newest_is_meant(bundles: Path, signer: Signer, tmp_path: Path) -> None:
    pull("fan", bundles, signer, tmp_path / "models")
    assert [path.name for path in (tmp_path / "models" / "fan").glob("[!.]*")] == ["10"]


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (["9", "10"], "10"),
        (["1.2", "1.10"], "1.10"),
        (["2026-11-25", "2026-11-26"], "2026-11-26"),
        (["a", "1"], "1"),
    ],
)
def test_numbers_in_a_version_count_as_numbers(versions: list[str], expected: str) -> None:
    assert newest(versions) == expected


def test_a_stranger_a_changed_file_and_no_signature_are_refused_and_leave_nothing(
    bundles: Path, signer: Signer, tmp_path: Path
) -> None:
    stranger = Signer.make(tmp_path / "stranger")
    add_version(bundles, "3", stranger)
    add_version(bundles, "4", None)
    changed = json.loads((bundles / "fan" / "2" / "manifest.json").read_text()) | {"threshold": 0.99}
    (bundles / "fan" / "2" / "manifest.json").write_text(json.dumps(changed))
    for version in ("2", "3", "4"):
        result = pull(f"fan:{version}", bundles, signer, tmp_path / "models")
        assert (result.exit_code, "signed" in result.stderr) == (1, True), version
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("fan:5", "of fan it has 10, 2, 9"),
        ("pump", "of pump it has none"),
        ("../fan:2", "expected NAME or NAME:VERSION"),
        ("fan:../2", "expected NAME or NAME:VERSION"),
    ],
)
def test_what_is_not_there_or_no_name_is_a_sentence(
    bundles: Path, signer: Signer, tmp_path: Path, wanted: str, said: str
) -> None:
    result = pull(wanted, bundles, signer, tmp_path / "models")
    assert (result.exit_code, said in result.stderr) == (1, True), result.stderr


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as server:
        yield server


def test_a_bundle_comes_from_a_registry_by_its_version_or_the_newest(
    bundles: Path, signer: Signer, tmp_path: Path, registry: Registry
) -> None:
    for version in ("2", "10"):
        push_bundle(bundles / "fan" / version, f"{registry.host}/models/fan:{version}", plain_http=True)
    source = f"oci://{registry.host}/models"
    for wanted in ("fan:2", "fan"):
        assert pull(wanted, source, signer, tmp_path / "models", "--plain-http").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "models" / "fan").glob("[!.]*")) == ["10", "2"]
    gone = pull("fan:5", source, signer, tmp_path / "models", "--plain-http")
    assert (gone.exit_code, "fan:5 cannot be fetched" in gone.stderr) == (1, True)


# --- the parcel -------------------------------------------------------------------------------------


def test_a_parcel_brings_the_bundle_as_it_was(bundles: Path, tmp_path: Path) -> None:
    bundle, stream = bundles / "fan" / "2", io.BytesIO()
    pack(bundle, read_whole(bundle), stream)
    stream.seek(0)
    (tmp_path / "came").mkdir()
    unpack(stream, tmp_path / "came")
    assert {path.name: path.read_bytes() for path in (tmp_path / "came").iterdir()} == {
        path.name: path.read_bytes() for path in bundle.iterdir()
    }


def tar(*members: tuple[str, bytes, str]) -> io.BytesIO:
    """An archive of (type, name as bytes, link target)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for kind, name, target in members:
            member = tarfile.TarInfo(name.decode())
            member.type, member.linkname = kind.encode(), target
            archive.addfile(member)
    stream.seek(0)
    return stream


@pytest.mark.parametrize(
    "stream",
    [
        tar(("0", b"../manifest.json", "")),
        tar(("0", b"/etc/passwd", "")),
        tar(("0", b"fan/manifest.json", "")),
        tar(("2", b"manifest.json", "/etc/passwd")),
        tar(("1", b"manifest.json", "model.sig")),
        tar(("5", b"folder", "")),
        tar(("0", b"manifest.json", ""), ("0", b"manifest.json", "")),
        tar(("0", b".hidden", "")),
        io.BytesIO(b"not an archive"),
        io.BytesIO(b""),
    ],
    ids=[
        "up",
        "absolute",
        "below",
        "symlink",
        "hard link",
        "folder",
        "twice",
        "hidden",
        "no archive",
        "empty",
    ],
)
def test_a_parcel_with_anything_that_no_bundle_has_is_refused_and_writes_nothing_outside(
    stream: io.BytesIO, tmp_path: Path
) -> None:
    folder = tmp_path / "in" / "bundle"
    folder.mkdir(parents=True)
    with pytest.raises(ModelFolderError):
        unpack(stream, folder)
    shutil.rmtree(folder)
    assert list((tmp_path / "in").iterdir()) == []


def test_a_folder_that_is_no_sites_is_said_before_anything_is_fetched(
    bundles: Path, signer: Signer, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    result = pull("fan:2", bundles, signer, elsewhere, into="--folder")
    assert result.exit_code == 1
    assert f"error: {elsewhere} is not a site's folder" in result.stderr
