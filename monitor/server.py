"""The monitor under gunicorn: one worker, threads, and the broker connection inside the worker."""

import logging
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from monitor.clock import Clock
from monitor.fleet import Fleet, FleetLimits
from monitor.settings import MonitorSettings
from monitor.signature import SignatureReader
from monitor.subscriber import Subscriber
from monitor.web import create_app


class Monitor:
    """Everything that one worker process runs."""

    def __init__(self, settings: MonitorSettings, clock: Clock) -> None:
        self.fleet = Fleet(
            clock,
            FleetLimits(
                silent_after_s=settings.silent_after_s,
                deciding_verdicts=settings.deciding_verdicts,
                fault_verdicts=settings.fault_verdicts,
                forget_after_s=settings.forget_after_s,
                window_points=settings.window_points,
                max_devices=settings.max_devices,
                naive_time_zone=settings.naive_time_zone,
            ),
        )
        self.signatures = SignatureReader(settings.inference_url, settings.model_name)
        self.subscriber = Subscriber(settings, self.fleet, clock, self.signatures.seen)
        self.app = create_app(settings, self.fleet, self.subscriber, self.signatures)

    def start(self) -> None:
        """Begin to listen to the broker and to ask the scoring service."""
        self.signatures.start()
        self.subscriber.start()

    def stop(self) -> None:
        """Leave the broker in good order."""
        self.subscriber.stop()
        self.signatures.stop()


class MonitorServer(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn, configured here and by nothing else.

    One worker: the fleet lives in its memory. Threads and locks do not survive a fork, so the worker makes and starts
    them itself, after it.
    """

    def __init__(self, settings: MonitorSettings, clock: Clock, log_config: dict[str, Any]) -> None:
        self._settings = settings
        self._clock = clock
        self._log_config = log_config
        self._monitor: Monitor | None = None
        super().__init__()

    def load_config(self) -> None:
        """Called by gunicorn."""
        options: dict[str, Any] = {
            "bind": f"{self._settings.listen_host}:{self._settings.listen_port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": self._settings.threads,
            "keepalive": 15,
            "timeout": 30,
            "graceful_timeout": 5,
            # The two places where gunicorn writes: a heartbeat file, which a read-only root has no place for, and a
            # control socket in the home folder, which nobody asked for.
            "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,  # noqa: S108 - no name is guessable
            "control_socket_disable": True,
            "logconfig_dict": self._log_config,
            "post_worker_init": self._start,
            "worker_exit": self._stop,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application, made in the worker. Called by gunicorn."""
        self._monitor = Monitor(self._settings, self._clock)
        return self._monitor.app

    def _start(self, _worker: object) -> None:
        if self._monitor is not None:
            self._monitor.start()

    def _stop(self, _server: object, _worker: object) -> None:
        if self._monitor is not None:
            self._monitor.stop()
            logging.getLogger("gunicorn.error").info("monitor stopped")
