"""What a person carries to a device so that it can sign in at the broker."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from edge_manager.site.access import Granted

__all__ = ["TLS_PORT", "Handout"]

TLS_PORT = 8883
_THIS_MACHINE = {"localhost", "127.0.0.1"}


@dataclass(frozen=True, slots=True)
class Handout:
    """A device's whole configuration.

    Attributes:
        user: The name at the broker; a fan's is its deviceID.
        kind: What it is, in a word.
        password: In clear. It is shown once.
        host: The name or address that the broker's certificate is for.
        other_hosts: More such names.
        port: Of MQTT over TLS.
        publish: The topics that it may publish to.
        subscribe: The topics that it may subscribe to.
        ca_certificate: In PEM: the authority that the device must trust.
    """

    user: str
    kind: str
    password: str
    host: str
    other_hosts: tuple[str, ...]
    port: int
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    ca_certificate: str

    @classmethod
    def of(cls, granted: Granted, broker_names: tuple[str, ...], ca_certificate: str) -> Self:
        """What was granted, with the way there.

        Args:
            granted: Name, password, topics.
            broker_names: What the broker's certificate is for, of certificates.server_names().
            ca_certificate: The authority's, in PEM.
        """
        # The names that a person gave come last, after this machine's own.
        host, *others = reversed([name for name in broker_names if name != "mosquitto"])
        return cls(
            **asdict(granted),
            host=host,
            other_hosts=tuple(others),
            port=TLS_PORT,
            ca_certificate=ca_certificate,
        )

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The handout that to_json() wrote."""
        lists = {name: tuple(content[name]) for name in ("other_hosts", "publish", "subscribe")}
        return cls(**(dict(content) | lists))

    def to_json(self) -> str:
        """As one JSON object, for a program."""
        return json.dumps(asdict(self), indent=2)

    def to_text(self) -> str:
        """For a person."""
        topics = [f"  publish to    {topic}" for topic in self.publish]
        topics += [f"  subscribe to  {topic}" for topic in self.subscribe]
        here = (
            [
                "  (nobody else reaches that name: give this machine's with `fanwatch init --hostname NAME`,",
                "  on Kubernetes with the chart's broker.hostNames)",
            ]
            if self.host in _THIS_MACHINE
            else []
        )
        also = f"   (also {', '.join(self.other_hosts)})" if self.other_hosts else ""
        return "\n".join(
            [
                f"{self.user} ({self.kind}) may sign in. This is all it needs; the password is shown only now.",
                "",
                f"  host          {self.host}{also}",
                *here,
                f"  port          {self.port}, MQTT over TLS 1.2 or 1.3",
                f"  user          {self.user}",
                f"  password      {self.password}",
                *topics,
                "  certificate to trust (ca.crt):",
                "",
                self.ca_certificate,
            ]
        )
