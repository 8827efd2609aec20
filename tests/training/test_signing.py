"""A bundle is what was signed, or it is refused."""

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contract.bundle import SIGNATURE_FILE
from training.bundle import BundleError
from training.model_command import app
from training.signing import SigningError, generate_keys, sign_bundle, verify_bundle

COMMITTED = Path(__file__).parents[2] / "models" / "fan"


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return generate_keys(tmp_path / "keys")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "fan"
    shutil.copytree(COMMITTED, folder)
    (folder / SIGNATURE_FILE).unlink(missing_ok=True)
    return folder


def change_the_model(bundle: Path) -> None:
    with (bundle / "model.tflite").open("ab") as file:
        file.write(b"\0")


def change_the_threshold(bundle: Path) -> None:
    described = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(described | {"threshold": 0.99}))


def add_a_file(bundle: Path) -> None:
    (bundle / "handler.py").write_text("import os")


def add_a_file_that_git_would_ignore(bundle: Path) -> None:
    (bundle / ".git").mkdir()
    (bundle / ".git" / "handler.py").write_text("import os")


def remove_a_file(bundle: Path) -> None:
    (bundle / "reference.json").unlink()


def empty_the_signature(bundle: Path) -> None:
    (bundle / SIGNATURE_FILE).write_text("{}")


def break_the_signature(bundle: Path) -> None:
    (bundle / SIGNATURE_FILE).write_bytes(b"\xff\x00")


def forge_the_signed_statement(bundle: Path) -> None:
    signature = json.loads((bundle / SIGNATURE_FILE).read_text())
    payload = signature["dsseEnvelope"]["payload"]
    signature["dsseEnvelope"]["payload"] = payload[:-8] + "AAAA" + payload[-4:]
    (bundle / SIGNATURE_FILE).write_text(json.dumps(signature))


def take_the_signature_away(bundle: Path) -> None:
    (bundle / SIGNATURE_FILE).unlink()


def test_a_signed_bundle_holds_also_where_it_is_moved_to(
    bundle: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    private, public = keys
    sign_bundle(bundle, private)
    verify_bundle(bundle, public)
    moved = tmp_path / "site" / "2"
    shutil.copytree(bundle, moved)
    verify_bundle(moved, public)
    sign_bundle(moved, private)  # a second signature takes the place of the first
    verify_bundle(moved, public)


@pytest.mark.parametrize(
    "damage",
    [
        change_the_model,
        change_the_threshold,
        add_a_file,
        add_a_file_that_git_would_ignore,
        remove_a_file,
        empty_the_signature,
        break_the_signature,
        forge_the_signed_statement,
        take_the_signature_away,
    ],
)
def test_a_bundle_that_is_not_what_was_signed_is_refused(
    bundle: Path, keys: tuple[Path, Path], damage: Callable[[Path], None]
) -> None:
    private, public = keys
    sign_bundle(bundle, private)
    damage(bundle)
    with pytest.raises(SigningError):
        verify_bundle(bundle, public)


def test_a_signature_of_another_key_is_refused(bundle: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    sign_bundle(bundle, keys[0])
    _, other = generate_keys(tmp_path / "other")
    with pytest.raises(SigningError, match="does not hold"):
        verify_bundle(bundle, other)


def test_what_is_damaged_or_holds_a_stranger_is_not_signed(bundle: Path, keys: tuple[Path, Path]) -> None:
    add_a_file(bundle)
    with pytest.raises(SigningError, match=r"handler\.py, which manifest\.json does not name"):
        sign_bundle(bundle, keys[0])
    (bundle / "handler.py").unlink()
    change_the_model(bundle)
    with pytest.raises(BundleError, match="SHA-256"):
        sign_bundle(bundle, keys[0])
    assert not (bundle / SIGNATURE_FILE).exists()


def test_the_private_key_is_its_owners_alone_and_never_replaced(
    keys: tuple[Path, Path], bundle: Path
) -> None:
    private, _ = keys
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    with pytest.raises(SigningError, match="is not replaced"):
        generate_keys(private.parent)
    private.chmod(0o644)
    with pytest.raises(SigningError, match="chmod 600"):
        sign_bundle(bundle, private)


def test_the_commands_make_a_key_with_a_password_sign_and_verify_and_tell_neither(
    bundle: Path, tmp_path: Path
) -> None:
    run = CliRunner().invoke
    password = tmp_path / "password"
    password.write_text("correct horse\n")
    keys = tmp_path / "keys"
    private, public = keys / "model-signing.key", keys / "model-signing.pub"
    made = run(app, ["keygen", "--out", str(keys), "--password-file", str(password)])
    assert made.exit_code == 0, made.output
    assert "ENCRYPTED" in private.read_text()

    unsigned = run(app, ["verify", str(bundle), "--key", str(public)])
    assert unsigned.exit_code == 1
    assert "it is not signed" in unsigned.output
    without = run(app, ["sign", str(bundle), "--key", str(private)])
    assert without.exit_code == 1
    assert "--password-file" in without.output
    password.write_text("wrong\n")
    assert (
        run(app, ["sign", str(bundle), "--key", str(private), "--password-file", str(password)]).exit_code
        == 1
    )
    password.write_text("correct horse\n")
    signed = run(app, ["sign", str(bundle), "--key", str(private), "--password-file", str(password)])
    assert signed.exit_code == 0, signed.output
    assert run(app, ["verify", str(bundle), "--key", str(public)]).exit_code == 0
    told = made.output + without.output + signed.output
    assert "horse" not in told
    assert "PRIVATE" not in told
