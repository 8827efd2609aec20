"""Several sites' brokers and a hub's: real Mosquittos, bridged by the lines that the chart adds to a site's file."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from edge_manager.site.certificates import make_authority, make_server_certificate
from testbed.chart import rendered
from testbed.mosquitto import CONFIGURATION, Mosquitto
from testbed.site import ACL, Site
from testbed.waiting import wait_until

__all__ = ["Hub", "await_bridge", "site_broker"]

_HUB_RULES = f"""{ACL.read_text()}
# A site signs in by its certificate, and writes under its own name alone.
pattern write %u/#

user telegraf
topic read +/messages/#
topic read +/anomaly/#
topic read +/alarms/#
topic read +/status/+
"""


class Hub:
    """The hub's broker: the shipped configuration, with a listener on which sites sign in by certificate.

    In a plant a clustered broker stands there; what a bridge needs of it is MQTT 5 with sessions.
    """

    def __init__(self, folder: Path) -> None:
        self.site = Site(folder / "hub")
        self.folder = folder / "hub-certificates"
        self.folder.mkdir()
        now = datetime.now(UTC)
        self._authority = make_authority(now)
        (self.folder / "ca.crt").write_text(self._authority.certificate)
        (self.folder / "hub.pem").write_text(make_server_certificate(self._authority, ("127.0.0.1",), now))
        (self.folder / "ca.pem").write_text(self._authority.pem)
        lines = (
            f"cafile {self.folder}/ca.crt",
            "require_certificate true",
            # The certificate's name is the user: no password is asked for, and none stands in a bridge's file.
            "use_identity_as_username true",
        )
        shipped = CONFIGURATION.read_text()
        tls = "listener 8883\n"
        configuration = shipped.replace(tls, tls + "\n".join(lines) + "\n")
        configuration = configuration.replace("/run/fanwatch/mosquitto_tls.pem", f"{self.folder}/hub.pem")
        assert configuration.count(str(self.folder)) == 3
        self.broker = Mosquitto(self.site, configuration, acl=_HUB_RULES)

    def certificate_of(self, site: str) -> Path:
        """A folder as the Secret `hub` of a site: tls.crt, tls.key, ca.crt; the name in it is the site's."""
        folder = self.folder / site
        folder.mkdir()
        request = (
            f"openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {folder}/tls.key"
            f" -out {folder}/request -subj /CN={site}"
        )
        signature = (
            f"openssl x509 -req -in {folder}/request -CA {self.folder}/ca.pem -CAkey {self.folder}/ca.pem"
            f" -CAcreateserial -days 2 -out {folder}/tls.crt"
        )
        for command in (request, signature):
            subprocess.run(command.split(), check=True, capture_output=True)
        (folder / "ca.crt").write_text(self._authority.certificate)
        return folder

    def __enter__(self) -> Self:
        self.broker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.broker.stop()


def site_broker(folder: Path, name: str, hub: Hub, *, signed_by: Hub | None = None) -> Mosquitto:
    """A site's broker with the chart's bridge to the hub; not started.

    Args:
        folder: For its data.
        name: The site's.
        hub: Where it bridges to.
        signed_by: Whose authority signs its certificate, if not the hub's.
    """
    objects = rendered(
        "values-site.yaml",
        "bridge.host=127.0.0.1",
        f"bridge.port={hub.broker.tls_port}",
        f"bridge.site={name}",
    )
    (configuration,) = [
        each["data"]["mosquitto.conf"]
        for each in objects
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == "mosquitto"
    ]
    own = (signed_by or hub).certificate_of(name)
    configuration = configuration.replace("/run/hub/ca.crt", f"{hub.folder}/ca.crt")
    return Mosquitto(Site(folder / name), configuration.replace("/run/hub/", f"{own}/"))


def await_bridge(hub: Hub, name: str) -> None:
    """Waits until a site has signed in at the hub."""
    wait_until(
        lambda: f"as fanwatch-site-{name} " in hub.broker.log(), within_s=60, what=f"the bridge of {name}"
    )
