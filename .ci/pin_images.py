"""Ask the registries for the digests of the images that docker-compose.yml names: `make pin-images`.

Writes docker-compose.digests.yml, which pins each image by digest beside its tag, and the base that our own images are
built on; run it again to renew. Compose uses it when the variable COMPOSE_FILE, in the environment or in .env, names
both files; the line for it is printed.

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
OVERRIDE = "docker-compose.digests.yml"
BASE = "PYTHON_IMAGE"
"""The build argument of our Dockerfiles that names their base."""
HUB = "registry-1.docker.io"
_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


_BUILD = re.compile(r"^ +build:", re.MULTILINE)


class NoDigestError(Exception):
    """A registry did not say which digest an image has."""


def images_of(compose: str) -> tuple[dict[str, str], set[str]]:
    """Of a compose file: service and image, of those that run another's; and the services whose image is built here."""
    builders = {
        name
        for name, text in re.findall(r"^x-[a-z-]+: &([a-z-]+)\n((?:  .*\n)+)", compose, re.MULTILINE)
        if _BUILD.search(text)
    }
    foreign, built = {}, set()
    services = re.split(r"^\S", compose.split("\nservices:\n")[1], maxsplit=1, flags=re.MULTILINE)[0]
    for name, text in re.findall(r"^  ([a-z-]+):\n((?:    .*\n|\n|  #.*\n)*)", services, re.MULTILINE):
        merged = set(re.findall(r"\*([a-z-]+)", "".join(re.findall(r"^    <<: .*", text, re.MULTILINE))))
        if image := re.search(r"^    image: (\S+:\S+)", text, re.MULTILINE):
            foreign[name] = image[1]
        elif _BUILD.search(text) or merged & builders:
            built.add(name)
    return foreign, built


def base_of(dockerfile: str) -> str:
    """The image that a Dockerfile of ours starts from."""
    [base] = re.findall(rf"^ARG {BASE}=(\S+)", dockerfile, re.MULTILINE)
    return str(base)


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


def override(digests: dict[str, str], bases: dict[str, str]) -> str:
    """The compose file that pins these services' images, and what those of ours are built on."""
    lines = {service: f"    image: {image}\n" for service, image in digests.items()}
    lines |= {service: f"    build: {{ args: {{ {BASE}: {base} }} }}\n" for service, base in bases.items()}
    return "# Written by `make pin-images`; run it again to renew.\nservices:\n" + "".join(
        f"  {service}:\n{line}" for service, line in sorted(lines.items())
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compose", type=Path, default=ROOT / "docker-compose.yml")
    parser.add_argument("--dockerfile", type=Path, default=ROOT / "edge_manager" / "Dockerfile")
    parser.add_argument("--to", type=Path, default=ROOT / OVERRIDE)
    parser.add_argument("--plain-http", action="store_true", help="For a registry on this machine.")
    given = parser.parse_args()
    scheme = "http" if given.plain_http else "https"
    images, built = images_of(given.compose.read_text())
    base = base_of(given.dockerfile.read_text())
    wanted = {*images.values(), *([base] if built else [])}
    try:
        pinned = {image: f"{image}@{digest_of(image, scheme=scheme)}" for image in sorted(wanted)}
    except NoDigestError as error:
        sys.exit(f"error: {error}. Nothing is written: run it where the registries are reached.")
    foreign = {name: pinned[image] for name, image in images.items()}
    given.to.write_text(override(foreign, dict.fromkeys(built, pinned[base]) if built else {}))
    sys.stdout.write(given.to.read_text())
    sys.stderr.write(f"Compose uses it when .env says COMPOSE_FILE={given.compose.name}:{given.to.name}\n")


if __name__ == "__main__":
    main()
