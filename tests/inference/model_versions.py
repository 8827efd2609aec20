"""Versions of the fan model in a models folder, signed by a key of the test's own."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from model_signing import hashing, signing

from contract.bundle import MANIFEST_FILE, SIGNATURE_FILE
from contract.deployment import DEPLOYMENT_FILE, Deployment

COMMITTED = Path(__file__).parents[2] / "models" / "fan"


@dataclass(frozen=True, slots=True)
class Signer:
    """A key pair in a folder."""

    private_key: Path
    public_key: Path

    @classmethod
    def make(cls, folder: Path, name: str = "signer") -> "Signer":
        """A fresh pair."""
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        made = cls(folder / f"{name}.pem", folder / f"{name}.pub")
        made.private_key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        made.public_key.write_bytes(
            key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        return made

    def sign(self, folder: Path) -> None:
        """Write model.sig, over every other file of the folder."""
        signature = folder.resolve() / SIGNATURE_FILE
        signature.unlink(missing_ok=True)
        config = hashing.Config().use_file_serialization(hashing_algorithm="sha256")
        config.set_ignored_paths(paths=[signature], ignore_git_paths=False)
        signer = signing.Config().use_elliptic_key_signer(private_key=self.private_key)
        signer.set_hashing_config(config).sign(folder.resolve(), signature)


def add_version(
    models: Path, version: str, signer: Signer | None, *, like: Path = COMMITTED, **changes: object
) -> Path:
    """Write models/fan/VERSION: the bundle ``like``, with another version and changes of its manifest."""
    folder = models / "fan" / version
    shutil.copytree(like, folder, ignore=shutil.ignore_patterns(SIGNATURE_FILE))
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    manifest |= {"version": version, **changes}
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))
    if signer is not None:
        signer.sign(folder)
    return folder


def repack(folder: Path, file: str, content: bytes) -> None:
    """Exchange a file and say so in the manifest, as somebody would who has no key."""
    (folder / file).write_bytes(content)
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    manifest["files"][file] = hashlib.sha256(content).hexdigest()
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))


def deploy(models: Path, champion: str, **others: str) -> None:
    """Write models/fan/deployment.json by one rename."""
    since = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    deployment = Deployment(model="fan", champion=champion, since=since, why="a test", **others)
    fresh = models / "fan" / ".fresh"
    fresh.write_text(deployment.model_dump_json())
    fresh.replace(models / "fan" / DEPLOYMENT_FILE)


def deployed(models: Path) -> Deployment:
    """What models/fan/deployment.json says."""
    return Deployment.model_validate_json((models / "fan" / DEPLOYMENT_FILE).read_bytes())
