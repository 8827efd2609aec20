"""What is known of a device at one moment. What could not be learned says so, and why; nothing is guessed."""

from dataclasses import dataclass

from edge_manager.device_health.figures import Figures

__all__ = ["Broker", "Certificate", "Disk", "Facts", "Port", "Service"]


@dataclass(frozen=True, slots=True)
class Service:
    """One container.

    Attributes:
        name: Of the service.
        state: running, exited, restarting, created, paused or dead.
        health: healthy, unhealthy, starting, or empty where the container has no health check.
        exit_code: Of an ended one.
    """

    name: str
    state: str
    health: str = ""
    exit_code: int = 0

    @property
    def is_down(self) -> bool:
        """Whether it should run and does not. One that did its work and ended, as setup does, is well."""
        return self.state != "running" and not (self.state == "exited" and self.exit_code == 0)


@dataclass(frozen=True, slots=True)
class Broker:
    """What the broker says of itself.

    Attributes:
        messages: That it keeps, each once however many wait for it.
        dropped: That it threw away since its start.
        retained: Those of the kept ones that are the last word on their topic: they stay, whoever has heard them.
    """

    messages: int
    dropped: int
    retained: int

    @property
    def waiting(self) -> int:
        """The messages that it keeps for somebody who has not taken them."""
        return max(0, self.messages - self.retained)


@dataclass(frozen=True, slots=True)
class Disk:
    """One file system.

    Attributes:
        what: What lies on it, for a person.
        used: 0 to 1.
        free_bytes: What may still be written.
        folder: Where it is mounted.
        holds_data: Whether some of the site's data lies there.
        holds_images: Whether Docker keeps its images there.
    """

    what: str
    used: float
    free_bytes: int
    folder: str = "/"
    holds_data: bool = True
    holds_images: bool = True


@dataclass(frozen=True, slots=True)
class Port:
    """A port that the stack publishes and cannot have.

    Attributes:
        service: Whose it would be.
        address: Where.
        number: The port.
        why: What the system says.
    """

    service: str
    address: str
    number: int
    why: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate that devices are shown.

    Attributes:
        address: Where it was seen.
        days_left: Until its end; negative when it has expired.
    """

    address: str
    days_left: float


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything.

    Attributes:
        at: When, RFC 3339.
        host: The machine's name.
        services: None where there is no Compose to ask.
        services_unknown: Why.
        figures: None when InfluxDB did not answer.
        figures_unknown: Why.
        broker: None when it did not answer.
        broker_unknown: Why.
        disks: Those that could be looked at.
        clock_synchronised: What the kernel says of its clock; None where it says nothing.
        ports_taken: By others; empty too while the stack runs and has them.
        certificate: None where nothing encrypted is published.
        site: What its people call it; empty where nobody has said.
    """

    at: str
    host: str
    services: tuple[Service, ...] | None = None
    services_unknown: str = ""
    figures: Figures | None = None
    figures_unknown: str = ""
    broker: Broker | None = None
    broker_unknown: str = ""
    disks: tuple[Disk, ...] = ()
    clock_synchronised: bool | None = None
    ports_taken: tuple[Port, ...] = ()
    certificate: Certificate | None = None
    site: str = ""

    @property
    def place(self) -> str:
        """Site and machine, as a sentence ends: "at hall 2 on nuc"."""
        return f"at {self.site} on {self.host}" if self.site else f"on {self.host}"
