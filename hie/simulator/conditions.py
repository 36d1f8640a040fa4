"""The conditions people of the synthetic city come with, read from `conditions.yaml`.

It is a catalogue, not an epidemiology: `epidemiology` turns a condition into daily
counts, `laboratory` into results.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

AGE_GROUPS = ((0, 5), (6, 14), (15, 64), (65, 150))
"""Years of age, both ends included, that the weights `Condition.ages` speak of."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One reason to come: ICD-10 code, how often, who, when, where and with what consequence.

    `rate`: visits per 1,000 residents and day over the year. `peaks`: (day of year,
    strength) of the seasonal curve. `tiers`: share by kind of institution.
    `classes`: share by patient class (table 0004: O, E, I).
    """

    key: str
    group: str
    code: str
    name: str
    rate: float
    ages: tuple[float, ...]
    peaks: tuple[tuple[float, float], ...]
    trend: float
    tiers: dict[str, float]
    classes: dict[str, float]
    panels: tuple[str, ...]
    drugs: tuple[str, ...]

    def weight(self, age: int) -> float:
        """Return how likely somebody of this age has the condition, relative to the other ages."""
        for weight, (_, last) in zip(self.ages, AGE_GROUPS, strict=True):
            if age <= last:
                return weight
        return self.ages[-1]


@cache
def conditions() -> dict[str, Condition]:
    """Return every condition by its key, in the order of the file."""
    document = yaml.safe_load(files("hie.simulator").joinpath("conditions.yaml").read_bytes())
    return {
        row["key"]: Condition(
            **{
                **row,
                "ages": tuple(row["ages"]),
                "peaks": tuple((float(day), float(strength)) for day, strength in row["peaks"]),
                "panels": tuple(row["panels"]),
                "drugs": tuple(row["drugs"]),
            }
        )
        for row in document["conditions"]
    }


SURVEILLANCE_GROUPS = (
    "influenza-like",
    "hand-foot-mouth",
    "infectious-diarrhoea",
    "dysentery",
    "chickenpox",
    "mumps",
    "scarlet-fever",
    "pneumonia",
)
"""Groups that `history` counts; the other conditions are background care."""
