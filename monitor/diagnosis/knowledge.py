"""What the diagnoses of all devices of a plant share, made once."""

from monitor.diagnosis.evidence import LogRatio
from monitor.diagnosis.plant import Plant
from monitor.diagnosis.quality import QualityLimits
from monitor.diagnosis.reasons import Reasons
from monitor.diagnosis.shapley import Score
from monitor.diagnosis.time_left import WearEstimator


class Knowledge:
    """The plant's file, worked up for the readings to come.

    Args:
        plant: The plant's file.
        score: Asks the model, for the reasons of a fault; None explains without it.
    """

    def __init__(self, plant: Plant, score: Score | None = None) -> None:
        self.plant = plant
        self.names = tuple(plant.signals)
        """Which values of a reading are looked at, and in which order."""
        self.signals = tuple(plant.signals.values())
        self.quality = QualityLimits(self.signals, plant.quality)
        self.log_ratio = LogRatio(plant.evidence)
        self.wear = WearEstimator(self.signals, plant.trend)
        self.reasons = Reasons(plant, score)
        self.mode_index = -1 if plant.mode is None else self.names.index(plant.mode.signal)
        self.hot_above = tuple(
            (index, plan.usual[1]) for index, plan in enumerate(self.signals) if index != self.mode_index
        )
        """The other signals' upper bounds: beyond one of them, a machine that stands still is stuck."""
