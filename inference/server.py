"""Gunicorn, started from code: one listening socket, threads in each worker, the model loaded after the fork."""

import os
import shutil
import socket
import threading
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker

from inference.bundle import Bundle, ModelUnusable
from inference.counters import make_counters_folder
from inference.settings import InferenceSettings
from inference.worker import PatientWorker

if TYPE_CHECKING:
    from flask import Flask

    from inference.metrics import InferenceMetrics
    from inference.service import ScoringService

_LOG = structlog.get_logger()
_BACKLOG = 1024
_MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket.

    Gunicorn would try a port that is taken for five seconds and then say little; here the error is the system's own.

    Raises:
        OSError: The address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def serve(settings: InferenceSettings, bundle: Bundle, listener: socket.socket) -> None:
    """Run until SIGTERM or SIGINT; leaves by SystemExit, 0 after a clean stop.

    Args:
        settings: The service's.
        bundle: Verified; each worker loads its model from these bytes.
        listener: Bound and listening.

    Raises:
        OSError: The scratch folder cannot be written.
    """
    counters = make_counters_folder(settings.scratch_dir)
    # Read by prometheus-client when it is imported, which therefore happens in the workers (see _Service.load).
    os.environ[_MULTIPROCESS_VARIABLE] = str(counters)
    _Gunicorn(settings, bundle, listener, counters).run()


class _Gunicorn(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    def __init__(
        self, settings: InferenceSettings, bundle: Bundle, listener: socket.socket, counters: Path
    ) -> None:
        self._settings = settings
        self._bundle = bundle
        self._listener = listener
        self._counters = counters
        super().__init__()

    def load_config(self) -> None:
        settings = self._settings

        def child_exit(_server: Arbiter, worker: Worker) -> None:
            from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - see serve()

            mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]

        def on_exit(_server: Arbiter) -> None:
            # A hook of the arbiter alone; a `finally` around it would run in every forked worker too.
            shutil.rmtree(self._counters, ignore_errors=True)
            _LOG.info("inference_stopped")

        for key, value in {
            "bind": [f"fd://{self._listener.fileno()}"],
            "worker_class": PatientWorker,
            "workers": settings.workers,
            "threads": settings.threads,
            "keepalive": settings.keep_alive_s,
            "graceful_timeout": settings.stop_s,
            "timeout": 60,
            "worker_tmp_dir": str(settings.scratch_dir),
            "control_socket_disable": True,  # it would want a writable home
            "logger_class": _JsonLog,
            "child_exit": child_exit,
            "on_exit": on_exit,
        }.items():
            self.cfg.set(key, value)

    def load(self) -> "Flask":
        """In a worker, after the fork: LiteRT and TensorFlow start threads, which a fork would lose."""
        from inference.app import create_app  # noqa: PLC0415 - see serve()
        from inference.metrics import InferenceMetrics  # noqa: PLC0415
        from inference.service import ScoringService  # noqa: PLC0415

        service, metrics = ScoringService(), InferenceMetrics()
        metrics.ready.set(0)
        # In a thread, so that /v2/health/live answers while TensorFlow takes its ten seconds.
        threading.Thread(
            target=self._load_model, args=(service, metrics), name="model-loader", daemon=True
        ).start()
        return create_app(
            service,
            metrics,
            max_body_bytes=self._settings.max_body_bytes,
            max_rows=self._settings.max_rows,
            version=_version(),
        )

    def _load_model(self, service: "ScoringService", metrics: "InferenceMetrics") -> None:
        try:
            served = service.load(self._bundle, self._settings.runtime)
        except ModelUnusable as error:
            _LOG.error("model_is_unusable", error=str(error))
        except Exception:  # noqa: BLE001 - left to the thread it would leave a worker that is never ready
            _LOG.exception("model_loading_failed")
        else:
            metrics.model.labels(served.manifest.model_id, self._settings.runtime).set(1)
            metrics.ready.set(1)
            _LOG.info("model_ready", model=served.manifest.model_id, runtime=self._settings.runtime)
            return
        # This exit code makes the arbiter stop instead of starting the next worker on the same model; only
        # _exit ends a process from a thread.
        os._exit(Arbiter.APP_LOAD_ERROR)


class _JsonLog(Logger):  # type: ignore[misc]  # as above
    """Gunicorn's log as JSON lines, warnings and worse; its notes on starting and stopping are ours to write."""

    def setup(self, cfg: Config) -> None:
        self.cfg = cfg
        self._access_log_enabled = False

    def critical(self, msg: object, *args: object, **kwargs: object) -> None:
        _write("critical", msg, args, kwargs)

    def error(self, msg: object, *args: object, **kwargs: object) -> None:
        _write("error", msg, args, kwargs)

    def warning(self, msg: object, *args: object, **kwargs: object) -> None:
        _write("warning", msg, args, kwargs)

    def exception(self, msg: object, *args: object, **kwargs: object) -> None:
        _write("error", msg, args, {"exc_info": True, **kwargs})

    def info(self, msg: object, *args: object, **kwargs: object) -> None:
        pass

    def debug(self, msg: object, *args: object, **kwargs: object) -> None:
        pass


def _write(level: str, msg: object, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
    text = str(msg) % args if args else str(msg)
    trace = {"exc_info": True} if kwargs.get("exc_info") else {}
    getattr(_LOG, level)("gunicorn", message=text, **trace)


def _version() -> str:
    try:
        return installed_version("fanwatch")
    except PackageNotFoundError:
        return "unknown"
