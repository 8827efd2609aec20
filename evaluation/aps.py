"""APS failure at Scania trucks: the files of the UCI repository, a model, and what its mistakes cost.

The data (Scania CV AB, 2016; UCI Machine Learning Repository, data set 421): 60,000 trucks to learn from and 16,000 to
judge by, each 170 anonymised counters and a class, ``pos`` for a failure of the air pressure system. Its task sets the
cost: 10 for a check of a healthy truck, 500 for a failure that is missed. Failures are 1.7 % of the trucks, and in some
columns four of five values are missing ("na").
"""

import hashlib
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold

TRAINING_FILE = "aps_failure_training_set.csv"
TEST_FILE = "aps_failure_test_set.csv"
SCANIAS_ROWS = (60_000, 16_000)
SIGNALS = 170
MISSING = -1.0
"""In place of "na". Every counter is 0 or more, so a tree tells it from all of them; a request cannot hold a NaN."""

COST_FALSE_ALARM = 10
COST_MISS = 500

_CLASSES = {"neg": 0, "pos": 1}
_FOLDS = 5


class InvalidTrucks(ValueError):  # noqa: N818 - it names the thing
    """A file that is not of the form of Scania's; says what was expected."""


@dataclass(frozen=True)
class Trucks:
    """Rows of one file.

    Attributes:
        names: Of the k counters.
        signals: float32 [n, k], MISSING where the file says "na".
        failures: [n], 1 for a failure of the air pressure system.
        digest: SHA-256 of the file.
    """

    names: tuple[str, ...]
    signals: npt.NDArray[np.float32]
    failures: npt.NDArray[np.int64]
    digest: str


@dataclass(frozen=True)
class Cost:
    """What calls of trucks as faulty cost."""

    false_alarms: int
    misses: int

    @property
    def total(self) -> int:
        """10 for each false alarm and 500 for each miss."""
        return COST_FALSE_ALARM * self.false_alarms + COST_MISS * self.misses


@dataclass(frozen=True)
class Outcome:
    """A model and how it does.

    Attributes:
        model: Fitted on all of the training file.
        threshold: Probability from which on a truck is called faulty; chosen without the test file.
        expected: Cost on the training file, each truck scored by a model that has not seen it.
        found: Cost on the test file.
        never: Cost on the test file when no truck is ever called faulty.
        always: Cost on the test file when each one is.
    """

    model: HistGradientBoostingClassifier
    threshold: float
    expected: Cost
    found: Cost
    never: Cost
    always: Cost


def read_trucks(path: Path) -> Trucks:
    """Read a file of the data set: a licence, then a CSV whose header begins with ``class``.

    Raises:
        InvalidTrucks: It cannot be read or is not of that form.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidTrucks(f"{path}: cannot be read: {error}") from error
    start = 0 if text.startswith("class,") else text.find("\nclass,") + 1
    if start == 0 and not text.startswith("class,"):
        raise InvalidTrucks(f"{path}: has no line that begins with 'class,'; expected the header of the CSV")
    columns = text[start:].split("\n", 1)[0].count(",")
    if columns != SIGNALS:
        raise InvalidTrucks(f"{path}: the header names {columns} columns beside class; expected {SIGNALS}")
    try:
        frame = pd.read_csv(io.StringIO(text[start:]), na_values=["na"], keep_default_na=False)
        signals = frame.drop(columns="class").to_numpy(dtype=np.float64)
    except (ValueError, pd.errors.ParserError) as error:
        raise InvalidTrucks(f"{path}: expected numbers and na below the header: {error}") from error
    strangers = sorted(set(frame["class"].astype(str)) - set(_CLASSES))
    if strangers:
        raise InvalidTrucks(f"{path}: class {', '.join(strangers[:3])}; expected neg or pos")
    if not len(signals):
        raise InvalidTrucks(f"{path}: has no row below its header")
    if np.nanmin(signals, initial=0.0) < 0 or np.isinf(signals).any():
        raise InvalidTrucks(f"{path}: a counter is below 0 or infinite; expected 0 or more")
    return Trucks(
        tuple(frame.columns.drop("class")),
        np.nan_to_num(signals, nan=MISSING).astype(np.float32),
        np.array([_CLASSES[name] for name in frame["class"]], dtype=np.int64),
        hashlib.sha256(content).hexdigest(),
    )


def cost_of(failures: npt.NDArray[np.int64], called: npt.NDArray[np.bool_]) -> Cost:
    """What it costs to call some trucks faulty, [n]."""
    return Cost(int(np.sum(called & (failures == 0))), int(np.sum(~called & (failures == 1))))


def cheapest_threshold(failures: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64]) -> float:
    """The probability from which on calling a truck faulty costs least.

    Args:
        failures: [n].
        probabilities: [n], of models that have not seen the truck.

    Returns:
        Half-way to the next lower probability that somebody has, so that rounding decides nothing.
    """
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    false_alarms = np.concatenate([[0], np.cumsum(failures[order] == 0)])
    misses = failures.sum() - np.concatenate([[0], np.cumsum(failures[order] == 1)])
    costs = COST_FALSE_ALARM * false_alarms + COST_MISS * misses
    # A threshold cannot part equals: only the last of them is a place to cut.
    possible = np.concatenate([[True], ranked[1:] != ranked[:-1], [True]])
    called = int(np.flatnonzero(possible)[np.argmin(costs[possible])])
    above = 1.0 if called == 0 else float(ranked[called - 1])
    below = 0.0 if called == len(ranked) else float(ranked[called])
    return (above + below) / 2


def unseen_probabilities(
    trucks: Trucks, seed: int, progress: Callable[[Iterable[int]], Iterable[int]] = iter
) -> npt.NDArray[np.float64]:
    """Probability of a failure [n], each truck scored by a model that was fitted on the others' folds."""
    found = np.empty(len(trucks.failures))
    folds = list(
        StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(trucks.signals, trucks.failures)
    )
    for number in progress(range(_FOLDS)):
        fitted, judged = folds[number]
        model = new_model(seed).fit(trucks.signals[fitted], trucks.failures[fitted])
        found[judged] = model.predict_proba(trucks.signals[judged])[:, 1]
    return found


def new_model(seed: int) -> HistGradientBoostingClassifier:
    """Boosted trees; both classes weigh the same in all, where 59 of 60 trucks would say never."""
    return HistGradientBoostingClassifier(
        max_iter=300,
        learning_rate=0.1,
        l2_regularization=1.0,
        class_weight="balanced",
        early_stopping=True,
        n_iter_no_change=10,
        tol=1e-3,
        random_state=seed,
    )


def judge(
    training: Trucks,
    test: Trucks,
    *,
    seed: int = 1,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Outcome:
    """Fit on one file, choose the threshold there, and count on the other.

    Raises:
        InvalidTrucks: The files have other columns, or fewer than five failures to learn from.
    """
    if training.names != test.names:
        raise InvalidTrucks("the two files have other columns; expected the same in the same order")
    if training.failures.sum() < _FOLDS:
        raise InvalidTrucks(
            f"{int(training.failures.sum())} failures to learn from; expected at least {_FOLDS}"
        )
    unseen = unseen_probabilities(training, seed, progress)
    threshold = cheapest_threshold(training.failures, unseen)
    model = new_model(seed).fit(training.signals, training.failures)
    called = model.predict_proba(test.signals)[:, 1] >= threshold
    return Outcome(
        model,
        threshold,
        cost_of(training.failures, unseen >= threshold),
        cost_of(test.failures, called),
        cost_of(test.failures, np.zeros_like(called)),
        cost_of(test.failures, np.ones_like(called)),
    )
