"""Readings of one device, as they come from a gateway."""

import json
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from testbed.mosquitto import Connection, Mosquitto
from testbed.waiting import wait_until

Body = dict[str, Any]


class Heard:
    """What a subscriber hears on one topic.

    Args:
        connection: Of a user who may read the topic.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.bodies: list[Body] = []

    def next(self, within_s: float = 20) -> Body:
        """The next body.

        Raises:
            queue.Empty: None came in time.
        """
        self.bodies.append(json.loads(self._connection.next(within_s).payload))
        return self.bodies[-1]

    def drain(self, quiet_s: float = 3) -> Body:
        """The last body of what was on its way; nothing came for a while then."""
        while not self.is_quiet(quiet_s):
            pass
        return self.bodies[-1]

    def is_quiet(self, for_s: float = 1) -> bool:
        """Whether nothing comes for a while; what does come is a body like the others."""
        try:
            self.next(within_s=for_s)
        except queue.Empty:
            return True
        return False

    def until(self, **expected: object) -> Body:
        """The first body from now on with these values; None for a signal that must not be there."""
        found: list[Body] = []

        def came() -> bool:
            body = self.next()
            if all(body.get(name) == value for name, value in expected.items()):
                found.append(body)
            return bool(found)

        wait_until(came, within_s=60, what=f"a body with {expected}")
        return found[0]


@contextmanager
def heard(broker: Mosquitto, topic: str, user: str = "predictor") -> Iterator[Heard]:
    """Subscribes for a while."""
    with broker.connect(user) as connection:
        connection.subscribe(topic)
        yield Heard(connection)
