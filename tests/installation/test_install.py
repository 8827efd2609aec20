"""Installing: configuration in its place, the site's own environment kept, a refusal leaves everything as it was.

Docker's part is played here. On two real engines it was shown by hand (docs/air-gapped.md).
"""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_manager.device.docker import Docker
from edge_manager.installation.bundle_file import BundleError, SiteManifest, entry_of, write_bundle
from edge_manager.installation.operations import install
from tests.inference.model_versions import Signer


@dataclass(frozen=True, slots=True)
class PlayedDocker(Docker):
    """Takes images as Docker does, and remembers them."""

    arch: str = "amd64"
    loaded: list[bytes] = field(default_factory=list)

    def architecture(self) -> str:
        return self.arch

    def load(self, archive: Path) -> None:
        self.loaded.append(archive.read_bytes())

    def has_image(self, name: str) -> bool:
        return bool(self.loaded) and name == "x:1"


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.make(tmp_path / "keys")


def bundle_of(
    tmp_path: Path,
    signer: Signer,
    compose: str = "name: x\n",
    image: str = "x:1",
    model: Path | None = None,
) -> Path:
    sources = {f"models/fan/{model.name}/{file.name}": file for file in model.iterdir()} if model else {}
    for path, text in {
        "images.tar": "images",
        "site/docker-compose.yml": compose,
        "site/.env": "SITE=template\n",
    }.items():
        sources[path] = tmp_path / "sources" / path
        sources[path].parent.mkdir(parents=True, exist_ok=True)
        sources[path].write_text(text)
    files = tuple(entry_of(path, file) for path, file in sources.items())
    manifest = SiteManifest(
        made_at="2026-11-27T12:00:00.000Z", architecture="amd64", images=(image,), files=files
    )
    with (tmp_path / "site.fanwatch").open("wb") as file:
        write_bundle(file, manifest, sources, signer.private_key, None)
    return tmp_path / "site.fanwatch"


def put(tmp_path: Path, signer: Signer, engine: PlayedDocker, *, replace: bool = False) -> None:
    install(
        tmp_path / "site.fanwatch",
        [signer.public_key],
        tmp_path / "site",
        replace=replace,
        engine=lambda _: engine,
    )


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_images_are_loaded_and_configuration_is_in_its_place(tmp_path: Path, signer: Signer) -> None:
    bundle_of(tmp_path, signer)
    engine = PlayedDocker(tmp_path)
    put(tmp_path, signer, engine)
    assert engine.loaded == [b"images"]
    assert content(tmp_path / "site") == {"docker-compose.yml": "name: x\n", ".env": "SITE=template\n"}


def test_the_sites_own_environment_stays_and_again_changes_nothing(tmp_path: Path, signer: Signer) -> None:
    bundle_of(tmp_path, signer)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / ".env").write_text("SITE=own\n")
    for _ in range(2):
        put(tmp_path, signer, PlayedDocker(tmp_path))
    assert content(tmp_path / "site") == {"docker-compose.yml": "name: x\n", ".env": "SITE=own\n"}


def test_configuration_that_differs_is_replaced_only_when_told_to(tmp_path: Path, signer: Signer) -> None:
    bundle_of(tmp_path, signer)
    put(tmp_path, signer, PlayedDocker(tmp_path))
    bundle_of(tmp_path, signer, compose="name: y\n")
    engine = PlayedDocker(tmp_path)
    with pytest.raises(BundleError, match=r"docker-compose\.yml, which differ"):
        put(tmp_path, signer, engine)
    assert (engine.loaded, content(tmp_path / "site")["docker-compose.yml"]) == ([], "name: x\n")
    put(tmp_path, signer, engine, replace=True)
    assert content(tmp_path / "site")["docker-compose.yml"] == "name: y\n"


def test_images_of_another_architecture_are_refused_before_they_are_loaded(
    tmp_path: Path, signer: Signer
) -> None:
    bundle_of(tmp_path, signer)
    engine = PlayedDocker(tmp_path, arch="arm64")
    with pytest.raises(BundleError, match="holds images for amd64, this machine's Docker runs arm64"):
        put(tmp_path, signer, engine)
    assert (engine.loaded, content(tmp_path / "site")) == ([], {})


def test_what_a_stranger_has_signed_is_neither_loaded_nor_written(tmp_path: Path, signer: Signer) -> None:
    bundle_of(tmp_path, Signer.make(tmp_path / "stranger"))
    engine = PlayedDocker(tmp_path)
    with pytest.raises(BundleError, match="is not signed by"):
        put(tmp_path, signer, engine)
    assert (engine.loaded, content(tmp_path / "site")) == ([], {})


def test_an_image_that_the_archive_did_not_bring_is_named(tmp_path: Path, signer: Signer) -> None:
    bundle_of(tmp_path, signer, image="y:1")
    with pytest.raises(BundleError, match="has no y:1 after loading"):
        put(tmp_path, signer, PlayedDocker(tmp_path))
