"""What drift is measured against: the rows that a model calls healthy, of those that it was trained on."""

from pathlib import Path

import numpy as np
import pytest

from contract.reference import QUANTILES, REFERENCE_FILE, Reference
from training.bundle import litert_probabilities, read_manifest
from training.dataset import generate
from training.reference import NoHealthyRow, make_reference

BUNDLE = Path(__file__).parents[2] / "models" / "fan"


def test_only_rows_below_the_threshold_are_in_it() -> None:
    flow = np.arange(1001.0)[:, np.newaxis]
    reference = make_reference(flow, flow[:, 0] / 1000, names=["flow"], threshold=0.5)
    assert reference.rows == 500
    assert (reference.signals["flow"][0], reference.signals["flow"][-1]) == (0, 499)
    assert reference.signals["flow"][QUANTILES // 2] == pytest.approx(249.5)
    assert reference.probability[-1] == pytest.approx(0.499)


def test_a_model_that_calls_every_row_a_fault_gets_a_sentence() -> None:
    with pytest.raises(NoHealthyRow, match="calls each of the 3 rows a fault"):
        make_reference(np.ones((3, 1)), np.ones(3), names=["flow"], threshold=0.5)


def test_the_committed_bundle_has_that_of_its_own_training_rows() -> None:
    manifest = read_manifest(BUNDLE)  # which checks the digest of the file
    assert REFERENCE_FILE in manifest.files
    committed = Reference.model_validate_json((BUNDLE / REFERENCE_FILE).read_bytes())
    rows = generate(120_000, 1)[0].signals
    made = make_reference(
        rows,
        litert_probabilities((BUNDLE / "model.tflite").read_bytes(), rows),
        names=[spec.name for spec in manifest.signals],
        threshold=manifest.threshold,
    )
    # Another processor adds up in another order, which moves a row over the threshold at most.
    assert committed.rows == pytest.approx(made.rows, abs=5)
    assert list(committed.signals) == list(made.signals)
    for name, quantiles in made.signals.items():
        assert committed.signals[name] == pytest.approx(quantiles, rel=1e-3)
    assert committed.probability == pytest.approx(made.probability, abs=1e-3)
