"""The people of the synthetic city, made by index from the seed whenever they are asked for.

Nothing is stored but a bounded cache: block `n` holds people 28n to 28n+27 in ten
households (2.8 each; the census of 2020 counted 2.82 in Zhengzhou, quoted at
http://gkjzy.com/news/shuju/947495.html), and a block can be made at any time, alone.
"""

from collections.abc import Callable, Iterator
from datetime import date
from functools import lru_cache

from hie.simulator.divisions import division_of_block
from hie.simulator.households import Household, address
from hie.simulator.identity_numbers import Numbering
from hie.simulator.person import Person
from hie.simulator.seeding import stream

BLOCK = 28
_SIZES = (1, 1, 2, 2, 2, 3, 3, 4, 5, 5)


class Population:
    """The people of one city. `start` and `end` are the first and last simulated day."""

    def __init__(
        self, seed: int, count: int, start: date, end: date, town_of_block: Callable[[int], str]
    ) -> None:
        """Take the town of every block; nobody is made yet."""
        self.count = count
        self.blocks = -(-count // BLOCK)
        self.numbering = Numbering(seed)
        self._seed = seed
        self.start = start
        self.end = end
        self._town_of_block = town_of_block
        self.block = lru_cache(maxsize=4096)(self._block)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Person]:
        for block in range(self.blocks):
            yield from self.block(block)

    def person(self, index: int) -> Person:
        """Return the person of this index."""
        return self.block(index // BLOCK)[index % BLOCK]

    def _block(self, block: int) -> tuple[Person, ...]:
        draws = stream(self._seed, "block", block)
        division = division_of_block(block)
        sizes = list(_SIZES)
        draws.shuffle(sizes)
        people: list[Person] = []
        for size in sizes:
            home = address(draws, division, self._town_of_block(block))
            first = block * BLOCK + len(people)
            people += Household(self.numbering, (self.start, self.end), draws, home, first).people(size)
        return tuple(people[: self.count - block * BLOCK])
