"""The demo city: the one place that says how large it is and which seed it has."""

from datetime import date, datetime

from hie.simulator.run import City

SEED = 4101
PEOPLE = 3000
"""They hold over 6,000 cards."""
HOSPITALS = 12
"""Four of the third tier, five of the second, three of the first."""
CLINICS = 26
"""Twenty township clinics and six community centres."""
DAYS = 60


def city(end: date, until: datetime | None = None) -> City:
    """Return the demo city ending on `end`; `until` (aware) keeps its last day out of the future."""
    return City.build(
        people=PEOPLE, hospitals=HOSPITALS, clinics=CLINICS, days=DAYS, seed=SEED, end=end, until=until
    )
