"""The segments of the messages, each as one vendor writes it (HL7 v2.5.1 chapters 2, 3, 4, 6)."""

from datetime import datetime

from pypinyin import Style, lazy_pinyin

from hie.simulator.course import Location, Order, Step
from hie.simulator.departments import Doctor
from hie.simulator.divisions import BY_CODE, CITY, PROVINCE
from hie.simulator.drugs import Drug
from hie.simulator.er7_writer import NULL, Component, Field, Repetition, Segment
from hie.simulator.laboratory import Panel
from hie.simulator.names import SURNAME_READINGS, Name
from hie.simulator.person import Person
from hie.simulator.vendors import Vendor

_NATIONAL_SEX = {"M": "1", "F": "2"}
"""GB/T 2261.1, which some vendors send in PID-8 instead of table 0001."""
_POSTAL_CODE = "450000"
_EXAMPLE_ROOT = "2.16.840.1.113883.19.4101"
"""Below 2.16.840.1.113883.19, the root HL7 keeps for examples."""


def timestamp(vendor: Vendor, moment: datetime) -> str:
    """Return a time as the vendor writes it: to the minute, second or millisecond, with or without offset."""
    if vendor.stamp == "minute":
        text = f"{moment:%Y%m%d%H%M}"
    elif vendor.stamp == "fraction":
        text = f"{moment:%Y%m%d%H%M%S}.{moment.microsecond // 1000:03d}"
    else:
        text = f"{moment:%Y%m%d%H%M%S}"
    return f"{text}{moment:%z}" if vendor.offset else text


def pinyin(name: Name) -> tuple[str, str] | None:
    """Return family and given name in upper-case pinyin, None when a character has no reading."""
    family = (
        SURNAME_READINGS.get(name.family) or "".join(lazy_pinyin(name.family, style=Style.NORMAL)).upper()
    )
    given = "".join(lazy_pinyin(name.given, style=Style.NORMAL)).upper()
    return (family, given) if (family + given).isascii() else None


def person_name(vendor: Vendor, name: Name) -> Field:
    """Return PID-5: split, whole in XPN-1, or split with a second repetition in pinyin."""
    if vendor.name_style == "whole":
        return name.text
    written: Repetition = (name.family, name.given, "", "", "", "", "L")
    if vendor.name_style == "split":
        return written
    reading = pinyin(name)
    ideographic = (name.family, name.given, "", "", "", "", "L", "I")
    return [ideographic, (*reading, "", "", "", "", "L", "P")] if reading else ideographic


def facility(vendor: Vendor, code: str) -> Field:
    """Return MSH-4: the institution's code, with its OID from vendors that know them."""
    return (code, *_oid(code)) if vendor.authority == "universal" else code


def _oid(code: str) -> tuple[str, str]:
    kind = "1" if code.startswith("LCH") else "2"
    return f"{_EXAMPLE_ROOT}.{kind}.{int(code[3:])}", "ISO"


def _authority(vendor: Vendor, code: str) -> Component:
    if vendor.authority == "none":
        return ""
    return (code, *_oid(code)) if vendor.authority == "universal" else code


def identifiers(vendor: Vendor, step: Step, health_card: str) -> Field:
    """Return PID-3: the hospital's card first, then what the vendor adds."""
    written: list[Repetition] = [
        (step.card, "", "", _authority(vendor, step.institution.code), vendor.card_type)
    ]
    if "PID-3" in vendor.id_fields and step.person.id_number:
        written.append((step.person.id_number, "", "", "GA", "NNCHN"))
    if vendor.sends_health_card:
        written.append((health_card, "", "", "JKK", "HC"))
    return written


def _address(vendor: Vendor, person: Person) -> Field:
    address = person.address
    if vendor.address_style == "whole":
        return address.text
    division = BY_CODE[address.division].name
    street = f"{address.town}{address.house}"
    return (street, division, CITY, PROVINCE, _POSTAL_CODE, "CHN", "H", "", address.division)


def phone(vendor: Vendor, number: str) -> Field:
    """Return an XTN with the number where the vendor puts it: XTN-1, XTN-7 or XTN-12."""
    if vendor.phone_style == "plain":
        return number
    if vendor.phone_style == "local":
        return ("", "PRN", "CP", "", "86", "", number)
    return ("", "PRN", "CP", "", "", "", "", "", "", "", "", number)


