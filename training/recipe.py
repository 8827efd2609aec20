"""How a model is built and fitted; apart from the model, which takes ten seconds to import."""

from dataclasses import dataclass

_STEPS = 6000


class TrainingFailed(RuntimeError):  # noqa: N818 - it names the state
    """The network learned nothing that can be calibrated."""


@dataclass(frozen=True)
class Recipe:
    """How the network is built and fitted.

    Attributes:
        seed: Of the weights and of the order of the rows.
        epochs: Passes over the rows.
        batch_rows: Rows in one step of the optimiser; None chooses 32 to 512 so that there are some 6,000 steps.
        hidden: Units of each hidden layer.
        learning_rate: Of Adam at the start; it falls to 0 along a cosine.
    """

    seed: int = 1
    epochs: int = 40
    batch_rows: int | None = None
    hidden: tuple[int, ...] = (32, 32)
    learning_rate: float = 3e-3

    def batch_for(self, rows: int) -> int:
        """Rows in one step when there are so many in all."""
        if self.batch_rows is not None:
            return self.batch_rows
        wanted = max(1, rows * self.epochs // _STEPS)
        return min(512, max(32, 1 << (wanted.bit_length() - 1)))
