"""EARS C1, C2 and C3: a point against the mean and deviation of the week before it.

Hutwagner, Thompson, Seeman, Treadwell: "The bioterrorism preparedness and response
Early Aberration Reporting System (EARS)", J Urban Health 2003, 80(2 Suppl 1):i89-i96.
Thresholds are those of `earsC` of the R package surveillance (1.20.3): the normal
quantile at `1 - alpha`, and C3 around the observed count as its code (not its manual)
has it. Equal to R within 1e-9, tests/analytics/test_ears.py.
"""

from statistics import NormalDist
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.detectors.detector import Detector

_LAG: Final = 2  # days between the baseline and the point, for C2 and C3
_MEMORY: Final = 2  # earlier points that C3 adds up


def c1(counts: "pd.Series[float]", *, baseline: float, minimum_sigma: float, alpha: float) -> pd.DataFrame:
    """Return C1: the baseline is the `baseline` points right before the one judged."""
    means, deviations = _baselines(counts.to_numpy(dtype=np.float64), int(baseline), 0, minimum_sigma)
    return _result(counts, means + _quantile(alpha) * deviations)


def c2(counts: "pd.Series[float]", *, baseline: float, minimum_sigma: float, alpha: float) -> pd.DataFrame:
    """Return C2: as C1 with two points left out between the baseline and the one judged."""
    means, deviations = _baselines(counts.to_numpy(dtype=np.float64), int(baseline), _LAG, minimum_sigma)
    return _result(counts, means + _quantile(alpha) * deviations)


def c3(counts: "pd.Series[float]", *, baseline: float, minimum_sigma: float, alpha: float) -> pd.DataFrame:
    """Return C3: C2 with the excess of the two points before it added up.

    Where a baseline does not vary and `minimum_sigma` is 0 the excess is
    undefined: such a point has no threshold and its alarm is NA, as in R.
    """
    observed = counts.to_numpy(dtype=np.float64)
    means, deviations = _baselines(observed, int(baseline), _LAG, minimum_sigma)
    judged = observed[len(observed) - len(means) :]
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.maximum(0.0, (judged - means) / deviations - 1.0)
        carried = excess[1:-1] + excess[:-2]
        bound = judged[_MEMORY:] + deviations[_MEMORY:] * (_quantile(alpha) - carried)
    return _result(counts, np.maximum(0.0, bound))


def _baselines(
    observed: NDArray[np.floating[Any]], length: int, lag: int, minimum_sigma: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and deviation of each point's baseline, for the points that have a whole one."""
    if len(observed) <= length + lag:
        empty = np.empty(0)
        return empty, empty
    windows = np.lib.stride_tricks.sliding_window_view(observed[: len(observed) - 1 - lag], length)
    deviations = windows.std(axis=1, ddof=1)
    return windows.mean(axis=1), np.maximum(deviations, minimum_sigma)


def _quantile(alpha: float) -> float:
    return NormalDist().inv_cdf(1.0 - alpha)


def _result(counts: "pd.Series[float]", bound: NDArray[np.float64]) -> pd.DataFrame:
    index = counts.index[len(counts) - len(bound) :]
    upperbound = pd.Series(bound, index=index)
    alarm = (counts.reindex(index) > upperbound).astype("boolean").mask(upperbound.isna())
    return pd.DataFrame({"upperbound": upperbound, "alarm": alarm})


DETECTORS: Final = (
    Detector("ears-c1", c1, {"baseline": 7, "minimum_sigma": 0.0, "alpha": 0.001}),
    Detector("ears-c2", c2, {"baseline": 7, "minimum_sigma": 0.0, "alpha": 0.001}),
    Detector("ears-c3", c3, {"baseline": 7, "minimum_sigma": 0.0, "alpha": 0.025}),
)
