"""A bundle is taken only from those whose key is known, and as they signed it."""

import os
from pathlib import Path

import pytest

from contract.bundle import SIGNATURE_FILE
from inference.bundle import read_bundle
from inference.deployments import ModelStore
from inference.errors import ModelUnusable
from inference.settings import OUR_PUBLIC_KEY
from inference.signature import Signers
from tests.inference.inference_process import environment
from tests.inference.model_versions import COMMITTED, Signer, add_version, repack


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.make(tmp_path / "keys")


@pytest.fixture
def signers(signer: Signer, tmp_path: Path) -> Signers:
    return Signers((signer.public_key,), tmp_path)


@pytest.fixture
def folder(signer: Signer, tmp_path: Path) -> Path:
    return add_version(tmp_path / "models", "2", signer)


def test_the_committed_bundle_is_signed_with_the_key_that_ships_with_the_service(tmp_path: Path) -> None:
    bundle = read_bundle(COMMITTED, "fan", Signers((OUR_PUBLIC_KEY,), tmp_path))
    assert bundle.manifest.model_id == "fan:1"


def test_a_bundle_as_it_was_signed_is_taken(folder: Path, signers: Signers) -> None:
    assert read_bundle(folder, "fan", signers).manifest.model_id == "fan:2"


def test_any_of_several_keys_will_do(folder: Path, signers: Signers, tmp_path: Path) -> None:
    other = Signer.make(tmp_path / "keys", "other")
    both = Signers((other.public_key, *signers.public_keys), tmp_path)
    assert read_bundle(folder, "fan", both).manifest.model_id == "fan:2"


def test_an_unsigned_bundle_is_refused_with_what_to_do(folder: Path, signers: Signers) -> None:
    (folder / SIGNATURE_FILE).unlink()
    with pytest.raises(ModelUnusable, match=r"is not signed.*FANWATCH_MODEL_PUBLIC_KEYS"):
        read_bundle(folder, "fan", signers)


def test_a_bundle_signed_by_somebody_else_is_refused(folder: Path, signers: Signers, tmp_path: Path) -> None:
    Signer.make(tmp_path / "keys", "stranger").sign(folder)
    with pytest.raises(ModelUnusable, match=r"is not as .*signer\.pub signed it"):
        read_bundle(folder, "fan", signers)


@pytest.mark.parametrize("file", ["model.tflite", "model.keras"])
def test_a_file_exchanged_together_with_its_digest_is_refused(
    folder: Path, signers: Signers, file: str
) -> None:
    repack(folder, file, b"something else")
    assert read_bundle(folder, "fan", None).files[file] == b"something else"
    with pytest.raises(ModelUnusable, match="Hash mismatch"):
        read_bundle(folder, "fan", signers)


def test_a_changed_threshold_is_refused(folder: Path, signers: Signers) -> None:
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"threshold": 0.5', '"threshold": 0.9'))
    assert read_bundle(folder, "fan", None).manifest.threshold == 0.9
    with pytest.raises(ModelUnusable, match="Hash mismatch"):
        read_bundle(folder, "fan", signers)


def test_a_file_that_nobody_signed_is_refused(folder: Path, signers: Signers) -> None:
    (folder / "handler.py").write_text("import os")
    with pytest.raises(ModelUnusable, match="Extra files"):
        read_bundle(folder, "fan", signers)


@pytest.mark.parametrize("signature", [b"", b"{}", b"not JSON", b'{"dsseEnvelope": {}}', os.urandom(200)])
def test_whatever_stands_in_place_of_a_signature_is_none(
    folder: Path, signers: Signers, signature: bytes
) -> None:
    (folder / SIGNATURE_FILE).write_bytes(signature)
    with pytest.raises(ModelUnusable, match="is not as"):
        read_bundle(folder, "fan", signers)


def test_the_signature_of_one_version_is_none_for_another(
    folder: Path, signer: Signer, signers: Signers, tmp_path: Path
) -> None:
    other = add_version(tmp_path / "models", "3", signer)
    (folder / SIGNATURE_FILE).write_bytes((other / SIGNATURE_FILE).read_bytes())
    with pytest.raises(ModelUnusable, match="Hash mismatch"):
        read_bundle(folder, "fan", signers)


def test_a_version_in_the_folder_of_another_is_refused(folder: Path, signers: Signers) -> None:
    folder.rename(folder.with_name("4"))
    with pytest.raises(ModelUnusable, match="holds version 2, expected 4"):
        ModelStore(folder.parent, "fan", signers).bundle("4")


def test_nothing_of_a_bundle_is_parsed_before_its_signature_is_good(folder: Path, signers: Signers) -> None:
    (folder / "manifest.json").write_bytes(b"\xff not JSON")
    with pytest.raises(ModelUnusable, match="is not as"):
        read_bundle(folder, "fan", signers)


def test_the_copy_for_the_check_is_gone_afterwards(folder: Path, signer: Signer, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    read_bundle(folder, "fan", Signers((signer.public_key,), scratch))
    assert list(scratch.iterdir()) == []


def test_by_default_only_our_own_models_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in environment():
        if name.startswith("FANWATCH_"):
            monkeypatch.delenv(name)
    from inference.settings import InferenceSettings  # noqa: PLC0415 - after the environment

    settings = InferenceSettings()
    assert settings.model_public_keys == (OUR_PUBLIC_KEY,)
    assert not settings.allow_unsigned_models
