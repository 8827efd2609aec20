"""Whose bundle it is, asked before it comes onto a device or goes to one.

OpenSSF model signing (specification 1.0) by its own library, with elliptic-curve keys, as `fanwatch model sign` writes
it. The scoring service checks again, whatever is decided here: it alone decides what it serves.
"""

from collections.abc import Sequence
from pathlib import Path

from contract.bundle import SIGNATURE_FILE
from model_folder.folder import ModelFolderError

__all__ = ["check_signature"]


def check_signature(bundle: Path, public_keys: Sequence[Path]) -> Path:
    """Checks that one of these keys has signed every file of a bundle, and no file more.

    Args:
        bundle: Its folder.
        public_keys: Files in PEM.

    Returns:
        The key that did.

    Raises:
        ModelFolderError: There is no signature, or it is of nobody we know, or of other files than these.
    """
    from model_signing import hashing, verifying  # noqa: PLC0415 - 60 MB, for whoever asks

    names = ", ".join(str(key) for key in public_keys)
    signature = bundle / SIGNATURE_FILE
    if not signature.is_file():
        raise ModelFolderError(
            f"{bundle}: is not signed: it holds no {SIGNATURE_FILE}; expected a signature by {names}. "
            "`fanwatch model sign` makes one"
        )
    refusals = []
    for key in public_keys:
        try:
            verifier = verifying.Config().use_elliptic_key_verifier(public_key=key)
            ignored = hashing.Config().set_ignored_paths(paths=[SIGNATURE_FILE], ignore_git_paths=False)
            verifier.set_hashing_config(ignored).verify(bundle, signature)
        except OSError as error:
            raise ModelFolderError(
                f"{key}: cannot be read: {error.strerror}; expected a public key in PEM"
            ) from error
        except Exception as error:  # noqa: BLE001 - whatever a forged signature brings about, it is no signature
            refusals.append(f"{key.name}: {type(error).__name__}")
        else:
            return key
    raise ModelFolderError(
        f"{bundle}: is not as {names} signed it ({'; '.join(refusals)}); fetch it again from where it was signed, or "
        "name the signer's public key"
    )
