"""Files of the form of Scania's: a licence, 171 columns, "na", few failures. Made here; nothing of them is Scania's."""

from pathlib import Path

import numpy as np

from evaluation.aps import SIGNALS, TEST_FILE, TRAINING_FILE

LICENCE = """\
This file is made by a test, in the form of the APS Failure and Operational Data for Scania Trucks.
It begins, as those do, with lines that are no CSV,

such as: class of licence, or a table of costs
--------------------------------------------------
"""
NAMES = tuple(
    f"{chr(97 + number // 26)}{chr(97 + number % 26)}_{number % 10:03d}" for number in range(SIGNALS)
)


def write_files(folder: Path, rows: tuple[int, int] = (800, 400), failing: float = 0.1) -> Path:
    """Both files: eight counters grow where a truck fails, and with the truck's age; the others say nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, count) in enumerate(zip((TRAINING_FILE, TEST_FILE), rows, strict=True)):
        rng = np.random.default_rng(seed)
        failures = rng.random(count) < failing
        age = rng.lognormal(0, 0.5, (count, 1))
        counters = rng.lognormal(5, 1, (count, SIGNALS)) * age
        counters[:, :8] *= np.where(failures, 15, 1)[:, None]
        missing = rng.random((count, SIGNALS)) < np.linspace(0.02, 0.8, SIGNALS)
        lines = [
            ",".join(
                [
                    "pos" if failures[row] else "neg",
                    *(
                        "na" if gone else f"{value:.0f}"
                        for value, gone in zip(counters[row], missing[row], strict=True)
                    ),
                ]
            )
            for row in range(count)
        ]
        text = LICENCE + "\n".join([",".join(["class", *NAMES]), *lines]) + "\n"
        (folder / name).write_text(text)
    return folder
