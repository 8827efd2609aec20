"""The runtimes give the same scores, from any thread, and refuse what they cannot use."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from inference.bundle import Bundle
from inference.errors import ModelUnusable
from inference.runtimes import load_runtime
from inference.service import load_model

FASTEST_CHANGING = (1, 2, 3, 7, 64, 256, 257, 1000)


def rows(count: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Half of them around what fans send, half anywhere in the plausible ranges."""
    rng = np.random.default_rng(seed)
    usual = rng.uniform((400, 30, 80, 40), (720, 60, 260, 65), (count - count // 2, 4))
    anywhere = rng.uniform((0, -40, 0, 0), (1500, 150, 1000, 150), (count // 2, 4))
    return np.concatenate([usual, anywhere]).astype(np.float32)


def with_file(bundle: Bundle, name: str, content: bytes) -> Bundle:
    """The bundle with another file, its digest right."""
    digest = hashlib.sha256(content).hexdigest()
    manifest = bundle.manifest.model_copy(update={"files": {name: digest}})
    return Bundle(manifest, {name: content})


def test_litert_and_tensorflow_agree_within_1e_5_on_10000_rows(bundle: Bundle) -> None:
    sample = rows(10_000)
    litert = load_runtime("litert", bundle).probabilities(sample)
    tensorflow = load_runtime("tensorflow", bundle).probabilities(sample)
    assert litert.dtype == tensorflow.dtype == np.float32
    assert litert.shape == tensorflow.shape == (10_000,)
    assert litert.min() < 0.01
    assert litert.max() > 0.99
    np.testing.assert_allclose(litert, tensorflow, rtol=0, atol=1e-5)


def test_a_row_has_the_same_score_alone_and_in_any_batch(bundle: Bundle) -> None:
    runtime = load_runtime("litert", bundle)
    sample = rows(1000)
    whole = runtime.probabilities(sample)
    for size in FASTEST_CHANGING:
        np.testing.assert_allclose(runtime.probabilities(sample[:size]), whole[:size], rtol=0, atol=1e-6)


def test_threads_do_not_disturb_each_other(bundle: Bundle) -> None:
    runtime = load_runtime("litert", bundle)
    samples = [rows(50 + seed, seed) for seed in range(64)]
    expected = [runtime.probabilities(sample) for sample in samples]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            for found, wanted in zip(pool.map(runtime.probabilities, samples), expected, strict=True):
                np.testing.assert_array_equal(found, wanted)


def test_an_answer_is_not_overwritten_by_the_next(bundle: Bundle) -> None:
    runtime = load_runtime("litert", bundle)
    first = runtime.probabilities(rows(10, seed=1))
    kept = first.copy()
    runtime.probabilities(rows(10, seed=2))
    np.testing.assert_array_equal(first, kept)


def test_an_unknown_runtime_is_refused_with_those_that_are_known(bundle: Bundle) -> None:
    with pytest.raises(
        ModelUnusable,
        match="runtime 'torch' is unknown; expected one of auto, litert, onnx, tensorflow, handler",
    ):
        load_runtime("torch", bundle)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 4096], ids=["empty", "text", "zeros"])
def test_a_file_with_the_right_digest_that_is_no_model_is_refused(bundle: Bundle, content: bytes) -> None:
    with pytest.raises(ModelUnusable, match="is no LiteRT model"):
        load_runtime("litert", with_file(bundle, "model.tflite", content))


def test_a_bundle_without_the_file_that_a_runtime_needs_is_refused(bundle: Bundle) -> None:
    with pytest.raises(ModelUnusable, match=r"holds no model\.tflite, which runtime litert needs"):
        load_runtime("litert", with_file(bundle, "model.keras", b"anything"))


def test_a_model_with_other_inputs_than_the_manifest_says_is_refused(bundle: Bundle) -> None:
    three = bundle.manifest.model_copy(update={"signals": bundle.manifest.signals[:3]})
    with pytest.raises(ModelUnusable, match=r"expected float32\[-1, 3\]"):
        load_runtime("litert", Bundle(three, bundle.files))


def test_a_fault_is_said_from_the_threshold_on(bundle: Bundle) -> None:
    sample = rows(500)
    cut = float(np.median(load_runtime("litert", bundle).probabilities(sample)))
    model = load_model(Bundle(bundle.manifest.model_copy(update={"threshold": cut}), bundle.files), "litert")
    probability, fault = model.score(sample)
    assert fault.dtype == np.int32
    np.testing.assert_array_equal(fault == 1, probability >= np.float32(cut))
    assert 0 < fault.sum() < 500


def test_a_keras_model_with_code_in_it_is_refused_before_the_code_runs(
    bundle: Bundle, tmp_path: Path
) -> None:
    import keras  # noqa: PLC0415 - ten seconds, for the tests that need it

    ran, path = tmp_path / "ran", tmp_path / "model.keras"
    marker = str(ran)

    # A lambda is stored as bytecode; a function with a name would be looked for by its name.
    attack = lambda rows: Path(marker).write_text("ran") * 0 + rows[:, :1] * 0 + 0.1  # noqa: E731
    signals = keras.Input((4,))
    keras.Model(signals, keras.layers.Lambda(attack, output_shape=(1,))(signals)).save(path)
    ran.unlink(missing_ok=True)  # making the model may have run it
    with pytest.raises(ModelUnusable, match=r"model\.keras: is no Keras model: .*afe"):
        load_runtime("tensorflow", Bundle(bundle.manifest, {"model.keras": path.read_bytes()}))
    assert not ran.exists()
