"""Tracking and registry: every training run, and the versions that passed, in MLflow.

MLflow's own client (https://mlflow.org/docs/latest/api_reference/python_api/mlflow.client.html) on an SQLite file and a
folder, or on a server. The edge needs none of it: it gets a signed bundle.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.bundle import Manifest

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"
CHALLENGER = "challenger"
BUNDLE_ARTIFACT = "bundle"

_RUN_TAG = "fanwatch.run"
_VERSION_TAG = "fanwatch.version"


class RegistryUnusable(Exception):  # noqa: N818 - it names the state
    """The registry cannot be read or written; says where it is and why."""


@dataclass(frozen=True)
class Registered:
    """A version in the registry.

    Attributes:
        version: Of the bundle, as verdicts carry it; MLflow counts by a number of its own.
        number: MLflow's.
        run_id: The tracked run that made it; its artifact "bundle" is the signed bundle.
        aliases: Of champion and challenger, those it has.
    """

    version: str
    number: str
    run_id: str
    aliases: tuple[str, ...]


class Registry:
    """One registry.

    Args:
        folder: Where it lives, when no server is named; made if need be.
        server: An MLflow tracking URI; None means the folder.

    Raises:
        RegistryUnusable: It cannot be opened.
    """

    def __init__(self, folder: Path, server: str | None = None) -> None:
        # Before its import. Its own seven retries make a server that is away cost four minutes.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - three seconds
        from mlflow.tracking import MlflowClient  # noqa: PLC0415 - as above
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - as above

        # Its notes about tables that it makes are no news for who runs a pipeline.
        for chatty in ("mlflow", "alembic"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        self._folder = None if server else folder.absolute()
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
        self.place = server or f"sqlite:///{self._folder}/mlflow.sqlite3"
        self._errors: tuple[type[Exception], ...] = (MlflowException, SQLAlchemyError, OSError)
        try:
            self._client = MlflowClient(tracking_uri=self.place, registry_uri=self.place)
        except self._errors as error:
            raise self._unusable(error) from error

    def track(
        self,
        name: str,
        run: str,
        *,
        parameters: Mapping[str, Any],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        artifacts: Path,
    ) -> str:
        """Write down a training run; one that was written under the same name before is completed, not doubled.

        Args:
            name: Of the model; also of MLflow's experiment.
            run: Names the run for good.
            parameters: What it was made with.
            metrics: Its figures.
            tags: More of it: the digest of the data.
            artifacts: A folder, plots and metrics.json in it.

        Returns:
            MLflow's id of the run.

        Raises:
            RegistryUnusable: It cannot be written.
        """
        try:
            experiment = self._experiment(name)
            known = self._client.search_runs([experiment], f"tags.`{_RUN_TAG}` = '{run}'", max_results=1)
            if known:
                run_id = str(known[0].info.run_id)
            else:
                made = self._client.create_run(experiment, run_name=run, tags={_RUN_TAG: run})
                run_id = str(made.info.run_id)
            for key, value in parameters.items():
                if not (known and key in known[0].data.params):
                    self._client.log_param(run_id, key, value)
            for key, figure in metrics.items():
                self._client.log_metric(run_id, key, figure)
            for key, word in tags.items():
                self._client.set_tag(run_id, key, word)
            self._client.log_artifacts(run_id, str(artifacts))
            self._client.set_terminated(run_id)
        except self._errors as error:
            raise self._unusable(error) from error
        return run_id

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Say more of a run.

        Raises:
            RegistryUnusable: It cannot be written.
        """
        try:
            for key, word in tags.items():
                self._client.set_tag(run_id, key, word)
        except self._errors as error:
            raise self._unusable(error) from error

    def versions(self, name: str) -> list[Registered]:
        """What is registered of a model, oldest first.

        Raises:
            RegistryUnusable: It cannot be read.
        """
        try:
            found = self._client.search_model_versions(f"name = '{name}'")
            aliases = self._aliases(name) if found else {}
        except self._errors as error:
            raise self._unusable(error) from error
        return [self._registered(one, aliases) for one in sorted(found, key=lambda one: int(one.version))]

    def register(self, name: str, version: str, run_id: str, why: str) -> Registered:
        """Make a version of a tracked run; the same version of the same run is registered once.

        Args:
            name: Of the model.
            version: Of the bundle.
            run_id: As track returned it.
            why: Why it passed, for people.

        Raises:
            RegistryUnusable: It cannot be written, or the version is another run's.
        """
        for known in self.versions(name):
            if known.version == version:
                if known.run_id != run_id:
                    raise RegistryUnusable(
                        f"{self.place}: version {version} of {name} is registered already, of another run; "
                        "choose another --version"
                    )
                return known
        try:
            if not self._client.search_registered_models(f"name = '{name}'"):
                self._client.create_registered_model(name)
            run = self._client.get_run(run_id)
            made = self._client.create_model_version(
                name,
                source=f"{run.info.artifact_uri}/{BUNDLE_ARTIFACT}",
                run_id=run_id,
                tags={_VERSION_TAG: version},
                description=why,
            )
        except self._errors as error:
            raise self._unusable(error) from error
        return self._registered(made, {})

    def keep_bundle(self, run_id: str, bundle: Path) -> None:
        """Store a bundle with its run.

        Raises:
            RegistryUnusable: It cannot be written.
        """
        try:
            self._client.log_artifacts(run_id, str(bundle), BUNDLE_ARTIFACT)
        except self._errors as error:
            raise self._unusable(error) from error

    def adopt(self, name: str, manifest: Manifest, bundle: Path) -> Registered:
        """Register a bundle that stands on the device and was made elsewhere, so that it can be the champion here.

        Raises:
            RegistryUnusable: It cannot be written.
        """
        for known in self.versions(name):
            if known.version == manifest.version:
                return known
        run_id = self.track(
            name,
            f"adopted-{manifest.version}-{manifest.training_data_sha256[:12]}",
            parameters={"threshold": manifest.threshold},
            metrics=manifest.metrics,
            tags={"data_sha256": manifest.training_data_sha256},
            artifacts=bundle,
        )
        self.keep_bundle(run_id, bundle)
        return self.register(name, manifest.version, run_id, "was in use before there was a registry")

    def set_alias(self, name: str, alias: str, version: str | None) -> None:
        """Give an alias to a registered version, or to none.

        Raises:
            RegistryUnusable: It cannot be written, or there is no such version.
        """
        known = {one.version: one.number for one in self.versions(name)}
        try:
            if version is None:
                self._client.delete_registered_model_alias(name, alias)
            elif version in known:
                self._client.set_registered_model_alias(name, alias, known[version])
            else:
                raise RegistryUnusable(
                    f"{self.place}: no version {version} of {name}; there are {', '.join(known) or 'none'}"
                )
        except self._errors as error:
            raise self._unusable(error) from error

    def _experiment(self, name: str) -> str:
        known = self._client.get_experiment_by_name(name)
        if known is not None:
            return str(known.experiment_id)
        where = f"file://{self._folder}/artifacts" if self._folder else None
        return str(self._client.create_experiment(name, artifact_location=where))

    def _aliases(self, name: str) -> dict[str, list[str]]:
        given: dict[str, list[str]] = {}
        for alias, number in self._client.get_registered_model(name).aliases.items():
            given.setdefault(str(number), []).append(alias)
        return given

    @staticmethod
    def _registered(found: "ModelVersion", aliases: Mapping[str, list[str]]) -> Registered:
        number = str(found.version)
        return Registered(
            version=found.tags.get(_VERSION_TAG, number),
            number=number,
            run_id=str(found.run_id),
            aliases=tuple(sorted(aliases.get(number, []))),
        )

    def _unusable(self, error: Exception) -> RegistryUnusable:
        # An SQLite path has no secret in it; a server's address may.
        place = self.place if self._folder else "the server of MLFLOW_TRACKING_URI"
        why = str(error).splitlines()[0].replace(self.place, "it")
        return RegistryUnusable(f"the registry, {place}, cannot be used: {why}")
