"""What one worker process runs beside its threads: the model it serves, its challenger, and who watches both."""

import os
import threading

import structlog
from gunicorn.arbiter import Arbiter

from inference.champion import Champion
from inference.deployments import ModelStore, VerifiedVersions
from inference.errors import ModelUnusable
from inference.guard import Guard
from inference.metrics import InferenceMetrics
from inference.probation import ProbationLimits
from inference.service import ScoringService, ServedModel, load_model
from inference.settings import InferenceSettings
from inference.shadow import Shadow

_LOG = structlog.get_logger()


class ScoringWorker:
    """Loads the first model and follows the deployment, in a thread of its own.

    So /v2/health/live answers while TensorFlow takes its ten seconds.
    """

    def __init__(
        self,
        settings: InferenceSettings,
        store: ModelStore,
        first: VerifiedVersions,
        metrics: InferenceMetrics,
    ) -> None:
        self._store = store
        self._first = first
        self._runtime = settings.runtime
        self._allow_handlers = settings.allow_handlers
        self._metrics = metrics
        guard = Guard(
            ProbationLimits(
                lasts_s=settings.probation_s,
                most_failed=settings.probation_most_failed,
                p99_s=settings.probation_p99_ms / 1000,
            )
        )
        shadow = Shadow(metrics)
        self.service = ScoringService((guard, shadow), on_switch=self._count_switch)
        self._champion = Champion(store, self._load, self.service, shadow, guard, metrics)
        metrics.ready.set(0)

    def start(self) -> None:
        """Begin to load."""
        threading.Thread(target=self._run, name="champion", daemon=True).start()

    def _run(self) -> None:
        try:
            served = self._champion.load_first()
        except ModelUnusable as error:
            _LOG.error("model_is_unusable", error=str(error))
        except Exception:  # noqa: BLE001 - left to the thread it would leave a worker that is never ready
            _LOG.exception("model_loading_failed")
        else:
            self._metrics.ready.set(1)
            _LOG.info("model_ready", model=served.manifest.model_id, runtime=served.runtime.platform)
            self._champion.follow(threading.Event())
        # This exit code makes the arbiter stop instead of starting the next worker on the same model; only
        # _exit ends a process from a thread.
        os._exit(Arbiter.APP_LOAD_ERROR)

    def _load(self, version: str | None) -> ServedModel:
        bundle = self._first.get(version) or self._store.bundle(version)
        return load_model(bundle, self._runtime, allow_handlers=self._allow_handlers)

    def _count_switch(self, model: ServedModel, before: ServedModel | None) -> None:
        if before is not None:
            self._metrics.model.labels(before.manifest.model_id, before.runtime.platform).set(0)
        self._metrics.model.labels(model.manifest.model_id, model.runtime.platform).set(1)
