"""Models of every kind become bundles that the scoring service takes; what is dangerous or wrong does not."""

import io
import pickle
import zipfile
from pathlib import Path

import joblib
import numpy as np
import numpy.typing as npt
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from contract.reference import Reference
from inference.bundle import Bundle, read_bundle
from inference.service import load_model
from inference.signature import Signers
from inference_toolkit.errors import ToolkitError
from inference_toolkit.packing import Signing, pack
from inference_toolkit.project import open_project
from tests.inference_toolkit.conftest import Run
from tests.inference_toolkit.projects import rows_and_faults, write_project

ROWS, FAULTS = rows_and_faults()


def fitted(estimator: object) -> object:
    return estimator.fit(ROWS, FAULTS)  # type: ignore[attr-defined]  # any estimator


def scores(bundle: Bundle) -> npt.NDArray[np.float32]:
    return load_model(bundle, "auto", allow_handlers=True).score(ROWS)[0]


def packed(project: Path, out: Path, trust: str | None = None) -> Bundle:
    manifest = pack(open_project(project), out, trust=trust)
    return read_bundle(out, manifest.name, None)


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        HistGradientBoostingClassifier(max_iter=20, class_weight="balanced"),
        RandomForestClassifier(20, random_state=1),
        make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=2000, random_state=1)),
    ],
    ids=["logistic", "boosted", "forest", "network"],
)
def test_a_classifier_of_scikit_learn_becomes_onnx_and_says_the_same(
    estimator: object, tmp_path: Path
) -> None:
    model = fitted(estimator)
    bundle = packed(
        write_project(tmp_path / "pump", "model.skops", skops.io.dumps(model)), tmp_path / "bundle"
    )
    assert set(bundle.files) == {"model.onnx", "reference.json"}
    expected = model.predict_proba(ROWS)[:, 1]  # type: ignore[attr-defined]  # any estimator
    np.testing.assert_allclose(scores(bundle), expected, atol=1e-4)


def test_the_bundle_says_how_the_rows_are_distributed_that_the_model_calls_healthy(tmp_path: Path) -> None:
    model = skops.io.dumps(fitted(LogisticRegression(max_iter=1000)))
    bundle = packed(write_project(tmp_path / "pump", "model.skops", model), tmp_path / "bundle")
    reference = Reference.model_validate_json(bundle.files["reference.json"])
    assert reference.rows == int((FAULTS == 0).sum())
    assert reference.signals["flow"][100] == pytest.approx(float(np.median(ROWS[FAULTS == 0, 0])), abs=0.5)


