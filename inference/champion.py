"""The champion of one process: follows the deployment on disk, and goes back when a new champion is given up.

A new version is read, verified, loaded and tried in a thread of its own while the old one goes on; the switch itself is
one assignment, after which requests in flight still finish with the model that they began with. The version before
stays loaded, so that the way back is as short.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import structlog

from contract.deployment import Deployment, NotDeployed
from inference.deployments import ModelStore, Stamp
from inference.errors import ModelUnusable
from inference.guard import Guard
from inference.metrics import InferenceMetrics
from inference.service import ScoringService, ServedModel
from inference.shadow import Shadow

_LOG = structlog.get_logger()
_LOOK_S = 0.1

Load = Callable[[str | None], ServedModel]
"""Loads a version (None: the one bundle that there is). Raises ModelUnusable."""


class Champion:
    """Loads and switches; start() runs it in a thread.

    Args:
        store: The versions on disk.
        load: Loads one of them.
        service: Serves the champion.
        shadow: Runs the challenger.
        guard: Watches a new champion.
        metrics: Counts the switches.
    """

    def __init__(
        self,
        store: ModelStore,
        load: Load,
        service: ScoringService,
        shadow: Shadow,
        guard: Guard,
        metrics: InferenceMetrics,
    ) -> None:
        self._store = store
        self._load = load
        self._service = service
        self._shadow = shadow
        self._guard = guard
        self._metrics = metrics
        self._loaded: Mapping[str, ServedModel] = {}
        self._seen: Stamp | None = None
        guard.on_giving_up(self._go_back)

    def load_first(self) -> ServedModel:
        """Load what the deployment says and serve it; where the champion is unusable, the one before.

        Raises:
            ModelUnusable: None of them can be served.
        """
        self._seen = self._store.stamp()
        deployment = self._store.deployment()
        if deployment is None:
            model = self._load(None)
            self._service.serve(model)
            return model
        try:
            model = self._load(deployment.champion)
        except ModelUnusable as error:
            if deployment.previous is None:
                raise
            model = self._load(deployment.previous)
            self._refused(deployment.champion, error, still_served=deployment.previous)
        self._loaded = {model.manifest.version: model}
        self._service.serve(model)
        self._load_others(deployment)
        # A restart may be the new champion's doing, so that its trial begins again.
        before = None if deployment.previous is None else self._loaded.get(deployment.previous)
        self._guard.watch(model, None if before is model else before)
        return model

    def follow(self, stop: threading.Event) -> None:
        """Follow the deployment until told to stop; never raises."""
        while not stop.wait(_LOOK_S):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - the thread must live, or no switch would ever come again
                _LOG.exception("deployment_not_followed")

    def look(self) -> None:
        """Switch, if the deployment has changed since the last look."""
        stamp = self._store.stamp()
        if stamp is None or stamp == self._seen:
            return
        self._seen = stamp
        try:
            deployment = self._store.deployment()
            if deployment is None:
                return
        except ModelUnusable as error:
            self._refused("unknown", error)
            return
        try:
            champion = self._model(deployment.champion)
        except ModelUnusable as error:
            self._refused(deployment.champion, error)
            return
        self._loaded = {**self._loaded, deployment.champion: champion}
        before = self._service.served
        if champion is not before:
            # Back to what was served before is no trial.
            self._guard.watch(champion, before if deployment.previous == before.manifest.version else None)
            self._service.serve(champion)
            self._metrics.switches.labels("promoted").inc()
            _LOG.info(
                "model_switched",
                model=champion.manifest.model_id,
                before=before.manifest.model_id,
                why=deployment.why,
            )
        self._load_others(deployment)

    def _load_others(self, deployment: Deployment) -> None:
        """What a roll-back and a promotion would switch to is loaded before; what is in no use is let go."""
        loaded = {deployment.champion: self._loaded.get(deployment.champion, self._service.served)}
        for version in (deployment.previous, deployment.challenger):
            if version is None:
                continue
            try:
                loaded[version] = self._model(version)
            except ModelUnusable as error:
                self._refused(version, error)
        self._loaded = loaded
        challenger = deployment.challenger
        self._shadow.challenge(None if challenger is None else loaded.get(challenger))

    def _model(self, version: str) -> ServedModel:
        return self._loaded.get(version) or self._load(version)

    def _refused(self, version: str, error: ModelUnusable, still_served: str | None = None) -> None:
        self._metrics.switches.labels("refused").inc()
        serves = still_served or self._service.served.manifest.version
        _LOG.error("model_refused", version=version, error=str(error), still_served=serves)

    def _go_back(self, model: ServedModel, before: ServedModel, why: str) -> None:
        """Give the champion up: at once in this process, and in the deployment, which the others follow."""
        self._service.serve(before)
        self._metrics.switches.labels("rolled_back").inc()
        version = model.manifest.version
        _LOG.error("model_rolled_back", model=model.manifest.model_id, to=before.manifest.model_id, why=why)

        def rolled_back(deployment: Deployment) -> Deployment:
            if deployment.champion != version:
                return deployment  # another process was quicker, or a person
            return deployment.rolled_back(at=datetime.now(UTC), why=f"by itself, version {version}: {why}")

        try:
            self._store.change(rolled_back)
        except (ModelUnusable, NotDeployed, OSError) as error:
            _LOG.error(
                "roll_back_not_written",
                error=str(error),
                action="roll back by hand, or a restart tries it again",
            )
