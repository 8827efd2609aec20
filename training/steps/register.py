"""Register: a version of its own in the registry, and the alias challenger."""

import json
from dataclasses import asdict

from model_folder.folder import ModelFolderError
from training.bundle import BundleError, read_manifest
from training.deployed import bundle_folder, versions_there
from training.steps import evaluate, gate
from training.steps.runner import Outcome, Run, Step, StepFailed
from training.tracking import CHALLENGER, CHAMPION, Registered, Registry, RegistryUnusable

NAME = "register"
VERSION_FILE = "version.json"


def read_version(run: Run) -> str:
    """The version that the new bundle has."""
    return str(json.loads((run.of(NAME) / VERSION_FILE).read_bytes())["version"])


def _work(run: Run) -> Outcome:
    order = run.order
    run_id = json.loads((run.of(evaluate.NAME) / evaluate.TRACKED_FILE).read_bytes())["run_id"]
    reason = json.loads((run.of(gate.NAME) / gate.DECISION_FILE).read_bytes())["reason"]
    try:
        registry = Registry(run.settings.registry_dir, run.settings.mlflow_tracking_uri)
        if order.champion is not None:
            folder = bundle_folder(order.models_dir, order.name, order.champion)
            registry.adopt(order.name, read_manifest(folder), folder)
            registry.set_alias(order.name, CHAMPION, order.champion)
        known = registry.versions(order.name)
        version = order.version or _version(known, run_id, versions_there(order.models_dir, order.name))
        made = registry.register(order.name, version, run_id, reason)
        registry.set_alias(order.name, CHALLENGER, version)
    except (RegistryUnusable, ModelFolderError, BundleError) as error:
        raise StepFailed(str(error)) from error
    (run.of(NAME) / VERSION_FILE).write_text(json.dumps(asdict(made), indent=2) + "\n")
    place = "the server" if run.settings.mlflow_tracking_uri else registry.place
    return Outcome(f"{order.name}:{version} is challenger in {place}")


def _version(known: list[Registered], run_id: str, there: set[str]) -> str:
    """That which this run has already, or the number after the greatest."""
    for one in known:
        if one.run_id == run_id:
            return one.version
    taken = {one.version for one in known} | there
    return str(max((int(version) for version in taken if version.isdecimal()), default=0) + 1)


REGISTER = Step(
    name=NAME,
    purpose="a version in the registry",
    asks=("name", "version", "champion", "models_dir"),
    after=(evaluate.NAME, gate.NAME),
    work=_work,
)
