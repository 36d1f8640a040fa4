"""Who holds which hospital cards: the link between people and institutions, made by index from the seed.

A person has a card of the clinic of the home town, of one local hospital and of
one or two tertiary hospitals, each with some chance, and at least one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from hie.simulator.cards import CardIssuer
from hie.simulator.institutions import Catchment, Institution
from hie.simulator.people import BLOCK, Population
from hie.simulator.person import Person
from hie.simulator.seeding import happens, stream

_CLINIC_SHARE = 0.75
_LOCAL_SHARE = 0.8
_TERTIARY_SHARE = 0.72
_SECOND_TERTIARY_SHARE = 0.2
_NEW_SHARE = 0.12
"""Cards issued during the simulated days; the others are in the register a hospital sends first."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card of one person at one institution; `issued` is the simulated day, -1 when it is older."""

    institution: Institution
    number: str
    issued: int


class Registry:
    """The cards of a city."""

    def __init__(self, seed: int, population: Population, catchment: Catchment, days: int) -> None:
        """Divide the blocks of the population among the institutions."""
        self._seed = seed
        self._population = population
        self._catchment = catchment
        self._days = days
        self._issuers = {each.code: CardIssuer(seed, each) for each in catchment.institutions}
        self._blocks = self._blocks_by_institution()
        self.cards_of_block = lru_cache(maxsize=4096)(self._cards_of_block)

    def _blocks_by_institution(self) -> dict[str, list[int]]:
        served: dict[str, list[int]] = {each.code: [] for each in self._catchment.institutions}
        for block in range(self._population.blocks):
            for institution in (self._catchment.clinic(block), self._catchment.local_hospital(block)):
                if institution is not None:
                    served[institution.code].append(block)
        everybody = list(range(self._population.blocks))
        for institution in self._catchment.tertiary:
            served[institution.code] = everybody
        return served

    def blocks(self, institution: Institution) -> list[int]:
        """Return the blocks of people whom the institution serves."""
        return self._blocks[institution.code]

    def cards(self, person: int) -> tuple[Card, ...]:
        """Return the cards of the person of this index, clinic first."""
        return self.cards_of_block(person // BLOCK)[person % BLOCK]

    def card(self, person: int, institution: Institution) -> Card | None:
        """Return the person's card at the institution, None when there is none."""
        return next((card for card in self.cards(person) if card.institution is institution), None)

    def __iter__(self) -> Iterator[tuple[Person, Card]]:
        for person in self._population:
            for card in self.cards(person.index):
                yield person, card

    def number(self, person: int, institution: Institution) -> str:
        """Return the number a card of this person at the institution has, whether or not one was issued."""
        return self._issuers[institution.code].number(person)

    def _cards_of_block(self, block: int) -> tuple[tuple[Card, ...], ...]:
        draws = stream(self._seed, "cards of block", block)
        people = self._population.block(block)
        cards = [self._cards_of(draws, person, block) for person in people]
        for child, own in zip(people, cards, strict=True):
            if child.mother is not None:
                place = child.mother % BLOCK
                cards[place] = self._with_birthplace(child.mother, cards[place], own[0])
        return tuple(cards)

    def _issued(self, draws: Random) -> int:
        is_new = happens(draws, _NEW_SHARE)
        last = self._days * 3 // 4
        return draws.randint(1, last) if is_new and last >= 1 and self._days > 1 else -1

    def _with_birthplace(self, mother: int, cards: tuple[Card, ...], child: Card) -> tuple[Card, ...]:
        """Return the mother's cards with one of the hospital of birth, at least a day old."""
        latest = max(-1, child.issued - 1)
        if any(card.institution is child.institution and card.issued <= latest for card in cards):
            return cards
        others = tuple(card for card in cards if card.institution is not child.institution)
        return (*others, Card(child.institution, self.number(mother, child.institution), latest))

    def _cards_of(self, draws: Random, person: Person, block: int) -> tuple[Card, ...]:
        clinic, local = self._catchment.clinic(block), self._catchment.local_hospital(block)
        tertiary = self._catchment.tertiary
        first = draws.randrange(len(tertiary))
        chosen: list[Institution] = []
        if clinic is not None and happens(draws, _CLINIC_SHARE):
            chosen.append(clinic)
        if local is not None and happens(draws, _LOCAL_SHARE):
            chosen.append(local)
        if happens(draws, _TERTIARY_SHARE) or not chosen or person.is_newborn:
            chosen.append(tertiary[first])
            if len(tertiary) > 1 and happens(draws, _SECOND_TERTIARY_SHARE):
                chosen.append(tertiary[(first + 1) % len(tertiary)])
        if person.is_newborn:
            day = (person.birth - self._population.start).days
            chosen = chosen[-1:]
            return tuple(Card(each, self.number(person.index, each), day) for each in chosen)
        return tuple(
            Card(
                each,
                self.number(person.index, each),
                self._issued(draws),
            )
            for each in chosen
        )
