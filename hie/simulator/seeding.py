"""Random streams of the synthetic city: one stream a name, so that order of use never matters.

It is not a source of secrets. Every draw of the simulator comes from a stream
named by the seed and by what is drawn ("person block 17", "counts 2026-01-05"),
so a part can be drawn again, alone, and gives the same values.
"""

import math
import random

_NORMAL_FROM = 30.0
"""Mean from which a Poisson count is drawn by the normal approximation: below it Knuth's product is
exact and short, above it the approximation's error (skewness 1/sqrt(mean)) is under the noise."""


def stream(seed: int, *name: str | int) -> random.Random:
    """Return the stream of this name; equal names give equal streams in every process."""
    return random.Random(f"{seed}/{'/'.join(map(str, name))}")  # noqa: S311 - synthetic people, no secret


def happens(draws: random.Random, share: float) -> bool:
    """Say whether something that happens in this share of cases happens now."""
    return draws.random() < share


def poisson(draws: random.Random, mean: float) -> int:
    """Return one Poisson count of this mean; 0 when the mean is not positive.

    Knuth's product of uniforms (The Art of Computer Programming 2, 3.4.1), above a
    mean of 30 the rounded normal approximation.
    """
    if mean <= 0:
        return 0
    if mean > _NORMAL_FROM:
        return max(0, round(draws.gauss(mean, math.sqrt(mean))))
    limit = math.exp(-mean)
    product = draws.random()
    count = 0
    while product > limit:
        product *= draws.random()
        count += 1
    return count
