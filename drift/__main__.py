"""``python -m drift``: the drift watch. Wires the parts and runs until SIGTERM or SIGINT."""

import signal
import sys
import threading
import time
from functools import partial

import structlog
from pydantic import ValidationError

from contract.topics import Topics
from drift.following import Follower
from drift.health import HealthServer, health_app
from drift.metrics import DriftMetrics
from drift.settings import DriftSettings
from drift.subscriber import Subscriber
from drift.trained import read_trained
from drift.watch import WatchLimits

_LOG = structlog.get_logger()


def main() -> int:
    """Watch; 0 after a clean stop, 1 when it cannot work, 2 when a setting is wrong."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ]
    )
    try:
        settings = DriftSettings.read()
        Topics(settings.topic_root)
    except ValidationError as error:
        wrong = [
            {"setting": ".".join(str(part) for part in each["loc"]), "expected": each["msg"]}
            for each in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        _LOG.error("settings_refused", wrong=wrong)
        return 2
    except ValueError as error:
        _LOG.error("settings_refused", wrong=str(error))
        return 2
    try:
        _run(settings)
    except OSError as error:
        _LOG.error("drift_cannot_work", error=str(error))
        return 1
    return 0


def _run(settings: DriftSettings) -> None:
    limits = WatchLimits(
        window=settings.window_readings,
        device_window=settings.device_readings,
        false_flags=settings.false_flags,
        max_devices=settings.max_devices,
        forget_after_s=settings.forget_after_s,
    )
    follower = Follower(
        settings.model_name, partial(read_trained, settings.models_dir), limits, time.monotonic
    )
    metrics = DriftMetrics(follower)
    subscriber = Subscriber(settings, follower, metrics, time.monotonic)
    health = HealthServer(
        health_app(subscriber.complaint, follower.snapshot, metrics.registry),
        settings.listen_host,
        settings.listen_port,
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    health.start()
    subscriber.start()
    _LOG.info("drift_started", broker=f"{settings.mqtt_host}:{settings.mqtt_port}", port=health.port)
    try:
        stop.wait()
    finally:
        subscriber.stop()
        health.close()
    _LOG.info("drift_stopped")


if __name__ == "__main__":
    sys.exit(main())
