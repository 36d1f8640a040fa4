"""The stream of messages of a city in time order: registers, visits, incidents and resends put together.

Memory holds the steps that are still to come of visits that have begun (about a
day's worth, plus the inpatients), never the whole city.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from itertools import count

from hie.simulator.course import Step, steps
from hie.simulator.departments import Staff
from hie.simulator.enrolment import Enrolment
from hie.simulator.incidents import SilentHospital
from hie.simulator.institutions import Institution
from hie.simulator.messages import Composer
from hie.simulator.people import Population
from hie.simulator.seeding import happens, stream
from hie.simulator.vendors import vendors
from hie.simulator.visits import Visit, Visits
from hie.simulator.zone import ZONE

_RESEND_SHARE = 0.004
_RESEND_AFTER = timedelta(seconds=45)


@dataclass(frozen=True, slots=True)
class SimulatedMessage:
    """One message as a sender puts it on the wire; `raw` is the encoded ER7, without MLLP frame.

    `person` and `visit` are ids of the truth files; a resend has the control id and the bytes of the first.
    """

    time: datetime
    sender: Institution
    control_id: str
    event: str
    raw: bytes
    person: str
    visit: str = ""
    is_resend: bool = False


class Feed:
    """The messages of one city; every iteration gives the same bytes."""

    def __init__(
        self,
        seed: int,
        population: Population,
        visits: Visits,
        enrolment: Enrolment,
        silent: SilentHospital | None,
        until: datetime,
    ) -> None:
        """Take the parts of the city; nothing later than `until` is sent."""
        self._seed = seed
        self._population = population
        self._visits = visits
        self._enrolment = enrolment
        self._silent = silent
        self._until = until
        self._staff = Staff(seed)

    def messages(self, composer: Composer) -> Iterator[SimulatedMessage]:
        """Yield the messages in time order; a resend is the same bytes again within the minute."""
        draws = stream(self._seed, "resends")
        resends: list[tuple[datetime, int, SimulatedMessage]] = []
        serial = count()
        for step in self._steps():
            while resends and resends[0][0] <= step.time:
                yield heapq.heappop(resends)[2]
            if self._is_lost(step.institution, step.time):
                continue
            control_id, raw = composer.compose(step)
            visit = step.visit.id if step.visit else ""
            message = SimulatedMessage(
                step.time, step.institution, control_id, step.event, raw, step.person.id, visit
            )
            yield message
            if happens(draws, _RESEND_SHARE):
                again = replace(message, time=step.time + _RESEND_AFTER, is_resend=True)
                if not self._is_lost(step.institution, again.time):
                    heapq.heappush(resends, (again.time, next(serial), again))
        yield from (message for _, _, message in sorted(resends))

    def _is_lost(self, sender: Institution, moment: datetime) -> bool:
        if moment > self._until:
            return True
        return (
            self._silent is not None and sender is self._silent.institution and moment >= self._silent.since
        )

    def _steps(self) -> Iterator[Step]:
        return heapq.merge(self._enrolment.registers(), self._daily(), key=lambda step: step.time)

    def _daily(self) -> Iterator[Step]:
        waiting: list[tuple[datetime, int, Step]] = []
        serial = count()
        for day, visits in self._visits.days():
            place = (day - self._population.start).days
            for step in self._enrolment.on(place):
                heapq.heappush(waiting, (step.time, next(serial), step))
            for visit in visits:
                for step in self._told(visit, place):
                    heapq.heappush(waiting, (step.time, next(serial), step))
            tomorrow = datetime.combine(day + timedelta(days=1), time(), ZONE)
            while waiting and waiting[0][0] < tomorrow:
                yield heapq.heappop(waiting)[2]
        while waiting and waiting[0][0] <= self._until:
            yield heapq.heappop(waiting)[2]

    def _told(self, visit: Visit, place: int) -> Iterator[Step]:
        known = self._enrolment.as_known_on(visit.person, place)
        told = visit if known is visit.person else replace(visit, person=known)
        if visit.condition.key == "newborn":
            yield self._enrolment.birth(known, visit.start - timedelta(minutes=1))
        yield from steps(self._seed, told, vendors()[visit.institution.vendor], self._staff)
