"""The monitor under gunicorn: one worker, threads, and the broker connection inside the worker."""

import logging
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from flask import Flask
from gunicorn.app.base import BaseApplication

from contract.alarm import AlarmState
from contract.topics import Topics
from monitor.alarms.database import AlarmDatabase
from monitor.alarms.figures import AlarmCollector
from monitor.alarms.notifier import Notifier
from monitor.alarms.service import AlarmService
from monitor.alarms.settings import AlarmSettings
from monitor.clock import Clock
from monitor.condition_watch import ConditionWatch
from monitor.diagnosis.core import Diagnosis
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.plant import Plant
from monitor.explainer import Explainer
from monitor.fleet import Fleet, FleetLimits
from monitor.login.accounts import Accounts, SessionLife
from monitor.login.settings import LoginSettings
from monitor.prompt_worker import PromptWorker
from monitor.scoring import ScoringService
from monitor.settings import MonitorSettings
from monitor.signature import SignatureReader
from monitor.subscriber import Subscriber
from monitor.web import Parts, create_app


@dataclass(frozen=True, slots=True)
class AllSettings:
    """Of every part of the monitor."""

    monitor: MonitorSettings
    alarms: AlarmSettings
    login: LoginSettings

    @classmethod
    def read(cls) -> Self:
        """Read the environment and the secrets folder.

        Raises:
            pydantic.ValidationError: A variable does not have the form that its field asks for.
        """
        return cls(MonitorSettings.read(), AlarmSettings.read(), LoginSettings.read())


class Monitor:
    """Everything that one worker process runs."""

    def __init__(self, all_settings: AllSettings, clock: Clock) -> None:
        settings, login = all_settings.monitor, all_settings.login
        self.fleet = Fleet(
            clock,
            FleetLimits(
                forget_after_s=settings.forget_after_s,
                window_points=settings.window_points,
                max_devices=settings.max_devices,
                naive_time_zone=settings.naive_time_zone,
            ),
        )
        self.signatures = SignatureReader(settings.inference_url, settings.model_name)
        self.subscriber = Subscriber(settings, self.fleet, clock, self.signatures.seen)
        self.alarms = AlarmService(
            all_settings.alarms, Topics(settings.topic_root), self.subscriber.session, clock
        )
        plant = Plant.read(settings.plant_file)
        knowledge = Knowledge(plant)
        self.scoring = ScoringService(settings.inference_url, settings.model_name)
        self.explainer = Explainer(plant, self.scoring.score, self._model_signals)
        self.watch = ConditionWatch(
            self.subscriber,
            knowledge,
            self.alarms.desk,
            clock,
            make_diagnosis=lambda held: Diagnosis(held, knowledge, naive_time_zone=settings.naive_time_zone),
            remembered=settings.receive_maximum,
            explainer=self.explainer,
            board=self.fleet,
        )
        self.subscriber.metrics.registry.register(
            AlarmCollector(self.alarms.figures, self.complaint, lambda: self.explainer.unexplained)
        )
        self.accounts = Accounts(
            login.account_file,
            clock,
            SessionLife(login.session_idle_h * 3600, login.session_longest_h * 3600),
        )
        self.app = create_app(
            settings,
            login,
            Parts(
                fleet=self.fleet,
                subscriber=self.subscriber,
                signatures=self.signatures,
                desk=self.alarms.desk,
                diagnosis=self.watch,
                accounts=self.accounts,
                clock=clock,
                operators=all_settings.alarms.alarm_operators,
                stalled=self.complaint,
            ),
        )

    def _model_signals(self) -> list[str] | None:
        signature = self.signatures.signature
        return None if signature is None else [spec.name for spec in signature.signals]

    def complaint(self) -> str | None:
        """Why verdicts do not become alarms, or None when they do; once started."""
        return self.watch.complaint() or self.alarms.complaint() or self.explainer.complaint()

    def start(self) -> None:
        """Begin to listen to the broker and to ask the scoring service."""
        self.signatures.start()
        self.subscriber.start()
        self.alarms.start()
        self.explainer.start()
        self.watch.start(_end_process)

    def stop(self) -> None:
        """Leave the broker in good order."""
        self.watch.stop()
        self.explainer.stop()
        self.subscriber.stop()
        self.alarms.stop()
        self.signatures.stop()
        self.scoring.close()
        self.accounts.close()


def try_out(all_settings: AllSettings, clock: Clock) -> None:
    """Open what a worker will need, so that what is wrong is one sentence, and not a worker that ends with a trace.

    Raises:
        PlantError: The plant's file cannot be read, or does not say what it should.
        StoreError: The alarms' file cannot be used.
        AccountsUnusableError: The accounts' file cannot be used.
        BadDestination: A notification URL is not understood.
    """
    Plant.read(all_settings.monitor.plant_file)
    # Closed again before the worker is forked: SQLite does not bear a connection that two processes share.
    with AlarmDatabase(all_settings.alarms.alarm_file) as database, database.transaction():
        pass
    Accounts(all_settings.login.account_file, clock).close()
    for place, url in enumerate(all_settings.alarms.destinations(), start=1):
        Notifier(url, place, lambda _: AlarmState.NORMAL)


def _end_process() -> None:
    """Ask gunicorn's worker to end; its master starts another one."""
    os.kill(os.getpid(), signal.SIGTERM)


class MonitorServer(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn, configured here and by nothing else.

    One worker: the fleet lives in its memory. Threads and locks do not survive a fork, so the worker makes and starts
    them itself, after it.
    """

    def __init__(self, settings: AllSettings, clock: Clock, log_config: dict[str, Any]) -> None:
        self._all = settings
        self._settings = settings.monitor
        self._clock = clock
        self._log_config = log_config
        self._monitor: Monitor | None = None
        super().__init__()

    def load_config(self) -> None:
        """Called by gunicorn."""
        options: dict[str, Any] = {
            "bind": f"{self._settings.listen_host}:{self._settings.listen_port}",
            "workers": 1,
            # Against slow clients: gunicorn's own threaded worker gives them its threads.
            "worker_class": PromptWorker,
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
        self._monitor = Monitor(self._all, self._clock)
        return self._monitor.app

    def _start(self, _worker: object) -> None:
        if self._monitor is not None:
            self._monitor.start()

    def _stop(self, _server: object, _worker: object) -> None:
        if self._monitor is not None:
            self._monitor.stop()
            logging.getLogger("gunicorn.error").info("monitor stopped")
