"""Gate: register only what beats the champion by more than noise (training/gate.py decides)."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd

from training.gate import CannotBeJudged, Comparison, Decision, Rival, Rule, compare, decide
from training.readings_file import LABEL
from training.steps import evaluate, train
from training.steps.runner import Outcome, Run, Step, StepFailed
from training.tracking import Registry, RegistryUnusable

NAME = "gate"
DECISION_FILE = "decision.json"


def _work(run: Run) -> Outcome:
    order = run.order
    rule = Rule(order.confidence, order.resamples, order.seed)
    rivals = json.loads((run.of(evaluate.NAME) / evaluate.RIVALS_FILE).read_bytes())
    champion, challenger = (rivals[who]["model_id"] for who in (evaluate.CHAMPION, evaluate.CHALLENGER))
    comparisons: dict[str, Comparison] = {}
    try:
        comparisons = _comparisons(run, rivals, rule)
        decision = (
            decide(comparisons, champion, challenger, rule) if comparisons else _without_labels(run, champion)
        )
    except CannotBeJudged as error:
        decision = Decision(passed=False, reason=f"{challenger} cannot be judged: {error}")
    content = asdict(decision) | {
        "rule": asdict(rule),
        "comparisons": {name: asdict(found) for name, found in comparisons.items()},
    }
    (run.of(NAME) / DECISION_FILE).write_text(json.dumps(content, indent=2) + "\n")
    run_id = json.loads((run.of(evaluate.NAME) / evaluate.TRACKED_FILE).read_bytes())["run_id"]
    try:
        Registry(run.settings.registry_dir, run.settings.mlflow_tracking_uri).tag(
            run_id, {"gate": "passed" if decision.passed else "refused", "gate_reason": decision.reason}
        )
    except RegistryUnusable as error:
        raise StepFailed(str(error)) from error
    return Outcome(decision.reason, refused=not decision.passed)


def _comparisons(run: Run, rivals: dict[str, dict[str, float | str]], rule: Rule) -> dict[str, Comparison]:
    found: dict[str, Comparison] = {}
    for name, file in evaluate.SCORES.items():
        path = run.of(evaluate.NAME) / file
        if not path.exists():
            continue
        scores = pd.read_csv(path)
        champion, challenger = (
            Rival(str(rivals[who]["model_id"]), scores[who].to_numpy(), float(rivals[who]["threshold"]))
            for who in (evaluate.CHAMPION, evaluate.CHALLENGER)
        )
        labels, blocks = (scores[column].to_numpy().astype(np.int64) for column in (LABEL, "block"))
        try:
            found[name] = compare(labels, blocks, champion, challenger, rule)
        except CannotBeJudged as error:
            raise CannotBeJudged(f"the {name} has {error}") from error
    return found


def _without_labels(run: Run, champion: str) -> Decision:
    rows = train.read_summary(run.of(train.NAME)).rows
    if run.order.champion is None:
        return Decision(
            passed=True, reason=f"the first version, learned from {rows} rows that are taken for healthy"
        )
    return Decision(
        passed=False,
        reason=f"there is no labelled row to tell whether the new {run.order.name} is better than {champion}; give "
        "a frozen test set by --test FILE",
    )


GATE = Step(
    name=NAME,
    purpose="is it better by more than noise?",
    asks=("confidence", "resamples", "seed"),
    after=(train.NAME, evaluate.NAME),
    work=_work,
)
