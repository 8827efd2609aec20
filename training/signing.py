"""Signing a bundle, so that a device can refuse what our trainer has not made.

The format is that of the OpenSSF model signing specification (https://github.com/ossf/model-signing-spec): an in-toto
statement that names every file of the folder with its SHA-256, in a DSSE envelope signed with ECDSA over P-256, written
as a Sigstore bundle. It lies in the folder itself as model.sig and names every other file, the manifest included; a
file more, less or other than signed is refused. The folder's own name does not count, so a bundle may be moved.
"""

import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from model_signing import hashing, signing, verifying

from contract.bundle import MANIFEST_FILE, SIGNATURE_FILE
from training.bundle import read_manifest

PRIVATE_KEY_FILE = "model-signing.key"
PUBLIC_KEY_FILE = "model-signing.pub"

_NOT_FOR_OTHERS = 0o027
"""Bits of a private key's mode that must be off. A group may read it: so Kubernetes hands a secret to a job."""


class SigningError(ValueError):
    """A key or a bundle that cannot be signed with, or a signature that does not hold; says which and why."""


def generate_keys(folder: Path, password: bytes | None = None) -> tuple[Path, Path]:
    """Make a key pair: the private key stays with the trainer, the public key goes to every device.

    Args:
        folder: Where to; made if need be.
        password: Encrypts the private key; None leaves it open to whoever may read the file.

    Returns:
        The private key (PEM, PKCS 8, mode 0600) and the public key (PEM).

    Raises:
        SigningError: There is a key already, which is never replaced: devices trust it.
    """
    private, public = folder / PRIVATE_KEY_FILE, folder / PUBLIC_KEY_FILE
    for path in (private, public):
        if path.exists():
            raise SigningError(f"{path} is there already and is not replaced; choose another --out")
    key = ec.generate_private_key(ec.SECP256R1())
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    folder.mkdir(parents=True, exist_ok=True)
    # Made with its mode, not given it afterwards: nobody may read it in between.
    with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return private, public


def read_password(path: Path | None) -> bytes | None:
    """The password in a file, its last line break apart; None without a file.

    Raises:
        SigningError: The file cannot be read, or is empty.
    """
    if path is None:
        return None
    try:
        password = path.read_bytes().removesuffix(b"\n").removesuffix(b"\r")
    except OSError as error:
        raise SigningError(f"{path}: cannot be read: {error.strerror}") from error
    if not password:
        raise SigningError(f"{path}: is empty; expected the password of the private key")
    return password


def sign_bundle(bundle: Path, private_key: Path, password: bytes | None = None) -> Path:
    """Write model.sig into a bundle; a signature that stands there is replaced.

    Args:
        bundle: The folder.
        private_key: PEM file.
        password: Of the private key; None when it is not encrypted.

    Returns:
        The signature's file.

    Raises:
        training.bundle.BundleError: The folder is no whole bundle: what is damaged is not signed.
        SigningError: The bundle holds a file that its manifest does not name, or the key cannot be used.
    """
    manifest = read_manifest(bundle)
    known = {*manifest.files, MANIFEST_FILE, SIGNATURE_FILE}
    strangers = sorted(path.name for path in bundle.iterdir() if path.name not in known)
    if strangers:
        raise SigningError(
            f"{bundle}: holds {', '.join(strangers)}, which {MANIFEST_FILE} does not name; remove it, or pack it"
        )
    _check_private(private_key)
    try:
        # The library's hint says str; what it hands the password to wants bytes.
        config = signing.Config().use_elliptic_key_signer(
            private_key=private_key,
            password=password,  # type: ignore[arg-type]
        )
    except (ValueError, TypeError) as error:
        raise SigningError(
            f"{private_key}: cannot be used as a private key: {error}; `fanwatch model keygen` makes one, and "
            "--password-file names the file with its password"
        ) from error
    signature = bundle / SIGNATURE_FILE
    fresh = bundle.parent / f".{bundle.name}-{SIGNATURE_FILE}"
    config.set_hashing_config(_every_file_but_the_signature()).sign(bundle, fresh)
    fresh.replace(signature)
    return signature


def verify_bundle(bundle: Path, public_key: Path) -> None:
    """Check a bundle's signature and, by it, every file.

    Args:
        bundle: The folder.
        public_key: PEM file.

    Raises:
        SigningError: It is unsigned, signed by another key, or not what was signed.
    """
    signature = bundle / SIGNATURE_FILE
    if not signature.is_file():
        raise SigningError(
            f"{bundle}: has no {SIGNATURE_FILE}: it is not signed; `fanwatch model sign` does it"
        )
    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    except (OSError, ValueError) as error:
        raise SigningError(f"{public_key}: cannot be used as a public key: {error}") from error
    try:
        config.set_hashing_config(_every_file_but_the_signature()).verify(bundle, signature)
    except Exception as error:  # a hostile file makes the parsers below raise anything
        why = str(error) or type(error).__name__
        raise SigningError(
            f"{bundle}: {SIGNATURE_FILE} does not hold for {public_key}: {why}; copy the bundle again from where "
            "it was signed"
        ) from error


def _every_file_but_the_signature() -> hashing.Config:
    # The library leaves .git, .gitignore and the like unsigned unless told otherwise.
    return hashing.Config().set_ignored_paths(paths=[SIGNATURE_FILE], ignore_git_paths=False)


def _check_private(key: Path) -> None:
    try:
        mode = key.stat().st_mode
    except OSError as error:
        raise SigningError(
            f"{key}: cannot be read: {error.strerror}; `fanwatch model keygen` makes a key"
        ) from error
    if mode & _NOT_FOR_OTHERS:
        raise SigningError(f"{key}: others may read or change this private key; chmod 600 {key}")