class Harmful:
    """Runs code when it is unpickled, as any pickle may."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.marker), "w"))


@pytest.mark.parametrize("file", ["model.pkl", "model.joblib"])
@pytest.mark.parametrize("trust", [None, "yes", "I trust model", "I trust other.pkl"])
def test_a_pickle_is_not_opened_unless_its_maker_says_so_in_so_many_words(
    file: str, trust: str | None, tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    project = write_project(tmp_path / "pump", file, pickle.dumps(Harmful(marker)))
    with pytest.raises(ToolkitError, match=rf"is a pickle.*--allow-pickle 'I trust {file}'"):
        pack(open_project(project), tmp_path / "bundle", trust=trust)
    assert not marker.exists()
    with pytest.raises(ToolkitError):
        pack(open_project(project), tmp_path / "bundle", trust=f"I trust {file}")
    assert marker.exists(), "the marker would show an opened pickle"


def test_a_trusted_pickle_is_opened_once_and_the_bundle_holds_onnx(tmp_path: Path) -> None:
    content = io.BytesIO()
    joblib.dump(fitted(LogisticRegression(max_iter=1000)), content)
    project = write_project(tmp_path / "pump", "model.joblib", content.getvalue())
    bundle = packed(project, tmp_path / "bundle", trust="I trust model.joblib")
    assert set(bundle.files) == {"model.onnx", "reference.json"}


def test_a_skops_file_with_somebody_elses_function_is_refused_before_it_is_made(tmp_path: Path) -> None:
    content = skops.io.dumps(make_pipeline(FunctionTransformer(pickle.loads), LogisticRegression()))
    project = write_project(tmp_path / "pump", "model.skops", content)
    with pytest.raises(ToolkitError, match=r"holds _pickle\.loads, of which nobody knows what it does"):
        pack(open_project(project), tmp_path / "bundle")


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        ("model.skops", b"not a model", "is no file of skops"),
        ("model.onnx", b"not a model", r"model\.onnx: is no ONNX model"),
        ("model.tflite", b"not a model", r"model\.tflite: is no LiteRT model"),
        (
            "model.pt",
            b"anything",
            r"is of no kind that is known; expected \.tflite, \.onnx, \.keras, \.skops",
        ),
    ],
)
def test_a_file_that_is_no_model_is_refused_with_what_was_expected(
    file: str, content: bytes, why: str, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "pump", file, content)
    with pytest.raises(ToolkitError, match=why):
        pack(open_project(project), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_model_without_probabilities_is_refused_with_the_way_out(tmp_path: Path) -> None:
    content = skops.io.dumps(IsolationForest(n_estimators=10).fit(ROWS))
    project = write_project(tmp_path / "pump", "model.skops", content)
    with pytest.raises(ToolkitError, match=r"gives no probability of two classes.*served by a handler"):
        pack(open_project(project), tmp_path / "bundle")


def test_a_model_of_other_signals_is_refused(tmp_path: Path) -> None:
    content = skops.io.dumps(LogisticRegression().fit(ROWS[:, :1], FAULTS))
    project = write_project(tmp_path / "pump", "model.skops", content)
    with pytest.raises(ToolkitError, match=r"takes 1 signals, toolkit\.toml names 2"):
        pack(open_project(project), tmp_path / "bundle")


def test_litert_and_onnx_files_are_packed_as_they_are(tmp_path: Path) -> None:
    content = packed(
        write_project(
            tmp_path / "a", "model.skops", skops.io.dumps(fitted(LogisticRegression(max_iter=1000)))
        ),
        tmp_path / "first",
    ).files["model.onnx"]
    again = packed(write_project(tmp_path / "b", "anything.onnx", content), tmp_path / "second")
    assert again.files["model.onnx"] == content


def test_a_bundle_is_signed_with_the_key_that_was_given(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    model = skops.io.dumps(fitted(LogisticRegression(max_iter=1000)))
    project = write_project(tmp_path / "pump", "model.skops", model)
    pack(open_project(project), tmp_path / "bundle", signing=Signing(keys[0]))
    assert read_bundle(tmp_path / "bundle", "pump", Signers((keys[1],), tmp_path)).is_signed


def test_a_folder_that_stands_there_is_replaced_only_when_told(tmp_path: Path, run: Run) -> None:
    model = skops.io.dumps(fitted(LogisticRegression(max_iter=1000)))
    project = write_project(tmp_path / "pump", "model.skops", model)
    run("pack", project, "--out", tmp_path / "bundle")
    assert "is there already" in run("pack", project, "--out", tmp_path / "bundle", code=1)
    run("pack", project, "--out", tmp_path / "bundle", "--overwrite")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('model = "model.skops"', "", "expected either model"),
        (
            'model = "model.skops"',
            'model = "gone.skops"',
            r"gone\.skops: cannot be read.*toolkit\.toml names it",
        ),
        ('version = "1"', 'version = "../1"', "version: String should match"),
        (
            'name = "flow"',
            'name = "speed"',
            "no column speed; expected speed, pressure, found flow, pressure, fault",
        ),
        ("maximum = 500", "maximum = -1", "minimum 0.0 is not below maximum -1.0"),
        ('training_data = "training.csv"', "", "expected training_data or training_data_sha256"),
        ("threshold = 0.5", "threshold = 0.5\ncolour = 1", "colour: Extra inputs are not permitted"),
        ("[limits]", "[limits", "is no TOML file"),
    ],
)
def test_a_description_that_is_wrong_gets_one_sentence(
    old: str, new: str, why: str, tmp_path: Path, run: Run
) -> None:
    project = write_project(tmp_path / "pump", "model.skops", b"")
    text = (project / "toolkit.toml").read_text()
    assert old in text
    (project / "toolkit.toml").write_text(text.replace(old, new))
    with pytest.raises(ToolkitError, match=why):
        pack(open_project(project), tmp_path / "bundle")
    told = run("pack", project, "--out", tmp_path / "bundle", code=1)
    assert told.startswith("error: ")
    assert "Traceback" not in told


@pytest.mark.parametrize("cell", ["", "na", "nan", "inf", "1,5"])
def test_a_cell_of_the_sample_that_is_no_number_is_named(cell: str, tmp_path: Path) -> None:
    project = write_project(tmp_path / "pump", "model.skops", b"")
    (project / "sample.csv").write_text(f'flow,pressure\n300,5\n"{cell}",5\n')
    with pytest.raises(ToolkitError, match=r"sample\.csv: line 3, column flow: expected a finite number"):
        pack(open_project(project), tmp_path / "bundle")


def test_a_handler_is_packed_with_its_files_and_said_in_the_manifest(tmp_path: Path, run: Run) -> None:
    run("new", "pump", "--out", tmp_path / "pump")
    bundle = packed(tmp_path / "pump", tmp_path / "bundle")
    assert bundle.manifest.handler
    assert set(bundle.files) == {"handler.py", "model.json", "reference.json"}


def test_a_handler_that_fails_on_the_sample_is_refused_with_its_own_words(tmp_path: Path, run: Run) -> None:
    run("new", "pump", "--out", tmp_path / "pump")
    handler = tmp_path / "pump" / "handler.py"
    handler.write_text(handler.read_text().replace('"mean"', '"median"'))
    told = run("pack", tmp_path / "pump", "--out", tmp_path / "bundle", code=1)
    assert "handler.py of pump:1: cannot be loaded: KeyError: 'median'" in told


def test_a_keras_model_gets_its_litert_file_and_one_with_a_lambda_layer_is_refused(tmp_path: Path) -> None:
    import keras  # noqa: PLC0415 - ten seconds, for this test alone

    inputs = keras.Input((2,))
    scaled = keras.layers.Rescaling([1 / 500, 1 / 16])(inputs)
    plain = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(scaled))
    plain.save(tmp_path / "plain.keras")
    project = write_project(tmp_path / "pump", "model.keras", (tmp_path / "plain.keras").read_bytes())
    (project / "toolkit.toml").write_text(
        (project / "toolkit.toml").read_text().replace("threshold = 0.5", "threshold = 1.0")
    )
    bundle = packed(project, tmp_path / "bundle")
    assert {"model.tflite", "model.keras"} < set(bundle.files)
    np.testing.assert_allclose(scores(bundle), plain(ROWS).numpy().ravel(), atol=1e-5)

    harmful = keras.Model(inputs, keras.layers.Lambda(lambda x: x[:, :1] * 0)(inputs))
    harmful.save(tmp_path / "harmful.keras")
    assert "config.json" in zipfile.ZipFile(tmp_path / "harmful.keras").namelist()
    project = write_project(tmp_path / "bad", "model.keras", (tmp_path / "harmful.keras").read_bytes())
    with pytest.raises(ToolkitError, match="is no Keras model that can be converted"):
        pack(open_project(project), tmp_path / "refused")
