"""The synthetic city as one object, and what `hie simulate` does with it: write or send."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path

from hie.core.errors import ConfigurationError
from hie.simulator import mllp, truth
from hie.simulator.enrolment import Enrolment
from hie.simulator.epidemiology import Epidemiology
from hie.simulator.feed import Feed, SimulatedMessage
from hie.simulator.incidents import BorrowedCard, SilentHospital, borrowed_card, silent_hospital
from hie.simulator.institutions import Catchment, Institution, build_institutions
from hie.simulator.messages import Composer
from hie.simulator.outbreaks import Outbreak, outbreak_in_progress, past_outbreaks
from hie.simulator.people import Population
from hie.simulator.registry import Registry
from hie.simulator.visits import Visits
from hie.simulator.zone import ZONE

Progress = Callable[[int], None]
"""Called now and then with the number of messages done so far."""


@dataclass(frozen=True)
class City:
    """A synthetic city: the same arguments give the same people, visits and bytes in every process."""

    seed: int
    days: int
    end: date
    until: datetime
    institutions: tuple[Institution, ...]
    population: Population
    registry: Registry
    outbreak: Outbreak | None
    past: tuple[Outbreak, ...]
    silent: SilentHospital | None
    borrowed: BorrowedCard | None

    @classmethod
    def build(
        cls,
        *,
        people: int,
        hospitals: int = 12,
        clinics: int = 26,
        days: int,
        seed: int,
        end: date,
        until: datetime | None = None,
        with_incidents: bool = True,
    ) -> "City":
        """Return the city whose last simulated day is `end`.

        `until` (aware) cuts the messages off within the last day. Without incidents there
        is no outbreak, no silent hospital and no borrowed card: the same city as a control.
        Short or tiny cities have the incidents that fit into them. ConfigurationError for
        fewer than one person, day or hospital.
        """
        if people < 1 or days < 1:
            raise ConfigurationError(f"A city needs people and days, not {people} and {days}")
        institutions = build_institutions(hospitals, clinics)
        catchment = Catchment(institutions)
        start = end - timedelta(days=days - 1)
        population = Population(seed, people, start, end, catchment.town)
        registry = Registry(seed, population, catchment, days)
        return cls(
            seed=seed,
            days=days,
            end=end,
            until=until or datetime.combine(end, time.max, ZONE),
            institutions=institutions,
            population=population,
            registry=registry,
            outbreak=outbreak_in_progress(seed, people, catchment, end, days) if with_incidents else None,
            past=past_outbreaks(seed, people, catchment, start) if with_incidents else (),
            silent=silent_hospital(population, catchment) if with_incidents else None,
            borrowed=borrowed_card(seed, population, registry, catchment) if with_incidents else None,
        )

    @property
    def start(self) -> date:
        """First simulated day."""
        return self.population.start

    @cached_property
    def enrolment(self) -> Enrolment:
        """The registers; made by one pass over all people at first use."""
        return Enrolment(self.seed, self.population, self.registry)

    @cached_property
    def epidemiology(self) -> Epidemiology:
        """The process behind the daily counts, outbreaks included."""
        injected = (*self.past, self.outbreak) if self.outbreak else self.past
        return Epidemiology(self.seed, self.registry, self.institutions, self.start, injected)

    @cached_property
    def visits(self) -> Visits:
        """All visits of the simulated days, in time order at each iteration."""
        newborns = tuple(self.enrolment.newborns)
        return Visits(self.seed, self.population, self.registry, self.epidemiology, newborns, self.borrowed)

    def messages(self) -> Iterator[SimulatedMessage]:
        """Yield every message in time order; a new iteration starts over with the same bytes."""
        feed = Feed(self.seed, self.population, self.visits, self.enrolment, self.silent, self.until)
        return feed.messages(Composer(self.population, self.registry))

    def date_of(self, place: int) -> date:
        """Return the date of simulated day `place` (0 is the first)."""
        return self.start + timedelta(days=place)


def write(city: City, out: Path, progress: Progress | None = None) -> int:
    """Write messages and truth below `out`; return how many messages were written.

    `out/messages/<sender>.hl7` holds each sender's messages one after another, as they
    were encoded; the truth files are described in `truth`.
    """
    truth.write(city, out)
    return truth.write_messages(city, out, progress or _ignore)


def write_truth(city: City, out: Path) -> None:
    """Write the truth below `out` without the messages (which a gateway may have got already)."""
    truth.write(city, out)


def send(
    city: City,
    host: str,
    port: int,
    connections: int = 4,
    progress: Progress | None = None,
    *,
    only: Callable[[SimulatedMessage], bool] | None = None,
) -> mllp.SendReport:
    """Send the city's messages over MLLP, each sender's in order; see `mllp.send_messages`."""
    messages = city.messages() if only is None else filter(only, city.messages())
    stream = (mllp.Outgoing(message.sender.code, message.control_id, message.raw) for message in messages)
    return mllp.send_messages(stream, host, port, connections=connections, progress=progress or _ignore)


def _ignore(_: int) -> None:
    """Report to nobody."""
