"""Registers and their changes: A28 of every card, A31 when a phone number changes or a newborn gets a name.

On the first simulated day, before the doors open, every hospital sends its register
as it stands; later cards follow on the day they are issued.
"""

import heapq
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta

from hie.simulator.course import Step
from hie.simulator.households import SCHOOL_AGE
from hie.simulator.people import Population
from hie.simulator.person import Person
from hie.simulator.registry import Card, Registry
from hie.simulator.seeding import happens, stream
from hie.simulator.zone import ZONE

_FIRST_MINUTE, _LAST_MINUTE = 10, 360
_PHONE_CHANGE_SHARE = 0.03
_FORMER_PHONES = 50_000_000
"""Former phones are numbered from here: beyond every person's own, so they too belong to one person only."""


class Enrolment:
    """The registers of all institutions; made by one pass over the people."""

    def __init__(self, seed: int, population: Population, registry: Registry) -> None:
        """Note the cards of each day, the newborns and the changes; keeps indexes, not people."""
        self._seed = seed
        self._population = population
        self._registry = registry
        self._span = (population.end - population.start).days
        self.newborns: list[int] = []
        self._issued: dict[int, list[tuple[int, int]]] = {}
        self._phones: dict[int, int] = {}
        self._changes: dict[int, list[int]] = {}
        draws = stream(seed, "phone changes")
        for person in population:
            self._note(person)
            if (
                person.id_number
                and person.age(population.start) > SCHOOL_AGE
                and happens(draws, _PHONE_CHANGE_SHARE)
            ):
                day = draws.randint(1, max(1, self._span))
                self._phones[person.index] = day
                self._changes.setdefault(day, []).append(person.index)

    def _note(self, person: Person) -> None:
        if person.is_newborn:
            self.newborns.append(person.index)
            day = self.named_on(person)
            self._changes.setdefault(day, []).append(person.index)
            return
        for place, card in enumerate(self._registry.cards(person.index)):
            if card.issued >= 0:
                self._issued.setdefault(card.issued, []).append((person.index, place))

    def named_on(self, newborn: Person) -> int:
        """Return the simulated day on which the newborn's name is registered; it may lie after the end."""
        born = (newborn.birth - self._population.start).days
        return born + stream(self._seed, "named", newborn.index).randint(5, 20)

    def former_phone(self, person: Person) -> str:
        """Return the phone number the person had at first, "" when it did not change."""
        if person.index not in self._phones:
            return ""
        return self._population.numbering.phone(_FORMER_PHONES + person.index)

    def as_known_on(self, person: Person, place: int) -> Person:
        """Return the person as the desks know them on simulated day `place` (-1: before the first)."""
        if person.is_newborn and person.later_name is not None:
            return replace(person, name=person.later_name) if place >= self.named_on(person) else person
        if place < self._phones.get(person.index, -1):
            return replace(person, phone=self.former_phone(person))
        return person

    def registers(self) -> Iterator[Step]:
        """Yield the A28 of every card older than the simulation, in time order."""
        first = datetime.combine(self._population.start, time(), ZONE) + timedelta(minutes=_FIRST_MINUTE)
        span = timedelta(minutes=_LAST_MINUTE - _FIRST_MINUTE)
        for person in self._population:
            known = self.as_known_on(person, -1)
            cards = [
                card
                for card in self._registry.cards(person.index)
                if card.issued < 0 and not person.is_newborn
            ]
            for place, card in enumerate(cards):
                moment = first + span * ((person.index + place / len(cards)) / len(self._population))
                yield _step("ADT^A28", moment.replace(microsecond=0), known, card)

    def on(self, place: int) -> list[Step]:
        """Return the A28 and A31 of simulated day `place`, in time order."""
        draws = stream(self._seed, "desk", place)
        morning = datetime.combine(self._population.start + timedelta(days=place), time(7, 30), ZONE)
        steps = []
        for index, card_place in self._issued.get(place, ()):
            person = self._population.person(index)
            moment = morning + timedelta(minutes=draws.randint(0, 29), seconds=draws.randint(0, 59))
            steps.append(
                _step(
                    "ADT^A28",
                    moment,
                    self.as_known_on(person, place),
                    self._registry.cards(index)[card_place],
                )
            )
        for index in self._changes.get(place, ()):
            held = [card for card in self._registry.cards(index) if card.issued < place]
            if held:
                moment = morning + timedelta(minutes=draws.randint(30, 540), seconds=draws.randint(0, 59))
                person = self.as_known_on(self._population.person(index), place)
                steps += [_step("ADT^A31", moment, person, card) for card in held]
        return heapq.nsmallest(len(steps), steps, key=lambda step: step.time)

    def birth(self, newborn: Person, moment: datetime) -> Step:
        """Return the A28 with which the hospital of birth registers a newborn."""
        return _step("ADT^A28", moment, newborn, self._registry.cards(newborn.index)[0])


def _step(event: str, moment: datetime, person: Person, card: Card) -> Step:
    return Step(moment, event, card.institution, person, card.number)
