"""OBR, OBX, SPM, NTE and RXO as one vendor writes them (HL7 v2.5.1 chapters 4 and 7)."""

from datetime import datetime

from hie.simulator.course import Order
from hie.simulator.drugs import Drug
from hie.simulator.er7_writer import Field, Segment
from hie.simulator.laboratory import Panel, Result, Test
from hie.simulator.segments import doctor, timestamp
from hie.simulator.vendors import Vendor

_ARROWS = {"H": "↑", "L": "↓", "A": "*", "N": "", "": ""}
_CODES = {"阴性": "NEG", "阳性": "POS"}
_COMMENT = {"F": "本报告仅对所检标本负责", "C": "更正报告:原结果作废, 以本次为准"}


def code(vendor: Vendor, item: Panel | Test) -> Field:
    """Return the CE of a panel or test in the hospital's own codes: `WBC`, `0011` or `LIS-0011`."""
    if vendor.codes == "short":
        return (item.short, item.name, "L")
    number = f"{item.number:04d}"
    return (f"LIS-{number}" if vendor.codes == "prefixed" else number, item.name, "99LIS")


def units(vendor: Vendor, unit: str) -> Field:
    """Return OBX-6: a CE with its system, UCUM (`10*9/L`), or the printed text, whose ^ must be escaped."""
    if not unit or vendor.units == "text":
        return unit
    ucum = unit.replace("10^", "10*").replace("μ", "u")
    if vendor.units == "ucum":
        return (ucum, unit, "UCUM")
    return (unit, unit, "L")


def obr(vendor: Vendor, order: Order, panel: Panel) -> Segment:
    """Return OBR of an order (no status) or a report."""
    fields: dict[int, Field] = {1: "1", 2: order.placer, 4: code(vendor, panel)}
    if vendor.has_obr3:
        fields[3] = order.filler
    fields[16] = doctor(vendor, order.doctor)
    if vendor.version < "2.7":
        fields[6] = timestamp(vendor, order.ordered)
    if not vendor.has_specimen:
        fields[15] = ("", panel.specimen)
    if order.collected is not None:
        fields[7] = _observed(vendor, order.collected)
        fields[14] = timestamp(vendor, order.collected)
    if order.status:
        fields |= {24: "LAB", 25: order.status}
    return Segment("OBR", fields)


def _observed(vendor: Vendor, moment: datetime) -> str:
    """Return OBR-7, which some vendors give as a date only."""
    return f"{moment:%Y%m%d}" if vendor.observed == "date" else timestamp(vendor, moment)


def obx(vendor: Vendor, place: int, result: Result, order: Order, reported: str) -> Segment:
    """Return OBX number `place`; `reported` is the time of the observation as text."""
    kind: str = result.type
    value: Field = result.value
    if kind == "SN":
        kind, value = ("ST", f"<{result.value}") if vendor.units == "text" else ("SN", ("<", result.value))
    elif kind == "CE":
        is_coded = vendor.units != "text"
        kind, value = (
            ("CE", (_CODES.get(result.value, result.value), result.value, "L"))
            if is_coded
            else ("ST", result.value)
        )
        if is_coded and vendor.version >= "2.6":
            kind = "CWE"
    flag = _ARROWS[result.flag] if vendor.flags == "arrow" else result.flag
    fields: dict[int, Field] = {
        1: str(place),
        2: kind,
        3: code(vendor, result.test),
        5: value,
        6: units(vendor, result.test.unit),
        7: result.reference,
        8: flag,
        11: order.status,
        14: reported,
    }
    return Segment("OBX", fields)


def nte(order: Order) -> Segment:
    """Return NTE with the laboratory's remark."""
    return Segment("NTE", {1: "1", 2: "L", 3: _COMMENT[order.status or "F"]})


def spm(vendor: Vendor, order: Order, panel: Panel) -> Segment | None:
    """Return SPM for vendors of v2.5 and later that send it, else None."""
    if not vendor.has_specimen:
        return None
    fields: dict[int, Field] = {
        1: "1",
        2: (order.placer, order.filler),
        4: (str(panel.number), panel.specimen, "L"),
    }
    if order.collected is not None:
        fields[17] = (timestamp(vendor, order.collected),)
    return Segment("SPM", fields)


def rxo(vendor: Vendor, drug: Drug) -> Segment:
    """Return RXO of a prescription."""
    number = f"{drug.number:05d}"
    own = f"YP-{number}" if vendor.codes == "prefixed" else number
    supply = f"{drug.strength} × {drug.days}天"
    return Segment(
        "RXO",
        {
            1: (own, drug.name, "99YP"),
            2: drug.amount,
            4: (drug.unit, drug.unit, "L"),
            5: (drug.form, drug.form, "L"),
            7: (drug.times, f"{drug.route} {drug.times}", "L"),
            11: str(drug.days),
            12: (supply, supply, "L"),
        },
    )
