"""What a detector is: a name, its parameters, and a function from counts to thresholds.

A new detector is a module of this package that exports `DETECTORS`; nothing else
needs to know it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from hie.core.errors import ConfigurationError, RequestError

# (counts, **parameters) -> frame of `upperbound: float, alarm: boolean (NA where undefined)`,
# one row a judged point, under the index of `counts`
Detect = Callable[..., pd.DataFrame]


@dataclass(frozen=True, slots=True)
class Detector:
    """A named detector with the defaults of its parameters."""

    name: str
    detect: Detect
    parameters: Mapping[str, float] = field(default_factory=dict)

    def run(self, counts: "pd.Series[float]", **parameters: float) -> pd.DataFrame:
        """Return the thresholds and alarms of `counts`.

        `counts` has one value a day or week, in order, without gaps. The
        result keeps the index of the points that could be judged (the first
        ones have no baseline): `observed: float, upperbound: float,
        alarm: boolean`. Raises ConfigurationError for an unknown parameter,
        RequestError for counts that are missing or negative.
        """
        unknown = sorted(set(parameters) - set(self.parameters))
        if unknown:
            raise ConfigurationError(f"{self.name} has no parameter {', '.join(unknown)}")
        if counts.isna().any():
            raise RequestError(f"{self.name}: the series has a gap at {counts.index[counts.isna()][0]}")
        if (counts < 0).any():
            raise RequestError(f"{self.name}: the series is negative at {counts.index[counts < 0][0]}")
        result = self.detect(counts.astype("float64"), **{**self.parameters, **parameters})
        result.insert(0, "observed", counts.reindex(result.index).astype("float64"))
        return result
