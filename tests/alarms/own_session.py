"""The monitor's own session at a broker, without a monitor."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from contract.status import OFFLINE, ONLINE
from mqtt_session.background import BackgroundSession
from mqtt_session.session import SessionOptions
from testbed.mosquitto import Mosquitto
from testbed.waiting import wait_until


@contextmanager
def own_session(broker: Mosquitto) -> Iterator[BackgroundSession]:
    """Connected as the monitor's user, and subscribed."""
    session = BackgroundSession(
        SessionOptions(
            host=broker.host,
            port=broker.port,
            client_id=f"own-{uuid.uuid4().hex[:8]}",
            username="monitor",
            password=SecretStr(broker.site.mqtt_password("monitor")),
            session_expiry_s=600,
            receive_maximum=100,
            subscriptions=("fan/status/+",),
            status_topic="fan/status/monitor",
            online=ONLINE.to_json(),
            offline=OFFLINE.to_json(),
        ),
        lambda _number, _events: None,
    )
    session.start()
    wait_until(lambda: session.trouble is None, within_s=20, what="a subscription")
    yield session
    session.stop()
