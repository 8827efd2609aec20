"""The oracle: the best that any model can do on one reading of the fan."""

import numpy as np
import numpy.typing as npt

from training.fan import FAULTY, HEALTHY


class UnknownToTheOracle(ValueError):  # noqa: N818 - it names the rows
    """Rows that neither distribution can have produced."""


def fault_posterior(signals: npt.NDArray[np.float64], faulty_share: float = 0.5) -> npt.NDArray[np.float64]:
    """Probability of a fault given one reading, when the two distributions are known (the box test).

    Derivation. A healthy reading is uniform in a box H, a faulty one in a box F (training.fan), so their densities are
    1/|H| inside H and 1/|F| inside F and nothing elsewhere, |.| being the volume. With the share s of faulty readings,
    Bayes' rule gives

        P(fault | x) = s [x in F]/|F|  /  (s [x in F]/|F| + (1 - s) [x in H]/|H|).

    Three values follow: 1 where only F reaches (slow, hot, shaking or loud), 0 where only H does (above 650 r/min),
    and between them, where the boxes overlap, a constant: |H| = 200*10*100*7 = 1.4e6, |F| = 250*20*150*15 = 11.25e6,
    so at s = 1/2 it is 1.4/(1.4 + 11.25) = 0.1107. No reading there can be told apart, so by the Neyman-Pearson lemma
    ranking by this posterior has the highest expected AUC, and cutting it at 1/2 the highest expected accuracy.

    What follows for the fan: a faulty reading falls into H with the probability 0.6 * 0.5 * 2/3 * 7/15 = 0.0933 (the
    signals are independent), which no model can catch. At s = 1/2 the expected accuracy is 1 - 0.0933/2 = 0.9533; a
    healthy reading has the posterior 0 with the probability 50/200, so the expected AUC, ties counting half, is
    0.9067 + 0.0933 * (0.25 + 0.75/2) = 0.9650. Rounding to 0.1 makes both slightly lower.

    Args:
        signals: [n, 4], in the order of FAN_SIGNALS.
        faulty_share: The share s of faulty readings.

    Returns:
        [n] probabilities.

    Raises:
        UnknownToTheOracle: A row lies in neither box, so nothing is known of it.
    """
    healthy = (1 - faulty_share) * HEALTHY.density * HEALTHY.holds(signals)
    faulty = faulty_share * FAULTY.density * FAULTY.holds(signals)
    evidence = healthy + faulty
    if not np.all(evidence > 0):
        count = int(np.sum(evidence == 0))
        raise UnknownToTheOracle(
            f"{count} of {len(signals)} rows lie outside both recorded distributions; the first is "
            f"{signals[np.argmin(evidence)].tolist()}"
        )
    return faulty / evidence
