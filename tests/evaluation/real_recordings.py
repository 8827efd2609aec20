"""Where the real recordings are, on a machine that has them: a clone has none, and tests of made ones stand in."""

from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).parents[2]
# Beside the clone, or beside the folder of its worktrees.
_PLACES = [folder / "shared" / "data" for folder in _REPOSITORY.parents[:2]]
_DATA = next((place for place in _PLACES if place.is_dir()), _PLACES[0])

FAN_CSV = _DATA / "fan.csv"
SKAB = _DATA / "skab"

needs_fan_csv = pytest.mark.skipif(
    not FAN_CSV.exists(), reason=f"LEFT OUT: the recording {FAN_CSV} is not in a clone"
)
needs_skab = pytest.mark.skipif(
    not SKAB.is_dir(),
    reason=f"LEFT OUT: the benchmark's recordings are not part of this repository and {SKAB} is not there; "
    "made recordings of the same form were tested",
)
