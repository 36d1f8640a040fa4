"""Visits of the simulated days: who comes when to which institution with what, day after day.

The counts come from `epidemiology`; here every case becomes a person with a card of
that institution. One person is not in two beds at once and comes at most once a
day. Births bring mother and child; one borrowed card (`incidents`) brings a person
under another's card number. Nothing is kept but who lies in a bed now.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Literal

from hie.simulator.conditions import Condition, conditions
from hie.simulator.divisions import division_of_block
from hie.simulator.epidemiology import Count, Epidemiology
from hie.simulator.incidents import BorrowedCard
from hie.simulator.institutions import Institution
from hie.simulator.outbreaks import Outbreak
from hie.simulator.people import Population
from hie.simulator.person import Person
from hie.simulator.registry import Registry
from hie.simulator.seeding import happens, stream
from hie.simulator.zone import ZONE

PatientClass = Literal["O", "E", "I"]
_TRIES = 12
_OUTBREAK_TRIES = 200
_AFTER_DISCHARGE = timedelta(days=1)
"""A discharge may be cancelled and repeated within it, so the person is not seen elsewhere before."""
_ADMITTED_SHARE = 0.12
_OPENING, _LAST_CALL = 8 * 60, 17 * 60


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit: class of table 0004, planned end, id of the injected outbreak or "".

    `is_admitted`: an emergency (class E) that becomes an inpatient stay.
    """

    id: str
    person: Person
    institution: Institution
    card: str
    condition: Condition
    patient_class: PatientClass
    start: datetime
    end: datetime
    outbreak: str = ""
    is_admitted: bool = False


class Visits:
    """The visits of one city, drawn anew at each iteration and always the same."""

    def __init__(
        self,
        seed: int,
        population: Population,
        registry: Registry,
        epidemiology: Epidemiology,
        newborns: tuple[int, ...],
        borrowed: BorrowedCard | None,
    ) -> None:
        """Take the parts of the city; `newborns` are the indexes of people born within the simulated days."""
        self.seed = seed
        self.population = population
        self.registry = registry
        self.epidemiology = epidemiology
        self.borrowed = borrowed
        self.births: dict[date, list[int]] = {}
        for index in newborns:
            self.births.setdefault(population.person(index).birth, []).append(index)

    def days(self) -> Iterator[tuple[date, list[Visit]]]:
        """Yield every simulated day with its new visits, ordered by their start."""
        in_bed: dict[int, datetime] = {}
        infected: dict[str, set[int]] = {}
        day = self.population.start
        while day <= self.population.end:
            midnight = datetime.combine(day, time(), ZONE)
            in_bed = {person: end for person, end in in_bed.items() if end > midnight}
            plan = _DayPlan(self, day, in_bed, infected)
            visits = plan.visits()
            for visit in visits:
                if visit.patient_class == "I" or visit.is_admitted:
                    in_bed[visit.person.index] = visit.end + _AFTER_DISCHARGE
            yield day, visits
            day += timedelta(days=1)

    def __iter__(self) -> Iterator[Visit]:
        for _, visits in self.days():
            yield from visits


