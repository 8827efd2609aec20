"""A robust line through a few points, the chance of its trend, and when it reaches a limit.

Slope: the median of the slopes of all pairs (H. Theil, 1950; P. K. Sen, Estimates of the Regression Coefficient Based
on Kendall's Tau, JASA 63, 1968). Level: the median of what the slope leaves over. Chance: Mann-Kendall's test (M. G.
Kendall, Rank Correlation Methods, 1975). Crossing: the interval of E. C. Fieller (Some Problems in Interval
Estimation, JRSS B 16, 1954), with the variances of these estimators under normal noise: pi/3 times least squares' for
the slope (Sen 1968, section 6: its efficiency against least squares is that of the Wilcoxon test, 3/pi), pi/2 for a
median.

scipy.stats.theilslopes gives the slope and its interval, not the crossing's, and scipy would make the monitor's
image 100 MB larger; forty points need 780 slopes, which plain Python sorts in 0.15 ms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, pi, sqrt
from statistics import NormalDist, median

_SLOPE_VARIANCE = pi / 3
_LEVEL_VARIANCE = pi / 2
_MAD_TO_SIGMA = 1.4826
MAD_EFFICIENCY = 0.37
"""Of the median absolute deviation against the standard deviation (Rousseeuw and Croux, JASA 88, 1993): so many
degrees of freedom are left of each."""
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Line:
    """value = level + slope * (time - centre); times in seconds, values in the signal's unit."""

    centre: float
    level: float
    slope: float
    noise: float
    """Robust standard deviation of a point about the line."""
    spread: float
    """Sum of the squared distances of the points' times from the centre, s^2."""
    count: int
    chance: float
    """Two-sided probability of so much order among points without a trend."""

    def at(self, time: float) -> float:
        """The value on the line."""
        return self.level + self.slope * (time - self.centre)

    def error_at(self, time: float) -> float:
        """Standard error of the value on the line."""
        of_slope = _SLOPE_VARIANCE * (time - self.centre) ** 2 / self.spread
        return sqrt(self.noise**2 * of_slope + self.error_of_median(self.count) ** 2)

    def error_of_median(self, count: int) -> float:
        """Standard error of the median of so many points about the line."""
        return self.noise * sqrt(_LEVEL_VARIANCE / count)

    def crossing(self, limit: float, confidence: float) -> tuple[float, float] | None:
        """The interval of times at which the line reaches a limit, or None when it may never do so.

        Args:
            limit: In the signal's unit.
            confidence: Of the interval, 0 to 1.
        """
        quantile = student_t(0.5 + confidence / 2, MAD_EFFICIENCY * (self.count - 2))
        variance = (quantile * self.noise) ** 2
        of_slope = variance * _SLOPE_VARIANCE / self.spread
        of_level = variance * _LEVEL_VARIANCE / self.count
        # (gap + slope u)^2 <= of_level + of_slope u^2, u being the time from the centre.
        gap = self.level - limit
        a = self.slope**2 - of_slope
        if a <= 0:
            return None
        b = gap * self.slope
        root = b * b - a * (gap * gap - of_level)
        if root < 0:  # cannot be while a > 0, apart from rounding
            root = 0.0
        return self.centre + (-b - sqrt(root)) / a, self.centre + (-b + sqrt(root)) / a


def fit(times: Sequence[float], values: Sequence[float]) -> Line:
    """The line through points [n], in order of time.

    Raises:
        ValueError: Fewer than three points, or all at one time.
    """
    count = len(times)
    if count < 3 or times[0] == times[-1]:
        raise ValueError(f"a line needs three points at different times, got {count}")
    slopes: list[float] = []
    order = 0
    for i in range(count - 1):
        time, value = times[i], values[i]
        for j in range(i + 1, count):
            rise = values[j] - value
            order += (rise > 0) - (rise < 0)
            run = times[j] - time
            if run > 0:
                slopes.append(rise / run)
    slope = median(slopes)
    centre = sum(times) / count
    rest = [value - slope * (time - centre) for time, value in zip(times, values, strict=True)]
    level = median(rest)
    noise = _MAD_TO_SIGMA * median([abs(value - level) for value in rest]) * sqrt(count / (count - 2))
    return Line(
        centre=centre,
        level=level,
        slope=slope,
        noise=noise,
        spread=sum((time - centre) ** 2 for time in times),
        count=count,
        chance=mann_kendall(order, count),
    )


def mann_kendall(order: int, count: int) -> float:
    """Two-sided chance of a sum of signs over all pairs at least that large, by its normal approximation."""
    if order == 0:
        return 1.0
    sigma = sqrt(count * (count - 1) * (2 * count + 5) / 18)
    return 2 * _NORMAL.cdf(-(abs(order) - 1) / sigma)


def student_t(probability: float, freedom: float) -> float:
    """Quantile of Student's t, by the expansion of Abramowitz and Stegun, 26.7.5; within 1 % from 5 degrees on."""
    if freedom < 1:
        return inf
    x = _NORMAL.inv_cdf(probability)
    g1 = (x**3 + x) / 4
    g2 = (5 * x**5 + 16 * x**3 + 3 * x) / 96
    g3 = (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384
    return x + g1 / freedom + g2 / freedom**2 + g3 / freedom**3
