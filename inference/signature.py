"""The signature of a bundle, checked before anything of the bundle is parsed.

OpenSSF model signing (specification 1.0) by its own library, with elliptic-curve keys, in a process of its own: the
library takes 60 MB of memory, which end with that process. It is shown a copy of the very bytes that are used
afterwards, so that a file exchanged on disk meanwhile changes nothing. ``python -m inference.signature FOLDER KEY...``
is that process: 0 when one of the keys has signed the folder, 1 and a sentence on stderr when none has.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.bundle import SIGNATURE_FILE
from inference.errors import ModelUnusable

_WITHIN_S = 120


@dataclass(frozen=True, slots=True)
class Signers:
    """Whose bundles are taken.

    Args:
        public_keys: Files in PEM; a signature of any of them is good.
        scratch: Where the copy is made; it takes the size of a bundle for a second or two.
    """

    public_keys: Sequence[Path]
    scratch: Path

    def check(self, origin: Path, files: Mapping[str, bytes]) -> None:
        """Check the files of a bundle, the signature among them, by their names.

        Args:
            origin: Where they came from, for the error.
            files: Every file of the folder; one that was not signed is an error too.

        Raises:
            ModelUnusable: There is no signature, or it is of nobody we know, or of other files than these.
            OSError: The scratch folder cannot be written.
        """
        keys = ", ".join(str(key) for key in self.public_keys)
        if SIGNATURE_FILE not in files:
            raise ModelUnusable(
                f"{origin}: is not signed: it holds no {SIGNATURE_FILE}; expected a signature by {keys}. Sign it with "
                "`fanwatch model sign`, name the signer's public key in FANWATCH_MODEL_PUBLIC_KEYS, or allow unsigned "
                "models by FANWATCH_ALLOW_UNSIGNED_MODELS=true"
            )
        with tempfile.TemporaryDirectory(dir=self.scratch, prefix="fanwatch-bundle-") as copy:
            for name, content in files.items():
                Path(copy, name).write_bytes(content)
            command = [sys.executable, "-m", "inference.signature", copy, *map(str, self.public_keys)]
            try:
                done = subprocess.run(  # noqa: S603 - our own program and settings
                    command, capture_output=True, text=True, timeout=_WITHIN_S, check=False
                )
            except subprocess.TimeoutExpired:
                raise ModelUnusable(f"{origin}: its signature was not checked within {_WITHIN_S} s") from None
        if done.returncode:
            why = done.stderr.strip().splitlines()[-1:] or [f"the check ended with {done.returncode}"]
            raise ModelUnusable(f"{origin}: is not as {keys} signed it: {why[0]}")


def _why_refused(folder: Path, key: Path) -> str | None:
    """None when the key has signed the folder as it is."""
    from model_signing import verifying  # noqa: PLC0415 - 60 MB, in this process only

    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=key)
        config.verify(folder, folder / SIGNATURE_FILE)
    except Exception as error:  # noqa: BLE001 - whatever a forged signature brings about, it is no signature
        # The digests that it quotes, as bytes of Python, tell nobody anything.
        text = re.sub(r": Expected 'Digest\(.*?\)', Actual 'Digest\(.*?\)'", "", " ".join(str(error).split()))
        return f"{type(error).__name__}: {text[:300] or 'no signature of that key'}"
    return None


def main() -> int:
    """Check one folder."""
    folder, *keys = map(Path, sys.argv[1:])
    refusals = []
    for key in keys:
        why = _why_refused(folder, key)
        if why is None:
            return 0
        refusals.append(f"{key.name}: {why}")
    sys.stderr.write("; ".join(refusals) + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