def pid(vendor: Vendor, step: Step, health_card: str, mother_card: str) -> Segment:
    """Return PID."""
    person = step.person
    birth = f"{person.birth:%Y%m%d}" + ("000000" if vendor.birth == "time" else "")
    fields: dict[int, Field] = {
        1: "1",
        3: identifiers(vendor, step, health_card),
        5: person_name(vendor, person.name),
        7: birth,
        8: _NATIONAL_SEX[person.sex] if vendor.sex == "national" else person.sex,
        10: (person.ethnic_code, person.ethnic_name, "GB/T 3304"),
        11: _address(vendor, person),
        13: phone(vendor, person.phone),
        16: "M" if person.is_married else "S",
        26: "CHN",
    }
    if person.id_number:
        fields |= {int(each[4:]): person.id_number for each in vendor.id_fields if each != "PID-3"}
    elif vendor.nulls:
        fields |= {int(each[4:]): NULL for each in vendor.id_fields if each == "PID-19"}
    if mother_card:
        fields[21] = (mother_card, "", "", _authority(vendor, step.institution.code), vendor.card_type)
    if person.birth_order is not None:
        fields |= {24: "Y", 25: str(person.birth_order)}
    return Segment("PID", fields)


def nk1(vendor: Vendor, person: Person) -> Segment | None:
    """Return NK1 of the next of kin, None when there is none."""
    contact = person.contact
    if contact is None:
        return None
    name = person_name(vendor, contact.name)
    return Segment("NK1", {1: "1", 2: name, 3: contact.relationship, 5: phone(vendor, contact.phone)})


def location(place: Location, code: str) -> Field:
    """Return PL: point of care, room, bed, facility, and the department's name as description."""
    return (place.department.code, place.room, place.bed, code, "", "", "", "", place.department.name)


def doctor(vendor: Vendor, person: Doctor) -> Field:
    """Return XCN: staff number and name."""
    if vendor.name_style == "whole":
        return (person.number, person.name.text)
    return (person.number, person.name.family, person.name.given)


def pv1(vendor: Vendor, step: Step) -> Segment:
    """Return PV1; of a message without a visit only the patient class N (not applicable)."""
    fields: dict[int, Field] = {1: "1", 2: step.patient_class}
    visit = step.visit
    if visit is None or step.location is None or step.doctor is None or step.admitted is None:
        return Segment("PV1", fields)
    code = step.institution.code
    fields[3] = location(step.location, code)
    is_newborn = visit.condition.key == "newborn"
    fields[4] = "N" if is_newborn else "E" if step.patient_class == "E" else "R"
    if step.prior is not None:
        fields[6] = location(step.prior, code)
    fields[7] = doctor(vendor, step.doctor)
    fields[10] = step.location.department.code
    fields[19] = (visit.id, "", "", _authority(vendor, code), "VN")
    if step.discharged is not None:
        fields[36] = "01"
        fields[45] = timestamp(vendor, step.discharged)
    fields[44] = timestamp(vendor, step.admitted)
    return Segment("PV1", fields)


def dg1(vendor: Vendor, step: Step) -> Segment | None:
    """Return DG1 with the ICD-10 code, None before the diagnosis."""
    if step.visit is None or not step.is_diagnosed:
        return None
    condition = step.visit.condition
    kind = "F" if step.discharged is not None else "W"
    fields: dict[int, Field] = {1: "1", 3: (condition.code, condition.name, "I10"), 6: kind}
    fields[5] = timestamp(vendor, step.time)
    return Segment("DG1", fields)


def al1(person: Person) -> Segment | None:
    """Return AL1, None when no allergy is known."""
    if person.allergy is None:
        return None
    name, kind = person.allergy
    return Segment("AL1", {1: "1", 2: kind, 3: ("", name), 4: "MO"})


def in1(vendor: Vendor, step: Step) -> Segment | None:
    """Return IN1 of the basic medical insurance when the vendor sends it."""
    if not vendor.insurance:
        return None
    plan = ("310", "职工基本医疗保险") if step.person.is_married else ("390", "城乡居民基本医疗保险")
    return Segment("IN1", {1: "1", 2: plan, 3: "410100", 4: "绿城市医疗保障中心"})


def local_values(step: Step, health_card: str) -> dict[str, str]:
    """Return what a vendor's Z-segments may hold."""
    return {
        "ethnic_code": step.person.ethnic_code,
        "ethnic_name": step.person.ethnic_name,
        "insurance": "职工医保" if step.person.is_married else "居民医保",
        "health_card": health_card,
        "visit": step.visit.id if step.visit else "",
        "department": step.location.department.name if step.location else "",
        "card": step.card,
    }


def orc(vendor: Vendor, order: Order, control: str) -> Segment:
    """Return ORC; `control` is ORC-1 (NW new order, RE observations to follow)."""
    fields: dict[int, Field] = {1: control, 2: order.placer, 9: timestamp(vendor, order.ordered)}
    if vendor.has_obr3 and isinstance(order.item, Panel):
        fields[3] = order.filler
    if isinstance(order.item, Drug):
        fields[7] = ("", order.item.times, f"D{order.item.days}", "", "", "R")
    elif order.status:
        fields[5] = "CM"
    fields[12] = doctor(vendor, order.doctor)
    return Segment("ORC", fields)
