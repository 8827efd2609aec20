"""Package: the bundle with its manifest, reference and signature; the registry keeps a copy."""

import json

from contract.bundle import ModelSignature
from training.bundle import BundleError, assemble_bundle
from training.signing import SigningError, read_password, sign_bundle
from training.steps import evaluate, register, train
from training.steps.runner import Outcome, Run, Step, StepFailed
from training.tracking import Registry, RegistryUnusable

NAME = "package"
BUNDLE_FOLDER = "bundle"


def _work(run: Run) -> Outcome:
    order = run.order
    bundle = run.of(NAME) / BUNDLE_FOLDER
    summary = train.read_summary(run.of(train.NAME))
    tracked = json.loads((run.of(evaluate.NAME) / evaluate.TRACKED_FILE).read_bytes())
    model = run.of(train.NAME) / train.MODEL_FOLDER
    try:
        manifest = assemble_bundle(
            bundle,
            {path.name: path.read_bytes() for path in sorted(model.iterdir())},
            name=order.name,
            version=register.read_version(run),
            signature=ModelSignature(signals=order.signals, threshold=summary.threshold),
            metrics=tracked["metrics"],
            training_data_sha256=summary.data_sha256,
        )
        if order.key is not None:
            sign_bundle(bundle, order.key, read_password(order.password_file))
        Registry(run.settings.registry_dir, run.settings.mlflow_tracking_uri).keep_bundle(
            tracked["run_id"], bundle
        )
    except (BundleError, SigningError, RegistryUnusable) as error:
        raise StepFailed(str(error)) from error
    signed = "signed" if order.key is not None else "NOT signed: no --key was given"
    return Outcome(f"{manifest.model_id} in {bundle}, {signed}")


PACKAGE = Step(
    name=NAME,
    purpose="manifest, model, reference, signature",
    asks=("name", "columns", "key"),
    after=(train.NAME, evaluate.NAME, register.NAME),
    work=_work,
)
