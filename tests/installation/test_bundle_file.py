"""The signed file: what was packed comes out; whatever was changed on the way is refused before anything is written."""

import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_manager.installation.bundle_file import (
    BundleError,
    Entry,
    SiteManifest,
    check_bundle,
    entry_of,
    unpack_bundle,
    write_bundle,
)
from tests.inference.model_versions import Signer

NOW = "2026-11-27T12:00:00.000Z"


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.make(tmp_path / "keys")


@pytest.fixture
def bundle(tmp_path: Path, signer: Signer) -> Path:
    """Images, one configuration file and one executable."""
    sources = {}
    for path, content in {
        "images.tar": b"i" * 3_000_000,
        "site/docker-compose.yml": b"name: x\n",
        "site/a/b.sh": b"#",
    }.items():
        sources[path] = tmp_path / "sources" / path
        sources[path].parent.mkdir(parents=True, exist_ok=True)
        sources[path].write_bytes(content)
    sources["site/a/b.sh"].chmod(0o755)
    return made(tmp_path / "site.fanwatch", sources, signer)


def made(out: Path, sources: dict[str, Path], signer: Signer, entries: list[Entry] | None = None) -> Path:
    files = tuple(entries or [entry_of(path, file) for path, file in sources.items()])
    manifest = SiteManifest(made_at=NOW, architecture="amd64", images=("x:1",), files=files)
    with out.open("wb") as file:
        write_bundle(file, manifest, sources, signer.private_key, None)
    return out


def members(bundle: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(bundle) as archive:
        return [(member, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]


def rewritten(bundle: Path, changed: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(bundle, "w") as archive:
        for member, content in changed:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return bundle


def test_what_was_packed_comes_out_as_it_was(bundle: Path, signer: Signer, tmp_path: Path) -> None:
    out = tmp_path / "out"
    unpack_bundle(bundle, [signer.public_key], out)
    assert (out / "images.tar").read_bytes() == b"i" * 3_000_000
    assert (out / "site" / "docker-compose.yml").read_text() == "name: x\n"
    assert (out / "site" / "a" / "b.sh").stat().st_mode & 0o777 == 0o755


def test_openssl_agrees_about_the_signature(bundle: Path, signer: Signer, tmp_path: Path) -> None:
    for member, content in members(bundle)[:2]:
        (tmp_path / member.name).write_bytes(content)
    words: list[str | Path] = [
        "openssl",
        "dgst",
        "-sha256",
        "-verify",
        signer.public_key,
        "-signature",
        "manifest.sig",
        "manifest.json",
    ]
    assert (
        subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        == "Verified OK\n"
    )


def test_any_of_several_keys_will_do_and_a_strangers_will_not(
    bundle: Path, signer: Signer, tmp_path: Path
) -> None:
    stranger = Signer.make(tmp_path / "stranger")
    check_bundle(bundle, [stranger.public_key, signer.public_key])
    for keys in ([stranger.public_key], []):
        with pytest.raises(BundleError, match="is not signed by"):
            check_bundle(bundle, keys)


Members = list[tuple[tarfile.TarInfo, bytes]]


def _named(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


CHANGES: dict[str, Callable[[Members], Members]] = {
    "one byte of an image": lambda all_: [*all_[:2], (all_[2][0], b"j" + all_[2][1][1:]), *all_[3:]],
    "one byte of the manifest": lambda all_: [
        (all_[0][0], all_[0][1].replace(b"amd64", b"arm64")),
        *all_[1:],
    ],
    "no signature": lambda all_: [all_[0], *all_[2:]],
    "an empty signature": lambda all_: [all_[0], (all_[1][0], b""), *all_[2:]],
    "a file more at the end": lambda all_: [*all_, (_named("site/evil"), b"x")],
    "a file more between": lambda all_: [*all_[:3], (_named("site/evil"), b"x"), *all_[3:]],
    "a file less": lambda all_: all_[:-1],
    "another order": lambda all_: [*all_[:2], all_[3], all_[2], *all_[4:]],
    "the same twice": lambda all_: [*all_, all_[-1]],
    "a path out of the folder": lambda all_: [*all_[:-1], (_named("../../evil"), all_[-1][1])],
    "an absolute path": lambda all_: [*all_[:-1], (_named("/tmp/evil"), all_[-1][1])],
    "a link in place of a file": lambda all_: [
        *all_[:-1],
        (_named(all_[-1][0].name, tarfile.SYMTYPE, "/etc"), b""),
    ],
    "a hard link": lambda all_: [*all_[:-1], (_named(all_[-1][0].name, tarfile.LNKTYPE, "images.tar"), b"")],
    "a folder": lambda all_: [*all_[:-1], (_named(all_[-1][0].name, tarfile.DIRTYPE), b"")],
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_was_changed_on_the_way_is_refused_and_nothing_is_written(
    bundle: Path, signer: Signer, tmp_path: Path, change: str
) -> None:
    rewritten(bundle, CHANGES[change](members(bundle)))
    (tmp_path / "in").mkdir()
    with pytest.raises(BundleError):
        unpack_bundle(bundle, [signer.public_key], tmp_path / "in" / "out")
    assert list((tmp_path / "in").iterdir()) == []


@pytest.mark.parametrize("left", [0, 100, 512, 3_000, 2_000_000])
def test_a_file_that_was_cut_off_is_refused(bundle: Path, signer: Signer, tmp_path: Path, left: int) -> None:
    bundle.write_bytes(bundle.read_bytes()[:left])
    with pytest.raises(BundleError):
        unpack_bundle(bundle, [signer.public_key], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "path",
    ["site/../../evil", "/etc/passwd", "site//x", "site/./x", "evil", "site/a\\b", "site/a\nb", "site/", ""],
)
def test_even_a_signed_manifest_cannot_name_a_path_out_of_the_folder(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        Entry(path=path, size=0, sha256="0" * 64)


def test_even_a_signed_manifest_cannot_make_a_file_a_folder(signer: Signer) -> None:
    entries = tuple(Entry(path=path, size=0, sha256="0" * 64) for path in ("site/a", "site/a/b"))
    with pytest.raises(ValueError, match="a path stands twice"):
        SiteManifest(made_at=NOW, architecture="amd64", images=(), files=entries)


def test_a_file_that_changes_while_the_bundle_is_made_stops_it(signer: Signer, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("before")
    entry = entry_of("site/f", file)
    file.write_text("after!")
    with pytest.raises(BundleError, match="has changed while the bundle was made"):
        made(tmp_path / "out", {"site/f": file}, signer, [entry])


def test_a_missing_bundle_and_a_key_that_is_none_are_sentences(
    bundle: Path, signer: Signer, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="is not there"):
        check_bundle(tmp_path / "gone", [signer.public_key])
    (tmp_path / "no.pub").write_text("no key")
    with pytest.raises(BundleError, match="cannot be read as a public key"):
        check_bundle(bundle, [tmp_path / "no.pub"])
    shutil.copy(signer.public_key, tmp_path / "no.key")
    with pytest.raises(BundleError, match="cannot be used as a private key"):
        made(tmp_path / "out", {"site/f": bundle}, Signer(tmp_path / "no.key", signer.public_key))
