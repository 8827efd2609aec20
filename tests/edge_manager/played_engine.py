"""Takes the place of `docker` where backup, restore and upgrade are tried without an engine.

Containers and images are in a file. docker-compose.yml is JSON here, as `docker compose config --format json` would say
it, and stands in the folder. Only what those call, with the errors that Compose itself gives. tests/compose/engine does
the same on a real engine.
"""

# ruff: noqa: T201 - a program of its own

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

STATE = "engine.json"
LOG = "engine.log"
EMPTY_TAR = bytes(1024)
RUNNING = {"Status": "running", "ExitCode": 0}


def image_id(service: dict[str, Any]) -> str:
    """What building or pulling a service's image gives."""
    return "sha256:" + hashlib.sha256(json.dumps(service, sort_keys=True).encode()).hexdigest()


class Engine:
    """Containers by service, images by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._text = (folder / STATE).read_text()
        state = json.loads(self._text)
        self.containers: dict[str, dict[str, Any]] = state["containers"]
        self.images: dict[str, str] = state["images"]

    def keep(self) -> None:
        """Writes what is there now; not while nothing changed, since several look at once."""
        text = json.dumps({"containers": self.containers, "images": self.images})
        if text != self._text:
            (self._folder / STATE).write_text(text)

    def services(self) -> dict[str, Any]:
        """Those of docker-compose.yml, whatever their profile."""
        content: dict[str, Any] = json.loads((self._folder / "docker-compose.yml").read_text())["services"]
        return content

    def docker(self, words: list[str]) -> int:
        """Runs one command; its exit code."""
        match words:
            case ["compose", "--progress", "quiet", *rest] | ["compose", *rest]:
                return self.compose(rest)
            case ["info", *_]:
                print(self._folder)
            case ["tag", image, name]:
                self.images[name] = image
            case ["inspect", *ids]:
                print(json.dumps([self._inspected(service) for service in ids]))
            case ["image", "inspect", "--format", "{{.Size}}", *images]:
                print("\n".join("1000" for _ in images))
            case ["image", "inspect", *_, name]:
                return 0 if name in self.images else 1
        return 0

    def compose(self, words: list[str]) -> int:
        """Runs one command of Compose; its exit code."""
        match words:
            case ["--profile", "*", "config", "--format", "json"]:
                print(json.dumps({"name": "fanwatch", "services": self.services()}))
            case ["config", "--format", "json"]:
                shown = {name: each for name, each in self.services().items() if not each.get("profiles")}
                print(json.dumps({"name": "fanwatch", "services": shown}))
            case ["config", "--images", service]:
                print(self.services()[service]["image"])
            case ["ps", "--all", "--quiet"]:
                print("\n".join(self.containers))
            case ["ps", "--all", "--format", "json"]:
                print(json.dumps([self._told(service) for service in self.containers]))
            case ["run", *_, "archive", "held"]:
                print("[]")
            case ["run", *_, "archive", "collect"]:
                sys.stdout.buffer.write(EMPTY_TAR)
            case ["exec", "-T", "influxdb", "sh", "-c", script, *_] if "influxd backup" in script:
                sys.stdout.buffer.write(EMPTY_TAR)
            case ["run", *_, "archive", "place"] | ["exec", "-T", "influxdb", *_]:
                sys.stdin.buffer.read()
            case ["exec", *_]:
                return 1
            case ["build" | "pull" | "rm" | "up" as verb, *rest]:
                return self._on_services(verb, rest)
        return 0

    def _on_services(self, verb: str, rest: list[str]) -> int:
        options = [word for word in rest if word.startswith("--")]
        named = [
            word for word in rest if not word.startswith("--") and word not in {"missing", "never", "300"}
        ]
        known = self.services()
        for name in named:
            if name not in known:
                print(f"no such service: {name}", file=sys.stderr)
                return 1
        for name in named:
            service = known[name]
            if verb == "rm":
                self.containers.pop(name, None)
            elif verb in {"build", "pull"}:
                self.images[service["image"]] = image_id(service)
            elif service["image"] not in self.images and "--no-build" in options:
                print(f"No such image: {service['image']}", file=sys.stderr)
                return 1
            elif service.get("scale") != 0:
                used = self.images.setdefault(service["image"], image_id(service))
                one_shot = service.get("restart") == "no"
                state = {"Status": "exited", "ExitCode": 0} if one_shot else RUNNING
                self.containers[name] = {"image": used, "restart": service.get("restart"), "state": state}
        if "--remove-orphans" in options:
            self.containers = {name: each for name, each in self.containers.items() if name in known}
        unwell = [name for name in named if known[name].get("x-broken")] if verb == "up" else []
        if unwell:
            print(f"container fanwatch-{unwell[0]}-1 is unhealthy", file=sys.stderr)
        return 1 if unwell else 0

    def _inspected(self, service: str) -> dict[str, Any]:
        container = self.containers[service]
        labels = {
            "com.docker.compose.service": service.partition("-run-")[0],
            "com.docker.compose.oneoff": "True" if "-run-" in service else "False",
        }
        return {
            "Config": {"Labels": labels, "Image": f"fanwatch-{service}"},
            "Image": container["image"],
            "State": container["state"],
            "HostConfig": {"RestartPolicy": {"Name": container["restart"]}},
        }

    def _told(self, service: str) -> dict[str, Any]:
        state = self.containers[service]["state"]
        return {"Service": service, "Name": service, "State": state["Status"], "ExitCode": state["ExitCode"]}


def main(words: list[str]) -> int:
    """Runs one docker command in the folder where it is called."""
    folder = Path.cwd()
    with (folder / LOG).open("a") as log:
        log.write(" ".join(words) + "\n")
    engine = Engine(folder)
    code = engine.docker(words)
    engine.keep()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
