"""Models of scikit-learn, as ONNX: the edge gets neither scikit-learn nor a pickle.

A file of skops (.skops) is read without running anything: it says of which types it is, and only those of scikit-learn
and numpy are made. A pickle (.pkl, .joblib) runs whatever its maker put into it, by being opened. It is opened only for
a person who writes that they trust it, once, here; what goes into the bundle is ONNX either way.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inference_toolkit.errors import ToolkitError

SKOPS = ".skops"
PICKLES = (".pkl", ".pickle", ".joblib")

_MADE_BY_SKOPS = frozenset(
    {
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
    }
)
"""Inner types of scikit-learn's own estimators that skops does not list as trusted: data without behaviour."""


def sentence_of_trust(file: str) -> str:
    """What a person has to write for a pickle to be opened."""
    return f"I trust {file}"


def read_estimator(path: Path, content: bytes, trust: str | None) -> Any:  # noqa: ANN401 - any estimator
    """Read a fitted estimator.

    Args:
        path: Its ending says what it is.
        content: Of the file.
        trust: What the person wrote.

    Raises:
        ToolkitError: It is a pickle that nobody vouches for, a file with types of others, or none at all.
    """
    if path.suffix in PICKLES:
        return _unpickled(path, content, trust)
    import skops.io  # noqa: PLC0415 - brings scikit-learn, two seconds

    try:
        strangers = sorted(set(skops.io.get_untrusted_types(data=content)) - _MADE_BY_SKOPS)
        estimator = None if strangers else skops.io.loads(content, trusted=sorted(_MADE_BY_SKOPS))
    except Exception as error:  # a damaged file makes its parsers raise anything
        raise ToolkitError(f"{path}: is no file of skops: {type(error).__name__}: {error}") from error
    if strangers:
        raise ToolkitError(
            f"{path}: holds {', '.join(strangers)}, of which nobody knows what it does; expected estimators of "
            "scikit-learn alone; a step of your own belongs into a handler"
        )
    return estimator


def _unpickled(path: Path, content: bytes, trust: str | None) -> Any:  # noqa: ANN401 - as above
    expected = sentence_of_trust(path.name)
    if trust != expected:
        raise ToolkitError(
            f"{path}: is a pickle, which runs what its maker put into it when it is opened. Save the model with "
            f"skops.io.dump(model, 'model{SKOPS}') instead; or, if you made this file yourself, add "
            f"--allow-pickle '{expected}'. The bundle gets ONNX either way"
        )
    import joblib  # noqa: PLC0415 - with scikit-learn

    try:
        return joblib.load(io.BytesIO(content))
    except Exception as error:  # whatever a pickle does
        raise ToolkitError(f"{path}: cannot be opened: {type(error).__name__}: {error}") from error


def onnx_bytes(path: Path, estimator: Any, rows: npt.NDArray[np.float32]) -> bytes:  # noqa: ANN401 - as above
    """A classifier as ONNX, float32 [n, k] to [n, 2].

    Args:
        path: For errors.
        estimator: Fitted, or a pipeline.
        rows: [n, k], on which both must say the same.

    Raises:
        ToolkitError: It gives no probability of two classes, cannot be converted, or says something else afterwards.
    """
    classes = getattr(estimator, "classes_", None)
    if classes is None or len(classes) != 2 or not hasattr(estimator, "predict_proba"):
        raise ToolkitError(
            f"{path}: {type(estimator).__name__} gives no probability of two classes; expected a fitted "
            "classifier with predict_proba whose second class is the fault; anything else is served by a handler"
        )
    takes = getattr(estimator, "n_features_in_", rows.shape[1])
    if takes != rows.shape[1]:
        raise ToolkitError(f"{path}: takes {takes} signals, toolkit.toml names {rows.shape[1]}")
    from skl2onnx import to_onnx  # noqa: PLC0415 - three seconds

    try:
        content: bytes = to_onnx(estimator, rows[:1], options={"zipmap": False}).SerializeToString()
    except Exception as error:  # its errors have no base of their own
        raise ToolkitError(
            f"{path}: skl2onnx cannot convert {type(estimator).__name__}: {error}; serve it by a handler"
        ) from error
    return content


def check_same(
    path: Path,
    estimator: Any,  # noqa: ANN401 - as above
    rows: npt.NDArray[np.float32],
    converted: npt.NDArray[np.float32],
) -> None:
    """Refuse a conversion that says something else.

    Args:
        path: For the error.
        estimator: The original.
        rows: [n, k].
        converted: [n], what the converted model gives for them.

    Raises:
        ToolkitError: A probability differs by more than 0.001, in more than one of a thousand rows: a tree may take
            the other branch where float32 puts a value onto the bound.
    """
    differs = np.abs(estimator.predict_proba(rows)[:, 1] - converted)
    share = float(np.mean(differs > 1e-3))
    if share > 1e-3:
        raise ToolkitError(
            f"{path}: converted to ONNX it says something else in {share:.1%} of {len(rows)} rows, by up to "
            f"{differs.max():.3g}; train it on float32, or serve it by a handler"
        )
