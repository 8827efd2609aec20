"""A desk with a fleet: real sshd processes, and on each site a folder with models that the real command keeps.

What stands in for a site's scoring service is a small HTTP server of the test: it serves what deployment.json says,
as the real one does, and tells the same figures.
"""

import json
import shutil
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from testbed.process import REPOSITORY
from testbed.sshd import Sshd
from tests.inference.model_versions import COMMITTED, Signer, add_version


@dataclass
class Scoring:
    """What the scoring services of all sites say; /SITE is one's base URL."""

    root: Path
    refuses: set[str] = field(default_factory=set)
    """Sites whose service serves nothing new."""
    is_idle: bool = False
    """No readings flow anywhere."""
    agreement: float = 1.0
    rows: int = 0

    def __enter__(self) -> Self:
        scoring = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _, site, *rest = self.path.split("/")
                body = scoring.metrics(site) if rest == ["metrics"] else scoring.model(site)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Not into the tests' output."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def model(self, site: str) -> str:
        return json.dumps({"name": "fan", "versions": [self._deployed(site)[0]]})

    def metrics(self, site: str) -> str:
        champion, challenger = self._deployed(site)
        if not self.is_idle:
            self.rows += 500
        name = "fanwatch_inference_rows_scored_total"
        text = f"# TYPE {name} counter\n{name} {self.rows}\n"
        if challenger is not None and not self.is_idle:
            for name, value in (("rows", 1000), ("agreed", 1000 * self.agreement)):
                labels = f'{{champion="fan:{champion}",challenger="fan:{challenger}"}}'
                text += f"# TYPE fanwatch_inference_shadow_{name}_total counter\n"
                text += f"fanwatch_inference_shadow_{name}_total{labels} {value}\n"
        return text

    def _deployed(self, site: str) -> tuple[str, str | None]:
        file = self.root / site / "models" / "fan" / "deployment.json"
        if site in self.refuses or not file.exists():
            return "1", None
        content = json.loads(file.read_text())
        return content["champion"], content.get("challenger")


@dataclass
class Desk:
    """Who keeps the fleet: a list of sites, a key to sign in with, a signed version 2 of the model."""

    folder: Path
    sshd: Sshd
    scoring: Scoring
    signer: Signer
    sites: list[str] = field(default_factory=list)
    targets: dict[str, str] = field(default_factory=dict)
    known_hosts: list[str] = field(default_factory=list)

    @classmethod
    def make(cls, folder: Path, sshd: Sshd, scoring: Scoring) -> Self:
        desk = cls(folder, sshd, scoring, Signer.make(folder / "keys"))
        desk.known_hosts.append(sshd.known_host)
        add_version(folder / "bundles", "2", desk.signer)
        return desk

    def add_site(self, name: str, *, sshd: Sshd | None = None, target: str | None = None) -> None:
        site = self.folder / "sites" / name
        shutil.copytree(COMMITTED, site / "models" / "fan")
        # What `docker compose run model` and `fanwatch status` are on a site that is no containers.
        settings = f"FANWATCH_INFERENCE_URL={self.scoring.url}/{name} PYTHONPATH={REPOSITORY}"
        script = f'#!/bin/sh\nexec env {settings} {sys.executable} -m edge_manager.models.command "$@"\n'
        (site / "model").write_text(script)
        (site / "model").chmod(0o755)
        self.says_of_itself(
            name,
            {"well": True, "findings": [], "figures": {"models": ["fan:1"], "newest_verdict_age_s": 0.4}},
        )
        server = sshd or self.sshd
        self.sites.append(name)
        self.targets[name] = target or f"ssh://{server.user}@127.0.0.1:{server.port}"

    def says_of_itself(self, name: str, status: object) -> None:
        (self.folder / "sites" / name / "status.json").write_text(json.dumps(status))

    def fleet_file(self, **settings: str) -> Path:
        config = self.folder / "ssh_config"
        config.write_text(
            f"IdentityFile {self.sshd.user_key}\nIdentitiesOnly yes\nUserKnownHostsFile {self.folder / 'known_hosts'}\n"
        )
        (self.folder / "known_hosts").write_text("".join(self.known_hosts))
        first = {
            "public_keys": f'["{self.signer.public_key}"]',
            "ssh_config": '"ssh_config"',
            "model_command": '"./model"',
            "status_command": '"cat status.json"',
        } | {name: f'"{value}"' for name, value in settings.items()}
        text = "".join(f"{name} = {value}\n" for name, value in first.items())
        for name in self.sites:
            text += f'\n[[sites]]\nname = "{name}"\nssh = "{self.targets[name]}"\n'
            text += f'folder = "{self.folder / "sites" / name}"\n'
        file = self.folder / "fleet.toml"
        file.write_text(text)
        return file

    def champion(self, name: str) -> str:
        """What deployment.json of a site says."""
        file = self.folder / "sites" / name / "models" / "fan" / "deployment.json"
        return str(json.loads(file.read_text())["champion"]) if file.exists() else "1"

    def has_bundle(self, name: str) -> bool:
        return (self.folder / "sites" / name / "models" / "fan" / "2" / "manifest.json").exists()
