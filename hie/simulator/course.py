"""The course of a visit: which messages it makes, when, and what each says. No ER7 here."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Literal

from hie.simulator.departments import EMERGENCY, Department, Doctor, Staff, department
from hie.simulator.drugs import Drug, drugs
from hie.simulator.institutions import Institution
from hie.simulator.laboratory import Panel, Result, measure, panels
from hie.simulator.person import Person
from hie.simulator.seeding import happens, stream
from hie.simulator.vendors import Vendor
from hie.simulator.visits import Visit

_TESTED = 0.72
_MEDICATED = 0.75
_CORRECTED = 0.02
_PREADMITTED = 0.2
_ADMISSION_CANCELLED = 0.05
_TRANSFERRED = 0.35
_TRANSFER_CANCELLED = 0.2
_LEAVES_AS_OUTPATIENT = 0.05
_DISCHARGE_CANCELLED = 0.07
"""Shares of visits or orders to which these things happen: own choice, so that each occurs in a demo city."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where the patient is: PL-1 to PL-3 and the department."""

    department: Department
    room: str = ""
    bed: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """An order of one panel or drug; `results` are there once reported, `status` is OBR-25 and OBX-11."""

    placer: str
    filler: str
    ordered: datetime
    doctor: Doctor
    item: Panel | Drug
    results: tuple[Result, ...] = ()
    collected: datetime | None = None
    status: Literal["", "F", "C"] = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a hospital tells: `event` is the message code and trigger ("ADT^A01")."""

    time: datetime
    event: str
    institution: Institution
    person: Person
    card: str
    visit: Visit | None = None
    patient_class: str = "N"
    location: Location | None = None
    prior: Location | None = None
    doctor: Doctor | None = None
    order: Order | None = field(default=None, repr=False)
    is_diagnosed: bool = False
    admitted: datetime | None = None
    discharged: datetime | None = None


def steps(seed: int, visit: Visit, vendor: Vendor, staff: Staff) -> Iterator[Step]:
    """Yield the steps of one visit; their times rise within the ADT steps, orders may fall between."""
    course = _Course(stream(seed, "course", visit.id), visit, vendor, staff)
    yield from course.inpatient() if visit.patient_class == "I" else course.ambulatory()


class _Course:
    """One visit being told."""

    def __init__(self, draws: Random, visit: Visit, vendor: Vendor, staff: Staff) -> None:
        self._draws = draws
        self._visit = visit
        self._vendor = vendor
        age = visit.person.age(visit.start.date())
        self._department = department(visit.condition, age, visit.institution)
        self._doctor = staff.doctor(visit.institution.code, draws.randrange(1000))
        self._step = Step(
            visit.start,
            "ADT^A04",
            visit.institution,
            visit.person,
            visit.card,
            visit,
            visit.patient_class,
            Location(EMERGENCY if visit.patient_class == "E" else self._department),
            doctor=self._doctor,
            admitted=visit.start,
        )
        self._orders = 0

    def _at(self, event: str, time: datetime, **changes: object) -> Step:
        return replace(self._step, event=event, time=time, **changes)  # type: ignore[arg-type]  # fields of Step

    def ambulatory(self) -> Iterator[Step]:
        """Registration, diagnosis, tests, prescription, end; an emergency may become an admission."""
        draws, start = self._draws, self._visit.start
        at_once = self._vendor.diagnosis_event == "A04"
        yield self._at("ADT^A04", start, is_diagnosed=at_once)
        if not at_once:
            yield self._at("ADT^A08", start + timedelta(minutes=draws.randint(15, 30)), is_diagnosed=True)
        yield from self._care(start + timedelta(minutes=31), most_panels=1)
        if self._visit.is_admitted:
            yield from self._becomes_inpatient(start + timedelta(hours=draws.randint(4, 6)))
        elif self._vendor.ends_outpatient:
            yield self._at("ADT^A03", self._visit.end, is_diagnosed=True, discharged=self._visit.end)

    def _becomes_inpatient(self, time: datetime) -> Iterator[Step]:
        ward = self._ward()
        self._step = replace(self._step, patient_class="I", location=ward, admitted=time)
        yield self._at("ADT^A06", time, is_diagnosed=True)
        end = self._visit.end
        yield self._at("ADT^A03", end, is_diagnosed=True, discharged=end)

    def inpatient(self) -> Iterator[Step]:
        """Pre-admission, admission and its cancelling, transfers, care, discharge and its cancelling."""
        draws, visit = self._draws, self._visit
        ward = self._ward()
        self._step = replace(self._step, location=ward)
        start = visit.start
        if visit.condition.key != "newborn" and happens(draws, _PREADMITTED):
            yield self._at("ADT^A05", start - timedelta(minutes=draws.randint(15, 50)))
        yield self._at("ADT^A01", start)
        if happens(draws, _ADMISSION_CANCELLED):
            yield self._at("ADT^A11", start + timedelta(minutes=12))
            start += timedelta(minutes=40)
            self._step = replace(self._step, admitted=start)
            yield self._at("ADT^A01", start)
        yield self._at("ADT^A08", start + timedelta(hours=2), is_diagnosed=True)
        yield from self._care(start + timedelta(hours=3), most_panels=3)
        yield from self._transfer(start)
        yield from self._leave()

    def _transfer(self, start: datetime) -> Iterator[Step]:
        draws = self._draws
        if not happens(draws, _TRANSFERRED):
            return
        old, new = self._step.location, self._ward()
        moved = start + timedelta(hours=draws.randint(20, 30))
        if moved >= self._visit.end - timedelta(hours=2):
            return
        yield self._at("ADT^A02", moved, location=new, prior=old)
        if happens(draws, _TRANSFER_CANCELLED):
            yield self._at("ADT^A12", moved + timedelta(minutes=25), location=old, prior=new)
        else:
            self._step = replace(self._step, location=new)

    def _leave(self) -> Iterator[Step]:
        draws, end = self._draws, self._visit.end
        is_outpatient = happens(draws, _LEAVES_AS_OUTPATIENT)
        if is_outpatient:
            outpatient = end - timedelta(hours=1)
            yield self._at("ADT^A07", outpatient, patient_class="O", is_diagnosed=True)
            self._step = replace(self._step, patient_class="O")
        yield self._at("ADT^A03", end, is_diagnosed=True, discharged=end)
        if not is_outpatient and happens(draws, _DISCHARGE_CANCELLED):
            yield self._at("ADT^A13", end + timedelta(minutes=20))
            again = end + timedelta(hours=draws.randint(3, 20))
            yield self._at("ADT^A03", again, is_diagnosed=True, discharged=again)

    def _ward(self) -> Location:
        ward = replace(self._department, name=f"{self._department.name}病区")
        return Location(ward, f"{self._draws.randint(1, 18):02d}室", f"{self._draws.randint(1, 60):02d}床")

    def _care(self, start: datetime, *, most_panels: int) -> Iterator[Step]:
        draws, condition = self._draws, self._visit.condition
        chosen = condition.panels[:most_panels]
        if self._visit.institution.is_clinic:
            chosen = tuple(
                panel for panel in chosen if panel not in ("flu", "enterovirus", "coagulation", "cardiac")
            )
        for place, key in enumerate(chosen):
            if happens(draws, _TESTED) or self._visit.outbreak:
                yield from self._tested(panels()[key], start + timedelta(minutes=3 * place))
        for place, key in enumerate(condition.drugs[:most_panels] if self._vendor.prescriptions else ()):
            if happens(draws, _MEDICATED):
                ordered = start + timedelta(minutes=8 + place)
                yield self._at("ORM^O01", ordered, order=self._order(ordered, drugs()[key]))

    def _order(self, ordered: datetime, item: Panel | Drug) -> Order:
        self._orders += 1
        number = f"{self._visit.id}{self._orders:02d}"
        return Order(f"O{number}", f"F{number}", ordered, self._doctor, item)

    def _tested(self, panel: Panel, ordered: datetime) -> Iterator[Step]:
        draws, visit = self._draws, self._visit
        order = self._order(ordered, panel)
        yield self._at(self._vendor.lab_order, ordered, order=order)
        key = "outbreak" if visit.outbreak else visit.condition.key
        results = tuple(measure(draws, test, visit.person.sex, key) for test in panel.tests)
        collected = ordered + timedelta(minutes=draws.randint(5, 25))
        reported = collected + timedelta(minutes=draws.randint(35, 180))
        done = replace(order, results=results, collected=collected, status="F")
        yield self._at("ORU^R01", reported, order=done)
        if happens(draws, _CORRECTED):
            again = tuple(measure(draws, test, visit.person.sex, key) for test in panel.tests)
            corrected = replace(done, results=again, status="C")
            yield self._at("ORU^R01", reported + timedelta(hours=draws.randint(3, 40)), order=corrected)
