"""Deploy: the bundle beside the others, and one atomic switch."""

import json

from model_folder.folder import ModelFolderError
from training.bundle import BundleError
from training.deployed import deploy
from training.steps import gate, package, register
from training.steps.runner import Outcome, Run, Step, StepFailed
from training.tracking import CHALLENGER, CHAMPION, Registry, RegistryUnusable

NAME = "deploy"
DEPLOYED_FILE = "deployed.json"


def _work(run: Run) -> Outcome:
    order = run.order
    bundle = run.of(package.NAME) / package.BUNDLE_FOLDER
    version = register.read_version(run)
    if order.deploy_as == "nothing":
        return Outcome(f"{order.name}:{version} is not deployed, as asked: {bundle}")
    reason = json.loads((run.of(gate.NAME) / gate.DECISION_FILE).read_bytes())["reason"]
    try:
        deployment = deploy(
            order.models_dir,
            bundle,
            order.deploy_as,
            measured_against=order.champion,
            at=run.now(),
            why=f"pipeline run {run.name}: {reason}",
        )
        if deployment.champion == version:
            registry = Registry(run.settings.registry_dir, run.settings.mlflow_tracking_uri)
            registry.set_alias(order.name, CHAMPION, version)
            registry.set_alias(order.name, CHALLENGER, None)
    except (ModelFolderError, BundleError, RegistryUnusable) as error:
        raise StepFailed(str(error)) from error
    (run.of(NAME) / DEPLOYED_FILE).write_text(deployment.model_dump_json(indent=2) + "\n")
    role = "champion" if deployment.champion == version else "challenger"
    return Outcome(f"{order.name}:{version} is {role} in {order.models_dir / order.name}")


DEPLOY = Step(
    name=NAME,
    purpose="beside the version in use",
    asks=("models_dir", "champion", "deploy_as"),
    after=(gate.NAME, register.NAME, package.NAME),
    work=_work,
)
