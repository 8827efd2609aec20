"""The Skoltech Anomaly Benchmark: each recording's first rows are learned from, what follows is judged.

Nothing here looks at a label but the score: the baseline and the limits come from the healthy rows of the
same recording, and how evidence is gathered was settled on the benchmark's valve1 and anomaly-free recordings.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluation.outliers import OutlierScore, pool, score_rows
from monitor.diagnosis.gathering import Gathering
from monitor.diagnosis.plant import GatheringSettings
from training.baseline import learn_baseline
from training.recording import InvalidRecording, Machine, has_column, read_labelled, read_machine

LABEL = "anomaly"
DESCRIPTION = Path(__file__).with_name("skab.toml")


class NothingToEvaluate(ValueError):  # noqa: N818 - it names the thing
    """A folder without a labelled recording; says what was expected."""


@dataclass(frozen=True)
class Judged:
    """What was made of one recording.

    Attributes:
        name: Its path below the folder, with slashes.
        labels: [n], 1 is a fault.
        scores: [n], the largest deviation of any channel in units of its limit; 0 in the healthy stretch.
        called: [n], whether the gathered state was a fault.
        channels: Of each row the channel of that deviation; None in the healthy stretch.
        learned_rows: Rows from the start that were learned from and are not judged.
    """

    name: str
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    called: npt.NDArray[np.bool_]
    channels: tuple[str | None, ...]
    learned_rows: int

    @property
    def score(self) -> OutlierScore:
        """Over the rows that are judged."""
        return score_rows(self.labels[self.learned_rows :], self.called[self.learned_rows :])


def skab_machine() -> Machine:
    """The test bed's description."""
    return read_machine(DESCRIPTION)


def find_recordings(folder: Path, machine: Machine) -> tuple[list[Path], list[Path]]:
    """The CSV files in a folder and below it: those with labels, and those without, in the order of their numbers.

    Raises:
        NothingToEvaluate: The folder is not there, or holds no CSV file with the label's column.
        InvalidRecording: A file cannot be read.
    """
    if not folder.is_dir():
        raise NothingToEvaluate(
            f"{folder}: no such folder; expected one with recordings of the benchmark (.csv)"
        )
    labelled: list[Path] = []
    unlabelled: list[Path] = []
    for path in sorted(folder.rglob("*.csv"), key=_natural):
        (labelled if has_column(path, machine, LABEL) else unlabelled).append(path)
    if not labelled:
        found = f"{len(unlabelled)} .csv files without it" if unlabelled else "no .csv file"
        raise NothingToEvaluate(f"{folder}: expected .csv files with a column {LABEL}, found {found}")
    return labelled, unlabelled


def judge(path: Path, name: str, machine: Machine, settings: GatheringSettings | None = None) -> Judged:
    """Learn from a recording's healthy stretch and pass judgement on every row behind it.

    Raises:
        InvalidRecording: The file is no recording of the machine, or too short.
    """
    recording, labels = read_labelled(path, machine, LABEL)
    learned = machine.healthy_rows
    if len(recording) <= learned:
        raise InvalidRecording(
            f"{path}: {len(recording)} rows; expected more than the {learned} that are learned from"
        )
    baseline = learn_baseline(recording.signals[:learned], machine.names)
    # Inference answers in float32; so does this, and the state is the one that a live monitor gathers.
    probabilities = baseline.probabilities(recording.signals).astype(np.float32)
    gathering = Gathering(machine.names, settings or GatheringSettings(healthy_readings=learned))
    gathered = [
        gathering.step(values, probability)
        for values, probability in zip(recording.signals.tolist(), probabilities.tolist(), strict=True)
    ]
    return Judged(
        name=name,
        labels=labels,
        scores=np.array([step.score for step in gathered]),
        called=np.array([step.fault for step in gathered]),
        channels=tuple(step.channel for step in gathered),
        learned_rows=learned,
    )


def figures(judged: Iterable[Judged], left_out: Iterable[str] = ()) -> dict[str, Any]:
    """What metrics.json holds: f1, far and mar pooled, and everything pooled and for each file."""
    scores = {each.name: each.score for each in judged}
    pooled = pool(scores.values())
    return {
        "f1": pooled.f1,
        "far": pooled.far,
        "mar": pooled.mar,
        "pooled": _figures(pooled),
        "files": {name: _figures(score) for name, score in scores.items()},
        "left_out": list(left_out),
    }


def table(judged: Iterable[Judged]) -> str:
    """The figures of each recording and pooled, as lines for a terminal."""
    scores = [(each.name, each.score) for each in judged]
    wide = max(len(name) for name, _ in [*scores, ("pooled", None)])
    lines = [
        f"{'recording':{wide}}  {'F1':>6}  {'FAR %':>6}  {'MAR %':>6}  {'faults found':>12}  {'delay':>6}"
    ]
    lines += [_line(name, score, wide) for name, score in scores]
    lines.append(_line("pooled", pool(score for _, score in scores), wide))
    return "\n".join([*lines, "delay: median readings from the label's start to the first alarm in it"])


def _line(name: str, score: OutlierScore, wide: int) -> str:
    found = f"{score.stretches_found} of {len(score.delays)}"
    return (
        f"{name:{wide}}  {_shown(score.f1, '.3f')}  {_shown(score.far, '.1f', 100)}  "
        f"{_shown(score.mar, '.1f', 100)}  {found:>12}  {_shown(score.median_delay, '.0f')}"
    )


def _shown(value: float | None, form: str, times: float = 1) -> str:
    return f"{'-' if value is None else format(times * value, form):>6}"


def _figures(score: OutlierScore) -> dict[str, Any]:
    return {
        "f1": score.f1,
        "far": score.far,
        "mar": score.mar,
        "tp": score.found,
        "fp": score.false,
        "fn": score.missed,
        "tn": score.quiet,
        "faults": len(score.delays),
        "faults_found": score.stretches_found,
        "median_delay_readings": score.median_delay,
    }


def _natural(path: Path) -> tuple[str, int, str]:
    return str(path.parent), int(path.stem) if path.stem.isdigit() else -1, path.name
