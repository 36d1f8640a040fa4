"""Laboratory panels of the synthetic city and the values they give, read from `laboratory.yaml`.

Names are those printed on Chinese reports. No licensed code list is used: every
hospital codes panels and tests with its own codes (`vendors`). Reference ranges
belong to the fictional laboratories.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from random import Random
from typing import Literal

import yaml

from hie.simulator.seeding import happens


@dataclass(frozen=True, slots=True)
class Test:
    """One test: measured with a `mean`, `coded` as (negative, positive), or described by a `text`."""

    number: int
    short: str
    name: str
    unit: str = ""
    range: tuple[float, float] | Mapping[str, tuple[float, float]] = (0.0, 0.0)
    mean: float | None = None
    sd: float = 0.0
    digits: int = 0
    below: float | None = None
    shift: Mapping[str, float] = field(default_factory=dict)
    coded: tuple[str, ...] = ()
    positive: Mapping[str, float] = field(default_factory=dict)
    default: float = 0.0
    text: str = ""

    def limits(self, sex: str) -> tuple[float, float]:
        """Return the reference range printed for this sex."""
        low, high = self.range[sex] if isinstance(self.range, Mapping) else self.range
        return low, high


@dataclass(frozen=True, slots=True)
class Panel:
    """Tests ordered and reported together."""

    number: int
    name: str
    short: str
    specimen: str
    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """One result as the laboratory prints it: `value` as text, `flag` of table 0078 or "" when normal."""

    test: Test
    type: Literal["NM", "SN", "CE", "TX"]
    value: str
    reference: str
    flag: Literal["", "H", "L", "A", "N"]


@cache
def panels() -> dict[str, Panel]:
    """Return every panel by its key."""
    document = yaml.safe_load(files("hie.simulator").joinpath("laboratory.yaml").read_bytes())
    return {
        key: Panel(**{**row, "tests": tuple(Test(**test) for test in row["tests"])})
        for key, row in document["panels"].items()
    }


def measure(draws: Random, test: Test, sex: str, condition: str) -> Result:
    """Return one result of `test` for somebody of this sex with this condition."""
    if test.text:
        return Result(test, "TX", test.text, "", "")
    if test.coded:
        is_positive = happens(draws, test.positive.get(condition, test.default))
        return Result(test, "CE", test.coded[is_positive], test.coded[0], "A" if is_positive else "N")
    shift = test.shift.get(condition, 1.0)
    value = max(0.0, draws.gauss((test.mean or 0.0) * shift, test.sd * max(1.0, shift / 2)))
    low, high = test.limits(sex)
    reference = f"{low:g}-{high:g}"
    if test.below is not None and value < test.below:
        return Result(test, "SN", f"{test.below:g}", reference, "N")
    flag: Literal["H", "L", "N"] = "H" if value > high else "L" if value < low else "N"
    return Result(test, "NM", f"{value:.{test.digits}f}", reference, flag)
