"""The truth of a city as files: what a reader of the messages ought to find out.

people.csv        person, name, former_name, sex, birth, id_number, phone, former_phone, address,
                  division, mother
cards.csv         person, institution, card, issued ("" before the first day),
                  is_borrowed ("yes": another person's card)
visits.csv        visit, person, institution, division, card, class, condition, icd10, group, start,
                  end, outbreak, is_sent
outbreaks.csv     outbreak, condition, group, division, first, last, cases, in_progress,
                  visits (ids, space-separated; of the outbreak in progress)
incidents.csv     incident, institution, since, card, persons (ids, space-separated)
institutions.csv  institution, name, tier, division, town, vendor, version, charset, msh18, zone
messages.ndjson   control_id, sender, event, person, visit, time, is_resend; one line a message, in time order

`division` of a visit is the institution's, as surveillance counts it; that of a
person is where the person lives. UTF-8, comma, header line; times are ISO 8601 with offset.
"""

import csv
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from hie.core.fhir.json import dumps
from hie.simulator.conditions import conditions
from hie.simulator.vendors import vendors

if TYPE_CHECKING:  # the city calls this module
    from hie.simulator.feed import SimulatedMessage
    from hie.simulator.run import City

_EVERY = 500
"""Messages between two calls of the progress callback."""


def write(city: "City", out: Path) -> None:
    """Write the tables (all but messages.ndjson) below `out`, which is made when missing."""
    out.mkdir(parents=True, exist_ok=True)
    _institutions(city, out)
    _people(city, out)
    _cards(city, out)
    cases = _visits(city, out)
    _outbreaks(city, out, cases)
    _incidents(city, out)


def _table(path: Path, header: str, rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header.split())
        writer.writerows(rows)


def _institutions(city: "City", out: Path) -> None:
    header = "institution name tier division town vendor version charset msh18 zone"
    profiles = ((each, vendors()[each.vendor]) for each in city.institutions)
    rows = (
        (
            each.code, each.name, each.tier, each.division, each.town, vendor.product, vendor.version,
            vendor.charset, vendor.msh18 or "", "Asia/Shanghai",
        )
        for each, vendor in profiles
    )  # fmt: skip
    _table(out / "institutions.csv", header, rows)


def _people(city: "City", out: Path) -> None:
    header = "person name former_name sex birth id_number phone former_phone address division mother"
    enrolment = city.enrolment

    def row(index: int) -> tuple[object, ...]:
        person = city.population.person(index)
        known = enrolment.as_known_on(person, city.days - 1)
        former = person.name.text if known.name != person.name else ""
        mother = "" if person.mother is None else city.population.person(person.mother).id
        return (
            person.id, known.name.text, former, person.sex, person.birth, person.id_number, known.phone,
            enrolment.former_phone(person), person.address.text, person.address.division, mother,
        )  # fmt: skip

    _table(out / "people.csv", header, (row(index) for index in range(len(city.population))))


def _cards(city: "City", out: Path) -> None:
    def rows() -> Iterable[tuple[object, ...]]:
        for person, card in city.registry:
            issued = "" if card.issued < 0 else city.date_of(card.issued)
            yield person.id, card.institution.code, card.number, issued, ""
        if city.borrowed is not None:
            borrower = city.population.person(city.borrowed.borrower).id
            yield borrower, city.borrowed.institution.code, city.borrowed.number, "", "yes"

    _table(out / "cards.csv", "person institution card issued is_borrowed", rows())


def _visits(city: "City", out: Path) -> dict[str, list[str]]:
    header = "visit person institution division card class condition icd10 group start end outbreak is_sent"
    cases: dict[str, list[str]] = {}
    silent = city.silent

    def rows() -> Iterable[tuple[object, ...]]:
        for visit in city.visits:
            if visit.outbreak:
                cases.setdefault(visit.outbreak, []).append(visit.id)
            is_silent = silent is not None and visit.institution is silent.institution
            is_sent = visit.start <= city.until and not (is_silent and silent and visit.start >= silent.since)
            yield (
                visit.id, visit.person.id, visit.institution.code, visit.institution.division, visit.card,
                visit.patient_class, visit.condition.key, visit.condition.code, visit.condition.group,
                visit.start.isoformat(), visit.end.isoformat(), visit.outbreak, "yes" if is_sent else "no",
            )  # fmt: skip

    _table(out / "visits.csv", header, rows())
    return cases


def _outbreaks(city: "City", out: Path, cases: dict[str, list[str]]) -> None:
    header = "outbreak condition group division first last cases in_progress visits"
    every = (city.outbreak, *city.past) if city.outbreak else city.past
    rows = (
        (
            each.id, each.condition, conditions()[each.condition].group, each.division, each.first, each.last,
            len(cases.get(each.id, ())) if each.in_progress else each.size,
            "yes" if each.in_progress else "no",
            " ".join(cases.get(each.id, ())),
        )
        for each in every
    )  # fmt: skip
    _table(out / "outbreaks.csv", header, rows)


def _incidents(city: "City", out: Path) -> None:
    rows: list[tuple[object, ...]] = []
    if city.silent is not None:
        rows.append(("silent-hospital", city.silent.institution.code, city.silent.since.isoformat(), "", ""))
    if city.borrowed is not None:
        people = (
            city.population.person(index).id for index in (city.borrowed.holder, city.borrowed.borrower)
        )
        first = city.date_of(city.borrowed.days[0])
        rows.append(
            ("card-conflict", city.borrowed.institution.code, first, city.borrowed.number, " ".join(people))
        )
    _table(out / "incidents.csv", "incident institution since card persons", rows)


def write_messages(city: "City", out: Path, progress: Callable[[int], None]) -> int:
    """Write messages/<sender>.hl7 and messages.ndjson below `out`; return the number of messages."""
    folder = out / "messages"
    folder.mkdir(exist_ok=True)
    files: dict[str, BinaryIO] = {}
    number = 0
    try:
        with (out / "messages.ndjson").open("wb") as index:
            for number, message in enumerate(city.messages(), 1):
                code = message.sender.code
                if code not in files:
                    files[code] = (folder / f"{code}.hl7").open("wb")
                files[code].write(message.raw)
                index.write(_line(message))
                if number % _EVERY == 0:
                    progress(number)
    finally:
        for file in files.values():
            file.close()
    progress(number)
    return number


def _line(message: "SimulatedMessage") -> bytes:
    row = {
        "control_id": message.control_id,
        "sender": message.sender.code,
        "event": message.event,
        "person": message.person,
        "visit": message.visit,
        "time": message.time.isoformat(),
        "is_resend": message.is_resend,
    }
    return dumps(row) + b"\n"
