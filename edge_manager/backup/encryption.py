"""Backups for nobody else's eyes, in the format of age (https://age-encryption.org/v1), so that any age opens them.

With a key the device needs only the public half: who steals the device, or its backups, reads none of them. With a
passphrase the file begins with an armored age file, opened by the passphrase, which holds the one-time secret key of
the rest: the library's own passphrase mode takes whole files in memory only.

age authenticates every 64 KiB and the end: a changed, exchanged or missing block is an error, never other data. It
does not say who wrote a file: anybody who has the public key can.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyrage

from edge_manager.device.docker import SiteError

__all__ = ["LockError", "Passphrase", "Recipients", "new_key", "opened", "read_passphrase", "sealed"]

_AGE = b"age-encryption.org/v1\n"
_ARMOR_BEGIN = b"-----BEGIN AGE ENCRYPTED FILE-----\n"
_ARMOR_END = b"-----END AGE ENCRYPTED FILE-----\n"
_LONGEST_ARMOR = 64 * 1024


class LockError(SiteError):
    """A key, passphrase or encrypted file that does not open what it should; says what to do."""


class Recipients:
    """For whom a backup is encrypted.

    Args:
        file: Public keys of age (``age1...``) or SSH, one a line; a secret key stands for its public half.

    Raises:
        LockError: The file holds none.
        OSError: It cannot be read.
    """

    def __init__(self, file: Path) -> None:
        self.keys: list[Any] = []
        for line in _lines(file):
            try:
                self.keys.append(_recipient(line))
            except (pyrage.RecipientError, pyrage.IdentityError, ValueError) as error:
                # Not the line: it may be a secret.
                raise LockError(f"{file}: a line is no key that backups can be encrypted for") from error
        if not self.keys:
            raise LockError(
                f"{file}: holds no key; expected a line that begins with age1 (`fanwatch backup keygen`) or an SSH key"
            )


class Passphrase:
    """A passphrase, which never shows itself."""

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The passphrase in clear."""
        return self._text


def read_passphrase(file: Path) -> Passphrase:
    """The first line of a file.

    Raises:
        LockError: It is shorter than 12 characters, which is guessed too soon.
        OSError: It cannot be read.
    """
    text = file.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    if len(text) < 12:
        raise LockError(f"{file}: its first line is the passphrase; expected 12 characters or more")
    return Passphrase(text)


def new_key() -> tuple[str, str]:
    """A new key pair of age: secret, public."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


@contextmanager
def sealed(out: IO[bytes], lock: Recipients | Passphrase | None) -> Iterator[IO[bytes]]:
    """What is written into the stream that this yields goes encrypted to out; as it is without a lock.

    Raises:
        OSError: Out takes no more.
    """
    if lock is None:
        yield out
        return
    if isinstance(lock, Passphrase):
        once = pyrage.x25519.Identity.generate()
        out.write(pyrage.passphrase.encrypt(str(once).encode(), lock.reveal(), armored=True))
        keys = [once.to_public()]
    else:
        keys = lock.keys
    reading, writing = os.pipe()
    source = os.fdopen(reading, "rb")

    def encrypt() -> None:
        with source:  # closed when it fails too, so that who writes is not left waiting
            pyrage.encrypt_io(source, out, keys)  # type: ignore[arg-type] # anything that writes will do

    worker = _Worker(encrypt)
    try:
        with os.fdopen(writing, "wb") as sink:
            yield sink
    except BrokenPipeError:
        worker.join()  # its reason is the better one
        raise
    worker.join()


@contextmanager
def opened(file: Path, key: Path | None, passphrase: Passphrase | None) -> Iterator[IO[bytes]]:
    """The plain content of a backup, encrypted or not, as a stream.

    Args:
        file: The backup.
        key: The secret key of age or SSH, for one that was encrypted with --key.
        passphrase: For one that was encrypted with a passphrase.

    Raises:
        LockError: It is encrypted and the key or passphrase is missing or another, or it is damaged.
        OSError: It cannot be read.
    """
    with file.open("rb") as content:
        start = content.read(len(_ARMOR_BEGIN))
        content.seek(0)
        if start == _ARMOR_BEGIN:
            identities = [_one_time_key(file, content, passphrase)]
        elif start.startswith(_AGE):
            identities = _identities(file, key)
        else:
            yield content
            return
        reading, writing = os.pipe()
        out = os.fdopen(writing, "wb")

        def decrypt() -> None:
            try:
                with out:
                    pyrage.decrypt_io(content, out, identities)
            except BrokenPipeError:
                pass  # who reads has seen enough, and says why
            except pyrage.DecryptError as error:
                raise LockError(f"{file}: {_reason(error)}") from error
            except OSError as error:
                if error.errno is not None:
                    raise  # the disk's, not the library's
                raise LockError(f"{file}: {_reason(error)}") from error

        worker = _Worker(decrypt)
        try:
            with os.fdopen(reading, "rb") as plain:
                yield plain
                # To the end, so that a cut or changed last block is noticed.
                while plain.read(1024 * 1024):
                    pass
        finally:
            worker.join()  # raises in place of what its broken stream made of it


class _Worker:
    """A thread whose error is raised by join()."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._error: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - raised again by join()
            self._error = error

    def join(self) -> None:
        self._thread.join()
        if self._error is not None:
            raise self._error


def _lines(file: Path) -> list[str]:
    lines = (line.strip() for line in file.read_text(encoding="utf-8", errors="replace").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _recipient(line: str) -> Any:  # noqa: ANN401 - pyrage's types are its own
    if line.startswith("AGE-SECRET-KEY-"):
        return pyrage.x25519.Identity.from_str(line).to_public()
    if line.startswith("ssh-"):
        return pyrage.ssh.Recipient.from_str(line)
    return pyrage.x25519.Recipient.from_str(line)


def _identities(file: Path, key: Path | None) -> list[Any]:
    if key is None:
        raise LockError(f"{file}: is encrypted; give the secret key with --key FILE")
    try:
        if "PRIVATE KEY-----" in key.read_text(encoding="utf-8", errors="replace"):
            return [pyrage.ssh.Identity.from_buffer(key.read_bytes())]
        found = [pyrage.x25519.Identity.from_str(line) for line in _lines(key)]
    except (pyrage.IdentityError, ValueError) as error:
        raise LockError(
            f"{key}: holds no secret key; expected the file of `fanwatch backup keygen`, not the public key"
        ) from error
    if not found:
        raise LockError(f"{key}: holds no secret key")
    return found


def _one_time_key(file: Path, content: IO[bytes], passphrase: Passphrase | None) -> Any:  # noqa: ANN401 - as above
    if passphrase is None:
        raise LockError(f"{file}: is encrypted with a passphrase; give it with --passphrase-file FILE")
    armor = b""
    while not armor.endswith(_ARMOR_END):
        line = content.readline(1024)
        armor += line
        if not line or len(armor) > _LONGEST_ARMOR:
            raise LockError(f"{file}: is damaged in its first lines")
    try:
        return pyrage.x25519.Identity.from_str(pyrage.passphrase.decrypt(armor, passphrase.reveal()).decode())
    except (pyrage.DecryptError, pyrage.IdentityError, ValueError) as error:
        if "work" in str(error).lower():
            # The library measures the machine, and refuses what would take it many times as long as it took the writer.
            raise LockError(f"{file}: this machine is too slow for its passphrase: {error}") from error
        raise LockError(f"{file}: does not open: another passphrase, or a damaged file") from error


def _reason(error: Exception) -> str:
    text = str(error)
    if "No matching keys" in text:
        return "was encrypted for another key than this one"
    return f"is damaged, or was cut short ({text})"
