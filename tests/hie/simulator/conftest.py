from datetime import date

import pytest

from hie.simulator.feed import SimulatedMessage
from hie.simulator.run import City

END = date(2026, 6, 30)


def build(seed: int = 2, *, people: int = 1500, days: int = 30, with_incidents: bool = True) -> City:
    return City.build(
        people=people,
        hospitals=9,
        clinics=13,
        days=days,
        seed=seed,
        end=END,
        with_incidents=with_incidents,
    )


@pytest.fixture(scope="session")
def city() -> City:
    """A small city whose month of care the tests share."""
    return build()


@pytest.fixture(scope="session")
def messages(city: City) -> list[SimulatedMessage]:
    """Every message of the small city."""
    return list(city.messages())