class _DayPlan:
    """One day being planned."""

    def __init__(
        self, city: Visits, day: date, in_bed: dict[int, datetime], infected: dict[str, set[int]]
    ) -> None:
        self._city = city
        self._day = day
        self._place = (day - city.population.start).days
        self._draws = stream(city.seed, "visits", day.isoformat())
        self._busy = set(in_bed)
        self._infected = infected
        self._numbers: dict[str, int] = {}
        self._visits: list[Visit] = []

    def visits(self) -> list[Visit]:
        """Return the day's visits ordered by start."""
        city, day = self._city, self._day
        for newborn in city.births.get(day, ()):
            self._birth(newborn)
        borrowed = city.borrowed
        if borrowed is not None and self._place in borrowed.days:
            self._borrow(borrowed)
        for count in city.epidemiology.counts(day):
            for _ in range(count.cases):
                self._case(count)
        self._visits.sort(key=lambda visit: (visit.start, visit.id))
        return self._visits

    def _case(self, count: Count) -> None:
        person = self._infect(count, count.outbreak) if count.outbreak else self._patient(count)
        if person is None:
            return
        card = self._city.registry.card(person.index, count.institution)
        if card is None:
            return
        classes = count.condition.classes
        chosen: list[PatientClass] = ["O", "E", "I"]
        patient_class = self._draws.choices(chosen, weights=[classes[each] for each in chosen])[0]
        if count.institution.is_clinic:
            patient_class = "O"
        outbreak = count.outbreak.id if count.outbreak else ""
        self._add(person, count.institution, card.number, count.condition, patient_class, outbreak=outbreak)

    def _patient(self, count: Count) -> Person | None:
        """Return somebody served there, with a card, not busy, of a fitting age; None without luck."""
        blocks = self._city.registry.blocks(count.institution)
        for _ in range(_TRIES):
            person = self._from_block(self._draws.choice(blocks), count)
            if person is not None:
                return person
        return None

    def _infect(self, count: Count, outbreak: Outbreak) -> Person | None:
        """Return somebody of the outbreak's division who is not yet a case of it."""
        infected = self._infected.setdefault(outbreak.id, set())
        blocks = [
            block
            for block in self._city.registry.blocks(count.institution)
            if division_of_block(block) == outbreak.division
        ]
        for _ in range(_OUTBREAK_TRIES if blocks else 0):
            person = self._from_block(self._draws.choice(blocks), count)
            if person is not None and person.index not in infected:
                infected.add(person.index)
                return person
        return None

    def _from_block(self, block: int, count: Count) -> Person | None:
        people = []
        weights = []
        for person, cards in zip(
            self._city.population.block(block), self._city.registry.cards_of_block(block), strict=True
        ):
            weight = count.condition.weight(person.age(self._day))
            if weight <= 0 or person.index in self._busy or person.birth >= self._day:
                continue
            if any(card.institution is count.institution and card.issued < self._place for card in cards):
                people.append(person)
                weights.append(weight)
        return self._draws.choices(people, weights=weights)[0] if people else None

    def _birth(self, newborn: int) -> None:
        child = self._city.population.person(newborn)
        card = self._city.registry.cards(child.index)[0]
        start = self._moment(60, 16 * 60)
        end = start + timedelta(days=self._draws.randint(2, 4), minutes=self._draws.randint(0, 300))
        mother = None if child.mother is None else self._city.population.person(child.mother)
        mother_card = mother and self._city.registry.card(mother.index, card.institution)
        if mother and mother_card and mother.index not in self._busy:
            catalogue = conditions()
            self._add(
                mother, card.institution, mother_card.number, catalogue["delivery"], "I",
                start=start, end=end + timedelta(minutes=5),
            )  # fmt: skip
        if child.index not in self._busy:
            born = start + timedelta(hours=5, minutes=10 * (child.birth_order or 1))
            self._add(child, card.institution, card.number, conditions()["newborn"], "I", start=born, end=end)

    def _borrow(self, borrowed: BorrowedCard) -> None:
        person = self._city.population.person(borrowed.borrower)
        if person.index not in self._busy:
            self._add(person, borrowed.institution, borrowed.number, conditions()["gastritis"], "O")

    def _add(
        self,
        person: Person,
        institution: Institution,
        card: str,
        condition: Condition,
        patient_class: PatientClass,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        outbreak: str = "",
    ) -> None:
        draws = self._draws
        number = self._numbers[institution.code] = self._numbers.get(institution.code, 0) + 1
        if start is None:
            is_night_open = patient_class == "E" and self._place > 0
            start = self._moment(0, 24 * 60 - 1) if is_night_open else self._moment(_OPENING, _LAST_CALL)
        is_admitted = patient_class == "E" and not institution.is_clinic and happens(draws, _ADMITTED_SHARE)
        if end is None:
            end = start + _length(draws, "I" if is_admitted else patient_class)
        self._busy.add(person.index)
        self._visits.append(
            Visit(
                f"{institution.code}{self._day:%y%m%d}{number:04d}",
                person, institution, card, condition, patient_class, start, end, outbreak,
                is_admitted,
            )
        )  # fmt: skip

    def _moment(self, first_minute: int, last_minute: int) -> datetime:
        minute = self._draws.randint(first_minute, last_minute)
        return datetime.combine(self._day, time(), ZONE) + timedelta(
            minutes=minute, seconds=self._draws.randint(0, 59)
        )


def _length(draws: Random, patient_class: PatientClass) -> timedelta:
    if patient_class == "I":
        return timedelta(days=min(20, 2 + round(draws.expovariate(1 / 4))), minutes=draws.randint(-180, 180))
    return timedelta(minutes=draws.randint(40, 240))
