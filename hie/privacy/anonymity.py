"""k-anonymity of patients by generalisation and suppression. Pure.

Sweeney L. Achieving k-anonymity privacy protection using generalization and suppression. Int J Uncertainty,
Fuzziness and Knowledge-Based Systems 10 (5), 2002: 571-588: each released record has at least k - 1 others
with the same quasi-identifiers. Here these are the year of birth, gender and region; they are generalised
for all patients alike (full-domain), as little as is needed, and patients who stay in a class below k are
left out, as long as these are few.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final, NamedTuple

from hie.core.security_errors import AnonymityError

# Years of birth that are one, from a year of its own to all years; by how much of the region is told.
_YEARS: Final = (1, 5, 10, 20, 0)
_REGIONS: Final = (2, 1, 0)
_GENDERS: Final = (True, False)


class Quasi(NamedTuple):
    """The quasi-identifiers of a patient; None or () where they are not told.

    `region` is the state (province) and the city of the first Address that has one.
    """

    born: int | None
    gender: str | None
    region: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Level:
    """How far quasi-identifiers are generalised.

    `years` of birth are one, 0 for all; `regions` are told down to the city (2), the state (1) or not at all;
    `has_gender` says whether gender is told.
    """

    years: int
    regions: int
    has_gender: bool

    def of(self, quasi: Quasi) -> Quasi:
        """Return `quasi` generalised; a band of years is named by its first."""
        born = None
        if quasi.born is not None and self.years:
            born = quasi.born - quasi.born % self.years
        return Quasi(born, quasi.gender if self.has_gender else None, quasi.region[: self.regions])


@dataclass(frozen=True, slots=True)
class Settled:
    """The level that was found: its classes of at least k patients, and how many patients are left out."""

    level: Level
    classes: Mapping[Quasi, int]
    suppressed: int


def settle(
    counts: Mapping[Quasi, int], *, k: int, most_suppressed: float, regions: int = _REGIONS[0]
) -> Settled:
    """Return the least generalisation of patients, counted by quasi-identifiers, that is k-anonymous.

    At most the share `most_suppressed` of them is left out; region is told down to `regions` at the finest.
    Among levels of one height the one that leaves out fewest goes first. Raises AnonymityError where none
    does.
    """
    total = sum(counts.values())
    if total < k:
        raise AnonymityError(f"{total} patients are fewer than k = {k}")
    best: Settled | None = None
    height = -1
    for at, level in _levels(regions):
        if best is not None and at > height:
            break
        classes = Counter[Quasi]()
        for quasi, count in counts.items():
            classes[level.of(quasi)] += count
        kept = {quasi: count for quasi, count in classes.items() if count >= k}
        left_out = total - sum(kept.values())
        if left_out <= most_suppressed * total and (best is None or left_out < best.suppressed):
            best, height = Settled(level, kept, left_out), at
    if best is None:
        raise AnonymityError(
            f"No generalisation makes classes of at least k = {k} without leaving out more than"
            f" {most_suppressed:.0%} of {total} patients"
        )
    return best


def _levels(regions: int) -> Iterator[tuple[int, Level]]:
    """Return the levels with their heights in the lattice, the lowest first."""
    of_region = tuple(each for each in _REGIONS if each <= regions)
    found = [
        (steps[0] + steps[1] + steps[2], Level(_YEARS[steps[0]], of_region[steps[1]], _GENDERS[steps[2]]))
        for steps in product(range(len(_YEARS)), range(len(of_region)), range(len(_GENDERS)))
    ]
    return iter(sorted(found, key=lambda each: each[0]))
