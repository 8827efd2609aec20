"""ServiceStatus: the retained body of fan/status/<name>, and each service's last will."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class ServiceStatus(BaseModel):
    """Whether a service holds its connection to the broker."""

    model_config = ConfigDict(frozen=True)

    status: Literal["online", "offline"]

    def to_json(self) -> bytes:
        """The body as it is published."""
        return self.model_dump_json().encode()


ONLINE = ServiceStatus(status="online")
OFFLINE = ServiceStatus(status="offline")
