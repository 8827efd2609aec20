"""The reference: how the training rows are distributed that a model calls healthy (reference.json in its bundle)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from contract.reference import QUANTILES, Reference

_DIGITS = 7  # as many as the float32 that is scored


class NoHealthyRow(ValueError):  # noqa: N818 - it names the rows
    """The model calls every row a fault, so nothing can be said of how a healthy machine looks."""


def make_reference(
    signals: npt.NDArray[np.float64],
    probabilities: npt.NDArray[np.float64],
    *,
    names: Sequence[str],
    threshold: float,
) -> Reference:
    """The quantiles of each signal and of the probability, over the rows below the threshold.

    Args:
        signals: [n, k], each in its unit: the rows that were trained on.
        probabilities: [n], as the model that is served gives them.
        names: Of the k columns.
        threshold: Probability from which on a row is called a fault.

    Raises:
        NoHealthyRow: No row lies below the threshold.
    """
    healthy = probabilities < threshold
    if not healthy.any():
        raise NoHealthyRow(
            f"the model calls each of the {len(signals)} rows a fault (threshold {threshold:g}); expected "
            "rows of a healthy machine among those that it was trained on"
        )
    return Reference(
        rows=int(healthy.sum()),
        signals={name: _quantiles(column) for name, column in zip(names, signals[healthy].T, strict=True)},
        probability=_quantiles(probabilities[healthy]),
    )


def _quantiles(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    # Rounding keeps the order, so the file is short and the quantiles do not fall.
    return tuple(
        float(f"{value:.{_DIGITS}g}") for value in np.quantile(values, np.linspace(0.0, 1.0, QUANTILES))
    )
