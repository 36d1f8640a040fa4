"""What goes wrong in the city on purpose: a hospital that falls silent and a card used by another person."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from hie.simulator.institutions import SECONDARY, Catchment, Institution
from hie.simulator.people import BLOCK, Population
from hie.simulator.registry import Registry
from hie.simulator.seeding import stream
from hie.simulator.zone import ZONE

_SILENT_DAYS = 6
_ADULT = 18


@dataclass(frozen=True, slots=True)
class SilentHospital:
    """A hospital whose messages end at `since`, though its patients keep coming."""

    institution: Institution
    since: datetime


@dataclass(frozen=True, slots=True)
class BorrowedCard:
    """A card held by `holder` that `borrower` shows at the desk on `days` (simulated days, from 0)."""

    institution: Institution
    number: str
    holder: int
    borrower: int
    days: tuple[int, ...]


def silent_hospital(population: Population, catchment: Catchment) -> SilentHospital | None:
    """Return the last hospital of the second tier, silent for six days; None in a shorter simulation."""
    candidates = [each for each in catchment.institutions if each.tier == SECONDARY]
    if not candidates or (population.end - population.start).days < _SILENT_DAYS:
        return None
    moment = datetime.combine(population.end - timedelta(days=_SILENT_DAYS), time(14, 20), ZONE)
    return SilentHospital(candidates[-1], moment)


def borrowed_card(
    seed: int, population: Population, registry: Registry, catchment: Catchment
) -> BorrowedCard | None:
    """Return a card of a tertiary hospital that an adult without one borrows from somebody elsewhere.

    None when nobody fits within a hundred tries (very small populations).
    """
    draws = stream(seed, "borrowed card")
    institution = catchment.tertiary[0]
    days = (population.end - population.start).days
    for _ in range(100):
        holder, borrower = draws.randrange(len(population)), draws.randrange(len(population))
        card = registry.card(holder, institution)
        people = population.person(holder), population.person(borrower)
        if (
            holder // BLOCK != borrower // BLOCK
            and card is not None
            and card.issued < 0
            and registry.card(borrower, institution) is None
            and all(person.age(population.start) >= _ADULT and not person.is_newborn for person in people)
        ):
            return BorrowedCard(institution, card.number, holder, borrower, (days // 2, days * 3 // 4))
    return None
