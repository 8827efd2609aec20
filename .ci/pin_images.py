"""Ask the registries for the digests of the images that docker-compose.yml names: `make pin-images`.

Writes docker-compose.digests.yml, which pins each image by digest beside its tag; run it again to renew. Used by

    docker compose -f docker-compose.yml -f docker-compose.digests.yml up

Protocol: OCI Distribution 1.1, "pulling manifests", with the bearer tokens of Docker's registries. Nothing is written
unless every registry has answered: half a file of digests would look like a whole one.
"""

import argparse
import hashlib
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from pathlib import Path

ROOT = Path(__file__).parents[1]
HUB = "registry-1.docker.io"
_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


class NoDigestError(Exception):
    """A registry did not say which digest an image has."""


def images_of(compose: str) -> dict[str, str]:
    """Service and image, of the services of a compose file that run another's image."""
    found = {}
    service = ""
    for line in compose.split("\nservices:\n")[1].split("\n"):
        if line and not line.startswith((" ", "#")):
            break
        if heading := re.fullmatch(r"  ([a-z-]+):", line):
            service = heading[1]
        elif image := re.fullmatch(r"    image: (\S+:\S+)", line):
            found[service] = image[1]
    return found


def place_of(image: str) -> tuple[str, str, str]:
    """Registry, repository and tag that an image's name stands for."""
    name, _, tag = image.rpartition(":")
    first, _, rest = name.partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        return first, rest, tag
    return HUB, name if "/" in name else f"library/{name}", tag


def digest_of(image: str, *, scheme: str = "https") -> str:
    """The digest of the manifest (or of the index over all platforms) that a tag names now.

    Raises:
        NoDigestError: The registry was not reached, knows no such image, or says another digest than its answer has.
    """
    registry, repository, tag = place_of(image)
    url = f"{scheme}://{registry}/v2/{repository}/manifests/{tag}"
    try:
        try:
            body, headers = _get(url, {"Accept": _ACCEPT})
        except urllib.error.HTTPError as error:
            if error.code != 401:
                raise
            token = _token(error.headers.get("WWW-Authenticate", ""))
            body, headers = _get(url, {"Accept": _ACCEPT, "Authorization": f"Bearer {token}"})
    except (OSError, ValueError, KeyError) as error:
        raise NoDigestError(f"{image}: {registry} did not say its digest ({error})") from error
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    said = headers.get("Docker-Content-Digest", digest)
    if said != digest:
        raise NoDigestError(f"{image}: {registry} says {said}, and what it sent has {digest}")
    return digest


def _token(challenge: str) -> str:
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    query = urllib.parse.urlencode({name: asked[name] for name in ("service", "scope") if name in asked})
    body, _ = _get(f"{asked['realm']}?{query}", {})
    answer = json.loads(body)
    return str(answer.get("token") or answer["access_token"])


def _get(url: str, headers: dict[str, str]) -> tuple[bytes, Message]:
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - made here of http(s) alone
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return answer.read(), answer.headers


def override(digests: dict[str, str]) -> str:
    """The compose file that pins these services."""
    lines = [f"  {service}:\n    image: {image}\n" for service, image in sorted(digests.items())]
    return "# Written by `make pin-images`; run it again to renew.\nservices:\n" + "".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compose", type=Path, default=ROOT / "docker-compose.yml")
    parser.add_argument("--to", type=Path, default=ROOT / "docker-compose.digests.yml")
    parser.add_argument("--plain-http", action="store_true", help="For a registry on this machine.")
    given = parser.parse_args()
    scheme = "http" if given.plain_http else "https"
    images = images_of(given.compose.read_text())
    try:
        pinned = {name: f"{image}@{digest_of(image, scheme=scheme)}" for name, image in images.items()}
    except NoDigestError as error:
        sys.exit(f"error: {error}. Nothing is written: run it where the registries are reached.")
    given.to.write_text(override(pinned))
    sys.stdout.write(given.to.read_text())


if __name__ == "__main__":
    main()
