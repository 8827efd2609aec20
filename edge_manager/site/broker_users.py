"""The broker's password file: one line a user, in Mosquitto's own hash format."""

import base64
import hashlib
import hmac
from collections.abc import Collection, Mapping

__all__ = ["hash_password", "password_matches", "update_password_file", "users_of", "without_users"]

# The format's own default. More rounds would only cost the broker's one thread at each connect: what they
# make expensive is guessing, and these passwords are 160 random bits.
_ITERATIONS = 1000
_SALT_BYTES = 64
_DIGEST_BYTES = 64


def hash_password(password: str, salt: bytes) -> str:
    """A password as Mosquitto stores it: `$7$rounds$salt$digest`, PBKDF2 with SHA-512, in base64.

    Format: sha512-pbkdf2 of https://mosquitto.org/man/mosquitto_passwd-1.html, as 2.1.2 of that tool writes it.

    Args:
        password: In clear.
        salt: 64 random bytes.
    """
    digest = _digest(password, salt, _ITERATIONS)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def password_matches(password: str, stored: str) -> bool:
    """Whether a stored hash is of this password. False for a damaged one.

    A hash of another kind, which a person made with mosquitto_passwd, counts as a match: it is not ours to
    replace.
    """
    kind, _, rest = stored.removeprefix("$").partition("$")
    if kind != "7":
        return bool(kind and rest)
    try:
        iterations, salt, digest = rest.split("$")
        expected = _digest(password, base64.b64decode(salt, validate=True), int(iterations))
        return hmac.compare_digest(expected, base64.b64decode(digest, validate=True))
    except ValueError:
        return False


def update_password_file(text: str, passwords: Mapping[str, str], salts: Mapping[str, bytes]) -> str:
    """The password file with a line that fits for each user of ours; every other line stays as it is.

    Args:
        text: The file as it is, empty when there is none.
        passwords: In clear, by user.
        salts: 64 random bytes for each of these users, used only where a line is new or no longer fits.
    """
    missing = dict(passwords)
    lines = []
    for line in text.splitlines():
        user, _, stored = line.partition(":")
        password = missing.pop(user, None)
        fits = password is None or password_matches(password, stored)
        lines.append(line if fits else f"{user}:{hash_password(str(password), salts[user])}")
    lines += [f"{user}:{hash_password(password, salts[user])}" for user, password in missing.items()]
    return "".join(f"{line}\n" for line in lines)


def users_of(text: str) -> list[str]:
    """The users that a password file holds, in its order."""
    return [line.partition(":")[0] for line in text.splitlines() if ":" in line and not line.startswith("#")]


def without_users(text: str, names: Collection[str]) -> str:
    """The password file without the lines of these users."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if line.partition(":")[0] not in names)


def _digest(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations, _DIGEST_BYTES)
