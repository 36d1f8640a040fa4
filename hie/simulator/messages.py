"""Messages of the synthetic city: a step of a visit becomes ER7 bytes in its vendor's manner."""

from datetime import datetime

from hie.simulator import observations, segments
from hie.simulator.course import Order, Step
from hie.simulator.drugs import Drug
from hie.simulator.er7_writer import Field, Segment, Writer
from hie.simulator.people import Population
from hie.simulator.registry import Registry
from hie.simulator.vendors import Vendor, vendors

_STRUCTURES = {
    "A01": "ADT_A01", "A04": "ADT_A01", "A08": "ADT_A01", "A13": "ADT_A01",
    "A02": "ADT_A02", "A03": "ADT_A03", "A11": "ADT_A09", "A12": "ADT_A12",
    "A05": "ADT_A05", "A28": "ADT_A05", "A31": "ADT_A05",
    "A06": "ADT_A06", "A07": "ADT_A06",
    "R01": "ORU_R01", "O01": "ORM_O01", "O21": "OML_O21",
}  # fmt: skip
"""MSH-9.3 by trigger, HL7 v2.5.1 table 0354."""
_A12_BEFORE_2_5 = "ADT_A09"
"""Table 0354 of v2.4 files A12 under ADT_A09."""


class Composer:
    """Writes messages; it numbers them, so one composer writes one run."""

    def __init__(self, population: Population, registry: Registry) -> None:
        """Make one writer a vendor."""
        self._numbering = population.numbering
        self._population = population
        self._registry = registry
        self._sent: dict[str, int] = {}
        self._writers = {
            key: Writer(
                encoding_characters=vendor.encoding_characters,
                line_end=vendor.line_end,
                charset=vendor.charset,
                trailing_delimiters=vendor.trailing_delimiters,
            )
            for key, vendor in vendors().items()
        }

    def compose(self, step: Step) -> tuple[str, bytes]:
        """Return the control id (MSH-10) and the encoded message of `step`."""
        vendor = vendors()[step.institution.vendor]
        control_id = self._control_id(vendor, step)
        health_card = self._numbering.health_card(step.person.index) if _uses_health_card(vendor) else ""
        code, trigger = step.event.split("^")
        rows = [_msh(vendor, step, control_id)]
        if code == "ADT":
            rows.append(_evn(vendor, trigger, step))
        rows.append(segments.pid(vendor, step, health_card, self._mother_card(step)))
        body = self._adt(vendor, step) if step.order is None else _order(vendor, step, step.order)
        rows += [row for row in body if row is not None]
        if vendor.local_segments and code == "ADT":
            values = segments.local_values(step, health_card)
            for local in vendor.local_segments:
                texts = enumerate((field.format_map(values) for field in local.fields), 1)
                rows.append(Segment(local.name, dict(texts)))
        return control_id, self._writers[vendor.key].write(rows)

    def _control_id(self, vendor: Vendor, step: Step) -> str:
        code = step.institution.code
        number = self._sent[code] = self._sent.get(code, 0) + 1
        if vendor.control_id == "timestamp":
            return f"{step.time:%y%m%d%H%M%S}{number:08d}"
        return f"{code}{number:010d}"

    def _mother_card(self, step: Step) -> str:
        if step.person.mother is None:
            return ""
        card = self._registry.card(step.person.mother, step.institution)
        return card.number if card is not None else ""

    def _adt(self, vendor: Vendor, step: Step) -> list[Segment | None]:
        person = step.person
        if step.visit is None:
            return [segments.nk1(vendor, person), segments.pv1(vendor, step), segments.al1(person)]
        if step.event in ("ADT^A02", "ADT^A11", "ADT^A12", "ADT^A13"):
            return [segments.pv1(vendor, step)]
        if step.event == "ADT^A03":
            return [segments.pv1(vendor, step), segments.dg1(vendor, step)]
        return [
            segments.nk1(vendor, person),
            segments.pv1(vendor, step),
            segments.al1(person),
            segments.dg1(vendor, step),
            segments.in1(vendor, step),
        ]


def _uses_health_card(vendor: Vendor) -> bool:
    return vendor.sends_health_card or bool(vendor.local_segments)


def _msh(vendor: Vendor, step: Step, control_id: str) -> Segment:
    code, trigger = step.event.split("^")
    structure = _A12_BEFORE_2_5 if trigger == "A12" and vendor.version < "2.5" else _STRUCTURES[trigger]
    facility = step.institution.code
    fields: dict[int, Field] = {
        3: vendor.product,
        4: segments.facility(vendor, facility),
        5: "HIE",
        6: "410100",
        7: segments.timestamp(vendor, step.time),
        9: (code, trigger, structure) if vendor.has_structure else (code, trigger),
        10: control_id,
        11: "P",
        12: vendor.version,
        17: "CHN",
    }
    if vendor.msh18 is not None:
        fields[18] = vendor.msh18
    return Segment("MSH", fields)


def _evn(vendor: Vendor, trigger: str, step: Step) -> Segment:
    fields: dict[int, Field] = {2: segments.timestamp(vendor, step.time)}
    if vendor.has_event_code:
        fields[1] = trigger
    return Segment("EVN", fields)


def _order(vendor: Vendor, step: Step, order: Order) -> list[Segment | None]:
    visit = segments.pv1(vendor, step)
    if isinstance(order.item, Drug):
        return [visit, segments.orc(vendor, order, "NW"), observations.rxo(vendor, order.item)]
    specimen = observations.spm(vendor, order, order.item)
    request = observations.obr(vendor, order, order.item)
    if not order.results:
        return [visit, segments.orc(vendor, order, "NW"), request, specimen]
    return [visit, segments.orc(vendor, order, "RE"), request, *_results(vendor, step.time, order), specimen]


def _results(vendor: Vendor, reported: datetime, order: Order) -> list[Segment | None]:
    moment = segments.timestamp(vendor, reported)
    rows: list[Segment | None] = [observations.nte(order)]
    rows += [
        observations.obx(vendor, place, result, order, moment)
        for place, result in enumerate(order.results, 1)
    ]
    return rows
